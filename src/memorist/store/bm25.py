"""BM25 (Robertson & Zaragoza 2009, eq. 3.15), with k1 and b that suit short turns."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

K1 = 0.9
B = 0.4


def idf(documents: int, frequency: Floats) -> Floats:
    """Weight of terms that stand in `frequency` of `documents`; never negative."""
    return np.log1p((documents - frequency + 0.5) / (frequency + 0.5)).astype(np.float32)


def saturation(counts: Floats, lengths: Floats, mean_length: float) -> Floats:
    """What `counts` occurrences are worth in texts of these lengths; shapes broadcast."""
    shrunk = K1 * (1 - B + B * lengths / np.float32(max(mean_length, 1e-6)))
    return np.asarray(counts * (K1 + 1) / (counts + shrunk), np.float32)
