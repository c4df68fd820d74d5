"""What a model says next, the likeliest token each time, after a prefix that it has read already or reads now."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memorist.neural.kv import KeyValues, cache_of

if TYPE_CHECKING:
    from memorist.neural.weights import TorchModel


@dataclass(frozen=True, slots=True)
class Continuation:
    """Tokens, their text, and the seconds until the first of them was known."""

    ids: tuple[int, ...]
    text: str
    seconds_to_first: float


def continued(model: TorchModel, ids: Sequence[int], known: KeyValues | None = None, most: int = 64) -> Continuation:
    """Up to `most` tokens after `known` and `ids` (at least one), until the model ends its turn."""
    import torch

    begin = time.perf_counter()
    first = 0.0
    ends = ends_of(model)
    said: list[int] = []
    with torch.inference_mode():
        cache: Any = cache_of(known)
        following = torch.tensor([list(ids)])
        while len(said) < most:
            out = model.model(following, cache=cache, use_cache=True, logits_to_keep=1)
            id, cache = int(out.logits[0, -1].argmax()), out.cache
            first = first or time.perf_counter() - begin
            if id in ends:
                break
            said.append(id)
            following = torch.tensor([[id]])
    return Continuation(tuple(said), str(model.tokenizer.decode(said, skip_special_tokens=True)), first)


def ends_of(model: TorchModel) -> set[int]:
    """The tokens that end a turn."""
    named = getattr(model.model.generation_config, "eos_token_id", None)
    found = set(named) if isinstance(named, list) else {named}
    return {int(id) for id in (*found, model.tokenizer.eos_token_id) if id is not None}
