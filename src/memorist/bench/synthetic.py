"""Text without end for measuring speed: words of a language that nobody speaks, as often as words are (Zipf)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice, product

import numpy as np

from memorist.cube import Observation
from memorist.models.embedder import Identity, Vectors
from memorist.store.terms import term_of, words

VOCABULARY = 20_000
SYLLABLES = [
    "ba",
    "ce",
    "di",
    "fo",
    "gu",
    "ha",
    "je",
    "ki",
    "lo",
    "mu",
    "na",
    "pe",
    "ri",
    "so",
    "tu",
    "va",
    "we",
    "xi",
    "yo",
    "zu",
]
TURNS_IN_SESSION = 20


def vocabulary() -> list[str]:
    """Distinct made-up words."""
    return ["".join(word) for word in islice(product(SYLLABLES, repeat=4), VOCABULARY)]


def texts(count: int, seed: int) -> Iterator[str]:
    """`count` sentences of 8 to 30 words."""
    rng = np.random.default_rng(seed)
    known = np.array(vocabulary())
    share = 1 / np.arange(10, VOCABULARY + 10)
    edges = np.cumsum(share / share.sum())
    for start in range(0, count, 10_000):
        lengths = rng.integers(8, 31, min(10_000, count - start))
        drawn = known[np.searchsorted(edges, rng.random(int(lengths.sum())))]
        for words_of_one in np.split(drawn, np.cumsum(lengths)[:-1]):
            yield " ".join(words_of_one.tolist())


def turns(count: int, seed: int) -> Iterator[Observation]:
    """The sentences as turns of two speakers, in sessions."""
    for number, text in enumerate(texts(count, seed)):
        session = f"session {number // TURNS_IN_SESSION}"
        yield Observation(text, speaker=("Ana", "Bo")[number % 2], session=session, source=f"synthetic {seed}")


class WordSum:
    """A text is the scaled sum of its words' random vectors: fast, of the default's dimension, and near when words are
    shared. For measuring everything but an embedder."""

    identity = Identity("word-sum", 384, "0" * 64)

    def __init__(self) -> None:
        self._vectors = np.random.default_rng(0).standard_normal((65_536, 384)).astype(np.float32)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """float32 [n, 384], unit rows."""
        rows = np.empty((len(texts), 384), np.float32)
        for place, text in enumerate(texts):
            drawn = [term_of(word) % 65_536 for word in words(text)] or [0]
            rows[place] = self._vectors[drawn].sum(0)
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)
