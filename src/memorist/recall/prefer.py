"""A stage for those who trust what was said more than what a model made of it, or would rather read the latter."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import numpy as np

from memorist.errors import InputError, brief
from memorist.recall.pool import Pool, Query
from memorist.store.protocol import Searcher

Prefer = Literal["source", "model"]
"""What was said, or what a model wrote of it."""

STEP_BACK = 0.5
"""What the others lose, in units of cosine: they come first only where they are better by that much."""


def preferred(query: Query, pool: Pool, searcher: Searcher) -> Pool:
    """Candidates of the other kind step back; without a preference nothing changes."""
    if query.prefer is None or not len(pool.rows):
        return pool
    cubes = query.load(pool.rows.tolist())
    by_model = np.array([row in cubes and cubes[row].trust == "model" for row in pool.rows.tolist()], np.bool_)
    others = by_model if query.prefer == "source" else ~by_model
    loss = np.where(others, np.float32(-STEP_BACK), np.float32(0))
    return replace(pool, columns={**pool.columns, "preferred": loss, "score": pool.columns["score"] + loss})


def preference(value: object) -> Prefer | None:
    """A checked preference. Raises InputError."""
    if value is not None and value not in get_args(Prefer):
        raise InputError(f"prefer={brief(value)} is not one of {', '.join(get_args(Prefer))}")
    return value  # type: ignore[return-value]  # one of them
