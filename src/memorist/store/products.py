"""Products that are too small for threads.

BLAS splits them over its threads, which wait for each other: when another process keeps a core busy, a product of a
tenth of a millisecond takes eight.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def times(matrix: npt.NDArray[Any], vector: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """float32 [n] of a matrix [n, d] and a vector [d], on this thread."""
    return np.asarray(np.einsum("ij,j->i", np.asarray(matrix, np.float32), vector), np.float32)
