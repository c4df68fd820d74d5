"""Cosine search by sign bits: two cheap scans choose candidates, whose full vectors then give the order.

The share of equal signs estimates the angle between two vectors (Charikar 2002). What it leaves is estimated again with
the query's own values against the signs, which is sharper (the asymmetric distance of Jégou et al. 2011, for one bit).
Bits lie dimension-major, so that each step of the first scan runs over neighbours in memory, in blocks that stay in the
processor's cache.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]
BLOCK = 1 << 15
FARTHEST = np.iinfo(np.uint16).max
SIGNS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.float32) * 2 - 1
"""float32 [256, 8]: the signs that a byte stands for."""


def sign_words(vectors: npt.NDArray[Any]) -> Words:
    """uint64 [words, n]: where numbers [n, dimension] are positive."""
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


def estimated(words: Words, places: npt.NDArray[np.intp], vector: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """float32 [places]: the sum of the vector's values, each with the sign that the place has there."""
    padded = np.zeros(words.shape[0] * 64, np.float32)
    padded[: len(vector)] = vector
    table = SIGNS @ padded.reshape(-1, 8).T  # [256, bytes]
    chosen = np.stack([word[places] for word in words])  # `take` would copy all words when they have room behind them
    columns = chosen.view(np.uint8).reshape(words.shape[0], len(places), 8)
    total = np.zeros(len(places), np.float32)
    for word, bytes_ in enumerate(columns):
        for byte in range(8):
            total += np.take(table[:, 8 * word + byte], bytes_[:, byte])
    return total


def nearest(
    words: Words, query: npt.NDArray[np.uint64], allowed: npt.NDArray[np.bool_], limit: int
) -> npt.NDArray[np.intp]:
    """Indices of at least `limit` allowed columns with the fewest differing signs (all ties of the last are in)."""
    distance = hamming(words, query)
    distance[~allowed] = FARTHEST
    last = min(limit, len(distance)) - 1
    cut = min(int(np.partition(distance, last)[last]), 64 * len(words)) if last >= 0 else 0
    return np.flatnonzero(distance <= cut)
