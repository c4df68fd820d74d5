"""Keys and values of a text that a model has read: an activation cube (MemOS, plaintext to activation).

    known = encode(model, tokens(model, turn(model, "The spare key lies under the blue pot.")))
    model.model(ids_of_the_question, cache=cache_of(known)).logits  # as if the whole prompt had been read

Two texts can be put together in two ways, and they are not the same:

- `encode(model, ids, after=first)` reads the second on top of the first. It equals the prompt of both.
- `joined(model, [first, second])` puts caches together that were read apart, the keys of the second turned to their new
  places (rotary positions are relative, so that is what reading it there alone gives). Nothing in the second has seen
  the first: it equals the prompt of both under a mask that keeps the texts apart, and not the plain prompt.

A cache is never changed by its use: `cache_of` copies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from memorist.errors import InputError
from memorist.neural.tensor_file import opened, tensor_file

if TYPE_CHECKING:
    import torch

    from memorist.neural.weights import TorchModel

FORM = "kv"
KEPT_AS = ("float32", "bfloat16", "float16")


@dataclass(frozen=True, slots=True)
class KeyValues:
    """What a model keeps of a text of n tokens, at the positions `start` to `start + n`.

    `ids` [n]; `keys` and `values` [layers, heads, n, width], the keys rotated for these positions.
    """

    ids: torch.Tensor
    keys: torch.Tensor
    values: torch.Tensor
    start: int = 0

    @property
    def stop(self) -> int:
        """The position that follows."""
        return self.start + len(self.ids)


def encode(model: TorchModel, ids: Sequence[int], after: KeyValues | None = None) -> KeyValues:
    """The keys and values of tokens; `after` is what stands before them, from position 0, and they have seen it.

    Raises InputError for no tokens, for more than the model takes, or for a model of another kind of positions.
    """
    import torch

    require_rotary(model)
    start = after.stop if after is not None else 0
    longest = int(model.model.config.max_position_embeddings)
    if not 0 < len(ids) <= longest - start:
        raise InputError(
            f"{start + len(ids)} tokens cannot be kept as keys and values: {model.name} takes 1 to {longest}"
        )
    with torch.no_grad():
        read = torch.tensor([list(ids)])
        cache = model.model(read, cache=cache_of(after), use_cache=True, logits_to_keep=1).cache
        keys = torch.stack([layer.keys[0, :, start:] for layer in cache.layers])
        values = torch.stack([layer.values[0, :, start:] for layer in cache.layers])
    return KeyValues(read[0], keys, values, start)


def cache_of(known: KeyValues | None) -> Any:
    """A cache for transformers with copies of the keys and values, in float32; they must begin at position 0."""
    from transformers import DynamicCache

    cache = DynamicCache()
    if known is not None:
        if known.start:
            raise InputError(f"keys and values for position {known.start} on are not a prefix; join them to one first")
        for layer, (keys, values) in enumerate(zip(known.keys, known.values)):
            cache.update(keys[None].float(), values[None].float(), layer)
    return cache


def moved(model: TorchModel, known: KeyValues, start: int) -> KeyValues:
    """The same text read alone at another position: keys turned back from where they were and on to where they go.

    By the angles that the model itself uses, which are rounded at each position. In double precision: moving adds no
    more than one rounding.
    """
    if start == known.start:
        return known
    turned = known.keys.double()
    cos, sin = (one.double() for one in angles(model, known.start, len(known.ids)))
    plain = (turned * cos - halves_turned(turned) * sin) / (cos * cos + sin * sin)
    cos, sin = (one.double() for one in angles(model, start, len(known.ids)))
    keys = (plain * cos + halves_turned(plain) * sin).to(known.keys.dtype)
    return replace(known, keys=keys, start=start)


def joined(model: TorchModel, parts: Sequence[KeyValues]) -> KeyValues:
    """Texts that were read apart, one after the other from position 0. None has seen another: see the module."""
    import torch

    if not parts:
        raise InputError("there are no keys and values to join; name at least one activation cube")
    places, end = [], 0
    for part in parts:
        places.append(moved(model, part, end))
        end = places[-1].stop
    return KeyValues(
        torch.cat([part.ids for part in places]),
        torch.cat([part.keys.to(places[0].keys.dtype) for part in places], dim=2),
        torch.cat([part.values.to(places[0].values.dtype) for part in places], dim=2),
    )


def apart(lengths: Sequence[int], tail: int) -> torch.Tensor:
    """The mask [1, 1, n, n] under which a plain prompt equals joined texts: each sees itself, the tail sees all."""
    import torch

    n = sum(lengths) + tail
    seen = torch.zeros(n, n, dtype=torch.bool)
    begin = 0
    for length in lengths:
        seen[begin : begin + length, begin : begin + length] = True
        begin += length
    seen[begin:] = True
    lowest = torch.finfo(torch.float32).min
    return torch.zeros(n, n).masked_fill(~seen.tril(), lowest)[None, None]


def halves_turned(x: torch.Tensor) -> torch.Tensor:
    """(−second half, first half) of the last dimension: with cos and sin, a rotation of pairs."""
    import torch

    first, second = x.chunk(2, dim=-1)
    return torch.cat((-second, first), dim=-1)


def angles(model: TorchModel, start: int, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines [n, width] of the model's rotary positions from `start`."""
    import torch

    like = torch.zeros(1, dtype=torch.float32)
    with torch.no_grad():
        rotary: Any = model.model.base_model.rotary_emb
        cos, sin = rotary(like, torch.arange(start, start + n)[None])
    return cos[0], sin[0]


