"""Tensors of a model as one safetensors file that says whose they are, and is refused by any other model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from memorist.errors import InputError, ModelMismatch
from memorist.store.payloads import header_of

if TYPE_CHECKING:
    import torch

    from memorist.neural.weights import TorchModel


def tensor_file(model: TorchModel, form: str, tensors: Mapping[str, torch.Tensor], said: Mapping[str, str]) -> bytes:
    """A safetensors file whose header has the form, the model's hashes, and what else is `said`."""
    from safetensors.torch import save

    header = {"form": form, "model_hash": model.model_hash, "tokenizer_hash": model.tokenizer_hash, **said}
    return in_order(save({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, header))


def in_order(data: bytes) -> bytes:
    """The same file with its header in order: the library writes it in another one each time, and bytes are names."""
    header = json.dumps(header_of(data), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    begin = 8 + int.from_bytes(data[:8], "little")
    return b"".join((len(header).to_bytes(8, "little"), header, memoryview(data)[begin:]))


def opened(model: TorchModel, form: str, data: bytes) -> tuple[dict[str, torch.Tensor], Mapping[str, str]]:
    """Tensors and header of such a file.

    Raises InputError for another form or no such file, ModelMismatch for another model's or tokenizer's.
    """
    from safetensors.torch import load

    said = header_of(data).get("__metadata__", {})
    if said.get("form") != form:
        raise InputError(f"these tensors are of the form {said.get('form')!r:.30}, not {form!r}")
    for what, ours in (("model", model.model_hash), ("tokenizer", model.tokenizer_hash)):
        theirs = said.get(f"{what}_hash", "")
        if theirs != ours:
            raise ModelMismatch(
                f"these tensors were made with another {what} ({theirs[:12]}) than that of {model.name} ({ours[:12]});"
                " make them again with this one: memorist cube migrate",
                model.name,
            )
    return dict(load(data)), said
