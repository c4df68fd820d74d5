"""Small language models as torch modules: loaded once in a process, frozen, and named by the hash of what they are.

    model = local_torch("smollm2-135m")
    ids = model.tokenizer("The capital of France is", return_tensors="pt").input_ids
    model.model(ids).logits  # float32 [1, tokens, vocabulary]

Whatever is computed with a model (key-value caches, adapters) belongs to its `model_hash` and `tokenizer_hash`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from memorist.errors import InputError, ModelMissing
from memorist.models.weights import KNOWN, ready, sha256_of, weights_named

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

NEEDED = ("torch", "transformers", "safetensors", "gguf", "tokenizers")
CONVERSION = 1
"""Counts up when the same file would become another network or tokenizer."""

LOADED: dict[Path, TorchModel] = {}
LOADING = threading.Lock()


@dataclass(frozen=True, slots=True)
class TorchModel:
    """A language model and its tokenizer.

    `model` is a causal language model of transformers in float32, in evaluation mode and without gradients; it returns
    `logits` and, with `use_cache=True`, the `cache` of keys and values that it takes back. It is shared by all who load
    it in this process: whoever changes weights or hooks in modules works on `copy.deepcopy(model.model)`. The hashes
    are sha256 in hexadecimal.
    """

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    model_hash: str
    tokenizer_hash: str


def local_torch(name: str | os.PathLike[str]) -> TorchModel:
    """A packaged model by its name, or a GGUF file or a folder in Hugging Face's layout by its path.

    A GGUF file is turned into such a folder once, in the user's cache folder (four bytes a weight). Nothing is
    downloaded and no code from a folder is run. Raises ModelMissing when something is not installed, InputError for
    a path that cannot be read.
    """
    require()
    source = ready(weights_named(str(name))) if str(name) in KNOWN else existing(Path(name))
    with LOADING:
        if source not in LOADED:
            LOADED[source] = load(str(name), source)
        return LOADED[source]


def require() -> None:
    """ModelMissing unless the extra is installed."""
    missing = [package for package in NEEDED if find_spec(package) is None]
    if missing:
        raise ModelMissing(f"models in torch need {', '.join(missing)}: pip install 'memorist[neural]'")


def existing(path: Path) -> Path:
    """The path in full, or InputError."""
    if path.is_file() or (path / "config.json").is_file():
        return path.resolve()
    raise InputError(
        f"{str(path)!r:.200} is neither a packaged model ({', '.join(KNOWN)}), nor a GGUF file, "
        "nor a folder with a config.json"
    )


def load(name: str, source: Path) -> TorchModel:
    """The model and its tokenizer from their folder."""
    folder = source
    if source.is_file():
        model_hash = sha256_of(source)
        folder = converted(source, model_hash)
    else:
        model_hash = folder_hash(source)
    return TorchModel(name, network(folder), tokenizer(folder), model_hash, tokenizer_hash(folder))


def network(folder: Path) -> PreTrainedModel:
    """The folder's causal language model, frozen."""
    import torch
    from transformers import AutoModelForCausalLM

    try:
        with quiet():
            model = AutoModelForCausalLM.from_pretrained(
                folder, dtype=torch.float32, local_files_only=True, trust_remote_code=False, use_safetensors=True
            )
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"the folder {folder} cannot be read as a causal language model: {error}") from error
    model.eval()
    model.requires_grad_(False)
    return model


@contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' progress bars, which it would draw for a second's work."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The folder's tokenizer."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"the folder {folder} has no tokenizer that can be read: {error}") from error


def converted(source: Path, sha256: str) -> Path:
    """The folder made from a GGUF file. It appears whole, whoever else is making it too."""
    from platformdirs import user_cache_path

    from memorist.neural.convert import convert

    place = user_cache_path("memorist", appauthor=False) / "weights" / f"{sha256[:16]}-v{CONVERSION}"
    if place.is_dir():
        return place
    partial = place.with_name(f"{place.name}.{os.getpid()}.partial")
    try:
        convert(source, partial)
        if not place.is_dir():
            partial.rename(place)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return place


def folder_hash(folder: Path) -> str:
    """sha256 over the configuration and the weights. Raises InputError when there are none in safetensors."""
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise InputError(
            f"the folder {folder} has no weights in safetensors; other formats can run code and are not read"
        )
    parts = [f"{file.name} {sha256_of(file)}" for file in (folder / "config.json", *weights)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def tokenizer_hash(folder: Path) -> str:
    """sha256 over everything that turns words into tokens, chats included."""
    names = (
        "tokenizer.json",
        "tokenizer_config.json",
        "tokenizer.model",
        "chat_template.jinja",
        "vocab.json",
        "merges.txt",
    )
    parts = [f"{file.name} {sha256_of(file)}" for name in names if (file := folder / name).is_file()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
