"""How much to show, and where: hard negatives cost a reader more than they bring (Long-Context LLMs Meet RAG).

The order of a prompt is `Hits.prompt(order=…)`; `placed` is its general form, for a reader that was measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from memorist.recall.pool import Pool, Query
from memorist.recall.select import taken
from memorist.store.protocol import Searcher

T = TypeVar("T")

WORTHWHILE = 0.6
"""Share of the best score from which a candidate is worth its tokens. Of one passage among 1,312 it keeps the evidence
with a seventh of the tokens; in conversations it saves less (docs/results/order.md)."""


def worthwhile(query: Query, pool: Pool, searcher: Searcher) -> Pool:
    """Stop before the budget does: leave what scores less than WORTHWHILE of the best. The pool is ordered."""
    if not len(pool.rows):
        return pool
    score = pool.columns["score"]
    return taken(pool, np.flatnonzero(score >= min(WORTHWHILE * score[0], score[0])))


def placed(ranked: Sequence[T], worth: Sequence[float]) -> list[T]:
    """The best where a reader reads best: `worth` is how well it does with the evidence at each place.

    Of places that are worth the same the earlier one is taken first. Where worth falls from both ends to the middle
    alike, these are the places of `at_edges`.
    """
    order: list[T] = list(ranked)
    for item, place in zip(ranked, sorted(range(len(ranked)), key=lambda place: (-worth[place], place))):
        order[place] = item
    return order
