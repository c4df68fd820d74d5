"""The seam for text embedders: one method, and an identity that the store remembers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Identity:
    """What makes two embedders interchangeable: same name, same dimension, same weights."""

    name: str
    dimension: int
    sha256: str


class Embedder(Protocol):
    """Turns texts into unit vectors."""

    @property
    def identity(self) -> Identity:
        """Name, dimension and hash of the weights. Must not load the weights."""
        ...

    def embed(self, texts: Sequence[str]) -> Vectors:
        """float32 [len(texts), dimension], each row of length 1."""
        ...
