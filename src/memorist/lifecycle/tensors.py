"""Memories in another form than text: made, used and taken back. Made by `ScopedMemory.tensors`.

    kept = ana.tensors.migrate(ids, to="activation", model="smollm2-135m")
    print(ana.tensors.prefix([kept.id], model="smollm2-135m").answer("Where does the spare key lie?").text)

A migration is a job, so one that is killed is found and done by `resume`; its cube is written in the transaction that
ends the job, so there is never half of one. Which text a cube came from stays in its `text` and its lineage.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from memorist.cube import Cube, Scope, utc
from memorist.errors import InputError, StateError, brief
from memorist.lifecycle.cubes import ids_of
from memorist.lifecycle.migrating import FORMS, Migrating, Plan, plan_of
from memorist.states import LIVING
from memorist.store.protocol import INDEX, Store

if TYPE_CHECKING:
    from memorist.neural.primed import Primed
    from memorist.neural.weights import TorchModel

Form = Literal["activation", "parameter", "text"]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Making:
    """How tensors are made: the number type of keys and values; seed and most steps of a training.

    `progress` is told how many steps are done, and of how many.
    """

    dtype: str = "float32"
    seed: int = 0
    steps: int = 40
    progress: Progress = field(default=lambda done, total: None, compare=False)


@dataclass(frozen=True, slots=True)
class Tensors:
    """Activation and parameter cubes of one owner. Models are named as for `local_torch`; nothing is downloaded."""

    store: Store
    scope: Scope
    clock: Callable[[], datetime]

    def migrate(
        self, id: str | Sequence[str], *, to: Form, model: str = "", making: Making = Making()
    ) -> Cube | list[Cube]:
        """Make one cube of another form from cubes, in the order given, or take a cube back to its text.

        To "activation": the model's keys and values of the texts, for `prefix`. To "parameter": an adapter that has
        absorbed them, for `adapted`. To "text": the texts that tensors were made of, which are what they always were;
        the tensors are put away (`cubes.activate` undoes it, `erase` destroys them), and a list of cubes is returned.
        Made again from the same, a cube takes the place of the one before.

        Raises NotFound, StateError for what is not there for recall, ModelMissing without the extra, and InputError.
        """
        ids = ids_of(id)
        if to == "text":
            return self._back(ids)
        if to not in FORMS:
            raise InputError(f"to={brief(to)} is not a form of memory: activation, parameter or text")
        texts = self.texts(ids)
        model_of(model)  # nothing is begun that cannot be done
        plan = Plan(to, model, making.dtype, making.seed, making.steps)
        number = self.store.request(self.scope, plan.kind, [cube.id for cube in texts])
        return self._migrating(making).run(number, plan)

    def resume(self, making: Making = Making()) -> list[Cube]:
        """Do the migrations that were begun and not ended, by whichever process; only `progress` of `making` counts."""
        jobs = self.store.jobs(self.scope, utc(self.clock()))
        waiting = [(job.number, plan) for job in jobs if not job.running and (plan := plan_of(job.kind))]
        return [self._migrating(making).run(number, plan) for number, plan in waiting]

    def texts(self, id: str | Sequence[str]) -> list[Cube]:
        """The texts that cubes are, or were made of, in order, each once. Raises NotFound or StateError."""
        found: dict[str, Cube] = {}
        for cube in self._current(ids_of(id)):
            for text in [cube] if cube.kind == "text" else self._current(cube.episodes):
                found.setdefault(text.id, text)
        return list(found.values())

    def prefix(self, id: str | Sequence[str], *, model: str) -> Primed:
        """The model as if it had just read these memories, without reading them again.

        One activation cube is exact: answers are those of the plain prompt. Several are joined, each at its place, but
        they have not seen each other: close to the plain prompt, and not it. Texts are first made one activation cube,
        which is kept. Raises ModelMismatch for another model's tensors, and as `migrate`.
        """
        from memorist.neural import kv
        from memorist.neural.primed import Primed

        loaded = model_of(model)
        cubes = self._current(ids_of(id))
        if any(cube.kind != "activation" for cube in cubes):
            made = self.migrate([cube.id for cube in cubes], to="activation", model=model)
            assert isinstance(made, Cube)
            cubes = [made]
        parts = [kv.from_file(loaded, self.store.payload(self.scope, cube.id)) for cube in cubes]
        return Primed(loaded, kv.joined(loaded, parts), tuple(cube.id for cube in cubes))

    def adapted(self, id: str | Sequence[str], *, model: str, weights: Sequence[float] | None = None) -> Primed:
        """The model with the adapters of parameter cubes, each times its weight (default: 1). The base model stays as
        it is, for everybody else and when this is dropped. Raises ModelMismatch, StateError and InputError."""
        from memorist.neural import lora
        from memorist.neural.primed import Primed

        loaded = model_of(model)
        cubes = self._current(ids_of(id))
        for cube in cubes:
            if cube.kind != "parameter":
                raise InputError(f"{cube.id} is {cube.kind}; make it an adapter first: migrate(to='parameter')")
        parts = [lora.from_file(loaded, self.store.payload(self.scope, cube.id)) for cube in cubes]
        adapter = parts[0] if len(parts) == 1 and weights is None else lora.combined(parts, weights)
        return Primed(lora.attached(loaded, [adapter]), None, tuple(cube.id for cube in cubes))

    def size(self, id: str) -> int:
        """The bytes of a cube's tensors; 0 for text. Raises NotFound."""
        return self.store.payload_size(self.scope, id)

    def _back(self, ids: Sequence[str]) -> list[Cube]:
        """The texts of tensors, which are put away."""
        cubes = self._current(ids)
        for cube in cubes:
            if cube.kind == "text":
                raise InputError(f"{cube.id} is text already")
        texts = self.texts(ids)
        self.store.move(self.scope, [cube.id for cube in cubes], "archive", utc(self.clock()), (INDEX,))
        return texts

    def _current(self, ids: Sequence[str]) -> list[Cube]:
        """Cubes that may be used. Raises NotFound or StateError."""
        cubes = self.store.get(self.scope, ids)
        for cube in cubes:
            if cube.state not in LIVING or cube.superseded_at is not None:
                state = cube.state if cube.state not in LIVING else "superseded"
                raise StateError(f"{cube.id} is {state}, so it cannot be used; name memories that are current")
        return cubes

    def _migrating(self, making: Making) -> Migrating:
        return Migrating(self.store, self.scope, self.clock, making.progress)


def model_of(name: str) -> TorchModel:
    """The model by name. Raises ModelMissing or InputError."""
    from memorist.neural.weights import local_torch

    if not name:
        raise InputError('tensors belong to a model; name it, such as model="smollm2-135m"')
    return local_torch(name)
