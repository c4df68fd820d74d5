"""Moving memories between forms by what it costs and saves: the seam for those who make tensors of text.

A form is worth having when what its expected uses save is more than what making it costs. Uses are expected by how
often a memory was recalled since it was recorded, and less the longer it has been idle. Nothing is decided by a fixed
number of recalls: a large model's cache pays after two, a small one's never.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from memorist.cube import Cube, Scope

DAY = 86_400.0
SETTLING = 1.0
"""Days that a memory counts as known at least: one recall in its first minute is no rate."""

KEEP = 0.5
"""What is made stays until its expected savings fall under this share of what it would cost to make it again: so that
what hovers at the limit is not made and dropped in turn."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What another form of a memory takes and gives, as measured or estimated by its mover: seconds to make it, bytes
    to keep it, seconds that each use of it saves."""

    seconds: float
    bytes: int
    saved: float


@dataclass(frozen=True, slots=True)
class Held:
    """What a mover has made of a text cube: the id of what it made, and the cube that it stands for."""

    id: str
    cube: Cube


class Mover(Protocol):
    """Makes another form of text cubes, and drops it again."""

    name: str

    def candidates(self, scope: Scope) -> Sequence[Cube]:
        """Text cubes of the scope, with their usage, that it could promote and has not."""
        ...

    def held(self, scope: Scope) -> Sequence[Held]:
        """What it has promoted in the scope, and is current."""
        ...

    def cost(self, cube: Cube) -> Cost:
        """What the other form of this text would take and give."""
        ...

    def promote(self, scope: Scope, ids: Sequence[str]) -> None:
        """Make the other form of these text cubes. What was made before an error stays."""
        ...

    def demote(self, scope: Scope, ids: Sequence[str]) -> None:
        """Drop what was made, by its id; the text stays."""
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """Ids of text cubes to promote, the most worthwhile first, and of what to demote."""

    promote: tuple[str, ...]
    demote: tuple[str, ...]


def expected(cube: Cube, now: datetime, horizon: float, half_life: float) -> float:
    """Uses expected within `horizon` days: the rate until now, halved for each `half_life` days of idleness."""
    known = max((now - cube.recorded_at).total_seconds() / DAY, SETTLING)
    idle = max((now - (cube.recalled_at or cube.recorded_at)).total_seconds() / DAY, 0.0)
    return float(cube.recalls / known * horizon * 0.5 ** (idle / half_life))


def planned(mover: Mover, scope: Scope, now: datetime, options: Mapping[str, float]) -> Plan:
    """What pays, by gain for each byte, within the bytes allowed; and what does not pay any more, or has no room."""
    horizon, half_life, room = options["horizon_days"], options["half_life_days"], int(options["megabytes"] * 1e6)
    kept: list[tuple[float, int, Held]] = []
    demote: list[str] = []
    for held in mover.held(scope):
        cost = mover.cost(held.cube)
        saves = expected(held.cube, now, horizon, half_life) * cost.saved
        if saves < KEEP * cost.seconds:
            demote.append(held.id)
        else:
            kept.append((saves / max(cost.bytes, 1), cost.bytes, held))
    wanted: list[tuple[float, int, str]] = []
    for cube in mover.candidates(scope):
        cost = mover.cost(cube)
        gain = expected(cube, now, horizon, half_life) * cost.saved - cost.seconds
        if gain > 0:
            wanted.append((gain / max(cost.bytes, 1), cost.bytes, cube.id))
    for _, size, held in sorted(kept, key=lambda one: (-one[0], one[2].id)):
        if size > room:
            demote.append(held.id)
        else:
            room -= size
    promote: list[str] = []
    for _, size, id in sorted(wanted, key=lambda one: (-one[0], one[2])):
        if size <= room:
            promote.append(id)
            room -= size
    return Plan(tuple(promote), tuple(demote))
