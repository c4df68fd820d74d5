"""Cubes that organisers derive: writing them with their lineage and links, hiding them, and reading what changed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from datetime import datetime

import numpy as np

from memorist.store.moments import micros, moment
from memorist.store.protocol import Changes, Derived, Kept, Mark, Organised, Unorganised
from memorist.store.rows import dimension_of, fetch_in

CURRENT = "state = 'active' AND superseded_at IS NULL"


def write(db: sqlite3.Connection, owner: int, organised: Organised, now: datetime, revision: int) -> None:
    """Upsert derived cubes, hide withdrawn ones. What lost a member meanwhile is left to whoever sees that change."""
    wanted = {row for cube in organised.cubes for row in cube.members}
    current = f"SELECT row FROM cubes WHERE +owner = ? AND {CURRENT} AND row IN ({{}})"
    alive = {row for (row,) in fetch_in(db, current, sorted(wanted), owner)}
    written = [
        (put(db, owner, cube, now, revision), cube) for cube in organised.cubes if alive.issuperset(cube.members)
    ]
    for row, cube in written:  # when all are there, as they may link to each other
        link(db, owner, row, cube)
    hide = "UPDATE cubes SET state = 'forgotten', revision = ? WHERE id = ? AND owner = ? AND state = 'active'"
    db.executemany(hide, [(revision, id, owner) for id in organised.withdrawn])


def put(db: sqlite3.Connection, owner: int, cube: Derived, now: datetime, revision: int) -> int:
    """Insert or rewrite one derived cube, with its lineage; returns its row."""
    at, valid_from = micros(cube.at), micros(cube.valid_from)
    meta = json.dumps(dict(cube.meta), ensure_ascii=False)
    found = db.execute("SELECT row FROM cubes WHERE id = ?", (cube.id,)).fetchone()
    members = np.array(cube.members, np.int64).tobytes()
    vector = None if cube.vector is None else cube.vector.astype(np.float16).tobytes()
    vectors = None if cube.vectors is None else cube.vectors.astype(np.float16).tobytes()
    features = (cube.tokens, members, cube.norm, vector, vectors, cube.data or None)
    if found is None:
        row = db.execute(
            "INSERT INTO cubes (id, owner, agent, session, kind, origin, state, trust, role, text, meta, times, at,"
            " position, valid_from, recorded_at, revision)"
            " VALUES (?, ?, ?, ?, 'text', ?, 'active', ?, 'derived', ?, ?, '[]', ?, 0, ?, ?, ?)",
            (cube.id, owner, cube.agent, cube.session, cube.origin, cube.trust, cube.text, meta, at, valid_from)
            + (micros(now), revision),
        ).lastrowid
        sql = "INSERT INTO features (tokens, members, norm, vector, vectors, data, row) VALUES (?, ?, ?, ?, ?, ?, ?)"
        db.execute(sql, (*features, row))
    else:
        row = found[0]
        db.execute(
            "UPDATE cubes SET state = 'active', trust = ?, text = ?, meta = ?, at = ?, valid_from = ?,"
            " recorded_at = ?, revision = ? WHERE row = ?",
            (cube.trust, cube.text, meta, at, valid_from, micros(now), revision, row),
        )
        sql = "UPDATE features SET tokens = ?, members = ?, norm = ?, vector = ?, vectors = ?, data = ? WHERE row = ?"
        db.execute(sql, (*features, row))
        db.execute("DELETE FROM lineage WHERE child = ?", (row,))
        db.execute("DELETE FROM links WHERE source = ?", (row,))
    db.executemany("INSERT INTO lineage VALUES (?, ?)", [(row, member) for member in dict.fromkeys(cube.members)])
    return int(row or 0)


def link(db: sqlite3.Connection, owner: int, row: int, cube: Derived) -> None:
    """Write the links of a cube; a target that is gone has none."""
    sql = "INSERT OR REPLACE INTO links SELECT ?, row, ?, ? FROM cubes WHERE id = ? AND owner = ?"
    db.executemany(sql, [(row, one.kind, one.weight, one.target, owner) for one in cube.links])


def close_over(db: sqlite3.Connection, rows: Iterable[int], revision: int) -> list[int]:
    """Hide the derived cubes that rest on the rows, and what rests on those; returns the rows of their other members.

    These count as changed, so that every organiser looks at them anew.
    """
    closed = set(rows)
    children: set[int] = set()
    fresh = sorted(closed)
    while fresh:
        found = fetch_in(db, "SELECT DISTINCT child FROM lineage WHERE parent IN ({})", fresh)
        fresh = sorted({child for (child,) in found} - children)
        children.update(fresh)
    hide = "UPDATE cubes SET state = 'forgotten', revision = ? WHERE row = ? AND state = 'active'"
    db.executemany(hide, [(revision, child) for child in sorted(children)])
    members = fetch_in(db, "SELECT DISTINCT parent FROM lineage WHERE child IN ({})", sorted(children))
    touched = sorted({row for (row,) in members} - closed - children)
    changed(db, touched, revision)
    return touched


def changed(db: sqlite3.Connection, rows: Iterable[int], revision: int) -> None:
    """Have every organiser look at these rows anew."""
    db.executemany("UPDATE cubes SET revision = ? WHERE row = ?", [(revision, row) for row in rows])


def unorganised(db: sqlite3.Connection, owner: int, organiser: str, limit: int) -> Unorganised:
    """Episodes that changed since the organiser's mark, oldest change first."""
    since = mark_of(db, owner, organiser)
    sql = (
        "SELECT revision, row FROM cubes WHERE owner = ? AND (revision, row) > (?, ?) AND origin = 'source'"
        " AND kind = 'text' ORDER BY revision, row LIMIT ?"
    )
    found = db.execute(sql, (owner, since.revision, since.row, limit)).fetchall()
    return Unorganised(tuple(row for _, row in found), since, Mark(*found[-1]) if found else since, epoch_of(db, owner))


