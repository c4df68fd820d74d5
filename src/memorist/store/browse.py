"""Looking through a memory, for the SQLite store. See `memorist.store.browsing`."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from memorist.cube import Scope
from memorist.states import State
from memorist.store.browsing import DERIVED, REPLACED, Day, Relation, Share
from memorist.store.living import ALIVE
from memorist.store.moments import moment
from memorist.store.rows import fetch_in
from memorist.store.select import narrowed

DAY = 86_400_000_000
"""Microseconds."""

PAIRS = {
    "links": "SELECT source, target, kind, weight FROM links",
    "lineage": f"SELECT parent AS source, child AS target, '{DERIVED}' AS kind, 1.0 AS weight FROM lineage",
    "replaced": f"SELECT replaces AS source, row AS target, '{REPLACED}' AS kind, 1.0 AS weight FROM cubes"
    " WHERE replaces IS NOT NULL",
}
"""Where relations stand, each as (source, target, kind, weight) by row."""


def days(db: sqlite3.Connection, selected: str, values: Sequence[object]) -> list[Day]:
    """Days and counts of the cubes whose times `selected` selects as `at`, newest first."""
    sql = (
        f"SELECT at - ((at % {DAY}) + {DAY}) % {DAY} AS day, COUNT(*) FROM ({selected}) GROUP BY day ORDER BY day DESC"
    )
    return [Day(moment(start), count) for start, count in db.execute(sql, values)]


def census(db: sqlite3.Connection, scope: Scope, owner: int) -> list[Share]:
    """Everything of a scope by origin, kind and state."""
    where, values = narrowed(scope, owner)
    held = f"CASE WHEN {ALIVE} AND superseded_at IS NOT NULL THEN 'superseded' ELSE state END AS held"
    sql = f"SELECT origin, kind, {held}, COUNT(*) FROM cubes WHERE {where} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    return [Share(*found) for found in db.execute(sql, values)]


def ids(db: sqlite3.Connection, scope: Scope, owner: int, origin: str, state: State | None) -> list[str]:
    """All ids of an origin, or of those in a state, in the order of time."""
    where, values = narrowed(scope, owner)
    if state is not None:
        where, values = f"{where} AND state = ?", [*values, state]
    sql = f"SELECT id FROM cubes WHERE {where} AND origin = ? ORDER BY at, position, row"
    return [id for (id,) in db.execute(sql, (*values, origin))]


def relations(db: sqlite3.Connection, scope: Scope, owner: int, ids: Sequence[str], limit: int) -> list[Relation]:
    """Relations of cubes, by id."""
    where, values = narrowed(scope, owner)
    rows = [row for (row,) in fetch_in(db, f"SELECT row FROM cubes WHERE {where} AND id IN ({{}})", ids, *values)]
    found: dict[Relation, None] = {}
    for pairs in PAIRS.values():
        for end in ("source", "target"):
            for row in rows:
                sql = (
                    f"SELECT s.id, t.id, p.kind, p.weight FROM ({pairs}) p"
                    " JOIN cubes s ON s.row = p.source JOIN cubes t ON t.row = p.target"
                    f" WHERE p.{end} = ? AND {within('s', where)} AND {within('t', where)}"
                    " ORDER BY MAX(s.at, t.at) DESC, s.id, t.id LIMIT ?"
                )
                drawn = db.execute(sql, (row, *values, *values, limit))
                found |= {Relation(*one): None for one in drawn}
    return list(found)


def within(name: str, where: str) -> str:
    """A scope's condition on one of several tables of cubes."""
    return " AND ".join(f"{name}.{part}" for part in where.split(" AND "))
