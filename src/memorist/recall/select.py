"""Stages that end a recall: order, drop near-duplicates, and stop at the budget."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
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

WORD = re.compile(r"\w+")
NUMBER = re.compile(r"\d+(?:[.,:/]\d+)*")


def ordered(query: Query, pool: Pool, searcher: Searcher) -> Pool:
    """Best first; equal scores in the order of arrival."""
    return taken(pool, np.argsort(-pool.columns["score"], kind="stable"))


def budgeted(query: Query, pool: Pool, searcher: Searcher) -> Pool:
    """Load candidates best first, pass over near-duplicates, and keep what fits `k` and the budget.

    A candidate that does not fit is passed over, a shorter one behind it may fit. Costs are those of the prompt:
    its frame, a heading for each day of each session, and the lines.
    """
    left = float("inf") if query.limits.budget is None else query.limits.budget - frame_cost()
    most = len(pool.rows) if query.limits.k is None else query.limits.k
    kept: list[int] = []
    cubes: list[Cube] = []
    seen: list[frozenset[str]] = []
    notes: dict[int, str] = {}
    headings: set[tuple[object, str]] = set()
    for place, cube, tokens in candidates(query, pool):
        if len(kept) >= most or left < LEAST_LINE:
            break
        words = said(cube.text)
        twin = next((i for i, other in enumerate(seen) if same(words, other)), None)
        if twin is not None and cubes[twin].speaker == cube.speaker:
            notes[kept[twin]] = f"{notes[kept[twin]]}, {cube.id}" if kept[twin] in notes else cube.id
            continue
        heading = (cube.at.date(), cube.scope.session)
        cost = line_cost(cube, tokens) + (0 if heading in headings else heading_cost(prompt_date(cube.at)))
        if cost > left:
            continue
        left -= cost
        headings.add(heading)
        kept.append(place)
        cubes.append(cube)
        seen.append(words)
    notes_by_row = {int(pool.rows[place]): note for place, note in notes.items()}
    return replace(taken(pool, np.array(kept, np.intp)), cubes=tuple(cubes), notes=notes_by_row)


LEAST_LINE = 4
CHUNK = 64


def candidates(query: Query, pool: Pool) -> Iterator[tuple[int, Cube, int]]:
    """(place, cube, tokens of its line) in the pool's order, loaded a chunk at a time as they are asked for."""
    assert pool.features is not None
    for start in range(0, len(pool.rows), CHUNK):
        rows = pool.rows[start : start + CHUNK]
        loaded = query.load(rows.tolist())
        for place, row in enumerate(rows.tolist(), start):
            if row in loaded:  # else it was erased a moment ago
                yield place, loaded[row], int(pool.features.tokens[place])


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
def heading_cost(heading: str) -> int:
    """Tokens of a date."""
    return count_tokens([heading])[0]


def said(text: str) -> frozenset[str]:
    """The words of a text, without case and marks, each number as one word."""
    folded = text.casefold()
    return frozenset(WORD.findall(NUMBER.sub(" ", folded))) | frozenset(f"#{n}" for n in NUMBER.findall(folded))


def same(one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether two texts say the same: all words in common, or nearly all and the same numbers."""
    if one == other:
        return True
    smaller, larger = sorted((len(one), len(other)))
    if smaller < LEAST_WORDS or smaller < SAME * larger:
        return False
    differing = one ^ other
    if any(word.startswith("#") or word in NEGATIONS for word in differing):
        return False
    return len(one & other) >= SAME * len(one | other)


NEGATIONS = frozenset("no not never none without don didn doesn won isn wasn can cannot t".split())
