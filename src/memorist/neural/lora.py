"""Low-rank adapters: a parameter cube (MemOS) is a small change to some of a frozen model's linear maps.

    y = W x + scale · B (A x),  A [rank, in], B [out, rank]

The model's own weights are never touched: an adapter is attached to a copy that shares them, by hooks, so that without
it the model is the base model bit for bit, whatever else runs in this process. The file has the tensor names of the
library peft, which can read it; the library itself is not needed for a hundred lines and would bring accelerate.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from memorist.errors import InputError
from memorist.neural.tensor_file import opened, tensor_file

if TYPE_CHECKING:
    import torch

    from memorist.neural.weights import TorchModel

FORM = "lora"
TARGETS = ("q_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
NAME = "base_model.model.{}.lora_{}.weight"


@dataclass(frozen=True, slots=True)
class Adapter:
    """`down` is A and `up` is B of each changed module, by its name in the model."""

    down: Mapping[str, torch.Tensor]
    up: Mapping[str, torch.Tensor]
    scale: float

    @property
    def rank(self) -> int:
        """The largest rank among its modules."""
        return max(tensor.shape[0] for tensor in self.down.values())


def fresh(model: TorchModel, rank: int, layers: int, seed: int) -> Adapter:
    """An adapter of the last `layers` layers that changes nothing yet: A is random, B is zero."""
    import torch

    draw = torch.Generator().manual_seed(seed)
    total = int(model.model.config.num_hidden_layers)
    inside = tuple(f".layers.{layer}." for layer in range(max(0, total - layers), total))
    down, up = {}, {}
    for name, module in model.model.named_modules():
        if name.endswith(TARGETS) and any(part in name for part in inside):
            wide, out = module.in_features, module.out_features
            down[name] = torch.randn(rank, wide, generator=draw) / wide**0.5
            up[name] = torch.zeros(out, rank)
    if not down:
        raise InputError(f"{model.name} has none of the modules that adapters change: {', '.join(TARGETS)}")
    return Adapter(down, up, 2.0)


def sharing(model: TorchModel) -> TorchModel:
    """The same model as a structure of its own around the same weights, for hooks that nobody else sees."""
    network = model.model
    shared = {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
    return replace(model, model=copy.deepcopy(network, shared))


def attached(model: TorchModel, adapters: Sequence[Adapter]) -> TorchModel:
    """The model with adapters, which add up; the one given stays as it is. Raises InputError when one does not fit."""
    made = sharing(model)
    for adapter in adapters:
        attach(made.model, adapter)
    return made


def attach(network: Any, adapter: Adapter) -> None:
    """Hook an adapter into a network that nobody else uses."""
    for name, down in adapter.down.items():
        up = adapter.up[name]
        try:
            module = network.get_submodule(name)
        except AttributeError as error:
            raise InputError(f"the adapter changes {name}, which the model does not have") from error
        if (down.shape[1], up.shape[0]) != (module.in_features, module.out_features):
            raise InputError(f"the adapter's tensors for {name} do not fit: {tuple(down.shape)} and {tuple(up.shape)}")
        module.register_forward_hook(added(down, up, adapter.scale))


def added(down: torch.Tensor, up: torch.Tensor, scale: float) -> Any:
    """A hook that adds scale · B (A x)."""
    from torch.nn.functional import linear

    def hook(module: Any, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        return output + scale * linear(linear(inputs[0], down), up)

    return hook


def combined(adapters: Sequence[Adapter], weights: Sequence[float] | None = None) -> Adapter:
    """One adapter that does what all do together, each times its weight (default: 1): ranks are put side by side."""
    import torch

    shares = [1.0] * len(adapters) if weights is None else list(weights)
    if not adapters or len(shares) != len(adapters):
        raise InputError(f"{len(adapters)} adapters and {len(shares)} weights cannot be combined; give one for each")
    down: dict[str, torch.Tensor] = {}
    up: dict[str, torch.Tensor] = {}
    for adapter, share in zip(adapters, shares):
        for name in adapter.down:
            more, grown = adapter.down[name], adapter.up[name] * (adapter.scale * share)
            down[name] = torch.cat([down[name], more]) if name in down else more
            up[name] = torch.cat([up[name], grown], dim=1) if name in up else grown
    return Adapter(down, up, 1.0)


def to_file(model: TorchModel, adapter: Adapter) -> bytes:
    """A safetensors file in float32."""
    tensors = {NAME.format(name, "A"): tensor for name, tensor in adapter.down.items()}
    tensors |= {NAME.format(name, "B"): tensor for name, tensor in adapter.up.items()}
    return tensor_file(model, FORM, tensors, {"scale": repr(adapter.scale), "rank": str(adapter.rank)})


def from_file(model: TorchModel, data: bytes) -> Adapter:
    """What `to_file` wrote. Raises ModelMismatch for another model's, InputError for anything else."""
    tensors, said = opened(model, FORM, data)
    before, after = NAME.split("{}")[0], ".lora_A.weight"
    names = [name[len(before) : -len(after)] for name in tensors if name.endswith(after)]
    down = {name: tensors[NAME.format(name, "A")] for name in names}
    up = {name: tensors[NAME.format(name, "B")] for name in names}
    return Adapter(down, up, float(said["scale"]))
