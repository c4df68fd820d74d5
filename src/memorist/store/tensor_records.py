"""Cubes that are not text in the archive: nobody makes them again by himself, so they are dumped, tensors and all.

Each is a "cube" record after the "part" records of its payload. It rests on episodes there: what it was derived from is
itself derived, and made again, so the episodes behind that stand in its place.
"""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any, get_args

import numpy as np

from memorist.cube import Kind, Scope
from memorist.store import payloads
from memorist.store.record_frame import demand, inspect_frame
from memorist.store.rows import fetch_in
from memorist.store.scoped import owner_of

CUBE = (
    *("id", "agent", "session", "kind", "origin", "state", "trust", "text", "meta", "at", "valid_from", "valid_to"),
    *(
        "recorded_at",
        "superseded_at",
        "semantic_type",
        "updated_at",
        "expires_at",
        "priority",
        "sensitivity",
        "payload",
    ),
)
BEHIND = """
WITH RECURSIVE behind (row) AS (
  SELECT parent FROM lineage WHERE child = ? UNION SELECT l.parent FROM lineage l JOIN behind b ON l.child = b.row)
SELECT c.id FROM behind b JOIN cubes c ON c.row = b.row WHERE c.origin = 'source' ORDER BY c.row
"""


def dump(db: sqlite3.Connection, only: int | None = None) -> Iterator[dict[str, Any]]:
    """Every cube (or those of one owner) that is not text and holds, or can be restored, by rising row."""
    names = ", ".join(f"c.{name}" for name in CUBE)
    sql = (
        f"SELECT o.tenant, o.user, c.owner, c.row, {names}, f.tokens FROM cubes c JOIN owners o USING (owner)"
        " JOIN features f ON f.row = c.row WHERE c.kind != 'text' AND c.replaces IS NULL AND c.aside IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM cubes n WHERE n.replaces = c.row)"
        " AND (? IS NULL OR c.owner = ?) ORDER BY c.row"
    )
    told: set[tuple[int, str]] = set()
    for tenant, user, owner, row, *values, tokens in db.execute(sql, (only, only)):
        header = dict(zip(CUBE, values))
        if (owner, header["payload"]) not in told:
            told.add((owner, header["payload"]))
            for part, data in enumerate(payloads.parts(db, owner, header["payload"])):
                whose = {"record": "part", "tenant": tenant, "user": user, "payload": header["payload"]}
                yield {**whose, "part": part, "bytes": base64.b64encode(data).decode()}
        for name in ("meta", "sensitivity"):
            header[name] = json.loads(header[name])
        rests = [id for (id,) in db.execute(BEHIND, (row,))]
        yield {"record": "cube", "tenant": tenant, "user": user, **header, "tokens": tokens, "rests": rests}


class Restoring:
    """Puts such records back, in the order in which they were dumped."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._whose = ("", "", "")
        self._parts: list[bytes] = []
        self._size = 0

    def part(self, record: Mapping[str, Any]) -> None:
        """Take a part of the next cube's payload. Raises ValueError when it is not the one that follows."""
        whose = (record["tenant"], record["user"], record["payload"])
        if record["part"] == 0:
            self._whose, self._parts, self._size = whose, [], 0
        if whose != self._whose or record["part"] != len(self._parts):
            raise ValueError(f"part {record['part']} of the payload {record['payload']!r:.20} is out of its order")
        data = base64.b64decode(record["bytes"])
        self._size += len(data)
        if self._size > payloads.LARGEST:
            raise ValueError("its payload is too large")
        self._parts.append(data)

    def cube(self, record: Mapping[str, Any]) -> None:
        """Insert a cube with its lineage, unless its id is there."""
        inspect(record)
        db = self._db
        owner = owner_of(db, Scope(record["tenant"], record["user"]), create=False)
        if not owner:
            raise ValueError("it rests on episodes of an owner who has none")
        if db.execute("SELECT 1 FROM cubes WHERE id = ?", (record["id"],)).fetchone():
            return
        parents = fetch_in(db, "SELECT row FROM cubes WHERE owner = ? AND id IN ({})", record["rests"], owner)
        if len(parents) != len(set(record["rests"])):
            raise ValueError("it rests on episodes that are not in the archive")
        self._insert(owner, record, [row for (row,) in parents])

    def _insert(self, owner: int, record: Mapping[str, Any], parents: list[int]) -> None:
        db, sha256 = self._db, record["payload"]
        if not payloads.size(db, owner, sha256):
            data = b"".join(self._parts) if self._whose == (record["tenant"], record["user"], sha256) else b""
            if payloads.put(db, owner, data) != sha256:
                raise ValueError("its payload is not the one that it names")
        (revision,) = db.execute("SELECT revision FROM owners WHERE owner = ?", (owner,)).fetchone()
        header = {name: record[name] for name in CUBE}
        header |= {name: json.dumps(record[name], ensure_ascii=False) for name in ("meta", "sensitivity")}
        sql = (
            f"INSERT INTO cubes (owner, revision, role, times, position, {', '.join(CUBE)})"
            f" VALUES (?, ?, 'derived', '[]', 0{', ?' * len(CUBE)})"
        )
        row = db.execute(sql, (owner, revision, *header.values())).lastrowid
        members = np.array(parents, np.int64).tobytes()
        sql = "INSERT INTO features (row, tokens, members) VALUES (?, ?, ?)"
        db.execute(sql, (row, record["tokens"], members))
        db.executemany("INSERT INTO lineage VALUES (?, ?)", [(row, parent) for parent in parents])


def inspect(record: Mapping[str, Any]) -> None:
    """Raises when a cube could not have been dumped."""
    inspect_frame(record)
    for name in ("origin", "payload"):
        demand(isinstance(record[name], str) and bool(record[name]), name)
    demand(record["kind"] in get_args(Kind)[1:], "kind")
    demand(record["origin"] not in ("source", "windows"), "origin")
    demand(bool(record["rests"]) and all(isinstance(id, str) for id in record["rests"]), "rests")
