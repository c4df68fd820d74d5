"""Snapshots of an owner's memory, and going back to one: the time machine of MemOS.

A snapshot copies what may change: of an episode its header, of what was derived all but the tensors. Rows that come
later are known by their number, since no number is used twice. Going back restores the copies as they are, revisions
and marks of organisers too, so that nothing is organised anew, and puts later rows *aside*: they stay, out of every
index, until a roll-back to the state before brings them back. Copies go with the rows they are of, so what was erased
stays erased; a copy that rests on an erased row, which the cube of today may not, is dropped by `forget_copies`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime

from memorist.errors import NotFound, StateError, brief
from memorist.states import LIVING
from memorist.store import derived, jobs
from memorist.store.living import among
from memorist.store.moments import micros, moment
from memorist.store.protocol import RolledBack, Snapshot
from memorist.store.rows import fetch_in, next_revision

HEADER = (
    *("state", "trust", "at", "valid_from", "valid_to", "recorded_at", "superseded_at", "replaces", "revision"),
    *("semantic_type", "updated_at", "expires_at", "priority", "sensitivity", "aside"),
)
TOLD = ("state", "valid_to", "superseded_at", "semantic_type", "expires_at", "priority", "sensitivity")
"""What a cube has to differ in to be said to go back."""

WORDS = ("text", "meta")
FEATURES = ("tokens", "members", "norm", "vector", "vectors", "data")

BEFORE = "before the last roll-back"
"""The name of the snapshot that every roll-back makes."""


def take(db: sqlite3.Connection, owner: int, name: str, now: datetime) -> Snapshot:
    """Keep the owner's memory under a name. Raises StateError when there is one of this name."""
    if db.execute("SELECT 1 FROM snapshots WHERE owner = ? AND name = ?", (owner, name)).fetchone():
        raise StateError(f"there is a snapshot {brief(name)} already; drop it first, or take another name")
    marks = db.execute("SELECT organiser, revision, row FROM marks WHERE owner = ?", (owner,)).fetchall()
    waiting = db.execute("SELECT kind, rows FROM jobs WHERE owner = ? ORDER BY job", (owner,)).fetchall()
    sql = (
        "INSERT INTO snapshots (owner, name, at, top, embedder, marks, jobs, touched)"
        " VALUES (?, ?, ?, (SELECT COALESCE(MAX(row), 0) FROM cubes), ?, ?, ?, '[]')"
    )
    number = db.execute(
        sql, (owner, name, micros(now), embedder_of(db), json.dumps(marks), json.dumps(waiting))
    ).lastrowid
    copied, words, features = ", ".join(HEADER), ", ".join(WORDS), ", ".join(FEATURES)
    shown = ", ".join(f"CASE origin WHEN 'source' THEN NULL ELSE {word} END" for word in WORDS)
    counted = ", ".join(f"CASE origin WHEN 'source' THEN NULL ELSE f.{one} END" for one in FEATURES)
    db.execute(
        f"INSERT INTO snapshot_cubes (snapshot, row, {copied}, {words}, {features})"
        f" SELECT ?, c.row, {copied}, {shown}, {counted} FROM cubes c JOIN features f ON f.row = c.row WHERE owner = ?",
        (number, owner),
    )
    mine = "IN (SELECT row FROM cubes WHERE owner = ?)"
    for table, child in (("lineage", "child"), ("links", "source")):
        db.execute(f"INSERT INTO snapshot_{table} SELECT ?, * FROM {table} WHERE {child} {mine}", (number, owner))
    return listed(db, owner, name)[0]


def listed(db: sqlite3.Connection, owner: int, name: str | None = None) -> list[Snapshot]:
    """An owner's snapshots, oldest first, or the one named."""
    sql = (
        "SELECT name, at, (SELECT COUNT(*) FROM snapshot_cubes s JOIN cubes c ON c.row = s.row WHERE"
        f" s.snapshot = snapshots.snapshot AND c.origin = 'source' AND {among(LIVING, 's.state')}"
        " AND s.superseded_at IS NULL) FROM snapshots WHERE owner = ? AND (? IS NULL OR name = ?)"
        " ORDER BY at, snapshot"
    )
    return [Snapshot(name, moment(at), count) for name, at, count in db.execute(sql, (owner, name, name))]


def drop(db: sqlite3.Connection, owner: int, name: str) -> None:
    """Delete a snapshot. Raises NotFound."""
    db.execute("DELETE FROM snapshots WHERE snapshot = ?", (number_of(db, owner, name),))


def number_of(db: sqlite3.Connection, owner: int, name: str) -> int:
    """The number of a snapshot. Raises NotFound with those there are."""
    found = db.execute("SELECT snapshot FROM snapshots WHERE owner = ? AND name = ?", (owner, name)).fetchone()
    if found is None:
        known = ", ".join(brief(one.name) for one in listed(db, owner)) or "none"
        raise NotFound(f"there is no snapshot {brief(name)} in this scope; there are: {known}")
    return int(found[0])


