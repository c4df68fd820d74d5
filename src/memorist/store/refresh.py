"""Keeping an owner's index in step with the store."""

from __future__ import annotations

import sqlite3
from functools import partial

from memorist.store.index import OwnerIndex
from memorist.store.living import ALIVE
from memorist.store.rows import span_bounds
from memorist.store.scoped import stream

# The rows are sorted before anything else of them is read: sorting whole records would copy every vector. The limit
# keeps SQLite from dropping the order of a subquery.
CHANGED = "(SELECT row FROM cubes WHERE owner = ? AND revision > ? ORDER BY row LIMIT -1)"
READ = f"""
SELECT c.row, {ALIVE} AND c.superseded_at IS NULL, f.tokens, f.terms, f.vector, c.at, c.times
FROM {CHANGED} r CROSS JOIN cubes c ON c.row = r.row CROSS JOIN features f ON f.row = r.row
WHERE c.origin = 'source' AND f.terms IS NOT NULL AND c.aside IS NULL /*+ ORDER BY r.row */
"""
READ_WINDOWS = f"""
SELECT {ALIVE}, f.members, f.norm
FROM {CHANGED} r CROSS JOIN cubes c ON c.row = r.row CROSS JOIN features f ON f.row = r.row
WHERE c.origin = 'windows' AND c.aside IS NULL /*+ ORDER BY r.row */
"""
BATCH = 20_000


def refreshed(db: sqlite3.Connection, owner: int, index: OwnerIndex | None, dimension: int) -> OwnerIndex:
    """The index with all committed changes; a new one when there was none, or when rows have vanished."""
    found = db.execute("SELECT revision, epoch FROM owners WHERE owner = ?", (owner,)).fetchone()
    revision, epoch = found if found else (0, 0)
    if index is None or index.epoch != epoch:
        index = OwnerIndex(dimension)
        index.epoch = epoch
        index.reserve(count(db, owner))
    if index.revision < revision:
        read(db, owner, index)
        index.revision = revision
    return index


def count(db: sqlite3.Connection, owner: int) -> int:
    """How many episodes an owner has, closed ones included."""
    sql = "SELECT COUNT(*) FROM cubes WHERE owner = ? AND origin = 'source' AND kind = 'text'"
    return int(db.execute(sql, (owner,)).fetchone()[0])


def read(db: sqlite3.Connection, owner: int, index: OwnerIndex) -> None:
    """Take in episodes and windows changed after the index's revision."""
    newest = int(index.rows[index.size - 1]) if index.size else -1
    fetch = db.execute if index.revision else partial(stream, db)
    rows = fetch(READ, (owner, index.revision))
    while batch := rows.fetchmany(BATCH):
        records = [(*record[:6], () if record[6] == "[]" else span_bounds(record[6])) for record in batch]
        known = [record for record in records if record[0] <= newest]
        new = [record for record in records if record[0] > newest]
        if known:
            index.change(known)
        if new:
            index.extend(new)
    windows = fetch(READ_WINDOWS, (owner, index.revision))
    while batch := windows.fetchmany(BATCH):
        index.put_windows(batch)
