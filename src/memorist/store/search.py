"""A searcher over an owner's index: the candidate queries and columns that recall stages are made of."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from memorist.store.bits import Words, estimated, nearest, sign_words
from memorist.store.bm25 import idf, saturation
from memorist.store.index import OwnerIndex
from memorist.store.moments import micros
from memorist.store.products import times
from memorist.store.protocol import Features, Floats, Rows, Terms

EXACT = 2_048
"""Up to this many allowed episodes are compared in full at once."""

SHARES = (12, 100)
LEAST = 1_000
"""Beyond, the scan of signs keeps one in SHARES[0], the estimate one in SHARES[1] and at least LEAST, these are
compared in full: recall of the true ten nearest is then above 0.98 (`memorist bench scale` measures it)."""

OVERSAMPLE = 4
"""How many are compared in full for each one wanted, at least."""


class IndexSearcher:
    """A view of the places that `allowed` permits (bool [size])."""

    def __init__(self, index: OwnerIndex, allowed: npt.NDArray[np.bool_]) -> None:
        self._index = index
        self._size = len(allowed)
        self._allowed = allowed
        self._found: dict[np.uint32, tuple[npt.NDArray[np.int64], Floats]] = {}

    def lexical(self, terms: Terms, limit: int) -> Rows:
        """Rows of the best `limit` episodes by BM25, best first; only those that hold a term."""
        index, size = self._index, self._size
        mean = index.total_length / max(index.size, 1)
        score = np.zeros(index.size, np.float32)
        for term in terms:
            documents, counts = self._postings(term)
            known = documents < len(score)  # another thread may be taking in what came since
            documents, counts = documents[known], counts[known]
            if len(documents):
                weight = idf(index.size, np.array([len(documents)], np.float32))
                score[documents] += weight * saturation(counts, index.lengths[documents], mean)
        score = score[:size]
        score[~self._allowed] = 0
        found = np.flatnonzero(score)
        return self._rows(best(found, score[found], limit))

    def dense(self, vector: Floats, limit: int, *, exact: bool = False) -> Rows:
        """Rows of the best `limit` episodes by cosine, best first; `exact` compares every vector in full."""
        found = np.flatnonzero(self._allowed)
        if len(found) > EXACT and not exact:
            found = promising(self._index.words[:, : self._size], self._allowed, vector, limit)
        return self._rows(best(found, self._cosine(found, vector), limit))

    def between(self, start: datetime, end: datetime, limit: int) -> Rows:
        """Rows of up to `limit` episodes said in, or speaking of, [start, end); evenly spread when there are more."""
        index, size = self._index, self._size
        low, high = micros(start), micros(end)
        hit = (index.at[:size] >= low) & (index.at[:size] < high)
        spans = index.spans
        speaking = spans[(spans[:, 1] < high) & (spans[:, 2] > low), 0]
        hit[speaking[speaking < size]] = True
        found = np.flatnonzero(hit & self._allowed)
        if len(found) > limit:
            found = found[np.linspace(0, len(found) - 1, limit).astype(np.intp)]
        return self._rows(found)

    def around(self, rows: Rows) -> Rows:
        """The rows and the visible turns that share a window with one of them."""
        index = self._index
        places = index.places(rows)
        starts = np.concatenate([places[:, None], index.before[places]], axis=1).ravel()
        starts = starts[starts >= 0]
        every = distinct(np.concatenate([starts, index.after[starts].ravel()]))
        every = every[(every >= 0) & (every < self._size)]
        return self._rows(every[self._allowed[every]])

    def allowed(self, rows: Rows) -> Rows:
        """Those of the rows that are episodes of this view, in the given order."""
        known = self._index.rows[: self._size]
        places = np.minimum(np.searchsorted(known, rows), max(self._size - 1, 0))
        if not self._size:
            return rows[:0]
        return np.asarray(rows[(known[places] == rows) & self._allowed[places]], np.int64)

    def features(self, rows: Rows, terms: Terms, vector: Floats | None) -> Features:
        """Columns for the rows, in their order. Without a vector the cosines are 0."""
        index = self._index
        places = index.places(rows)
        counts = np.zeros((len(rows), len(terms)), np.float32)
        frequency = np.zeros(len(terms), np.float32)
        for i, term in enumerate(terms):
            documents, found = self._postings(term)
            frequency[i] = len(documents)
            if len(documents):
                spot = np.minimum(np.searchsorted(documents, places), len(documents) - 1)
                counts[:, i] = np.where(documents[spot] == places, found[spot], 0)
        after = index.after[places].astype(np.int64)
        known = (after >= 0) & (after < self._size)
        return Features(
            rows=rows,
            cosine=np.zeros(len(rows), np.float32) if vector is None else self._cosine(places, vector),
            counts=counts,
            lengths=index.lengths[places],
            tokens=index.tokens[places],
            after=np.where(known, index.rows[np.where(known, after, 0)], -1),
            norm=index.norm[places],
            documents=index.size,
            mean_length=index.total_length / max(index.size, 1),
            frequency=frequency,
        )

    def _cosine(self, places: npt.NDArray[np.intp], vector: Floats) -> Floats:
        vectors = self._index.vectors
        every = len(places) == self._size and bool((np.diff(places) > 0).all())
        chosen = vectors[: self._size] if every else vectors[places]
        return times(chosen, vector)

    def _postings(self, term: np.uint32) -> tuple[npt.NDArray[np.int64], Floats]:
        if term not in self._found:
            self._found[term] = self._index.postings.of(term)
        return self._found[term]

    def _rows(self, places: npt.NDArray[np.intp]) -> Rows:
        return self._index.rows[places]


def promising(
    words: Words, allowed: npt.NDArray[np.bool_], vector: Floats, limit: int, shares: tuple[int, int] = SHARES
) -> npt.NDArray[np.intp]:
    """Allowed columns of sign bits [words, n] among which the `limit` nearest to the vector nearly always are."""
    size = len(allowed)
    query = sign_words(vector.reshape(1, -1))[:, 0]
    wanted = max(LEAST, OVERSAMPLE * limit, size // shares[1])
    found = nearest(words, query, allowed, max(wanted, size // shares[0]))
    return best(found, estimated(words, found, vector), wanted) if len(found) > 2 * wanted else found


def best(places: npt.NDArray[np.intp], score: Floats, limit: int) -> npt.NDArray[np.intp]:
    """The `limit` places of highest score, best first; equal scores in the order of the places."""
    if len(places) > limit:
        keep = np.sort(np.argpartition(-score, limit - 1)[:limit])
        places, score = places[keep], score[keep]
    return places[np.argsort(-score, kind="stable")]


def distinct(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The distinct values, rising; for short arrays much faster than numpy's own."""
    ordered = np.sort(values)
    keep = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=keep[1:])
    return ordered[keep]