def rollback(db: sqlite3.Connection, owner: int, name: str, now: datetime, kinds: Sequence[str]) -> RolledBack:
    """Make the owner's memory what it was, in one transaction.

    Raises NotFound, or StateError when the vectors are another embedder's by now or something was frozen since.
    """
    number = number_of(db, owner, name)
    refuse(db, owner, number, name)
    db.execute("UPDATE snapshots SET name = name || ' (going)' WHERE owner = ? AND name = ?", (owner, BEFORE))
    take(db, owner, BEFORE, now)
    revision = next_revision(db, owner)
    changed = tell(db, owner, number, now)
    restore(db, number)
    later = set_aside(db, owner, number)
    hide_uncopied(db, owner, number, revision)
    continue_from(db, owner, number, revision, kinds)
    db.execute("UPDATE owners SET epoch = epoch + 1 WHERE owner = ?", (owner,))
    db.execute("DELETE FROM snapshots WHERE owner = ? AND name = ?", (owner, f"{BEFORE} (going)"))
    return RolledBack(name, changed, later, BEFORE)


def refuse(db: sqlite3.Connection, owner: int, number: int, name: str) -> None:
    """Raises StateError for what cannot or must not be taken back."""
    (made_with,) = db.execute("SELECT embedder FROM snapshots WHERE snapshot = ?", (number,)).fetchone()
    if made_with != embedder_of(db):
        raise StateError(
            f"the store was re-embedded since the snapshot {brief(name)} was taken, whose vectors would fit no more;"
            " re-embed it with that embedder first, or drop the snapshot"
        )
    sql = (
        "SELECT id FROM cubes c LEFT JOIN snapshot_cubes s ON s.snapshot = ? AND s.row = c.row"
        " WHERE c.owner = ? AND c.state = 'frozen' AND s.state IS NOT 'frozen' LIMIT 1"
    )
    held = db.execute(sql, (number, owner)).fetchone()
    if held:
        raise StateError(f"{held[0]} was frozen after the snapshot {brief(name)}; thaw it first")


def tell(db: sqlite3.Connection, owner: int, number: int, now: datetime) -> int:
    """Write an event for each cube that goes back; returns how many episodes of then do."""

    def of(table: str) -> str:
        return ", ".join(f"{table}.{name}" for name in TOLD)

    sql = (
        "SELECT c.row, c.origin = 'source' AND c.row <= n.top FROM cubes c JOIN snapshots n ON n.snapshot = ?"
        " LEFT JOIN snapshot_cubes s"
        " ON s.snapshot = n.snapshot AND s.row = c.row WHERE c.owner = ? AND c.aside IS NULL"
        f" AND (c.row > n.top OR ({of('c')}) IS NOT ({of('s')})"
        " OR (s.text IS NOT NULL AND (c.text, c.meta) IS NOT (s.text, s.meta)))"
    )
    rows = db.execute(sql, (number, owner)).fetchall()
    event = "INSERT INTO events (row, at, what) VALUES (?, ?, 'rolled back')"
    db.executemany(event, [(row, micros(now)) for row, _ in rows])
    return sum(known for _, known in rows)


def restore(db: sqlite3.Connection, number: int) -> None:
    """The copies in the place of what there is."""
    of = "(SELECT row FROM snapshot_cubes WHERE snapshot = :n)"
    header = ", ".join(HEADER)
    db.execute(
        f"UPDATE cubes SET ({header}) = (SELECT {header} FROM snapshot_cubes s WHERE s.snapshot = :n"
        f" AND s.row = cubes.row) WHERE row IN {of}",
        {"n": number},
    )
    # Tensors are not copied: those that were made of other words since are hidden, and made when somebody asks.
    db.execute(
        f"UPDATE cubes SET state = 'deleted' WHERE kind != 'text' AND row IN {of} AND text IS NOT"
        " (SELECT text FROM snapshot_cubes s WHERE s.snapshot = :n AND s.row = cubes.row)",
        {"n": number},
    )
    for table, names in (("cubes", WORDS), ("features", FEATURES)):
        listed = ", ".join(names)
        db.execute(
            f"UPDATE {table} SET ({listed}) = (SELECT {listed} FROM snapshot_cubes s WHERE s.snapshot = :n"
            f" AND s.row = {table}.row) WHERE row IN (SELECT row FROM snapshot_cubes WHERE snapshot = :n"
            " AND text IS NOT NULL)",
            {"n": number},
        )
    for table, child, rest in (("lineage", "child", "parent"), ("links", "source", "target, kind, weight")):
        db.execute(f"DELETE FROM {table} WHERE {child} IN {of}", {"n": number})
        db.execute(
            f"INSERT INTO {table} ({child}, {rest}) SELECT {child}, {rest} FROM snapshot_{table} WHERE snapshot = :n",
            {"n": number},
        )


def set_aside(db: sqlite3.Connection, owner: int, number: int) -> int:
    """Put rows that came later aside; returns how many episodes."""
    later = "owner = ? AND aside IS NULL AND row > (SELECT top FROM snapshots WHERE snapshot = ?)"
    sql = f"SELECT COUNT(*) FROM cubes WHERE {later} AND origin = 'source'"
    (count,) = db.execute(sql, (owner, number)).fetchone()
    db.execute(f"UPDATE cubes SET state = 'deleted', aside = ? WHERE {later}", (number, owner, number))
    return int(count)


