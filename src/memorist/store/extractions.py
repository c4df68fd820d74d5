"""The log of what extractors found in episodes, so that a rebuild asks nobody again."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from memorist.store.living import ALIVE
from memorist.store.protocol import Extracted
from memorist.store.rows import fetch_in

CURRENT = f"origin = 'source' AND {ALIVE} AND superseded_at IS NULL"


def keep(db: sqlite3.Connection, owner: int, found: Mapping[int, Extracted]) -> list[int]:
    """Log by row; returns the rows for which that changes something."""
    sql = f"SELECT row FROM cubes WHERE +owner = ? AND {CURRENT} AND row IN ({{}})"
    current = {row for (row,) in fetch_in(db, sql, sorted(found), owner)}
    rows = []
    for row, one in found.items():
        known = db.execute("SELECT extractor, text, value FROM extractions WHERE row = ?", (row,)).fetchone()
        if row in current and known != (one.extractor, one.text, one.value):
            values = (row, one.extractor, one.text, one.value)
            db.execute("INSERT OR REPLACE INTO extractions VALUES (?, ?, ?, ?)", values)
            rows.append(row)
    return rows


def logged(db: sqlite3.Connection, owner: int, rows: Sequence[int], texts: Sequence[str]) -> dict[int, Extracted]:
    """What is logged for each row, else for another episode of the owner with the same words."""
    base = "SELECT e.{}, e.extractor, e.text, e.value FROM extractions e JOIN cubes c ON c.row = e.row"
    where = " WHERE +c.owner = ? AND e.{} IN ({{}}) ORDER BY e.row"
    own = fetch_in(db, base.format("row") + where.format("row"), rows, owner)
    by_row = {row: Extracted(*rest) for row, *rest in own}
    missing = {text for row, text in zip(rows, texts) if row not in by_row}
    same = fetch_in(db, base.format("text") + where.format("text"), sorted(missing), owner)
    by_text = {text: Extracted(*rest) for text, *rest in same}
    found = {row: by_row.get(row) or by_text.get(text) for row, text in zip(rows, texts)}
    return {row: one for row, one in found.items() if one is not None}
