"""Stages that know about time: a period that the question names, an event it compares with, the latest or the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np

from memorist.cube import Cube, TimeSpan
from memorist.recall.pool import Pool, Query
from memorist.store.protocol import Floats, Searcher

IN_PERIOD = 0.12
"""What standing in a period that the question names is worth, in units of cosine."""

SHARP = timedelta(days=31)
"""Longer periods are worth less, in proportion: a year tells little."""

SIDE_OF_EVENT = 0.02
"""What standing on the asked side of an event is worth."""

LATEST = 0.03
"""What being the newest (or the oldest, when the first is asked for) of the serious candidates is worth."""

SERIOUS = 0.75
"""Candidates with at least this share of the best score count as serious."""


def timely(query: Query, pool: Pool, searcher: Searcher) -> Pool:
    """Raise what fits the question's sense of time. Without one, nothing changes."""
    intent = query.intent
    if not len(pool.rows) or not (intent.spans or intent.anchor or intent.order):
        return pool
    score = pool.columns["score"]
    # Only what could still matter is loaded: reading headers is the dear part.
    near: list[int] = np.argsort(-score, kind="stable")[: query.limits.wanted + 50].tolist()
    cubes = query.load(pool.rows[near].tolist())
    gain = np.zeros_like(score)
    for place in near:
        cube = cubes.get(int(pool.rows[place]))
        if cube is not None:
            gain[place] = max((worth(span, cube, intent.relation) for span in intent.spans), default=0)
    if intent.anchor:
        event = event_time(query, searcher, intent.anchor)
        gain += side_gain(pool, cubes, near, event, intent.relation)
    if intent.order:
        gain += recency_gain(pool, cubes, near, score + gain, newest=intent.order == "latest")
    return replace(pool, columns={**pool.columns, "time": gain, "score": score + gain})


def worth(span: TimeSpan, cube: Cube, relation: str | None) -> float:
    """What the cube gains from a period of the question."""
    if not fits(cube, span.start, span.end, relation):
        return 0.0
    return IN_PERIOD * min(1.0, SHARP / (span.end - span.start))


def fits(cube: Cube, start: datetime, end: datetime, relation: str | None) -> bool:
    """Whether a cube was said in, or speaks of, a time on the asked side of [start, end)."""
    moments = [(cube.at, cube.at), *((span.start, span.end) for span in cube.times)]
    if relation == "before":
        return any(first < start for first, _ in moments)
    if relation == "after":
        return any(last >= end for _, last in moments)
    return any(first < end and (last > start or first >= start) for first, last in moments)


def event_time(query: Query, searcher: Searcher, anchor: str) -> datetime | None:
    """When the event that the question compares with was spoken of, as the nearest episode tells."""
    found = searcher.dense(query.embed(anchor), 1)
    cubes = list(query.load(found[:1].tolist()).values())
    return cubes[0].times[0].start if cubes and cubes[0].times else cubes[0].at if cubes else None


def side_gain(
    pool: Pool, cubes: dict[int, Cube], near: Sequence[int], event: datetime | None, relation: str | None
) -> Floats:
    """A gain for what was said on the asked side of the event."""
    gain = np.zeros(len(pool.rows), np.float32)
    if event is None:
        return gain
    for place in near:
        cube = cubes.get(int(pool.rows[place]))
        if cube is not None and (cube.at < event if relation == "before" else cube.at > event):
            gain[place] = SIDE_OF_EVENT
    return gain


def recency_gain(pool: Pool, cubes: dict[int, Cube], near: Sequence[int], score: Floats, *, newest: bool) -> Floats:
    """A gain that rises with the rank in time among the serious candidates."""
    gain = np.zeros(len(pool.rows), np.float32)
    best = float(score[near].max())
    serious = [place for place in near if score[place] >= SERIOUS * best and int(pool.rows[place]) in cubes]
    serious.sort(key=lambda place: cubes[int(pool.rows[place])].at, reverse=not newest)
    for rank, place in enumerate(serious):
        gain[place] = LATEST * rank / max(len(serious) - 1, 1)
    return gain
