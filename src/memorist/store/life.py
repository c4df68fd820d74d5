"""Moving cubes through the states of their life, with what rests on them."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from memorist.cube import SOURCE
from memorist.errors import StateError
from memorist.states import LIVING, MOVES, Verb, moved
from memorist.store import derived, jobs
from memorist.store.living import among
from memorist.store.moments import micros
from memorist.store.rows import fetch_in, next_revision

WINDOWS = "windows"
COMPOSED = "composed"
"""The origin of what somebody made of other cubes; see `memorist.store.composing`."""

MERGED, SPLIT = "merged", "split"
"""Links from an original to what took its place."""


def demand(db: sqlite3.Connection, header: Mapping[str, Any], verb: Verb) -> None:
    """Raises StateError when a cube (its row, id, state, origin, superseded_at) cannot take this move."""
    id, origin = header["id"], header["origin"]
    if header["aside"] is not None:
        raise StateError(f"{id} came after what this memory was rolled back to; add it again, or roll back to before")
    if origin == WINDOWS or (origin != SOURCE and verb in ("forget", "restore")):
        raise StateError(f"{id} was derived by {origin}; {verb} the episodes it comes from")
    moved(id, header["state"], verb)
    if origin != SOURCE and MOVES[verb].target in LIVING:
        lost = gone(db, int(header["row"])) if origin != COMPOSED else dissolved(db, int(header["row"]))
        if lost:
            raise StateError(f"{id} rests on {lost}, which is not there for recall; it cannot {verb} before that can")
    if MOVES[verb].target not in LIVING:
        refuse_held(db, over(db, [int(header["row"])]), "lose what it rests on")


def gone(db: sqlite3.Connection, row: int) -> str | None:
    """The id of a cube that a derived one rests on and that is not current."""
    sql = (
        "SELECT p.id FROM lineage l JOIN cubes p ON p.row = l.parent WHERE l.child = ?"
        f" AND NOT ({among(LIVING, 'p.state')} AND p.superseded_at IS NULL) LIMIT 1"
    )
    found = db.execute(sql, (row,)).fetchone()
    return str(found[0]) if found else None


def dissolved(db: sqlite3.Connection, row: int) -> str | None:
    """The id of a cube that keeps a composed one from standing: an original that stands itself again, or a part that is
    gone."""
    sql = (
        "SELECT c.id, c.state = CASE l.kind WHEN 'merged' THEN 'merged' ELSE 'archived' END FROM links l"
        " JOIN cubes c ON c.row = l.source WHERE l.target = ? AND l.kind IN ('merged', 'split')"
    )
    originals = db.execute(sql, (row,)).fetchall()
    if not originals:
        return gone(db, row)
    return next((str(id) for id, holds in originals if not holds), None)


def over(db: sqlite3.Connection, rows: Iterable[int]) -> set[int]:
    """What rests on the rows, at any remove; without versions."""
    found: set[int] = set()
    fresh = sorted(set(rows))
    while fresh:
        children = fetch_in(db, "SELECT DISTINCT child FROM lineage WHERE parent IN ({})", fresh)
        fresh = sorted({child for (child,) in children} - found)
        found.update(fresh)
    return found


def refuse_held(db: sqlite3.Connection, rows: Collection[int], verb: str) -> None:
    """Raises StateError when one of the rows is frozen."""
    for id in held(db, rows):
        raise StateError(f"{id} is frozen, so it cannot {verb}; thaw it first: memorist cube thaw {id}")


def move(
    db: sqlite3.Connection, owner: int, rows: Sequence[int], verb: Verb, now: datetime, kinds: Sequence[str]
) -> None:
    """Move cubes that were found able to. What rests on them is hidden when they leave the living, and made anew."""
    target, event = MOVES[verb].target, MOVES[verb].event
    revision = next_revision(db, owner)
    at = micros(now)
    sql = "UPDATE cubes SET state = ?, updated_at = MAX(?, recorded_at), revision = ? WHERE row = ?"
    db.executemany(sql, [(target, at, revision, row) for row in rows])
    if verb == "activate":
        ended = "UPDATE cubes SET expires_at = NULL WHERE row = ? AND expires_at <= ?"
        db.executemany(ended, [(row, at) for row in rows])
    db.executemany("INSERT INTO events (row, at, what) VALUES (?, ?, ?)", [(row, at, event) for row in rows])
    if verb in ("freeze", "thaw"):  # as visible as it was
        return
    touched = set(derived.close_over(db, rows, revision)) | set(rows)
    release(db, owner, over(db, rows), now, kinds)
    episodes = fetch_in(db, "SELECT row FROM cubes WHERE origin = 'source' AND row IN ({})", sorted(touched))
    if episodes:
        jobs.create(db, owner, kinds, sorted(row for (row,) in episodes))


def ended(db: sqlite3.Connection, owner: int, now: datetime) -> list[int]:
    """Rows of an owner's cubes whose time is over and that nothing frozen rests on, and that are not expired yet."""
    sql = (
        "SELECT row FROM cubes WHERE owner = ? AND expires_at IS NOT NULL AND expires_at <= ?"
        f" AND {among(MOVES['expire'].sources)}"
    )
    rows = [row for (row,) in db.execute(sql, (owner, micros(now)))]
    return [row for row in rows if not held(db, over(db, [row]))]


def held(db: sqlite3.Connection, rows: Collection[int]) -> list[str]:
    """Ids of those of the rows that are frozen."""
    sql = "SELECT id FROM cubes WHERE state = 'frozen' AND row IN ({}) ORDER BY row"
    return [id for (id,) in fetch_in(db, sql, sorted(rows))]


def release(db: sqlite3.Connection, owner: int, rows: Collection[int], now: datetime, kinds: Sequence[str]) -> None:
    """Bring back what was merged into those of the rows that are hidden by now."""
    sql = (
        "SELECT DISTINCT l.source FROM links l JOIN cubes t ON t.row = l.target JOIN cubes s ON s.row = l.source"
        f" WHERE l.kind = '{MERGED}' AND t.state = 'deleted' AND s.state = 'merged' AND l.target IN ({{}})"
    )
    for (row,) in fetch_in(db, sql, sorted(rows)):
        (origin,) = db.execute("SELECT origin FROM cubes WHERE row = ?", (row,)).fetchone()
        if origin == SOURCE or gone(db, row) is None:
            move(db, owner, [row], "unfuse", now, kinds)
        else:
            db.execute(
                "UPDATE cubes SET state = 'deleted', revision = ? WHERE row = ?", (next_revision(db, owner), row)
            )
            release(db, owner, [row], now, kinds)


def indexed(db: sqlite3.Connection, rows: Iterable[int]) -> None:
    """Activate what was generated."""
    sql = "UPDATE cubes SET state = 'activated' WHERE row = ? AND state = 'generated'"
    db.executemany(sql, [(row,) for row in rows])
