"""Turns in the order of their conversation."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

import numpy as np

from memorist.store.living import ALIVE
from memorist.store.moments import moment
from memorist.store.protocol import Stretch, Turn
from memorist.store.rows import fetch_in

TURN = (
    "c.row, c.id, c.text, c.speaker, c.role, c.trust, c.session, c.agent, c.at, c.valid_from, f.vector, c.recorded_at,"
    " c.meta"
)
CURRENT = f"c.origin = 'source' AND c.kind = 'text' AND {ALIVE} AND c.superseded_at IS NULL"
# The plus keeps SQLite from walking the owner's index when the rows are known.
BY_ROW = f"SELECT {TURN} FROM cubes c JOIN features f ON f.row = c.row WHERE +c.owner = ? AND {CURRENT}"
FROM = f"SELECT {TURN} FROM cubes c JOIN features f ON f.row = c.row WHERE c.owner = ? AND {CURRENT}"


def turns(db: sqlite3.Connection, owner: int, rows: Sequence[int]) -> list[Turn]:
    """Current episodes by row, in the given order."""
    found = {record[0]: turn_of(record) for record in fetch_in(db, f"{BY_ROW} AND c.row IN ({{}})", rows, owner)}
    return [found[row] for row in rows if row in found]


def sequences(db: sqlite3.Connection, owner: int, rows: Sequence[int], reach: int) -> list[Stretch]:
    """For each session touched by the rows, its current turns from `reach` before to `reach` after them."""
    where = "SELECT session, agent, at, position FROM cubes WHERE +owner = ? AND row IN ({})"
    touched: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for session, agent, at, position in fetch_in(db, where, rows, owner):
        touched.setdefault((session, agent), []).append((at, position))
    return [
        stretch(db, owner, session, agent, min(places), max(places), reach)
        for (session, agent), places in sorted(touched.items())
    ]


def stretch(
    db: sqlite3.Connection,
    owner: int,
    session: str,
    agent: str,
    first: tuple[int, int],
    last: tuple[int, int],
    reach: int,
) -> Stretch:
    """Turns of a session between two places (at, position), and `reach` beyond each end."""
    base = f"{FROM} AND c.session = ? AND c.agent = ?"
    key = (owner, session, agent)
    rising, falling = "ORDER BY c.at, c.position", "ORDER BY c.at DESC, c.position DESC"
    earlier = db.execute(f"{base} AND (c.at, c.position) < (?, ?) {falling} LIMIT ?", (*key, *first, reach)).fetchall()
    inside = f"{base} AND (c.at, c.position) >= (?, ?) AND (c.at, c.position) <= (?, ?) {rising}"
    middle = db.execute(inside, (*key, *first, *last)).fetchall()
    later = db.execute(f"{base} AND (c.at, c.position) > (?, ?) {rising} LIMIT ?", (*key, *last, reach)).fetchall()
    turns = tuple(turn_of(record) for record in (*reversed(earlier), *middle, *later))
    return Stretch(turns, len(turns) - len(later))


def turn_of(record: Sequence[object]) -> Turn:
    """A turn from a row of TURN."""
    row, id, text, speaker, role, trust, session, agent, at, valid_from, vector, recorded, meta = record
    unpacked = np.frombuffer(vector, np.float16).astype(np.float32) if isinstance(vector, bytes) else None
    known = {} if meta == "{}" else json.loads(str(meta))
    times = moment(at), moment(valid_from)  # type: ignore[arg-type]
    return Turn(row, id, text, speaker, role, trust, session, agent, *times, unpacked, moment(recorded), known)  # type: ignore[arg-type]
