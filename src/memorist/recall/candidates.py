"""Stages that find candidates: by words, by meaning, by time, and the neighbours of what was found.

Candidates are united, never filtered by one another: what only one of them finds can still win.
"""

from __future__ import annotations

from memorist.recall.pool import Pool, Query
from memorist.store.protocol import Searcher

LEAST = 64
MOST_DATED = 300


def limit_of(query: Query) -> int:
    """How many candidates each list gives."""
    return max(LEAST, query.limits.wanted)


def lexical(query: Query, pool: Pool, searcher: Searcher) -> Pool:
    """The best by BM25."""
    return pool.with_rows(searcher.lexical(query.terms, limit_of(query)))


def dense(query: Query, pool: Pool, searcher: Searcher) -> Pool:
    """The nearest by cosine."""
    return pool.with_rows(searcher.dense(query.vector, limit_of(query)))


def lexical_seeds(query: Query, pool: Pool, searcher: Searcher) -> Pool:
    """Half as many of the best by BM25: enough when their neighbours come along."""
    return pool.with_rows(searcher.lexical(query.terms, max(LEAST, limit_of(query) // 2)))


def dense_seeds(query: Query, pool: Pool, searcher: Searcher) -> Pool:
    """Half as many of the nearest by cosine."""
    return pool.with_rows(searcher.dense(query.vector, max(LEAST, limit_of(query) // 2)))


def dated(query: Query, pool: Pool, searcher: Searcher) -> Pool:
    """What was said in, or speaks of, a time that the question names."""
    for span in query.intent.spans:
        pool = pool.with_rows(searcher.between(span.start, span.end, MOST_DATED))
    return pool


def neighbours(query: Query, pool: Pool, searcher: Searcher) -> Pool:
    """The turns that share a window with a candidate: an answer often stands beside its question."""
    return pool.with_rows(searcher.around(pool.rows))
