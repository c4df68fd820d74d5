"""What the schedule's `migration` moves: often recalled texts to a local model's keys and values, and back.

    memory.movers.append(KeyValueMover(memory.scope, "smollm2-135m"))

What a text would cost is its tokens times what reading one takes on this machine, which is measured once. An activation
cube then knows what reading its own text took.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from memorist.cube import Cube, Scope
from memorist.lifecycle.migrating import FORMS
from memorist.lifecycle.movers import Cost, Held
from memorist.lifecycle.tensors import Tensors, model_of

if TYPE_CHECKING:
    from memorist.neural.weights import TorchModel

LOOKED_AT = 2_000
"""The newest memories of a scope that are looked at; older ones keep the form they have."""

PROBE = 128
"""Tokens that are read to learn how long reading takes."""

FLOAT = 4
ORIGIN = FORMS["activation"]


class Scoped(Protocol):
    """What is used of a `ScopedMemory`."""

    @property
    def tensors(self) -> Tensors:
        """Its other forms."""
        ...

    def list(self, *, limit: int, origin: str = "source") -> Sequence[Cube]:
        """Its newest cubes of an origin."""
        ...


class KeyValueMover:
    """A `Mover` of single texts to keys and values of one model. `scoped(user=…, tenant=…)` is `Memory.scope`."""

    name = "keys and values"

    def __init__(self, scoped: Callable[..., Scoped], model: str) -> None:
        self._scoped = scoped
        self._model = model
        self._per_token: float | None = None

    def candidates(self, scope: Scope) -> Sequence[Cube]:
        """Texts that were recalled, and have no keys and values of this model."""
        held = {one.cube.id for one in self.held(scope)}
        return [cube for cube in self._of(scope).list(limit=LOOKED_AT) if cube.recalls and cube.id not in held]

    def held(self, scope: Scope) -> Sequence[Held]:
        """Activation cubes of this model that are of one text alone; joint ones were asked for by someone."""
        room = self._of(scope)
        made = [cube for cube in room.list(limit=LOOKED_AT, origin=ORIGIN) if cube.meta["model"] == self._model]
        return [Held(cube.id, room.tensors.texts(cube.id)[0]) for cube in made if len(cube.episodes) == 1]

    def cost(self, cube: Cube) -> Cost:
        """Making it is reading it once, which is what each use saves."""
        model = model_of(self._model)
        tokens = len(model.tokenizer.encode(cube.text))
        seconds = tokens * self._reading(model)
        return Cost(seconds, tokens * bytes_of_token(model), seconds)

    def promote(self, scope: Scope, ids: Sequence[str]) -> None:
        """Make the keys and values of each."""
        tensors = self._of(scope).tensors
        for id in ids:
            tensors.migrate([id], to="activation", model=self._model)

    def demote(self, scope: Scope, ids: Sequence[str]) -> None:
        """Put them away; the texts stay."""
        tensors = self._of(scope).tensors
        for id in ids:
            tensors.migrate([id], to="text")

    def _of(self, scope: Scope) -> Scoped:
        return self._scoped(user=scope.user, tenant=scope.tenant)

    def _reading(self, model: TorchModel) -> float:
        """Seconds that reading a token takes: the better of two runs, as the first also warms up."""
        if self._per_token is None:
            from memorist.neural.kv import encode

            ids = [place % model.model.config.vocab_size for place in range(PROBE)]
            spent = []
            for _ in range(2):
                begun = time.perf_counter()
                encode(model, ids)
                spent.append(time.perf_counter() - begun)
            self._per_token = min(spent) / PROBE
        return self._per_token


def bytes_of_token(model: TorchModel) -> int:
    """Bytes of a token's keys and values in float32, and of its id."""
    config = model.model.config
    heads = config.num_key_value_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(2 * config.num_hidden_layers * heads * size * FLOAT) + FLOAT
