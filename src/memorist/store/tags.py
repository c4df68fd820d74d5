"""Which cubes are sensitive as a whole: by their own header, or because they rest on what is."""

from __future__ import annotations

import json
import sqlite3

from memorist.store.protocol import SAW

REACH = f"""
WITH RECURSIVE reach (row, tag) AS (
  SELECT row, value FROM main.cubes, json_each(sensitivity) WHERE owner = :owner AND sensitivity != '[]'
  UNION SELECT e.child, tag FROM (
    SELECT child, parent FROM main.lineage
    UNION ALL SELECT source, target FROM main.links WHERE kind = '{SAW}'
  ) e JOIN reach ON e.parent = reach.row
)
SELECT row, tag FROM reach
"""


def of_owner(db: sqlite3.Connection, owner: int) -> dict[int, tuple[str, ...]]:
    """The tags of an owner's cubes by row, with those that derived cubes have from their sources."""
    found: dict[int, set[str]] = {}
    for row, tag in db.execute(REACH, {"owner": owner}):
        found.setdefault(row, set()).add(tag)
    return {row: tuple(sorted(tags)) for row, tags in found.items()}


def by_id(db: sqlite3.Connection, owner: int) -> dict[str, tuple[str, ...]]:
    """As `of_owner`, by id."""
    tagged = of_owner(db, owner)
    sql = "SELECT row, id FROM cubes WHERE row IN (SELECT CAST(value AS BIGINT) FROM json_each(?)) ORDER BY row"
    return {id: tagged[row] for row, id in db.execute(sql, (json.dumps(list(tagged)),))}
