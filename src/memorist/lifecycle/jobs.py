"""Doing the work that follows an add, now or after a crash."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

import numpy as np

from memorist.cube import Scope, utc
from memorist.errors import StoreError
from memorist.models.embedder import Embedder, Vectors
from memorist.organise.protocol import Organiser
from memorist.store.protocol import Derived, Job, Organised, Store, Turn
from memorist.text import indexed


def settle(
    store: Store,
    scope: Scope,
    embedder: Embedder,
    organisers: Sequence[Organiser],
    clock: Callable[[], datetime],
    number: int = 0,
) -> str | None:
    """Do this owner's pending jobs, or the one named. Returns why one failed; it then stays pending."""
    while job := store.claim(scope, utc(clock()), number):
        try:
            done = store.index(job, *work(store, job, embedder, organisers), utc(clock()))
        except BaseException as error:  # a job ends here: its reason is kept, the episode is safe
            reason = f"{type(error).__name__}: {error}"
            with suppress(StoreError):  # on a full disk; the lease ends by itself
                store.fail(job, reason)
            if not isinstance(error, Exception):
                raise
            return reason
        if done and number:
            return None
    if number and any(job.number == number for job in store.jobs(scope)):
        return "another process is indexing it"
    return None


def work(
    store: Store, job: Job, embedder: Embedder, organisers: Sequence[Organiser]
) -> tuple[dict[int, Vectors], Organised]:
    """Vectors for the job's episodes that have none, and what the organisers derive around them."""
    fresh = [turn for turn in store.turns(job.scope, job.rows) if turn.vector is None]
    made = embedder.embed([indexed(turn.speaker, turn.text, turn.at) for turn in fresh]) if fresh else None
    vectors: dict[int, Vectors] = {}
    for place, turn in enumerate(fresh):
        assert made is not None
        vector = made[place]
        if not np.isfinite(vector).all():
            raise ValueError(f"the embedder gave no finite vector for {turn.id}")
        vectors[turn.row] = vector
    return vectors, organise(store, job, organisers, vectors)


def organise(store: Store, job: Job, organisers: Sequence[Organiser], vectors: dict[int, Vectors]) -> Organised:
    """All organisers' results together."""
    cubes: list[Derived] = []
    withdrawn: list[str] = []
    for organiser in organisers:
        stretches = [
            replace(stretch, turns=tuple(with_vector(turn, vectors) for turn in stretch.turns))
            for stretch in store.sequences(job.scope, job.rows, organiser.reach)
        ]
        result = organiser.organise(stretches)
        cubes += result.cubes
        withdrawn += result.withdrawn
    return Organised(tuple(cubes), tuple(withdrawn))


def with_vector(turn: Turn, vectors: dict[int, Vectors]) -> Turn:
    """The turn with the vector just made for it, rounded as the store will keep it, so that order does not matter."""
    made = vectors.get(turn.row)
    return turn if made is None else replace(turn, vector=made.astype(np.float16).astype(np.float32))
