"""The seam for looking through a memory: how much of it lies when, what it consists of, and what is tied to what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from memorist.cube import Scope

if TYPE_CHECKING:
    from memorist.states import State
    from memorist.store.protocol import Selection

DERIVED = "derived"
REPLACED = "replaced"


@dataclass(frozen=True, slots=True)
class Day:
    """A day (UTC) on which something is dated, and how much."""

    start: datetime
    count: int


@dataclass(frozen=True, slots=True)
class Share:
    """How many cubes of an origin and kind are in a state; one that is closed by a newer one is "superseded"."""

    origin: str
    kind: str
    state: str
    count: int


@dataclass(frozen=True, slots=True)
class Relation:
    """Two cubes, by id, that belong together. `kind` is DERIVED (the target came of the source), REPLACED (the target
    took the source's place), or the kind of the link that an organiser drew."""

    source: str
    target: str
    kind: str
    weight: float


class Browsing(Protocol):
    """What a store tells whoever looks through it."""

    def days(self, scope: Scope, selection: Selection, origin: str) -> list[Day]:
        """The days on which the cubes are dated that `newest` would list, newest first."""
        ...

    def census(self, scope: Scope) -> list[Share]:
        """Everything of the scope by origin, kind and state, hidden and closed cubes too."""
        ...

    def ids(self, scope: Scope, origin: str, state: State | None = None) -> list[str]:
        """All ids of an origin, or of those in a state, in the order of time, hidden and closed cubes too."""
        ...

    def relations(self, scope: Scope, ids: Sequence[str], limit: int) -> list[Relation]:
        """Up to `limit` relations of each kind between these cubes and any others of the scope; the newest cubes'
        first. An id that the scope does not have has none."""
        ...
