"""A store as a subject sees it.

Every connection has temporary views that stand before the tables of the same name, so whatever is asked finds only what
the subject may see: the owner's cubes that its grants open, with what hangs on them. A table that is not named here is
empty. The connections cannot write. Grants are read anew in every transaction, so the end of one holds at once.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from memorist.errors import NotAllowed
from memorist.redaction import hidden, masked, masked_data
from memorist.store import tags
from memorist.store.connection import Database
from memorist.store.governed import Grant, Right, Sight
from memorist.store.grants import held_by
from memorist.store.protocol import SAW
from memorist.store.reach import columns, tables

MINE = "row IN (SELECT row FROM temp.open)"
SHOWN: Mapping[str, str] = {
    "cubes": MINE,
    "features": MINE,
    "events": MINE,
    "lineage": "child IN (SELECT row FROM temp.open) AND parent IN (SELECT row FROM temp.open)",
    "links": "source IN (SELECT row FROM temp.open) AND target IN (SELECT row FROM temp.open)",
    "owners": "owner = (SELECT owner FROM temp.sight)",
    "meta": "name = 'embedder'",
}
"""What of each table is shown, as SQL."""

CHANGED: Mapping[tuple[str, str], str] = {
    ("cubes", "text"): "CASE WHEN masks() THEN shown_text(row, text) ELSE text END",
    ("cubes", "meta"): "CASE WHEN masks() THEN shown_meta(row, meta) ELSE meta END",
    ("cubes", "times"): "CASE WHEN masks() THEN shown_meta(row, times) ELSE times END",
    ("cubes", "speaker"): "CASE WHEN masks() THEN shown_text(0, speaker) ELSE speaker END",
    ("cubes", "source"): "CASE WHEN masks() THEN shown_text(0, source) ELSE source END",
    ("owners", "epoch"): "epoch + (SELECT turned FROM temp.sight)",
}

OPEN_SOURCES = "SELECT row FROM main.cubes WHERE owner = :owner AND origin = 'source' AND ({})"
OPEN_DERIVED = f"""
WITH RECURSIVE closed (row) AS (
  SELECT row FROM main.cubes WHERE owner = :owner AND origin = 'source' AND row NOT IN (SELECT row FROM temp.sources)
  UNION SELECT e.child FROM (
    SELECT child, parent FROM main.lineage
    UNION ALL SELECT source, target FROM main.links WHERE kind = '{SAW}'
  ) e JOIN closed ON e.parent = closed.row
)
SELECT row FROM main.cubes WHERE owner = :owner AND row NOT IN (SELECT row FROM closed)
"""
"""Of a set that is open: what rests on nothing else."""


class Seen(Database):
    """Connections to a store's file through which only what one sight shows is there."""

    def __init__(self, base: Database, sight: Sight) -> None:
        self.path = base.path
        self.sight = sight
        self._open = {}
        self._writing = threading.RLock()
        self._process = base._process
        self._file = None
        self._states: dict[sqlite3.Connection, State] = {}

    def connection(self) -> sqlite3.Connection:
        """This thread's connection."""
        known = self._open.get(threading.current_thread())
        connection = super().connection()
        if connection is not known:
            self._states = {one: state for one, state in self._states.items() if one in self._open.values()}
            self._states[connection] = State(connection)
        return connection

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A transaction in which the sight is as the grants of its moment are. Raises NotAllowed without one."""
        with super().reading() as db:
            self._states[db].look(self.sight)
            yield db

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Refused: nothing is written through a sight."""
        raise NotAllowed("this is the owner's to do")
        yield

    alone = writing


