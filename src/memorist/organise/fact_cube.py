"""How the facts of one episode lie in a derived cube, and how many such cubes are read at once.

text     a fact on each line, as a person reads it
meta     the extractor, the phrases, and the facts as [subject's place, relation, object's place]
vectors  those of the facts, then those of the phrases
data     the same once more as columns (`SECTIONS`), with terms of the facts, hash codes of the phrases, and synonyms of
         the phrases among what the memory knew then

Each episode keeps all that it gives to the graph. So taking it away leaves the graph that the others make. Views read
the columns of all cubes together, so that opening a large graph parses nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from memorist.organise.extract.extraction import Fact
from memorist.store.keys import key_of
from memorist.store.postings import Counted, joined_terms
from memorist.store.protocol import Halves, Kept, Rows

ORIGIN = "graph"

SYNONYM = np.dtype([("phrase", "<u2"), ("other", "<u8"), ("cosine", "<f4")])
"""A phrase of the cube (by place), the key of its synonym, and their cosine."""

SECTIONS = ("ends", "fact_keys", "sizes", "terms", "counts", "keys", "codes", "names", "synonyms")
"""Of each fact its ends (uint16 ×2, places of phrases), its key (uint64) and how many terms it has (uint32); these
(uint32) and how often each stands there (uint8). Of each phrase its key (uint64), its codes (uint32) and its name (a
line of UTF-8). The synonyms (SYNONYM)."""

HEAD = 4 * len(SECTIONS)
"""Bytes before the sections: how long each is (uint32)."""

Keys = npt.NDArray[np.uint64]
Codes = npt.NDArray[np.uint32]
Synonyms = npt.NDArray[np.void]


@dataclass(frozen=True, slots=True)
class Phrased:
    """Facts over numbered phrases, both in the order of the text; phrases are normalised."""

    phrases: tuple[str, ...]
    facts: tuple[tuple[int, str, int], ...]

    def texts(self) -> list[str]:
        """What the facts' vectors stand for: the three parts as one string."""
        return [" ".join((self.phrases[s], r, self.phrases[o])) for s, r, o in self.facts]


def line_of(fact: Fact) -> str:
    """A fact as a person reads it."""
    return " – ".join(part for part in fact if part)


def pack(phrased: Phrased, terms: Sequence[bytes], codes: Codes, synonyms: Synonyms) -> bytes:
    """The `data` of a cube; `terms` are those of each fact as `pack_terms` makes them."""
    words = joined_terms(terms)
    sections = (
        np.array([(s, o) for s, _, o in phrased.facts], "<u2").tobytes(),
        np.array([key_of(text) >> 1 for text in phrased.texts()], "<u8").tobytes(),
        words.sizes.astype("<u4").tobytes(),
        words.terms.astype("<u4").tobytes(),
        words.counts.tobytes(),
        np.array([key_of(phrase) for phrase in phrased.phrases], "<u8").tobytes(),
        codes.astype("<u4").tobytes(),
        "".join(f"{phrase}\n" for phrase in phrased.phrases).encode("utf-8", "surrogatepass"),
        synonyms.tobytes(),
    )
    return b"".join((np.array([len(one) for one in sections], "<u4").tobytes(), *sections))


class FactCubes:
    """Cubes of this origin in columns, one after another in the order given. A column is read when first asked for."""

    def __init__(self, kept: Sequence[Kept]) -> None:
        self._kept = kept
        self.rows: Rows = np.array([one.row for one in kept], np.int64)
        self.episodes: Rows = np.array([one.members[0] for one in kept], np.int64)
        heads = np.frombuffer(b"".join(one.data[:HEAD] for one in kept), "<u4").reshape(-1, len(SECTIONS))
        self._edges = HEAD + np.cumsum(np.insert(heads, 0, 0, axis=1), axis=1, dtype=np.int64)
        sizes = dict(zip(SECTIONS, heads.T.astype(np.int64)))
        self.facts: Rows = sizes["ends"] // 4
        self.phrases: Rows = sizes["keys"] // 8
        """How many each cube has."""
        self._synonyms: Rows = sizes["synonyms"] // SYNONYM.itemsize

    @property
    def dimension(self) -> int:
        """Of the vectors; there must be a cube."""
        return int(self._kept[0].vectors.shape[1])

    @cached_property
    def ends(self) -> Rows:
        """int64 [facts, 2]: subject and object, as places among the phrases of all cubes."""
        own = self._section("ends", "<u2").astype(np.int64).reshape(-1, 2)
        return np.asarray(own + np.repeat(self._first_phrases, self.facts)[:, None], np.int64)

    @cached_property
    def fact_keys(self) -> Rows:
        """int64 [facts]."""
        return self._section("fact_keys", "<u8").astype(np.int64)

    @cached_property
    def terms(self) -> Counted:
        """The terms of each fact."""
        return Counted(self._section("sizes", "<u4"), self._section("terms", "<u4"), self._section("counts", "u1"))

    @cached_property
    def keys(self) -> Keys:
        """uint64 [phrases]."""
        return self._section("keys", "<u8")

    @cached_property
    def codes(self) -> Codes:
        """uint32 [phrases, tables]."""
        return self._section("codes", "<u4").reshape(len(self.keys), -1)

    @cached_property
    def names(self) -> list[str]:
        """The phrases."""
        lines = bytes(self._section("names", "u1")).decode("utf-8", "surrogatepass")
        return lines.split("\n")[:-1]

    @cached_property
    def synonyms(self) -> tuple[Rows, Keys, npt.NDArray[np.float64]]:
        """(place among the phrases of all cubes, key of the other, cosine)."""
        found = self._section("synonyms", SYNONYM)
        places = found["phrase"].astype(np.int64) + np.repeat(self._first_phrases, self._synonyms)
        return places, found["other"], found["cosine"].astype(np.float64)

    def fact_vectors(self, out: Halves) -> None:
        """Write float16 [facts, dimension] to `out`."""
        np.concatenate([one.vectors[:count] for one, count in zip(self._kept, self.facts.tolist())], out=out)

    def phrase_vectors(self, places: Rows) -> Halves:
        """float16 [places, dimension] of some places among the phrases of all cubes."""
        cubes = np.searchsorted(self._first_phrases, places, "right") - 1
        inside = places - self._first_phrases[cubes] + self.facts[cubes]
        found = np.empty((len(places), self.dimension), np.float16)
        for spot, (cube, place) in enumerate(zip(cubes.tolist(), inside.tolist())):
            found[spot] = self._kept[cube].vectors[place]
        return found

    @cached_property
    def _first_phrases(self) -> Rows:
        """The place of each cube's first phrase among those of all."""
        return np.asarray(np.cumsum(self.phrases) - self.phrases, np.int64)

    def _section(self, name: str, dtype: Any) -> npt.NDArray[Any]:
        number = SECTIONS.index(name)
        begins, ends = self._edges[:, number].tolist(), self._edges[:, number + 1].tolist()
        return np.frombuffer(b"".join(one.data[a:b] for one, a, b in zip(self._kept, begins, ends)), dtype)
