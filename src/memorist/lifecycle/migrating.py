"""One migration: a job that says what is to be made, the making, and the transaction that writes it and ends it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from memorist.cube import Cube, Kind, Scope, Trust, utc
from memorist.errors import InputError, ModelMismatch, NotFound, StateError, StoreError
from memorist.ids import derived_id
from memorist.results import prompt_date, prompt_line
from memorist.states import LIVING
from memorist.store.protocol import Derived, Job, Organised, Store

FORMS: Mapping[str, str] = {"activation": "kv", "parameter": "lora"}
"""The origin of cubes of each form."""

TRUST_ORDER: tuple[Trust, ...] = ("web", "tool", "model", "agent", "user")
KIND = "migrate "
OVERTAKEN = 3
"""How often it is made anew when something of this owner was erased meanwhile."""

RENEWED = 60.0
"""Seconds after which a training lengthens its job's lease."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be made, as a job's kind says it."""

    to: str
    model: str
    dtype: str
    seed: int
    steps: int

    @property
    def kind(self) -> str:
        """The kind of its job. What does not matter to the form is left out, so that the same has the same name."""
        about = [self.dtype] if self.to == "activation" else [self.seed, self.steps]
        return KIND + json.dumps([self.to, self.model, *about])


def plan_of(kind: str) -> Plan | None:
    """The plan of a job; None for a job of another kind."""
    if not kind.startswith(KIND):
        return None
    to, model, *about = json.loads(kind[len(KIND) :])
    return Plan(to, model, about[0], 0, 0) if to == "activation" else Plan(to, model, "float32", *about)


@dataclass(frozen=True, slots=True)
class Made:
    """What a migration made: the file, its tokens, and what is worth telling of it."""

    payload: bytes
    tokens: int
    told: Mapping[str, str | int | float]


@dataclass(frozen=True, slots=True)
class Migrating:
    """Does migrations of one owner."""

    store: Store
    scope: Scope
    clock: Callable[[], datetime]
    progress: Callable[[int, int], None]

    def run(self, number: int, plan: Plan) -> Cube:
        """Do a job. Raises StateError when another process does it, or when what it is about has changed for good."""
        for _ in range(OVERTAKEN):
            job = self.store.claim(self.scope, utc(self.clock()), number, plan.kind)
            if job is None:
                raise StateError("another process makes these tensors now, or the job is gone; see: memorist jobs")
            try:
                derived = self._derived(job, plan)
                if self.store.apply(job, Organised((derived,)), utc(self.clock())):
                    return self._written(derived.id)
            except BaseException as error:
                self._put_back(job, error)
                raise
            self.store.fail(job, "memories were erased meanwhile")
        raise StoreError(f"job {number} was overtaken {OVERTAKEN} times; do it later: memorist cube resume")

    def _written(self, id: str) -> Cube:
        """The cube. Raises StateError when it was not written: what it is about is not current, or it was put away."""
        with suppress(NotFound):
            (cube,) = self.store.get(self.scope, [id])
            if cube.state in LIVING:
                return cube
            raise StateError(f"{id} is {cube.state}; bring it back first: memorist cube activate {id}")
        raise StateError("the memories were forgotten or changed while their tensors were made; nothing was kept")

    def _put_back(self, job: Job, error: BaseException) -> None:
        """Leave the job for another time, or end one that can never be done."""
        with suppress(StoreError, NotFound):
            if isinstance(error, (InputError, ModelMismatch, StateError)):
                self.store.cancel(self.scope, job.number)
            else:
                self.store.fail(job, f"{type(error).__name__}: {error}", failures=job.failures + 1)

    def _derived(self, job: Job, plan: Plan) -> Derived:
        """The cube that the job asks for."""
        cubes = self.store.cubes(self.scope, job.rows)
        if not cubes or any(cube.state not in LIVING or cube.superseded_at for cube in cubes.values()):
            raise StateError("the memories to migrate were forgotten or changed since; name them anew")
        texts = list(cubes.values())
        text = lines(texts)
        begun = time.perf_counter()
        made, hashes = self._made(text, plan, job)
        kind: Kind = "activation" if plan.to == "activation" else "parameter"
        how = plan.dtype if plan.to == "activation" else f"{plan.seed} {plan.steps}"
        about = (*hashes, how, *(cube.id for cube in texts))
        latest = max(cube.at for cube in texts)
        return Derived(
            id=derived_id(FORMS[plan.to], *about),
            origin=FORMS[plan.to],
            text=text,
            members=tuple(cubes),
            trust=min((cube.trust for cube in texts), key=TRUST_ORDER.index),
            agent=common([cube.scope.agent for cube in texts]),
            session=common([cube.scope.session for cube in texts]),
            at=latest,
            valid_from=latest,
            tokens=made.tokens,
            meta={
                "model": plan.model,
                "model_hash": hashes[0],
                "tokenizer_hash": hashes[1],
                "bytes": len(made.payload),
                "tokens": made.tokens,
                "seconds": round(time.perf_counter() - begun, 3),
                **made.told,
            },
            kind=kind,
            payload=made.payload,
        )

    def _made(self, text: str, plan: Plan, job: Job) -> tuple[Made, tuple[str, str]]:
        from memorist.neural.weights import local_torch

        model = local_torch(plan.model)
        made = read(model, text, plan) if plan.to == "activation" else absorbed(model, text, plan, self._told(job))
        return made, (model.model_hash, model.tokenizer_hash)

    def _told(self, job: Job) -> Callable[[int, int], None]:
        """Passes progress on, and lengthens the lease."""
        last = [time.monotonic()]

        def told(done: int, total: int) -> None:
            if time.monotonic() - last[0] > RENEWED:
                last[0] = time.monotonic()
                self.store.renew(job, utc(self.clock()))
            self.progress(done, total)

        return told


def read(model: Any, text: str, plan: Plan) -> Made:
    """Keys and values of a text; `seconds_saved` is what reading it took, which each use saves."""
    from memorist.neural import kv
    from memorist.neural.turns import tokens, turn

    ids = tokens(model, turn(model, text))
    begun = time.perf_counter()
    known = kv.encode(model, ids)
    spent = time.perf_counter() - begun
    told: dict[str, str | int | float] = {
        "dtype": plan.dtype,
        "seconds_saved": round(spent, 4),
        "layers": known.keys.shape[0],
    }
    return Made(kv.to_file(model, known, plan.dtype), len(ids), told)


def absorbed(model: Any, text: str, plan: Plan, progress: Callable[[int, int], None]) -> Made:
    """An adapter of a text, with its losses before and after."""
    from memorist.neural import lora
    from memorist.neural.distil import Training, distil
    from memorist.neural.turns import tokens

    done = distil(model, text, Training(steps=plan.steps, seed=plan.seed), progress)
    told = {
        "steps": done.steps,
        "seed": plan.seed,
        "rank": done.adapter.rank,
        "loss_before": round(done.loss_before, 4),
        "loss_after": round(done.loss_after, 4),
        "guard_before": round(done.guard_before, 4),
        "guard_after": round(done.guard_after, 4),
    }
    return Made(lora.to_file(model, done.adapter), len(tokens(model, text)), told)


def lines(cubes: Sequence[Cube]) -> str:
    """Memories as a model is shown them: under their days, with who said it, marked when that was nobody trusted."""
    shown: list[str] = []
    last = ""
    for cube in cubes:
        day = prompt_date(cube.at)
        if day != last:
            shown.append(day)
            last = day
        shown.append(prompt_line(cube.speaker, cube.text, cube.trust))
    return "\n".join(shown)


def common(names: Sequence[str]) -> str:
    """The name that all have, else none: what rests on several sessions belongs to no one of them."""
    return names[0] if len(set(names)) == 1 else ""