class State:
    """What a connection shows: which rows, and how far it has come in the owner's changes."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self.seen: tuple[Any, ...] = ()
        self.masks = False
        self.tagged: dict[int, tuple[str, ...]] = {}
        self.build()

    def build(self) -> None:
        """The views, and the functions they use."""
        db = self.db
        db.create_function("masks", 0, lambda: self.masks)
        db.create_function("shown_text", 2, self.text)
        db.create_function("shown_meta", 2, self.meta)
        db.execute("CREATE TEMP TABLE open (row INTEGER PRIMARY KEY)")
        db.execute("CREATE TEMP TABLE sources (row INTEGER PRIMARY KEY)")
        db.execute("CREATE TEMP TABLE sight (owner INTEGER, turned INTEGER)")
        db.execute("INSERT INTO temp.sight VALUES (0, 0)")
        for table in tables(db):
            named = [f"{CHANGED.get((table, name), name)} AS {name}" for name in columns(db, table)]
            where = SHOWN.get(table, "0")
            db.execute(f"CREATE TEMP VIEW {table} AS SELECT {', '.join(named)} FROM main.{table} WHERE {where}")

    def text(self, row: int, text: str | None) -> str | None:
        """A text as it is shown."""
        if text is None:
            return None
        return hidden(self.tagged[row]) if row in self.tagged else masked(text)

    def meta(self, row: int, meta: str) -> str:
        """Metadata, or times, as they are shown."""
        empty = "[]" if meta.startswith("[") else "{}"
        if row in self.tagged:
            return empty
        return meta if meta == empty else json.dumps(masked_data(json.loads(meta)), ensure_ascii=False)

    def look(self, sight: Sight) -> None:
        """Be as the grants are now. Raises NotAllowed when none of them opens anything to read."""
        db = self.db
        sql = "SELECT owner, revision, epoch FROM main.owners WHERE tenant = ? AND user = ?"
        found = db.execute(sql, (sight.scope.tenant, sight.scope.user)).fetchone()
        owner, revision, epoch = found or (0, 0, 0)
        held = None if sight.subject is None else held_by(db, owner, sight.subject)
        opened = [one for one in held or () if allows(one, "read")]
        if held is not None and not opened:
            raise NotAllowed(refusal(sight, "read"))
        now = (owner, revision, epoch, *(one.number for one in held or ()))
        if now == self.seen:
            return
        whole = held is None or any(is_whole(one) for one in opened)
        self.masks = sight.masked or not (held is None or all(allows(one, "reveal") for one in opened))
        self.tagged = tags.of_owner(db, owner) if self.masks else {}
        self.open(owner, None if whole else opened)
        # What was cached of another sight must go. A part is small, and may lose rows by any change.
        age = [*now[3:], self.masks, sorted(self.tagged.items()), None if whole else revision]
        db.execute("UPDATE temp.sight SET owner = ?, turned = ?", (owner, turn(age)))
        self.seen = now

    def open(self, owner: int, grants: Sequence[Grant] | None) -> None:
        """Open the rows that these grants open, or all of the owner's."""
        db = self.db
        if grants is None:
            rows = {row for (row,) in db.execute("SELECT row FROM main.cubes WHERE owner = ?", (owner,))}
        else:
            parts, bound = sources_of(grants)
            db.execute("DELETE FROM temp.sources")
            db.execute(f"INSERT INTO temp.sources {OPEN_SOURCES.format(parts)}", {"owner": owner, **bound})
            rows = {row for (row,) in db.execute(OPEN_DERIVED, {"owner": owner})}
        rows -= self.unreadable()
        known = {row for (row,) in db.execute("SELECT row FROM temp.open")}
        db.executemany("DELETE FROM temp.open WHERE row = ?", [(row,) for row in known - rows])
        db.executemany("INSERT INTO temp.open VALUES (?)", [(row,) for row in rows - known])

    def unreadable(self) -> set[int]:
        """What was derived from something sensitive as a whole: nothing of it can be shown that its organiser reads."""
        sql = "SELECT row FROM main.cubes WHERE origin != 'source' AND row IN (SELECT value FROM json_each(?))"
        return {row for (row,) in self.db.execute(sql, (json.dumps(list(self.tagged)),))}


def turn(state: Sequence[Any]) -> int:
    """A number below 2**61 for what a sight shows, added to the owner's epoch: caches begin anew with another one."""
    return int.from_bytes(hashlib.blake2b(repr(state).encode(), digest_size=8).digest(), "big") >> 3


def sources_of(opened: Sequence[Grant]) -> tuple[str, dict[str, Any]]:
    """The episodes that grants open, as SQL and what it binds."""
    parts: list[str] = []
    bound: dict[str, Any] = {}
    for place, grant in enumerate(opened):
        terms = ["1"]
        for name in ("agent", "session"):
            if getattr(grant.scope, name):
                terms.append(f"{name} = :{name}{place}")
                bound[f"{name}{place}"] = getattr(grant.scope, name)
        if grant.cubes is not None:
            terms.append(f"row IN (SELECT row FROM main.granted WHERE number = :number{place})")
            bound[f"number{place}"] = grant.number
        parts.append(f"({' AND '.join(terms)})")
    return " OR ".join(parts), bound


def is_whole(grant: Grant) -> bool:
    """Whether a grant opens all of an owner's memory."""
    return grant.cubes is None and not (grant.scope.agent or grant.scope.session)


def allows(grant: Grant, right: Right) -> bool:
    """Whether a grant holds a right."""
    return right in grant.rights or "administer" in grant.rights


def refusal(sight: Sight, right: str) -> str:
    """Why something is not allowed."""
    who = sight.subject.user if sight.subject else sight.scope.user
    return (
        f"{who!r} may not {right} this memory of {sight.scope.user!r}; its owner can share it (memorist rights share)"
    )
