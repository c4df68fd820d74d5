"""How often cubes were recalled. Counts are no change of a cube: they have no revision, and caches need not know."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from memorist.store.moments import micros
from memorist.store.protocol import Recalled
from memorist.store.rows import fetch_in


def count(db: sqlite3.Connection, owner: int, counts: Mapping[int, Recalled]) -> None:
    """Add to the counts of an owner's cubes; what was erased meanwhile is passed over."""
    sql = "SELECT row FROM cubes WHERE +owner = ? AND row IN ({})"
    mine = {row for (row,) in fetch_in(db, sql, sorted(counts), owner)}
    values = [(row, one.times, micros(one.last)) for row, one in counts.items() if row in mine]
    db.executemany(
        "INSERT INTO usage (row, recalls, last) VALUES (?, ?, ?) ON CONFLICT (row) DO UPDATE"
        " SET recalls = usage.recalls + excluded.recalls, last = MAX(usage.last, excluded.last)",
        values,
    )
