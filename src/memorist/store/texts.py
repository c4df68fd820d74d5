"""The texts of derived cubes in memory, to be found by words and by meaning, as the index does for episodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from memorist.states import LIVING
from memorist.store.bm25 import idf, saturation
from memorist.store.products import times
from memorist.store.protocol import Floats, Kept, Rows, Terms
from memorist.store.terms import pack_terms


@dataclass(frozen=True, slots=True)
class Found:
    """Texts by rising row, with their cosine, and the share of the question's information that they cover."""

    rows: Rows
    cosine: Floats
    coverage: Floats
    lengths: Floats
    tokens: npt.NDArray[np.int32]


class Texts:
    """A `View` over an owner's cubes of an origin. Places only grow; a text that changed has a new place.

    The columns are shared by all views that came of one another; each sees the places below its size that are
    `present` to it. Closed cubes are among them: they answer `as_of`.
    """

    def __init__(self) -> None:
        self.kept: dict[int, Kept] = {}
        self._place: dict[int, int] = {}
        self._size = 0
        self._present = np.empty(0, np.bool_)
        self._rows = np.empty(0, np.int64)
        self._lengths = np.empty(0, np.float32)
        self._tokens = np.empty(0, np.int32)
        self._vectors = np.empty((0, 0), np.float32)
        self._postings: dict[int, list[tuple[int, int]]] = {}

    def take(self, kept: Sequence[Kept]) -> Texts:
        """The view with these changes."""
        new = Texts()
        new.__dict__.update(self.__dict__)
        new.kept, new._place = dict(self.kept), dict(self._place)
        new._present = grown(self._present, self._size + len(kept))
        new._reserve(len(kept), next((len(cube.vector) for cube in kept if cube.vector is not None), 0))
        for cube in kept:
            old = new.kept.pop(cube.row, None)
            if old is not None and cube.state in LIVING and same(old, cube):
                new.kept[cube.row] = cube
                continue
            if old is not None:
                new._present[new._place.pop(cube.row)] = False
            if cube.state in LIVING:
                new._append(cube)
        return new

    def find(self, terms: Terms, vector: Floats, rows: Rows | None = None) -> Found:
        """Every current text, or those of the rows that are here, closed or not, with what it has to do with the
        question."""
        places = self._places(rows)
        places = places[np.argsort(self._rows[places])]
        counts = self._counts(terms)
        documents = max(len(self._place), 1)
        mean = float(self._lengths[: self._size][self._present[: self._size]].mean()) if self._place else 1.0
        frequency = np.array([(counts[:, column] > 0).sum() for column in range(len(terms))], np.float32)
        weights = idf(documents, frequency)
        gained = times(saturation(counts[places], self._lengths[places][:, None], mean), weights)
        total = float(weights.sum()) or 1.0
        cosine = times(self._vectors[places], vector) if self._vectors.shape[1] else np.zeros(len(places), np.float32)
        coverage = np.asarray(gained / total, np.float32)
        return Found(self._rows[places], cosine, coverage, self._lengths[places], self._tokens[places])

    def _places(self, rows: Rows | None) -> npt.NDArray[np.intp]:
        if rows is None:
            current = [place for row, place in self._place.items() if self.kept[row].active]
            return np.array(current, np.intp)
        return np.array([self._place[row] for row in rows.tolist() if row in self._place], np.intp)

    def _counts(self, terms: Terms) -> Floats:
        """How often each term stands in each text that is present: [size, terms]."""
        counts = np.zeros((self._size, len(terms)), np.float32)
        for column, term in enumerate(terms.tolist()):
            for place, count in self._postings.get(term, ()):
                if place < self._size and self._present[place]:
                    counts[place, column] = count
        return counts

    def _reserve(self, more: int, dimension: int) -> None:
        room = self._size + more
        if room > len(self._rows) or self._vectors.shape[1] < dimension:
            room += room // 2
            for name in ("_rows", "_lengths", "_tokens"):
                setattr(self, name, grown(getattr(self, name), room))
            vectors = np.zeros((room, max(dimension, self._vectors.shape[1])), np.float32)
            vectors[: self._size, : self._vectors.shape[1]] = self._vectors[: self._size]
            self._vectors = vectors

    def _append(self, cube: Kept) -> None:
        place = self._size
        terms, numbers = unpacked(pack_terms(cube.text))
        for term, number in zip(terms.tolist(), numbers.tolist()):
            self._postings.setdefault(term, []).append((place, number))
        self._rows[place] = cube.row
        self._lengths[place] = numbers.sum()
        self._tokens[place] = cube.tokens
        if cube.vector is not None:
            self._vectors[place] = cube.vector
        self._present[place] = True
        self._place[cube.row] = place
        self.kept[cube.row] = cube
        self._size += 1


def same(one: Kept, other: Kept) -> bool:
    """Whether what is searched of two cubes is the same."""
    if one.text != other.text or one.tokens != other.tokens:
        return False
    if one.vector is None or other.vector is None:
        return one.vector is other.vector
    return bool((one.vector == other.vector).all())


def unpacked(terms: bytes) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint8]]:
    """The terms and counts of `pack_terms`."""
    number = len(terms) // 5
    return np.frombuffer(terms, np.uint32, number), np.frombuffer(terms, np.uint8, offset=4 * number)


def grown(array: npt.NDArray[Any], room: int) -> npt.NDArray[Any]:
    """A copy with room for at least `room` values."""
    larger = np.zeros(max(room, len(array)), array.dtype)
    larger[: len(array)] = array
    return larger
