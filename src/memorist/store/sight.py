"""A store as a subject sees it.

Every connection has temporary views that stand before the tables of the same name, so whatever is asked finds only what
the subject may see: the owner's cubes that its grants open, with what hangs on them. A table that is not named here is
empty. The connections cannot write. Grants are read anew in every transaction, so the end of one holds at once.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from memorist.errors import NotAllowed
from memorist.redaction import hidden, masked, masked_json
from memorist.store.connection import Database
from memorist.store.governed import Sight
from memorist.store.opened import Opened, moment_of, opened
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
        self.seen: Opened | None = None
        self.masks = False
        self.tagged: Mapping[int, tuple[str, ...]] = {}
        self.build()

    def build(self) -> None:
        """The views, and the functions they use."""
        db = self.db
        db.create_function("masks", 0, lambda: self.masks)
        db.create_function("shown_text", 2, self.text)
        db.create_function("shown_meta", 2, self.meta)
        db.execute("CREATE TEMP TABLE open (row INTEGER PRIMARY KEY)")
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
        return f"{meta[:1]}{meta[-1:]}" if row in self.tagged else masked_json(meta)

    def look(self, sight: Sight) -> None:
        """Be as the grants are now. Raises NotAllowed when none of them opens anything to read."""
        now = moment_of(self.db, sight)
        if self.seen is not None and now.key == self.seen.key:
            return
        found = opened(self.db, sight, now)
        self.masks, self.tagged = found.masks, found.tagged
        self.open(found)
        self.db.execute("UPDATE temp.sight SET owner = ?, turned = ?", (found.owner, found.turned))
        self.seen = found

    def open(self, found: Opened) -> None:
        """Have the rows that are open in the table that the views ask."""
        db, rows = self.db, found.rows
        if rows is None:
            every = db.execute("SELECT row FROM main.cubes WHERE owner = ?", (found.owner,))
            rows = frozenset(row for (row,) in every) - found.closed
        known = {row for (row,) in db.execute("SELECT row FROM temp.open")}
        db.executemany("DELETE FROM temp.open WHERE row = ?", [(row,) for row in known - rows])
        db.executemany("INSERT INTO temp.open VALUES (?)", [(row,) for row in rows - known])
