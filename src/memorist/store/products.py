"""Products that are too small for threads.

BLAS splits them over its threads, which wait for each other: when another process keeps a core busy, a product of a
tenth of a millisecond takes eight.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

REBIASED = np.float32(2.0**112)
"""The exponents of float32 count from 127, those of float16 from 15."""


def times(matrix: npt.NDArray[Any], vector: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """float32 [n] of a matrix [n, d] and a vector [d], on this thread."""
    wide = widened(matrix) if matrix.dtype == np.float16 else np.asarray(matrix, np.float32)
    return np.asarray(np.einsum("ij,j->i", wide, vector), np.float32)


def widened(halves: npt.NDArray[np.float16]) -> npt.NDArray[np.float32]:
    """Finite numbers as float32, twice as fast as numpy's own: their bits are moved to where a float32 has them."""
    bits = halves.view(np.int16).astype(np.int32)
    bits <<= 13
    bits &= np.int32(-0x70002000)  # the sign, which was drawn out on the left, once
    wide = bits.view(np.float32)
    wide *= REBIASED
    return wide
