"""The seam for organisers: turns in conversation order go in, derived cubes come out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from memorist.store.protocol import Organised, Stretch


class Organiser(Protocol):
    """Derives cubes from stretches of conversation.

    It must be a function of the turns alone, whatever batches they came in, and give what it derives ids that depend
    only on what it is about: so that the same memory grows live, in bulk or rebuilt.
    """

    name: str
    """The origin of its cubes."""

    reach: int
    """How many turns around a new one it needs to see."""

    def organise(self, stretches: Sequence[Stretch]) -> Organised:
        """What to write and withdraw, given the current turns around what changed, a stretch for each session."""
        ...