def epoch_of(db: sqlite3.Connection, owner: int) -> int:
    """Counts up when an owner's rows vanish or its vectors become another embedder's."""
    found = db.execute("SELECT epoch FROM owners WHERE owner = ?", (owner,)).fetchone()
    return int(found[0]) if found else 0


def mark_of(db: sqlite3.Connection, owner: int, organiser: str) -> Mark:
    """How far an organiser has come."""
    sql = "SELECT revision, row FROM marks WHERE owner = ? AND organiser = ?"
    found = db.execute(sql, (owner, organiser)).fetchone()
    return Mark(*found) if found else Mark()


def move_mark(db: sqlite3.Connection, owner: int, organiser: str, mark: Mark) -> None:
    """Remember how far an organiser has come."""
    db.execute("INSERT OR REPLACE INTO marks VALUES (?, ?, ?, ?)", (owner, organiser, mark.revision, mark.row))


def changes(db: sqlite3.Connection, owner: int, origin: str, since: int) -> Changes:
    """Derived cubes of an origin that changed after a revision, by rising row."""
    found = db.execute("SELECT revision, epoch FROM owners WHERE owner = ?", (owner,)).fetchone()
    revision, epoch = found if found else (0, 0)
    sql = (  # its last condition is that of the index
        "SELECT c.row, c.id, c.text, c.meta, f.members, f.vector, c.state = 'active' AND c.superseded_at IS NULL,"
        " f.vectors, f.data, c.session, c.agent, c.trust, c.at, f.tokens FROM cubes c JOIN features f ON f.row = c.row"
        " WHERE c.owner = ? AND c.origin = ? AND c.revision > ? AND c.origin NOT IN ('source', 'windows')"
        " ORDER BY c.row"
    )
    rows = db.execute(sql, (owner, origin, since)) if revision > since else ()
    dimension = dimension_of(db)
    return Changes(tuple(kept_of(dimension, *row) for row in rows), revision, epoch)


def kept_of(
    dimension: int,
    row: int,
    id: str,
    text: str,
    meta: str,
    members: bytes,
    vector: bytes | None,
    active: int,
    vectors: bytes | None,
    data: bytes | None,
    *rest: object,
) -> Kept:
    """A derived cube from what the tables hold."""
    session, agent, trust, at, tokens = rest
    several = np.frombuffer(vectors or b"", np.float16).reshape(-1, dimension)
    unpacked = None if vector is None else np.frombuffer(vector, np.float16).astype(np.float32)
    rows = np.frombuffer(members, np.int64)
    known = {} if meta == "{}" else json.loads(meta)
    header = (session, agent, trust, moment(at), tokens)  # type: ignore[arg-type]
    return Kept(row, id, text, known, rows, unpacked, bool(active), *header, several, data or b"")  # type: ignore[arg-type]


def links(db: sqlite3.Connection, owner: int, kind: str) -> list[tuple[int, int, float]]:
    """Links of a kind between active cubes of an owner."""
    sql = (
        "SELECT l.source, l.target, l.weight FROM links l JOIN cubes s ON s.row = l.source"
        " JOIN cubes t ON t.row = l.target WHERE l.kind = ? AND s.owner = ? AND s.state = 'active'"
        " AND t.state = 'active' ORDER BY l.source, l.target"
    )
    return db.execute(sql, (kind, owner)).fetchall()
