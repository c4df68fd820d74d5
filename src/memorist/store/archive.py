"""The store as a stream of plain records, and back: for export, import and moving between stores."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from memorist.errors import InputError
from memorist.store import jobs

CUBE = (
    *("id", "agent", "session", "kind", "origin", "state", "trust", "role", "speaker", "source", "text", "meta"),
    *("times", "at", "valid_from", "valid_to", "recorded_at", "superseded_at"),
)
FEATURES = ("tokens", "terms", "vector")


def dump(db: sqlite3.Connection) -> Iterator[dict[str, Any]]:
    """The embedder, then each episode in order of arrival. Derived cubes are not dumped: they are rebuilt.

    Times are microseconds since 1970 UTC, vectors base64 of float16.
    """
    found = db.execute("SELECT value FROM meta WHERE name = 'embedder'").fetchone()
    yield {"record": "embedder", "identity": json.loads(found[0]) if found else None}
    columns = ", ".join(f"c.{name}" for name in CUBE)
    features = ", ".join(f"f.{name}" for name in FEATURES)
    sql = (
        f"SELECT o.tenant, o.user, (SELECT id FROM cubes r WHERE r.row = c.replaces), c.row, {columns}, {features}"
        " FROM cubes c JOIN owners o USING (owner) JOIN features f ON f.row = c.row"
        " WHERE c.origin = 'source' ORDER BY c.row"
    )
    for tenant, user, replaces, row, *values in db.execute(sql):
        record = {"record": "episode", "tenant": tenant, "user": user, "replaces": replaces}
        record |= dict(zip(CUBE, values))
        record["meta"], record["times"] = json.loads(record["meta"]), json.loads(record["times"])
        tokens, terms, vector = values[len(CUBE) :]
        record |= {"tokens": tokens, "terms": base64.b64encode(terms).decode()}
        record["vector"] = None if vector is None else base64.b64encode(vector).decode()
        happened = db.execute("SELECT at, what FROM events WHERE row = ? ORDER BY event", (row,)).fetchall()
        record["events"] = [list(event) for event in happened]
        yield record


def restore(db: sqlite3.Connection, records: Iterable[Mapping[str, Any]], kinds: Sequence[str]) -> int:
    """Insert episodes that are not there, keep their vectors when the embedder is the same, and have the rest rebuilt."""
    mine = db.execute("SELECT value FROM meta WHERE name = 'embedder'").fetchone()
    same, new = False, 0
    touched: dict[int, list[int]] = {}
    for number, record in enumerate(records, 1):
        try:
            if record["record"] == "embedder":
                same = bool(mine) and record["identity"] == json.loads(mine[0])
            elif record["record"] == "episode":
                owner, row = insert(db, record, same)
                if row:
                    touched.setdefault(owner, []).append(row)
                    new += 1
        except (KeyError, TypeError, ValueError, AttributeError, sqlite3.IntegrityError, sqlite3.InterfaceError) as error:
            raise InputError(f"record {number} of the archive is broken ({error}); nothing was imported") from error
    for owner, rows in touched.items():
        for start in range(0, len(rows), 512):
            jobs.create(db, owner, kinds, rows[start : start + 512])
    return new


def insert(db: sqlite3.Connection, record: Mapping[str, Any], with_vector: bool) -> tuple[int, int]:
    """One episode; the row is 0 when its id is there already."""
    key = (record["tenant"], record["user"])
    db.execute("INSERT OR IGNORE INTO owners (tenant, user) VALUES (?, ?)", key)
    sql = "UPDATE owners SET revision = revision + 1 WHERE tenant = ? AND user = ? RETURNING owner, revision"
    ((owner, revision),) = db.execute(sql, key).fetchall()
    if db.execute("SELECT 1 FROM cubes WHERE id = ?", (record["id"],)).fetchone():
        return owner, 0
    (row,) = db.execute("SELECT COALESCE(MAX(row), 0) + 1 FROM cubes").fetchone()
    replaced = None
    position = row
    if record["replaces"] is not None:
        found = db.execute("SELECT row, position FROM cubes WHERE id = ?", (record["replaces"],)).fetchone()
        replaced, position = found if found else (None, row)
    header = dict(zip(CUBE, (record[name] for name in CUBE)))
    header["meta"], header["times"] = json.dumps(header["meta"], ensure_ascii=False), json.dumps(header["times"])
    names = ", ".join(CUBE)
    db.execute(
        f"INSERT INTO cubes (row, owner, position, replaces, revision, {names})"
        f" VALUES (?, ?, ?, ?, ?{', ?' * len(CUBE)})",
        (row, owner, position, replaced, revision, *header.values()),
    )
    vector = base64.b64decode(record["vector"]) if with_vector and record["vector"] else None
    terms = base64.b64decode(record["terms"])
    db.execute(
        "INSERT INTO features (row, tokens, terms, vector) VALUES (?, ?, ?, ?)", (row, record["tokens"], terms, vector)
    )
    for at, what in record["events"]:
        db.execute("INSERT INTO events (row, at, what) VALUES (?, ?, ?)", (row, int(at), str(what)))
    return owner, row
