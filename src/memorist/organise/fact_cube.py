"""How the facts of one episode lie in a derived cube, and come out of it.

text     a fact on each line, as a person reads it
meta     the extractor, the phrases, and the facts as [subject's place, relation, object's place]
vectors  those of the facts, then those of the phrases
data     terms of the facts, hash codes of the phrases, synonyms of the phrases among what the memory knew then

Each episode keeps all that it gives to the graph. So taking it away leaves the graph that the others make.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from memorist.organise.extract.extraction import Fact
from memorist.store.keys import key_of
from memorist.store.protocol import Halves, Kept, Rows

ORIGIN = "graph"

SYNONYM = np.dtype([("phrase", "<u2"), ("other", "<u8"), ("cosine", "<f4")])
"""A phrase of the cube (by place), the key of its synonym, and their cosine."""

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


def pack(terms: Sequence[bytes], codes: Codes, synonyms: Synonyms) -> bytes:
    """The `data` of a cube: how long each fact's terms are, these, the codes and the synonyms."""
    lengths = np.array([len(one) for one in terms], np.uint32)
    head = np.array([len(terms), codes.size], np.uint32)
    return b"".join((head.tobytes(), lengths.tobytes(), *terms, codes.tobytes(), synonyms.tobytes()))


@dataclass(frozen=True, slots=True)
class FactCube:
    """A cube as it was packed. `facts` are rows of (subject's place, object's place)."""

    row: int
    episode: int
    phrases: tuple[str, ...]
    keys: Keys
    facts: Rows
    fact_keys: Rows
    fact_vectors: Halves
    phrase_vectors: Halves
    terms: tuple[bytes, ...]
    codes: Codes
    synonyms: Synonyms


def unpack(kept: Kept) -> FactCube:
    """What a cube of this origin holds."""
    phrases, facts = tuple(kept.meta["phrases"]), kept.meta["facts"]
    phrased = Phrased(phrases, tuple((s, r, o) for s, r, o in facts))
    count, coded = np.frombuffer(kept.data, np.uint32, 2).tolist()
    lengths = np.frombuffer(kept.data, np.uint32, count, 8)
    edges = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]) + 8 + 4 * count
    begin = int(edges[-1])
    codes = np.frombuffer(kept.data[begin : begin + 4 * coded], np.uint32)
    return FactCube(
        kept.row,
        int(kept.members[0]),
        phrases,
        np.fromiter((key_of(phrase) for phrase in phrases), np.uint64, len(phrases)),
        np.array([(s, o) for s, _, o in facts], np.int64).reshape(-1, 2),
        np.fromiter((key_of(text) >> 1 for text in phrased.texts()), np.int64, count),
        kept.vectors[:count],
        kept.vectors[count:],
        tuple(kept.data[a:b] for a, b in pairwise(edges.tolist())),
        codes.reshape(len(phrases), -1),
        np.frombuffer(kept.data[begin + 4 * coded :], SYNONYM),
    )
