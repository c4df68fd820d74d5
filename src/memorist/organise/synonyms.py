"""Phrases that mean the same, found for new phrases only, at a cost that hardly grows with how many there are.

Candidates share one of many hash codes (cross-polytope hashing, Andoni et al. 2015: of a random rotation of the
vector, which axis is nearest), their cosines are then exact. Whether two phrases are synonyms depends on these two
alone, never on what else is known or on the order: so the graph is the same however it came to be.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from memorist.organise.fact_cube import SYNONYM, Codes, FactCubes, Keys, Synonyms
from memorist.store.bits import sign_words
from memorist.store.index import grown
from memorist.store.keys import key_of
from memorist.store.protocol import Halves, Kept
from memorist.store.search import distinct

Signs = npt.NDArray[np.uint64]
Slots = npt.NDArray[np.int64]

NEAR = 0.8
"""The least cosine of synonyms."""

DEVIATIONS = 5
"""Signs in which two vectors at NEAR may differ more than is expected, in standard deviations, before their cosine is
not even looked at. Of MuSiQue's 7,129 pairs of synonyms none is lost."""

LEAST_LETTERS = 3
"""Shorter phrases have no synonyms: a letter or two mean too many things."""

TABLES, AXES, JOINED = 48, 64, 3
"""Codes of a phrase; axes of a rotation; rotations joined to one code. `memorist bench graph` has their recall."""

NUMBER = re.compile(r"\d+")
MERGE = 4
"""A level of the index is joined with the one before it when that is not this many times larger."""


@lru_cache(maxsize=2)
def rotations(dimension: int) -> npt.NDArray[np.float32]:
    """float32 [dimension, TABLES · JOINED · AXES]: the same on every machine."""
    drawn = np.random.Generator(np.random.PCG64(20_250_224)).standard_normal((dimension, TABLES * JOINED * AXES))
    return drawn.astype(np.float32)


def codes_of(phrases: Sequence[str], vectors: Halves) -> Codes:
    """uint32 [phrases, TABLES]. Phrases with different numbers share none: 1995 is near 1996, but another year."""
    codes = np.empty((len(phrases), TABLES), np.uint32)
    for start in range(0, len(phrases), 512):
        part = vectors[start : start + 512].astype(np.float32)
        turned = (part @ rotations(part.shape[1])).reshape(len(part), TABLES * JOINED, AXES)
        axis = np.abs(turned).argmax(2)
        side = np.take_along_axis(turned, axis[:, :, None], 2)[:, :, 0] > 0
        nearest = (2 * axis + side).reshape(len(part), TABLES, JOINED)
        joined = np.zeros((len(part), TABLES), np.uint32)
        for step in range(JOINED):
            joined = joined * np.uint32(2 * AXES) + nearest[:, :, step].astype(np.uint32)
        codes[start : start + 512] = joined
    numbers = [key_of(" ".join(sorted(NUMBER.findall(phrase)))) & 0xFFFFFFFF for phrase in phrases]
    return np.asarray(codes * np.uint32(2_654_435_761) ^ np.array(numbers, np.uint32)[:, None], np.uint32)


def most_apart(dimension: int) -> int:
    """In how many signs synonyms differ at most; each differs as likely as the angle is part of a half turn."""
    share = math.acos(NEAR) / math.pi
    return int(dimension * share + DEVIATIONS * math.sqrt(dimension * share * (1 - share)))


def signs_of(vectors: Halves) -> Signs:
    """uint64 [vectors, words]: which values are positive."""
    return np.ascontiguousarray(sign_words(vectors.view(np.int16)).T)


