"""A stage that lets a reranker order the best candidates, before the budget is filled with them.

A reranker reads question and text together, which costs far more than a product of vectors; so it sees only the first
MOST. It changes their order and nothing else: none is lost, also when it fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from memorist.models.reranker import Reranker
from memorist.recall.pool import Pool, Query, Stage
from memorist.recall.select import budgeted, taken
from memorist.store.protocol import Searcher
from memorist.text import shown

MOST = 32
"""Candidates that the reranker reads."""

NOTE = "reranked"


@dataclass(frozen=True, slots=True)
class Reranked:
    """The stage; `hit.why["reranked"]` is the reranker's score, or why it gave none."""

    reranker: Reranker

    def __call__(self, query: Query, pool: Pool, searcher: Searcher) -> Pool:
        """The pool with its first MOST in the reranker's order; equal scores keep theirs."""
        first = pool.rows[:MOST].tolist()
        cubes = query.load(first)
        places = [place for place, row in enumerate(first) if row in cubes]
        if not places:
            return pool
        texts = [shown(cubes[first[place]].speaker, cubes[first[place]].text) for place in places]
        try:
            scores = np.asarray(self.reranker.score(query.text, texts), np.float32)
            if scores.shape != (len(texts),) or not np.isfinite(scores).all():
                raise ValueError(f"{self.reranker.name} gave no finite score for each text")
        except Exception as error:  # whatever a model may raise, recall goes on with the order it had
            told = f"not: {type(error).__name__}: {error}"
            return replace(pool, notes={**pool.notes, NOTE: {first[place]: told for place in places}})
        best = np.argsort(-scores, kind="stable")
        order = np.arange(len(pool.rows))
        order[places] = np.array(places)[best]
        told_of = {first[place]: f"{score:.4f}" for place, score in zip(places, scores.tolist())}
        return replace(taken(pool, order), notes={**pool.notes, NOTE: told_of})


def with_reranker(stages: Sequence[Stage], reranker: Reranker) -> tuple[Stage, ...]:
    """The stages with a reranker just before the budget is filled."""
    place = stages.index(budgeted)
    return (*stages[:place], Reranked(reranker), *stages[place:])
