"""Sensitive cubes in SQLite. A tag holds for a cube, its versions, and everything derived from them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from memorist.store.erasure import versions

REACH = """
WITH RECURSIVE reach (row, tag) AS (
  SELECT row, tag FROM main.tags JOIN main.cubes USING (row) WHERE owner = :owner
  UNION SELECT child, tag FROM main.lineage JOIN reach ON parent = reach.row
)
SELECT row, tag FROM reach
"""


def put(db: sqlite3.Connection, rows: Sequence[int], tag: str) -> None:
    """Tag cubes with all their versions."""
    db.executemany("INSERT OR IGNORE INTO tags VALUES (?, ?)", [(row, tag) for row in versions(db, rows)])


def take(db: sqlite3.Connection, rows: Sequence[int], tag: str) -> None:
    """Untag cubes with all their versions."""
    db.executemany("DELETE FROM tags WHERE row = ? AND tag = ?", [(row, tag) for row in versions(db, rows)])


def of_owner(db: sqlite3.Connection, owner: int) -> dict[int, tuple[str, ...]]:
    """The tags of an owner's cubes by row, with those that derived cubes have from their sources."""
    found: dict[int, set[str]] = {}
    for row, tag in db.execute(REACH, {"owner": owner}):
        found.setdefault(row, set()).add(tag)
    return {row: tuple(sorted(tags)) for row, tags in found.items()}


def by_id(db: sqlite3.Connection, owner: int) -> dict[str, tuple[str, ...]]:
    """As `of_owner`, by id."""
    tagged = of_owner(db, owner)
    sql = "SELECT row, id FROM cubes WHERE row IN (SELECT value FROM json_each(?)) ORDER BY row"
    return {id: tagged[row] for row, id in db.execute(sql, (json.dumps(list(tagged)),))}