class Level:
    """Codes of some slots, sorted by code in each table."""

    def __init__(self, codes: Codes, slots: npt.NDArray[np.int32]) -> None:
        both = (codes.astype(np.uint64) << np.uint64(32)) | slots.astype(np.uint64)
        both.sort(axis=1)  # numbers of 64 bits sort far faster than an order of codes is found
        self.codes = (both >> np.uint64(32)).astype(np.uint32)  # [TABLES, n]
        self.slots = (both & np.uint64(0xFFFFFFFF)).astype(np.int32)

    def joined(self, other: Level) -> Level:
        """Both in one."""
        return Level(np.concatenate([self.codes, other.codes], 1), np.concatenate([self.slots, other.slots], 1))

    def pairs(self, other: Level) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """(the other's slot, slot) of all that share a code, some several times."""
        others, slots = [], []
        for table in range(TABLES):
            codes, wanted = self.codes[table], other.codes[table]  # sorted: the search walks through memory once
            begin = np.searchsorted(codes, wanted, "left")
            known = np.flatnonzero(codes[np.minimum(begin, len(codes) - 1)] == wanted)  # few: only these have an end
            begin = begin[known]
            counts = np.searchsorted(codes, wanted[known], "right") - begin
            inside = np.repeat(begin - np.cumsum(counts) + counts, counts) + np.arange(int(counts.sum()))
            others.append(np.repeat(other.slots[table][known], counts))
            slots.append(self.slots[table][inside])
        return np.concatenate(others).astype(np.int64), np.concatenate(slots).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Some:
    """Phrases in columns."""

    keys: Keys
    vectors: Halves
    signs: Signs


def compared(ones: Some, others: Some, places: Slots, slots: Slots) -> Synonyms:
    """Pairs of places in both whose cosine is enough. The signs tell of most that it is not, at a tenth of the cost."""
    pairs = distinct(places * np.int64(1 << 32) + slots)
    places, slots = pairs >> 32, pairs & 0xFFFFFFFF
    differing = np.bitwise_count(ones.signs[places] ^ others.signs[slots]).sum(1, dtype=np.int32)
    keep = (differing <= most_apart(ones.vectors.shape[1])) & (ones.keys[places] != others.keys[slots])
    places, slots = places[keep], slots[keep]
    cosines = np.empty(len(places), np.float32)
    for start in range(0, len(places), 8_192):
        part = slice(start, start + 8_192)
        one, other = ones.vectors[places[part]].astype(np.float64), others.vectors[slots[part]].astype(np.float64)
        cosines[part] = np.einsum("ij,ij->i", one, other)
    near = np.flatnonzero(cosines >= np.float32(NEAR))
    found = np.empty(len(near), SYNONYM)
    found["phrase"], found["other"], found["cosine"] = places[near], others.keys[slots[near]], cosines[near]
    return found


