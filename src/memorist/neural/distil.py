"""Text into a LoRA adapter: a few steps of next-token loss on a frozen model, held to what it says of anything else.

Only the last layers change, so what the layers below them make of each text is computed once. Each step adds to the
loss of the text the divergence KL(base ‖ adapted) on a passage of generic text. Other passages, never trained on, are
the guard: the last step is kept at which their perplexity had risen by no more than is allowed.

This is the plain inner loop of PERK's idea; a meta-learned start would go where `lora.fresh` stands.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from memorist.errors import InputError
from memorist.neural.lora import Adapter, attach, fresh, sharing
from memorist.neural.turns import tokens

if TYPE_CHECKING:
    import torch

    from memorist.neural.weights import TorchModel

PIECE = 192
"""Tokens of the text in a step."""

GUARDS = 4
"""Passages of the generic text that only guard; the others are trained against."""


@dataclass(frozen=True, slots=True)
class Training:
    """How an adapter is trained.

    It ends after `steps`, when the text's perplexity has fallen to `goal` of what it was, or when that of the guard has
    risen to more than `most_rise` of what it was. `every` so many steps both are measured.
    """

    steps: int = 40
    rank: int = 8
    layers: int = 10
    rate: float = 1e-3
    held: float = 1.0
    goal: float = 0.5
    most_rise: float = 1.01
    every: int = 4
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Distilled:
    """An adapter, and mean losses (nats a token) before and after: of its text and of the guard."""

    adapter: Adapter
    steps: int
    loss_before: float
    loss_after: float
    guard_before: float
    guard_after: float


@dataclass(frozen=True, slots=True)
class Read:
    """A text up to the layers that change: tokens [n], hidden states [1, n, width], and what the layers are given."""

    ids: torch.Tensor
    hidden: torch.Tensor
    given: dict[str, Any]


class Upper:
    """The last layers of a model of its own, with an adapter."""

    def __init__(self, model: TorchModel, adapter: Adapter, layers: int) -> None:
        network: Any = sharing(model).model
        self._base = network.base_model
        self._head = network.get_output_embeddings()
        self._first = max(0, len(self._base.layers) - layers)
        self._network = network
        self._adapter = adapter
        self.attached = False

    def attach(self) -> None:
        """From here on with the adapter."""
        attach(self._network, self._adapter)
        self.attached = True

    def read(self, ids: Sequence[int]) -> Read:
        """What the layers below make of tokens."""
        import torch

        seen: list[tuple[torch.Tensor, dict[str, Any]]] = []
        first = self._base.layers[self._first]
        handle = first.register_forward_pre_hook(
            lambda module, args, given: seen.append((args[0], dict(given))), with_kwargs=True
        )
        whole = torch.tensor([list(ids)])
        try:
            with torch.no_grad():
                self._base(whole, use_cache=False)
        finally:
            handle.remove()
        hidden, given = seen[0]
        return Read(whole[0], hidden, given)

    def logits(self, read: Read) -> torch.Tensor:
        """Logarithms of the next tokens' probabilities [n − 1, vocabulary]."""
        import torch

        hidden = read.hidden
        for layer in self._base.layers[self._first :]:
            made = layer(hidden, **read.given)
            hidden = made if isinstance(made, torch.Tensor) else made[0]
        return torch.log_softmax(self._head(self._base.norm(hidden))[0, :-1], -1)

    def loss(self, read: Read) -> torch.Tensor:
        """Mean nats a token."""
        return -self.logits(read).gather(1, read.ids[1:, None]).mean()

    def measured(self, reads: Sequence[Read]) -> float:
        """The mean loss over all tokens of several texts."""
        import torch

        with torch.no_grad():
            parts = [(float(self.loss(read)), len(read.ids) - 1) for read in reads]
        return sum(loss * n for loss, n in parts) / sum(n for _, n in parts)


def distil(
    model: TorchModel,
    text: str,
    training: Training = Training(),
    progress: Callable[[int, int], None] = lambda step, steps: None,
) -> Distilled:
    """An adapter that has absorbed a text. Deterministic for a seed and a number of threads.

    `progress` is told the step and how many there can be; what it raises ends the training. Raises InputError for a
    text that is too short to learn from.
    """
    import torch

    ids = tokens(model, text)
    if len(ids) < 8:
        raise InputError(f"a text of {len(ids)} tokens is too short for an adapter; name memories that say more")
    adapter = fresh(model, training.rank, training.layers, training.seed)
    upper = Upper(model, adapter, training.layers)
    source = [upper.read(piece) for piece in pieces(ids)]
    generic = [upper.read(tokens(model, passage)) for passage in passages()]
    held, guard = generic[:-GUARDS], generic[-GUARDS:]
    with torch.no_grad():
        base = [upper.logits(read) for read in held]
    before, guard_before = upper.measured(source), upper.measured(guard)
    upper.attach()
    run = Run(upper, adapter, training)
    kept, best = (0, before, guard_before), run.copied()
    for step in range(1, training.steps + 1):
        place = int(torch.randint(len(held), (1,), generator=run.draw))
        run.step(source[(step - 1) % len(source)], held[place], base[place])
        progress(step, training.steps)
        if step % training.every and step < training.steps:
            continue
        now = (step, upper.measured(source), upper.measured(guard))
        if math.exp(now[2] - guard_before) > training.most_rise:
            break
        kept, best = now, run.copied()
        if math.exp(now[1] - before) <= training.goal:
            break
    steps, after, guard_after = kept
    return Distilled(best, steps, before, after, guard_before, guard_after)


class Run:
    """The steps of one training."""

    def __init__(self, upper: Upper, adapter: Adapter, training: Training) -> None:
        import torch

        self._upper, self._adapter, self._held = upper, adapter, training.held
        self._weights = [*adapter.down.values(), *adapter.up.values()]
        for weight in self._weights:
            weight.requires_grad_(True)
        self._optimiser = torch.optim.Adam(self._weights, lr=training.rate)
        self.draw = torch.Generator().manual_seed(training.seed)

    def step(self, source: Read, generic: Read, base: torch.Tensor) -> None:
        """One step down the loss of the text and the divergence on a generic passage."""
        import torch

        self._optimiser.zero_grad()
        now = self._upper.logits(generic)
        divergence = (base.exp() * (base - now)).sum(-1).mean()
        loss = self._upper.loss(source) + self._held * divergence
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._weights, 1.0)
        self._optimiser.step()

    def copied(self) -> Adapter:
        """The adapter as it is now."""
        down = {name: weight.detach().clone() for name, weight in self._adapter.down.items()}
        up = {name: weight.detach().clone() for name, weight in self._adapter.up.items()}
        return Adapter(down, up, self._adapter.scale)


def loss_of(model: TorchModel, text: str) -> float:
    """The model's mean loss on a text, nats a token; its exponential is the perplexity."""
    import torch

    ids = torch.tensor([tokens(model, text)])
    with torch.inference_mode():
        said = torch.log_softmax(model.model(ids[:, :-1]).logits[0], -1)
    return float(-said.gather(1, ids[0, 1:, None]).mean())


def pieces(ids: Sequence[int]) -> list[Sequence[int]]:
    """Tokens in nearly equal pieces of at most PIECE."""
    count = -(-len(ids) // PIECE)
    size = -(-len(ids) // count)
    return [ids[start : start + size] for start in range(0, len(ids), size)]


@cache
def passages() -> tuple[str, ...]:
    """Generic text that ships with the package, in passages."""
    text = files("memorist.neural").joinpath("generic.md").read_text(encoding="utf-8")
    return tuple(part.strip() for part in text.split("\n\n") if part.strip())
