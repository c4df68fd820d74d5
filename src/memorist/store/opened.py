"""What a sight opens of an owner's memory at a moment, by its grants and by what is sensitive."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from memorist.errors import NotAllowed
from memorist.store import tags
from memorist.store.governed import Grant, Right, Sight
from memorist.store.grants import held_by
from memorist.store.protocol import SAW

OPENED = f"""
WITH RECURSIVE sources (row) AS (
  SELECT row FROM main.cubes WHERE owner = :owner AND origin = 'source' AND ({{}})
), closed (row) AS (
  SELECT row FROM main.cubes WHERE owner = :owner AND origin = 'source' AND row NOT IN (SELECT row FROM sources)
  UNION SELECT e.child FROM (
    SELECT child, parent FROM main.lineage
    UNION ALL SELECT source, target FROM main.links WHERE kind = '{SAW}'
  ) e JOIN closed ON e.parent = closed.row
)
SELECT row FROM main.cubes WHERE owner = :owner AND row NOT IN (SELECT row FROM closed)
"""
"""Episodes that are open, and what rests on nothing else."""

UNREADABLE = (
    "SELECT row FROM main.cubes WHERE origin != 'source' AND row IN (SELECT CAST(value AS BIGINT) FROM json_each(?))"
)
"""What was derived from something sensitive as a whole: nothing of it can be shown that its organiser reads."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What an owner's memory and the grants of a subject are in a transaction; None: the owner asks."""

    owner: int
    revision: int
    epoch: int
    held: tuple[Grant, ...] | None

    @property
    def key(self) -> tuple[int, ...]:
        """Equal for moments in which a sight shows the same."""
        return (self.owner, self.revision, self.epoch, *(one.number for one in self.held or ()))


@dataclass(frozen=True, slots=True)
class Opened:
    """What is open: all of the owner's rows (None) or these, never the `closed` ones.

    Where it `masks`, texts are masked, and those of `tagged` rows hidden behind their tags. `turned`, added to the
    owner's epoch, has caches begin anew when something else is open.
    """

    key: tuple[int, ...]
    owner: int
    rows: frozenset[int] | None
    closed: frozenset[int]
    masks: bool
    tagged: Mapping[int, tuple[str, ...]]
    turned: int


def moment_of(db: sqlite3.Connection, sight: Sight) -> Moment:
    """Raises NotAllowed when no grant opens anything to read."""
    sql = "SELECT owner, revision, epoch FROM main.owners WHERE tenant = ? AND user = ?"
    found = db.execute(sql, (sight.scope.tenant, sight.scope.user)).fetchone()
    owner, revision, epoch = found or (0, 0, 0)
    held = None if sight.subject is None else tuple(held_by(db, owner, sight.subject))
    if held is not None and not any(allows(one, "read") for one in held):
        raise NotAllowed(refusal(sight, "read"))
    return Moment(owner, revision, epoch, held)


def opened(db: sqlite3.Connection, sight: Sight, now: Moment) -> Opened:
    """What a sight shows at a moment."""
    reading = [one for one in now.held or () if allows(one, "read")]
    whole = now.held is None or any(is_whole(one) for one in reading)
    masks = sight.masked or not (now.held is None or all(allows(one, "reveal") for one in reading))
    tagged = tags.of_owner(db, now.owner) if masks else {}
    closed = frozenset(row for (row,) in db.execute(UNREADABLE, (json.dumps(list(tagged)),)))
    rows = None
    if not whole:
        parts, bound = sources_of(reading)
        rows = frozenset(row for (row,) in db.execute(OPENED.format(parts), {"owner": now.owner, **bound})) - closed
    # What was cached of another sight must go. A part is small, and may lose rows by any change.
    age = [*now.key[3:], masks, sorted(tagged.items()), None if whole else now.revision]
    return Opened(now.key, now.owner, rows, closed, masks, tagged, turn(age))


def turn(state: Sequence[Any]) -> int:
    """A number below 2**61 for what a sight shows."""
    return int.from_bytes(hashlib.blake2b(repr(state).encode(), digest_size=8).digest(), "big") >> 3


def sources_of(grants: Sequence[Grant]) -> tuple[str, dict[str, Any]]:
    """The episodes that grants open, as SQL and what it binds."""
    parts: list[str] = []
    bound: dict[str, Any] = {}
    for place, grant in enumerate(grants):
        terms = ["1 = 1"]
        for name in ("agent", "session"):
            if getattr(grant.scope, name):
                terms.append(f"{name} = :{name}{place}")
                bound[f"{name}{place}"] = getattr(grant.scope, name)
        if grant.cubes is not None:
            terms.append(f"row IN (SELECT row FROM main.granted WHERE number = :number{place})")
            bound[f"number{place}"] = grant.number
        parts.append(f"({' AND '.join(terms)})")
    return " OR ".join(parts), bound


def is_whole(grant: Grant) -> bool:
    """Whether a grant opens all of an owner's memory."""
    return grant.cubes is None and not (grant.scope.agent or grant.scope.session)


def allows(grant: Grant, right: Right) -> bool:
    """Whether a grant holds a right."""
    return right in grant.rights or "administer" in grant.rights


def refusal(sight: Sight, right: str) -> str:
    """Why something is not allowed."""
    who = sight.subject.user if sight.subject else sight.scope.user
    return (
        f"{who!r} may not {right} this memory of {sight.scope.user!r}; its owner can share it (memorist rights share)"
    )
