"""What recall needs of one owner's episodes, in memory: a cache of the store, never the truth.

Built on the first search, kept up by reading only the rows whose revision is newer. Positions in these arrays are
called places; the store's row numbers are in `rows`, rising.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from memorist.store.bits import sign_words
from memorist.store.postings import MOST_DOCUMENTS, Postings, joined_terms, pack

WINDOW = 3
"""Turns in a window: a turn and the two after it."""

SMALL = 16_384
"""Up to this many vectors are held as float32, more as float16."""

Record = tuple[Any, ...]


class OwnerIndex:
    """Columns over places 0 … size-1; arrays may be longer than `size` to leave room."""

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self.size = 0
        self.revision = 0
        self.epoch = 0
        self.postings = Postings()
        self.rows = np.empty(0, np.int64)
        self.vectors: npt.NDArray[np.floating[Any]] = np.empty((0, dimension), np.float32)
        self.words = np.empty((-(-dimension // 64), 0), np.uint64)
        self.lengths = np.empty(0, np.float32)
        self.tokens = np.empty(0, np.int32)
        self.current = np.empty(0, np.bool_)
        self.at = np.empty(0, np.int64)
        self.after = np.empty((0, WINDOW - 1), np.int32)
        self.before = np.empty((0, WINDOW - 1), np.int32)
        self.norm = np.empty(0, np.float32)
        self.total_length = 0.0
        # Times that texts speak of: place, start, end (microseconds).
        self.spans = np.empty((0, 3), np.int64)

    def reserve(self, more: int) -> None:
        """Room for `more` episodes beyond `size`."""
        if self.size + more > MOST_DOCUMENTS:
            raise OverflowError(f"an owner can hold {MOST_DOCUMENTS} episodes")
        if self.size + more <= len(self.rows):
            return
        room = self.size + more + (self.size + more) // 5 if self.size else more
        dtype = np.float32 if room <= SMALL else np.float16
        self.rows = grown(self.rows, room)
        self.vectors = grown(self.vectors.astype(dtype, copy=False), room)
        words = np.zeros((self.words.shape[0], room), np.uint64)
        words[:, : self.size] = self.words[:, : self.size]
        self.words = words
        for name in ("lengths", "tokens", "current", "at", "norm"):
            setattr(self, name, grown(getattr(self, name), room))
        self.after = grown(self.after, room, -1)
        self.before = grown(self.before, room, -1)

    def extend(self, records: list[Record]) -> None:
        """Append episodes: (row, current, tokens, terms, vector, at, spans), rows rising and above all known."""
        self.reserve(len(records))
        first, stop = self.size, self.size + len(records)
        rows, current, tokens, terms, vectors, at, spans = zip(*records)
        packed, lengths = pack(joined_terms(terms), first)
        self.rows[first:stop] = rows
        self.current[first:stop] = current
        self.tokens[first:stop] = tokens
        self.at[first:stop] = at
        self.lengths[first:stop] = lengths
        self.after[first:stop] = -1
        self.before[first:stop] = -1
        self.norm[first:stop] = 0
        self.total_length += float(lengths.sum())
        self.put_vectors(np.arange(first, stop), vectors)
        self.postings.append(packed)
        self.size = stop
        self.add_spans((first + i, found) for i, found in enumerate(spans) if found)

    def change(self, records: list[Record]) -> None:
        """Update known episodes in what may change: whether they are current, and their vectors."""
        places = self.places([record[0] for record in records])
        self.current[places] = [record[1] for record in records]
        self.put_vectors(places, [record[4] for record in records])

    def put_vectors(self, places: npt.NDArray[np.intp], blobs: Iterable[bytes | None]) -> None:
        """float16 blobs to vectors and sign bits; a missing one (its job is pending) is zero."""
        nothing = bytes(2 * self.dimension)
        joined = b"".join(blob if blob is not None else nothing for blob in blobs)
        vectors = np.frombuffer(joined, np.float16).reshape(-1, self.dimension)
        self.vectors[places] = vectors
        # A float16 is positive exactly when its bits are, read as an integer; comparing these is much faster.
        self.words[:, places] = sign_words(vectors.view(np.int16))

    def put_windows(self, records: list[tuple[bool, bytes, float]]) -> None:
        """Windows: (current, members' rows, norm). A window is known by its first member."""
        sizes = np.fromiter((len(record[1]) // 8 for record in records), np.int64, len(records))
        members = np.full((len(records), WINDOW), -1, np.int64)
        joined = np.frombuffer(b"".join(record[1] for record in records), np.int64)
        members[np.arange(WINDOW) < sizes[:, None]] = self.places(joined)
        current = np.array([record[0] for record in records], np.bool_)
        first = members[:, 0]
        for step in range(WINDOW - 1):
            old = self.after[first, step]
            known = old >= 0
            self.before[old[known], step] = -1
            self.after[first, step] = np.where(current, members[:, step + 1], -1)
        for step in range(WINDOW - 1):
            follower = self.after[first, step]
            known = follower >= 0
            self.before[follower[known], step] = first[known]
        self.norm[first] = np.where(current, [record[2] for record in records], 0)

    def add_spans(self, found: Iterable[tuple[int, list[tuple[int, int]]]]) -> None:
        """Times that places speak of."""
        flat = [(place, start, end) for place, spans in found for start, end in spans]
        if flat:
            self.spans = np.concatenate([self.spans, np.array(flat, np.int64)])

    def places(self, rows: Iterable[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
        """Places of known rows."""
        wanted = np.asarray(rows if isinstance(rows, np.ndarray) else list(rows), np.int64)
        return np.searchsorted(self.rows[: self.size], wanted)

    def mask(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which places are among the rows; rows that the index does not hold are passed over."""
        allowed = np.zeros(self.size, np.bool_)
        places = np.searchsorted(self.rows[: self.size], rows)
        inside = places < self.size
        places, rows = places[inside], rows[inside]
        allowed[places[self.rows[places] == rows]] = True
        return allowed


def grown(array: npt.NDArray[Any], room: int, fill: int = 0) -> npt.NDArray[Any]:
    """A copy with room for `room` rows."""
    larger = (
        np.full((room, *array.shape[1:]), fill, array.dtype)
        if fill
        else np.zeros((room, *array.shape[1:]), array.dtype)
    )
    larger[: len(array)] = array
    return larger
