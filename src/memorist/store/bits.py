"""Cosine search by sign bits: a scan of one bit a dimension finds candidates, their full vectors give the order.

The share of equal signs estimates the angle between two vectors (Charikar 2002). Bits lie dimension-major, so that each
step of the scan runs over neighbours in memory, in blocks that stay in the processor's cache.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]
BLOCK = 1 << 15
FARTHEST = np.iinfo(np.uint16).max


def sign_words(vectors: npt.NDArray[np.floating]) -> Words:
    """uint64 [words, n]: the signs of float [n, dimension]."""
    packed = np.packbits(vectors > 0, axis=1)
    missing = -packed.shape[1] % 8
    if missing:
        packed = np.pad(packed, ((0, 0), (0, missing)))
    return np.ascontiguousarray(packed.view(np.uint64).T)


def hamming(words: Words, query: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint16]:
    """uint16 [n]: how many signs differ from the query's (uint64 [words])."""
    count = words.shape[1]
    distance = np.zeros(count, np.uint16)
    scratch = np.empty(min(BLOCK, count), np.uint64)
    for start in range(0, count, BLOCK):
        stop = min(start + BLOCK, count)
        part, out = scratch[: stop - start], distance[start:stop]
        for word, sign in zip(words, query):
            np.bitwise_xor(word[start:stop], sign, out=part)
            out += np.bitwise_count(part)
    return distance


def nearest(words: Words, query: npt.NDArray[np.uint64], allowed: npt.NDArray[np.bool_], limit: int) -> npt.NDArray[np.intp]:
    """Indices of at least `limit` allowed columns with the fewest differing signs (all ties of the last are in)."""
    distance = hamming(words, query)
    distance[~allowed] = FARTHEST
    bits = words.shape[0] * 64
    within = np.cumsum(np.bincount(np.minimum(distance, bits + 1), minlength=bits + 2)[: bits + 1])
    cut = int(np.searchsorted(within, min(limit, int(within[-1]))))
    return np.flatnonzero(distance <= min(cut, bits))
