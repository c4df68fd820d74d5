"""The log of what extractors found in episodes, so that a rebuild asks nobody again."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from memorist.store.living import ALIVE
from memorist.store.protocol import Extracted
from memorist.store.rows import fetch_in
from memorist.store.scoped import enter

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


def dump(db: sqlite3.Connection) -> Iterator[dict[str, Any]]:
    """The whole log, each entry with the id of its episode."""
    sql = (
        "SELECT o.tenant, o.user, c.id, e.extractor, e.text, e.value FROM extractions e JOIN cubes c ON c.row = e.row"
        " JOIN owners o USING (owner) ORDER BY e.row"
    )
    for entry in db.execute(sql):
        yield {"record": "extraction", **dict(zip(("tenant", "user", "id", "extractor", "text", "value"), entry))}


def restore(db: sqlite3.Connection, record: Mapping[str, Any]) -> None:
    """Log an entry of an episode that is there and has none; organisers then see it anew. Raises ValueError."""
    for name in ("id", "extractor", "text", "value"):
        if not isinstance(record[name], str):
            raise ValueError(f"its {name} is not a text")
    facts = json.loads(record["value"])
    if not isinstance(facts, list) or not all(isinstance(fact, list) and len(fact) == 3 for fact in facts):
        raise ValueError("its value is not a list of facts")
    if not all(isinstance(part, str) for fact in facts for part in fact):
        raise ValueError("its value is not a list of facts")
    enter(db, record["tenant"])
    sql = "SELECT c.row, owner FROM cubes c JOIN owners o USING (owner) WHERE c.id = ? AND o.tenant = ? AND o.user = ?"
    found = db.execute(sql, (record["id"], record["tenant"], record["user"])).fetchone()
    if found is None:
        return
    row, owner = found
    values = (row, record["extractor"], record["text"], record["value"])
    if db.execute("INSERT OR IGNORE INTO extractions VALUES (?, ?, ?, ?)", values).rowcount:
        sql = "UPDATE owners SET revision = revision + 1 WHERE owner = ? RETURNING revision"
        ((revision,),) = db.execute(sql, (owner,)).fetchall()
        db.execute("UPDATE cubes SET revision = ? WHERE row = ?", (revision, row))
