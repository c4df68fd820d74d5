"""Stages that end a recall: order, drop near-duplicates, and stop at the budget."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache

import numpy as np

from memorist.cube import Cube
from memorist.models.wordpiece import count_tokens
from memorist.recall.pool import Pool, Query
from memorist.results import FULL_TRUST, PROMPT_BEGIN, PROMPT_END, prompt_date, prompt_line
from memorist.store.protocol import Searcher

SAME = 0.9
"""Share of words in common from which two texts say the same."""

LEAST_WORDS = 5
"""Shorter texts are the same only when all their words are."""

PATIENCE = 32
"""Candidates in a row that do not fit before a prompt is called full."""

CHUNK, SPARE = 64, 4
"""Cubes loaded at a time: as many as may fill the budget and a few more, up to CHUNK."""

WORD = re.compile(r"\d+(?:[.,:/]\d+)*|\w+")


@dataclass(slots=True)
class Room:
    """Tokens that are left."""

    left: float


def ordered(query: Query, pool: Pool, searcher: Searcher) -> Pool:
    """Best first; equal scores in the order of arrival."""
    return taken(pool, np.argsort(-pool.columns["score"], kind="stable"))


def budgeted(query: Query, pool: Pool, searcher: Searcher) -> Pool:
    """Load candidates best first, pass over near-duplicates, and keep what fits `k` and the budget.

    A candidate that does not fit is passed over, as a shorter one behind it may; after PATIENCE in a row the rest is
    too far down to be worth it. Costs are those of the prompt: its frame, a heading for each day, and the lines.
    """
    room = Room(float("inf") if query.limits.budget is None else query.limits.budget - frame_cost())
    most = len(pool.rows) if query.limits.k is None else query.limits.k
    kept: dict[int, Cube] = {}
    twins = Twins()
    headings: set[tuple[date, str]] = set()
    missed = 0
    for place, cube, tokens in candidates(query, pool, room):
        if len(kept) >= most or missed >= PATIENCE:
            break
        if tokens > room.left or cube is None or twins.has(place, cube):
            missed += 1
            continue
        heading = (cube.at.date(), cube.scope.session)
        cost = line_cost(cube, tokens) + (0 if heading in headings else heading_cost(heading[0]))
        if cost > room.left:
            missed += 1
            continue
        room.left -= cost
        missed = 0
        headings.add(heading)
        kept[place] = cube
        twins.keep(place, cube)
    also = {int(pool.rows[place]): ", ".join(ids) for place, ids in twins.found.items()}
    chosen = taken(pool, np.array(list(kept), np.intp))
    return replace(chosen, cubes=tuple(kept.values()), notes={**pool.notes, "also": also})


def candidates(query: Query, pool: Pool, room: Room) -> Iterator[tuple[int, Cube | None, int]]:
    """(place, cube, tokens of its line) in the pool's order. What could still fit is loaded, a chunk at a time."""
    assert pool.features is not None
    every = pool.features.tokens
    start = 0
    while start < len(pool.rows):
        filling = int(np.searchsorted(np.cumsum(every[start : start + CHUNK]), room.left))
        stop = start + min(CHUNK, filling + SPARE, (query.limits.k or CHUNK) + SPARE)
        rows, tokens = pool.rows[start:stop].tolist(), every[start:stop].tolist()
        loaded = query.load([row for row, cost in zip(rows, tokens) if cost <= room.left])
        for place, (row, cost) in enumerate(zip(rows, tokens), start):
            yield place, loaded.get(row), cost
        start = stop


class Twins:
    """Texts kept so far, to tell when another says the same. `found` are the ids passed over, by place of the kept."""

    def __init__(self) -> None:
        self.found: dict[int, list[str]] = {}
        self._by_size: dict[int, list[tuple[frozenset[str], str | None, int]]] = {}
        self._words: frozenset[str] = frozenset()

    def has(self, place: int, cube: Cube) -> bool:
        """Whether a kept text of the same speaker says the same."""
        self._words = words = said(cube.text)
        size = len(words)
        for near in range(int(SAME * size), int(size / SAME) + 1):
            for other, speaker, kept in self._by_size.get(near, ()):
                if speaker == cube.speaker and same(words, other):
                    self.found.setdefault(kept, []).append(cube.id)
                    return True
        return False

    def keep(self, place: int, cube: Cube) -> None:
        """Remember the text that `has` was asked about last."""
        self._by_size.setdefault(len(self._words), []).append((self._words, cube.speaker, place))


def taken(pool: Pool, places: np.ndarray) -> Pool:
    """The pool cut to these places, in their order."""
    features = pool.features
    if features is not None:
        features = replace(
            features,
            rows=features.rows[places],
            cosine=features.cosine[places],
            counts=features.counts[places],
            lengths=features.lengths[places],
            tokens=features.tokens[places],
            after=features.after[places],
            norm=features.norm[places],
        )
    columns = {name: values[places] for name, values in pool.columns.items()}
    return replace(pool, rows=pool.rows[places], columns=columns, features=features)


def line_cost(cube: Cube, tokens: int) -> int:
    """Tokens of a cube's line; `tokens` holds for a plain one, a marked or fenced one is counted."""
    if cube.trust in FULL_TRUST and "<" not in cube.text:
        return tokens
    return count_tokens([prompt_line(cube.speaker, cube.text, cube.trust)])[0]


@lru_cache(maxsize=1)
def frame_cost() -> int:
    """Tokens of the lines around the memories."""
    return sum(count_tokens([PROMPT_BEGIN, PROMPT_END]))


@lru_cache(maxsize=4096)
def heading_cost(day: date) -> int:
    """Tokens of a day's heading."""
    return count_tokens([prompt_date(day)])[0]


def said(text: str) -> frozenset[str]:
    """The words of a text, without case and marks, each number as one word."""
    return frozenset(WORD.findall(text.casefold()))


def same(one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether two texts say the same: all words in common, or nearly all and the same numbers."""
    if one == other:
        return True
    shared, smaller = len(one & other), min(len(one), len(other))
    if smaller < LEAST_WORDS or shared < SAME * (len(one) + len(other) - shared):
        return False
    return not any(word[0].isdigit() or word in NEGATIONS for word in one ^ other)


NEGATIONS = frozenset(("no", "not", "never", "none", "without", "cannot", "t"))
