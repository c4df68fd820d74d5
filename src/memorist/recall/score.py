"""Stages that score candidates.

Fusion is by values that mean the same for every query and every size of memory: the cosine, and how much of the
question's information (idf) a text covers. So a question that shares no words with its evidence is ranked by meaning,
and one that names rare words by these. Scaling each list to its own range, or adding reciprocal ranks, loses exactly
that; docs/results/recall.md has the comparison.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from memorist.recall.pool import Pool, Query
from memorist.store.bm25 import idf, saturation
from memorist.store.products import times
from memorist.store.protocol import Features, Floats, Rows, Searcher

LEXICAL_WEIGHT = 0.5
LEXICAL_POWER = 1.5
"""Covering half of a question's information by chance is common, covering most of it is not: hence above 1."""

TURN_SHARE = 0.45
"""Weight of the turn itself; the rest goes to the best window that holds it."""


def by_words(query: Query, pool: Pool, searcher: Searcher) -> Pool:
    """Score: BM25 of the turn alone."""
    features = searcher.features(pool.rows, query.terms, None)
    return scored(pool, features, {"lexical": bm25(features)}, "lexical")


def by_meaning(query: Query, pool: Pool, searcher: Searcher) -> Pool:
    """Score: cosine of the turn alone."""
    features = searcher.features(pool.rows, query.terms[:0], query.vector)
    return scored(pool, features, {"cosine": features.cosine}, "cosine")


def by_both(query: Query, pool: Pool, searcher: Searcher) -> Pool:
    """Score: half BM25, half cosine, each scaled to its range among the candidates; the usual hybrid."""
    features = searcher.features(pool.rows, query.terms, query.vector)
    lexical = bm25(features)
    columns = {"lexical": lexical, "cosine": features.cosine}
    pool = scored(pool, features, columns, "cosine")
    return with_score(pool, 0.5 * scaled(lexical) + 0.5 * scaled(features.cosine))


def by_ranks(query: Query, pool: Pool, searcher: Searcher) -> Pool:
    """Score: reciprocal ranks of BM25 and cosine (Cormack, Clarke & Büttcher 2009, k = 60)."""
    features = searcher.features(pool.rows, query.terms, query.vector)
    lexical = bm25(features)
    pool = scored(pool, features, {"lexical": lexical, "cosine": features.cosine}, "cosine")
    return with_score(pool, reciprocal(lexical) * (lexical > 0) + reciprocal(features.cosine))


def reciprocal(values: Floats) -> Floats:
    """1 / (60 + rank), the best having rank 1."""
    ranks = np.empty(len(values), np.float32)
    ranks[np.argsort(-values, kind="stable")] = np.arange(1, len(values) + 1)
    return np.asarray(1 / (60 + ranks), np.float32)


def by_window(query: Query, pool: Pool, searcher: Searcher) -> Pool:
    """Score: the turn's own cosine and coverage, and those of the best window that holds it."""
    features = searcher.features(pool.rows, query.terms, query.vector)
    if not len(pool.rows):
        return scored(pool, features, {"cosine": features.cosine}, "cosine")
    coverage = covered(features, features.counts, features.lengths)
    own = fused(features.cosine, coverage)
    window = best_window(features)
    alone = window < own  # a turn without a window, or better than any it is in, stands for itself
    score = TURN_SHARE * own + (1 - TURN_SHARE) * np.where(np.isneginf(window), own, window)
    columns = {
        "cosine": features.cosine,
        "lexical": coverage,
        "window": np.where(alone & np.isneginf(window), 0, window),
    }
    return with_score(scored(pool, features, columns, "cosine"), score.astype(np.float32))


def fused(cosine: Floats, coverage: Floats) -> Floats:
    """Cosine and coverage as one value."""
    return np.asarray(cosine + np.float32(LEXICAL_WEIGHT) * coverage ** np.float32(LEXICAL_POWER), np.float32)


def covered(features: Features, counts: Floats, lengths: Floats) -> Floats:
    """The share of the question's idf that texts cover, 0 … 1, by BM25's saturation; [n] from counts [n, terms]."""
    weights = idf(features.documents, features.frequency)
    if not len(weights):
        return np.zeros(len(counts), np.float32)
    gained = times(saturation(counts, lengths[:, None], features.mean_length), weights)
    return np.asarray(gained / weights.sum(), np.float32)


def best_window(features: Features) -> Floats:
    """For each row the best value of a window that holds it; -inf where there is none.

    A window's cosine is the sum of its turns' cosines over the length of their summed vectors, and its term counts
    are the sums of theirs: nothing is stored or embedded for it.
    """
    rows, after = features.rows, features.after
    starts = np.flatnonzero(features.norm > 0)
    members = np.column_stack([starts, *(place_of(rows, after[starts, step]) for step in range(after.shape[1]))])
    # A window whose turn is not among the candidates (hidden, or out of reach) is taken without it.
    present = members >= 0
    spot = np.where(present, members, 0)
    cosine = (features.cosine[spot] * present).sum(1) / features.norm[starts]
    counts = (features.counts[spot] * present[:, :, None]).sum(1)
    lengths = (features.lengths[spot] * present).sum(1)
    # BM25 sees a window as a text of its own kind, so its length is compared with that of the mean window.
    value = fused(cosine, covered(features, counts, lengths / members.shape[1]))
    best = np.full(len(rows), -np.inf, np.float32)
    for step in range(members.shape[1]):
        inside = present[:, step]
        np.maximum.at(best, members[inside, step], value[inside])
    return best


def place_of(rows: Rows, wanted: Rows) -> Rows:
    """Where the wanted rows stand in the rising `rows`; -1 where they do not."""
    place = np.minimum(np.searchsorted(rows, wanted), len(rows) - 1)
    return np.where(rows[place] == wanted, place, -1)


def bm25(features: Features) -> Floats:
    """BM25 of each row."""
    weights = idf(features.documents, features.frequency)
    return times(saturation(features.counts, features.lengths[:, None], features.mean_length), weights)


def scaled(values: Floats) -> Floats:
    """Values moved to 0 … 1."""
    if not len(values) or values.max() == values.min():
        return np.zeros_like(values)
    return np.asarray((values - values.min()) / (values.max() - values.min()), np.float32)


def scored(pool: Pool, features: Features, columns: dict[str, Floats], score: str) -> Pool:
    """The pool with features and columns, one of which is the score."""
    return replace(pool, features=features, columns={**columns, "score": columns[score]})


def with_score(pool: Pool, score: Floats) -> Pool:
    """The pool with another score."""
    return replace(pool, columns={**pool.columns, "score": score})