class PhraseIndex:
    """The phrases that an owner's graph knows, to look up and to find synonyms among. See `View`."""

    def __init__(self) -> None:
        self._slots: dict[int, int] = {}
        self._cubes: dict[int, npt.NDArray[np.int64]] = {}
        self._levels: list[Level] = []
        self._keys = np.empty(0, np.uint64)
        self._vectors = np.empty((0, 0), np.float16)
        self._codes = np.empty((0, TABLES), np.uint32)
        self._signs = np.empty((0, 0), np.uint64)
        self._mentions = np.empty(0, np.int32)

    def take(self, kept: Sequence[Kept]) -> PhraseIndex:
        """The index with these changes. It changes in place: only a writer holds it, and writers take turns."""
        for one in kept:
            if (slots := self._cubes.pop(one.row, None)) is not None:
                self._mentions[slots] -= 1  # the phrases of a cube differ
        cubes = FactCubes([one for one in kept if one.active])
        if len(cubes.keys):
            self._enter(cubes)
        return self

    def known(self, phrases: Sequence[str]) -> dict[str, tuple[Halves, Codes]]:
        """The vectors and codes of those phrases that were ever there."""
        found = {phrase: self._slots.get(key_of(phrase), -1) for phrase in phrases}
        return {phrase: (self._vectors[slot], self._codes[slot]) for phrase, slot in found.items() if slot >= 0}

    def nearest(self, vector: npt.NDArray[np.float32], count: int) -> tuple[Keys, npt.NDArray[np.float32]]:
        """The keys of the `count` phrases nearest to a vector, best first, and their cosines; all are compared."""
        size = len(self._slots)
        cosines = self._vectors[:size].astype(np.float32) @ vector
        cosines[self._mentions[:size] <= 0] = -1
        best = np.argsort(-cosines, kind="stable")[:count]
        return self._keys[best], cosines[best]

    def synonyms(self, phrases: Sequence[str], vectors: Halves, codes: Codes) -> Synonyms:
        """Pairs of the phrases with those in the index, and with each other: (place, key of the other, cosine)."""
        if not len(phrases):
            return np.empty(0, SYNONYM)
        own = Level(np.ascontiguousarray(codes.T), np.tile(np.arange(len(phrases), dtype=np.int32), (TABLES, 1)))
        keys = np.array([key_of(phrase) for phrase in phrases], np.uint64)
        some = Some(keys, vectors, signs_of(vectors))
        every = Some(self._keys, self._vectors, self._signs)
        found = [compared(some, every, *self._there(*level.pairs(own))) for level in self._levels]
        found.append(compared(some, some, *own.pairs(own)))
        pairs = np.concatenate(found)
        pairs = pairs[np.array([len(phrase.replace(" ", "")) >= LEAST_LETTERS for phrase in phrases])[pairs["phrase"]]]
        return np.unique(pairs)

    def _there(self, places: Slots, slots: Slots) -> tuple[Slots, Slots]:
        """The pairs whose slot is that of a phrase which some cube holds."""
        held = self._mentions[slots] > 0
        return places[held], slots[held]

    def _enter(self, cubes: FactCubes) -> None:
        """Count the cubes' phrases, and take in those that were never seen."""
        keys, first, inverse = np.unique(cubes.keys, return_index=True, return_inverse=True)
        slots = np.array([self._slots.get(key, -1) for key in keys.tolist()], np.int64)
        new = np.flatnonzero(slots < 0)
        size = len(self._slots)
        slots[new] = np.arange(size, size + len(new))
        self._slots.update(zip(keys[new].tolist(), slots[new].tolist()))
        self._reserve(len(self._slots), cubes.dimension)
        added, codes = slice(size, len(self._slots)), cubes.codes[first[new]]
        self._keys[added], self._codes[added] = keys[new], codes
        self._vectors[added] = cubes.phrase_vectors(first[new])
        self._signs[added] = signs_of(self._vectors[added])
        if len(new):
            self._push(codes, slots[new].astype(np.int32))
        every = slots[inverse]
        np.add.at(self._mentions, every, 1)
        stops = np.cumsum(cubes.phrases)
        for row, a, b in zip(cubes.rows.tolist(), (stops - cubes.phrases).tolist(), stops.tolist()):
            self._cubes[row] = every[a:b]

    def _reserve(self, size: int, dimension: int) -> None:
        """Room for so many phrases."""
        if size <= len(self._keys):
            return
        room = size + size // 4
        if not self._vectors.shape[1]:
            self._vectors = np.empty((0, dimension), np.float16)
            self._signs = np.empty((0, -(-dimension // 64)), np.uint64)
        self._keys, self._mentions = grown(self._keys, room), grown(self._mentions, room)
        self._vectors, self._codes = grown(self._vectors, room), grown(self._codes, room)
        self._signs = grown(self._signs, room)

    def _push(self, codes: Codes, slots: npt.NDArray[np.int32]) -> None:
        """Add a level, and join those that are of like size."""
        level = Level(np.ascontiguousarray(codes.T), np.tile(slots, (TABLES, 1)))
        while self._levels and self._levels[-1].codes.shape[1] < MERGE * level.codes.shape[1]:
            level = self._levels.pop().joined(level)
        self._levels.append(level)
