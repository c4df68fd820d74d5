"""Grants in tables."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from memorist.cube import Scope
from memorist.errors import NotAllowed, NotFound, brief
from memorist.store import audit
from memorist.store.governed import RIGHTS, Grant, Right, Subject
from memorist.store.moments import micros, moment, optional_moment
from memorist.store.rows import fetch_in
from memorist.store.select import narrowed

COLUMNS = (
    "g.number, o.tenant, o.user, g.agent, g.session, g.with_user, g.with_agent, g.rights, g.at, g.listed, g.revoked_at"
)
FROM = f"SELECT {COLUMNS} FROM main.grants g JOIN main.owners o USING (owner)"
"""Of the tables themselves: before a subject's connection stand views."""
HELD = "g.with_user = ? AND (g.with_agent = '' OR g.with_agent = ?) AND g.revoked_at IS NULL"


LATER = """
WITH RECURSIVE later (row) AS (
  SELECT CAST(value AS BIGINT) FROM json_each(?) UNION SELECT c.row FROM cubes c JOIN later ON c.replaces = later.row
)
SELECT row FROM later
"""
"""Cubes, and the versions that came after."""


def add(db: sqlite3.Connection, owner: int, grant: Grant, by: Subject | None) -> int:
    """Keep a grant; returns its number."""
    if by is not None:
        refuse_more(db, owner, grant, by)
    rows: list[tuple[int]] = []
    if grant.cubes is not None:
        where, bound = narrowed(grant.scope, owner)
        rows = fetch_in(db, f"SELECT row FROM cubes WHERE {where} AND id IN ({{}})", grant.cubes, *bound)
        if len(rows) < len(set(grant.cubes)):
            raise NotFound(f"one of {brief(list(grant.cubes))} is no cube in this scope; see: memorist list")
        rows = db.execute(LATER, (json.dumps([row for (row,) in rows]),)).fetchall()
    values = (
        *(owner, grant.scope.agent, grant.scope.session, grant.cubes is not None),
        *(grant.subject.user, grant.subject.agent, ",".join(grant.rights), micros(grant.at)),
    )
    names = "owner, agent, session, listed, with_user, with_agent, rights, at"
    number = int(db.execute(f"INSERT INTO grants ({names}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values).lastrowid or 0)
    db.executemany("INSERT INTO granted VALUES (?, ?)", [(number, row) for (row,) in rows])
    count = {"cubes": len(rows)} if grant.cubes is not None else {}
    told = {"with": [grant.subject.user, grant.subject.agent], "rights": list(grant.rights), **count}
    audit.recorded(db, owner, "share", number=number, **told)
    return number


def refuse_more(db: sqlite3.Connection, owner: int, grant: Grant, by: Subject) -> None:
    """Raises NotAllowed when somebody gives what they do not have, or may not share, in all that the grant opens."""
    held = [one for one in held_by(db, owner, by) if one.cubes is None and covers(one.scope, grant.scope)]
    rights = {right for one in held for right in one.rights}
    if "administer" not in rights and not rights.issuperset({"share", *grant.rights}):
        lacking = [right for right in ("share", *grant.rights) if right not in rights]
        raise NotAllowed(f"{by.user!r} may not give this: it lacks the right to {', '.join(lacking)} there")


def covers(wide: Scope, narrow: Scope) -> bool:
    """Whether all of one scope of an owner lies in another."""
    return wide.agent in ("", narrow.agent) and wide.session in ("", narrow.session)


def revoke(db: sqlite3.Connection, owner: int, number: int, now: datetime, by: Subject | None) -> None:
    """End a grant."""
    found = db.execute(f"{FROM} WHERE owner = ? AND number = ? AND revoked_at IS NULL", (owner, number)).fetchone()
    if found is None:
        raise NotFound(f"there is no grant {number} in use in this memory; see: memorist rights list")
    if by is not None:
        refuse_more(db, owner, grant_of(db, found), by)
    db.execute("UPDATE grants SET revoked_at = ? WHERE number = ?", (micros(now), number))
    audit.recorded(db, owner, "unshare", number=number)


def given(db: sqlite3.Connection, owner: int) -> list[Grant]:
    """All grants of an owner's memory, oldest first."""
    return [grant_of(db, row) for row in db.execute(f"{FROM} WHERE owner = ? ORDER BY number", (owner,)).fetchall()]


def held_by(db: sqlite3.Connection, owner: int, subject: Subject) -> list[Grant]:
    """The grants that a subject has now in an owner's memory."""
    sql = f"{FROM} WHERE owner = ? AND {HELD} ORDER BY number"
    return [grant_of(db, row) for row in db.execute(sql, (owner, subject.user, subject.agent)).fetchall()]


def held(db: sqlite3.Connection, tenant: str, subject: Subject) -> list[Grant]:
    """The grants that a subject has now in its tenant."""
    sql = f"{FROM} WHERE o.tenant = ? AND {HELD} ORDER BY number"
    return [grant_of(db, row) for row in db.execute(sql, (tenant, subject.user, subject.agent)).fetchall()]


def grant_of(db: sqlite3.Connection, record: Sequence[Any]) -> Grant:
    """A grant from a row of COLUMNS."""
    number, tenant, user, agent, session, with_user, with_agent, rights, at, listed, revoked = record
    cubes = None
    if listed:
        sql = "SELECT id FROM main.granted JOIN main.cubes USING (row) WHERE number = ? ORDER BY row"
        cubes = tuple(id for (id,) in db.execute(sql, (number,)))
    held: tuple[Right, ...] = tuple(right for right in RIGHTS if right in rights.split(","))
    scope = Scope(tenant, user, agent, session)
    return Grant(number, scope, Subject(with_user, with_agent), held, moment(at), cubes, optional_moment(revoked))


def carry_over(db: sqlite3.Connection, old: int, new: int) -> None:
    """A new version of a shared or sensitive cube is as the one before."""
    db.execute("INSERT OR IGNORE INTO granted SELECT number, ? FROM granted WHERE row = ?", (new, old))
    db.execute("UPDATE cubes SET sensitivity = (SELECT sensitivity FROM cubes WHERE row = ?) WHERE row = ?", (old, new))
