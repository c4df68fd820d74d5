"""An embedder that is real, but knows only spelling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from memorist.models.embedder import Identity, Vectors

DIMENSION = 64
GRAM = 3
PRIMES = np.array([2_654_435_761, 40_503, 1], np.uint64)


class HashEmbedder:
    """Hashed character n-grams as unit vectors: texts that share spelling are near. For tests, not for memories."""

    @property
    def identity(self) -> Identity:
        """A name and no weights."""
        return Identity("hash-3-grams", DIMENSION, "0" * 64)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """float32 [len(texts), 64], each row of length 1."""
        return np.array([vector_of(text) for text in texts], np.float32).reshape(-1, DIMENSION)


def vector_of(text: str) -> Vectors:
    """Counts of signed hashes of the text's n-grams, scaled to length 1."""
    data = np.frombuffer(f" {text.lower()} ".encode(), np.uint8).astype(np.uint64)
    grams = np.lib.stride_tricks.sliding_window_view(np.pad(data, (1, 1)), GRAM)
    hashed = (grams * PRIMES).sum(1, dtype=np.uint64) % np.uint64(2 * DIMENSION + 1)
    counts = np.bincount(hashed.astype(np.intp), minlength=2 * DIMENSION + 1).astype(np.float32)
    vector = counts[:DIMENSION] - counts[DIMENSION : 2 * DIMENSION]
    if not vector.any():  # all signs cancelled
        vector[0] = 1
    return np.asarray(vector / np.linalg.norm(vector), np.float32)