def require_rotary(model: TorchModel) -> None:
    """Raises InputError for a model whose positions cannot be moved, or whose layers do not see the whole prompt."""
    config = model.model.config
    rope = getattr(config, "rope_parameters", None) or {}
    sliding = any(kind != "full_attention" for kind in getattr(config, "layer_types", None) or ())
    if rope.get("rope_type") != "default" or sliding or not hasattr(model.model.base_model, "rotary_emb"):
        raise InputError(
            f"{model.name} ({config.model_type}) cannot keep keys and values here: that needs plain rotary positions"
            " and full attention in all layers, as in smollm2-135m"
        )


def to_file(model: TorchModel, known: KeyValues, dtype: str = "float32") -> bytes:
    """A safetensors file; `dtype` is float32, bfloat16 or float16. Raises InputError for another."""
    import torch

    if dtype not in KEPT_AS:
        raise InputError(f"dtype={dtype!r:.30} is not one of {', '.join(KEPT_AS)}")
    kept = getattr(torch, dtype)
    layers, heads, _, width = known.keys.shape
    said = {
        "layers": str(layers),
        "heads": str(heads),
        "width": str(width),
        "positions": f"{known.start}-{known.stop}",
        "dtype": dtype,
        "rope_base": str(model.model.config.rope_parameters["rope_theta"]),
    }
    tensors = {"ids": known.ids.int(), "keys": known.keys.to(kept), "values": known.values.to(kept)}
    return tensor_file(model, FORM, tensors, said)


def from_file(model: TorchModel, data: bytes) -> KeyValues:
    """What `to_file` wrote. Raises ModelMismatch for another model's, InputError for anything else."""
    tensors, said = opened(model, FORM, data)
    start = int(said["positions"].partition("-")[0])
    found = KeyValues(tensors["ids"].long(), tensors["keys"], tensors["values"], start)
    demand_shapes(model, found, said)
    return found


def demand_shapes(model: TorchModel, known: KeyValues, said: Mapping[str, str]) -> None:
    """Raises InputError unless the tensors are those of this model's layers."""
    config = model.model.config
    heads, width = config.num_key_value_heads, getattr(config, "head_dim", 0)
    expected = (config.num_hidden_layers, heads, len(known.ids), width)
    if tuple(known.keys.shape) != expected or known.keys.shape != known.values.shape:
        shape = tuple(known.keys.shape)
        raise InputError(f"keys [layers, heads, tokens, width] of {shape} do not fit {model.name}: {expected}")
