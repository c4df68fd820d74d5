"""What somebody composed, in the archive: nobody would make it again."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from memorist.cube import Scope
from memorist.store.life import COMPOSED, MERGED, SPLIT
from memorist.store.record_frame import demand, inspect_frame
from memorist.store.rows import fetch_in, next_revision
from memorist.store.scoped import owner_of

CUBE = (
    *("id", "agent", "session", "state", "trust", "speaker", "text", "meta", "at", "valid_from", "valid_to"),
    *("recorded_at", "superseded_at", "semantic_type", "updated_at", "expires_at", "priority", "sensitivity"),
)
PARENTS = "SELECT c.id FROM lineage l JOIN cubes c ON c.row = l.parent WHERE l.child = ? ORDER BY c.row"
ORIGINALS = (
    "SELECT c.id, l.kind FROM links l JOIN cubes c ON c.row = l.source"
    f" WHERE l.target = ? AND l.kind IN ('{MERGED}', '{SPLIT}') ORDER BY c.row"
)


def dump(db: sqlite3.Connection, whose: int | None = None) -> Iterator[dict[str, Any]]:
    """Every composed cube, or those of one owner, by rising row.

    `rests` are episodes, `originals` what it stands for and how.
    """
    names = ", ".join(f"c.{name}" for name in CUBE)
    sql = (
        f"SELECT o.tenant, o.user, c.row, {names}, f.tokens, f.vector FROM cubes c JOIN owners o USING (owner)"
        " JOIN features f ON f.row = c.row WHERE c.origin = ? AND c.aside IS NULL"
        " AND (? IS NULL OR c.owner = ?) ORDER BY c.row"
    )
    for tenant, user, row, *values, tokens, vector in db.execute(sql, (COMPOSED, whose, whose)).fetchall():
        header = dict(zip(CUBE, values))
        for name in ("meta", "sensitivity"):
            header[name] = json.loads(header[name])
        rests = [id for (id,) in db.execute(PARENTS, (row,))]
        originals = [list(one) for one in db.execute(ORIGINALS, (row,))]
        record = {"record": "composed", "tenant": tenant, "user": user, **header, "tokens": tokens}
        vector = None if vector is None else base64.b64encode(vector).decode()
        yield {**record, "vector": vector, "rests": rests, "originals": originals}


def restore(db: sqlite3.Connection, record: Mapping[str, Any], dimension: int) -> bool:
    """Insert a composed cube with its lineage; False when its id is there. Without a `dimension` it has no vector."""
    inspect(record, dimension)
    owner = owner_of(db, Scope(record["tenant"], record["user"]), create=False)
    if not owner:
        raise ValueError("it rests on episodes of an owner who has none")
    if db.execute("SELECT 1 FROM cubes WHERE id = ?", (record["id"],)).fetchone():
        return False
    parents = fetch_in(db, "SELECT row FROM cubes WHERE owner = ? AND id IN ({})", record["rests"], owner)
    if not parents or len(parents) != len(set(record["rests"])):
        raise ValueError("it rests on episodes that are not in the archive")
    header = {name: record[name] for name in CUBE}
    header |= {name: json.dumps(record[name], ensure_ascii=False) for name in ("meta", "sensitivity")}
    sql = (
        f"INSERT INTO cubes (owner, revision, kind, origin, role, times, position, {', '.join(CUBE)})"
        f" VALUES (?, ?, 'text', ?, 'derived', '[]', 0{', ?' * len(CUBE)})"
    )
    row = db.execute(sql, (owner, next_revision(db, owner), COMPOSED, *header.values())).lastrowid
    members = np.array([row for (row,) in parents], np.int64).tobytes()
    vector = base64.b64decode(record["vector"]) if dimension and record["vector"] else None
    sql = "INSERT INTO features (row, tokens, members, vector) VALUES (?, ?, ?, ?)"
    db.execute(sql, (row, record["tokens"], members, vector))
    db.executemany("INSERT INTO lineage VALUES (?, ?)", [(row, parent) for (parent,) in parents])
    sql = "INSERT OR IGNORE INTO links SELECT row, ?, ?, 1.0 FROM cubes WHERE id = ? AND owner = ?"
    db.executemany(sql, [(row, kind, id, owner) for id, kind in record["originals"]])
    return True


def inspect(record: Mapping[str, Any], dimension: int) -> None:
    """Raises when a cube could not have been dumped."""
    inspect_frame(record)
    demand(record["speaker"] is None or isinstance(record["speaker"], str), "speaker")
    if dimension and record["vector"] is not None:
        vector = np.frombuffer(base64.b64decode(record["vector"]), np.float16)
        demand(len(vector) == dimension and bool(np.isfinite(vector).all()), "vector")
    for id, kind in record["originals"]:
        demand(isinstance(id, str) and kind in (MERGED, SPLIT), "originals")