def hide_uncopied(db: sqlite3.Connection, owner: int, number: int, revision: int) -> None:
    """Hide what was there and has no copy any more, since that rested on what was erased."""
    db.execute(
        "UPDATE cubes SET state = 'deleted', revision = ? WHERE owner = ? AND aside IS NULL AND origin != 'source'"
        " AND row <= (SELECT top FROM snapshots WHERE snapshot = ?)"
        " AND NOT EXISTS (SELECT 1 FROM snapshot_cubes s WHERE s.snapshot = ? AND s.row = cubes.row)",
        (revision, owner, number, number),
    )


def continue_from(db: sqlite3.Connection, owner: int, number: int, revision: int, kinds: Sequence[str]) -> None:
    """Marks and jobs as they were, and what lost a neighbour to an erase since is organised anew."""
    sql = "SELECT marks, jobs, touched FROM snapshots WHERE snapshot = ?"
    marks, waiting, touched = map(json.loads, db.execute(sql, (number,)).fetchone())
    db.execute("DELETE FROM marks WHERE owner = ?", (owner,))
    db.executemany("INSERT INTO marks VALUES (?, ?, ?, ?)", [(owner, *mark) for mark in marks])
    db.execute("DELETE FROM jobs WHERE owner = ?", (owner,))
    for kind, rows in waiting:
        alive = fetch_in(db, "SELECT row FROM cubes WHERE row IN ({})", json.loads(rows))
        if alive:
            jobs.create(db, owner, (kind,), sorted(row for (row,) in alive))
    current = f"SELECT row FROM cubes WHERE {derived.CURRENT} AND origin = 'source' AND row IN ({{}})"
    lost = sorted(row for (row,) in fetch_in(db, current, touched))
    bare = db.execute(
        f"SELECT c.row FROM cubes c JOIN features f ON f.row = c.row WHERE c.owner = ? AND {derived.CURRENT}"
        " AND c.origin = 'source' AND f.vector IS NULL",
        (owner,),
    ).fetchall()
    derived.changed(db, lost, revision)
    rows = sorted({*lost, *(row for (row,) in bare)})
    for start in range(0, len(rows), 512):
        jobs.create(db, owner, kinds, rows[start : start + 512])


def forget_copies(db: sqlite3.Connection, doomed: Sequence[int]) -> list[str]:
    """Delete the copies that rest on rows about to be erased; returns the texts of all copies that go with these.

    What else the dropped copies rest on is organised anew by a roll-back.
    """
    gone = set(doomed)
    sql = "SELECT snapshot, child, parent FROM snapshot_lineage WHERE {} IN ({{}})"
    resting = {tuple(one) for name in ("parent", "child") for one in fetch_in(db, sql.format(name), doomed)}
    texts = fetch_in(db, "SELECT text FROM snapshot_cubes WHERE text IS NOT NULL AND row IN ({})", doomed)
    for snapshot, child in sorted({(snapshot, child) for snapshot, child, _ in resting}):
        key = (snapshot, child)
        parents = db.execute("SELECT parent FROM snapshot_lineage WHERE snapshot = ? AND child = ?", key).fetchall()
        touch(db, snapshot, [row for (row,) in parents if row not in gone])
        if child not in gone:
            texts += db.execute("SELECT text FROM snapshot_cubes WHERE snapshot = ? AND row = ?", key).fetchall()
            for table, column in (("cubes", "row"), ("lineage", "child"), ("links", "source")):
                db.execute(f"DELETE FROM snapshot_{table} WHERE snapshot = ? AND {column} = ?", key)
    return [text for (text,) in texts]


def touch(db: sqlite3.Connection, snapshot: int, rows: Sequence[int]) -> None:
    """Remember rows that a roll-back has to have organised anew."""
    (known,) = db.execute("SELECT touched FROM snapshots WHERE snapshot = ?", (snapshot,)).fetchone()
    joined = sorted({*json.loads(known), *rows})
    db.execute("UPDATE snapshots SET touched = ? WHERE snapshot = ?", (json.dumps(joined), snapshot))


def embedder_of(db: sqlite3.Connection) -> str:
    """Whose vectors the store has, as it is written down."""
    found = db.execute("SELECT value FROM meta WHERE name = 'embedder'").fetchone()
    return str(found[0]) if found else ""


def brought_back(
    db: sqlite3.Connection, owner: int, id: str, now: datetime, revision: int, replaces: int | None = None
) -> int | None:
    """The row of an episode that was put aside and comes again; None when it is not one."""
    sql = (
        "UPDATE cubes SET state = 'generated', aside = NULL, recorded_at = ?, valid_to = NULL, superseded_at = NULL,"
        " replaces = ?, revision = ? WHERE id = ? AND owner = ? AND aside IS NOT NULL RETURNING row"
    )
    found = db.execute(sql, (micros(now), replaces, revision, id, owner)).fetchall()
    if not found:
        return None
    db.execute("UPDATE owners SET epoch = epoch + 1 WHERE owner = ?", (owner,))  # indexes hold rows in their order
    return int(found[0][0])
