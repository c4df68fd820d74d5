"""An inverted index in three arrays: which documents hold a term, and how often.

One segment never changes; new documents gather in a second, small one until a rebuild joins them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Docs = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Packed = npt.NDArray[np.uint64]

DOCUMENT_BITS = 24
MOST_DOCUMENTS = 1 << DOCUMENT_BITS
SMALL_SEGMENT = 20_000
TERM_SHIFT = np.uint64(DOCUMENT_BITS + 8)
COUNT_SHIFT = np.uint64(8)
DOCUMENT_MASK = np.uint64(MOST_DOCUMENTS - 1)
COUNT_MASK = np.uint64(255)


@dataclass(frozen=True, slots=True)
class Counted:
    """The terms of documents, one document after another: how many each has, these, and how often each stands there."""

    sizes: npt.NDArray[np.uint32]
    terms: npt.NDArray[np.uint32]
    counts: npt.NDArray[np.uint8]


def joined_terms(blobs: Sequence[bytes]) -> Counted:
    """The packed terms of documents as columns."""
    sizes = np.fromiter((len(blob) // 5 for blob in blobs), np.uint32, len(blobs))
    terms = np.frombuffer(b"".join(blob[: 4 * (len(blob) // 5)] for blob in blobs), np.uint32)
    counts = np.frombuffer(b"".join(blob[4 * (len(blob) // 5) :] for blob in blobs), np.uint8)
    return Counted(sizes, terms, counts)


def pack(documents: Counted, first: int) -> tuple[Packed, Floats]:
    """Postings of documents `first`, `first` + 1, …, and the documents' lengths in words.

    A posting is a uint64: 32 bits of term, 24 of document, 8 of count; sorting them sorts the index.
    """
    count = len(documents.sizes)
    numbers = np.repeat(np.arange(first, first + count, dtype=np.uint64), documents.sizes)
    packed = (documents.terms.astype(np.uint64) << TERM_SHIFT) | (numbers << COUNT_SHIFT) | documents.counts
    lengths = np.bincount(numbers.astype(np.int64) - first, weights=documents.counts, minlength=count)
    return packed, lengths.astype(np.float32)


class Segment:
    """Sorted postings. `packed` holds what `pack` made, in any order."""

    def __init__(self, packed: Packed) -> None:
        self.packed = np.sort(packed)
        terms = (self.packed >> TERM_SHIFT).astype(np.uint32)
        starts = np.flatnonzero(np.diff(terms, prepend=np.uint32(0)) != 0)
        if len(terms) and terms[0] == 0:
            starts = np.concatenate([[0], starts])
        self._terms = terms[starts]
        self._starts = np.append(starts, len(terms))

    def of(self, term: np.uint32) -> tuple[Docs, Floats]:
        """Documents that hold the term, rising, and the counts."""
        place = int(np.searchsorted(self._terms, term))
        if place == len(self._terms) or self._terms[place] != term:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        found = self.packed[self._starts[place] : self._starts[place + 1]]
        documents = ((found >> COUNT_SHIFT) & DOCUMENT_MASK).astype(np.int64)
        return documents, (found & COUNT_MASK).astype(np.float32)


class Postings:
    """The inverted index of an owner: a large segment, and a small one that takes what is new."""

    def __init__(self) -> None:
        self._main = Segment(np.empty(0, np.uint64))
        self._tail = Segment(np.empty(0, np.uint64))
        self._fresh: list[Packed] = []

    def append(self, packed: Packed) -> None:
        """Take the postings of new documents; they are sorted in when next asked."""
        self._fresh.append(packed)

    def of(self, term: np.uint32) -> tuple[Docs, Floats]:
        """Documents that hold the term, rising, and the counts."""
        if self._fresh:
            self._sort_in()
        documents, counts = self._main.of(term)
        more, others = self._tail.of(term)
        if not len(more):
            return documents, counts
        return np.concatenate([documents, more]), np.concatenate([counts, others])

    def _sort_in(self) -> None:
        """Fresh postings to the small segment; when that is no longer small, all to the large one."""
        joined = np.concatenate([self._tail.packed, *self._fresh])
        self._fresh = []
        if len(joined) > SMALL_SEGMENT + len(self._main.packed) // 8:
            self._main = Segment(np.concatenate([self._main.packed, joined]))
            joined = np.empty(0, np.uint64)
        self._tail = Segment(joined)
