"""The store on PostgreSQL, for many processes on many machines."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import AbstractContextManager, closing
from datetime import datetime
from pathlib import Path
from typing import cast

from memorist.cube import Scope
from memorist.errors import StoreBusy, StoreFull, StoreReadOnly
from memorist.store import audit, erasure
from memorist.store.check import broken_off, broken_rules
from memorist.store.governed import Remains, Sight
from memorist.store.postgres import rewrite
from memorist.store.postgres.connection import Database
from memorist.store.postgres.sight import Seen
from memorist.store.prints import STRETCH
from memorist.store.protocol import Erased
from memorist.store.rows import dimension_of
from memorist.store.seen import SeenStore
from memorist.store.sqlite import SQLiteStore, TableStore, note_backup

OLDEST = 160_000
"""PostgreSQL's own number of the oldest version that is tested."""


ABOUT = """
SELECT current_setting('server_version_num')::int, current_setting('server_version'),
  current_setting('fsync'), pg_database_size(current_database())
"""


class Rooms:
    """The database as the rooms see it: a session of ours speaks the part of sqlite3 that they use."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """See `Database.reading`."""
        return cast(AbstractContextManager[sqlite3.Connection], self._database.reading())

    def writing(self) -> AbstractContextManager[sqlite3.Connection]:
        """See `Database.writing`."""
        return cast(AbstractContextManager[sqlite3.Connection], self._database.writing())

    def close(self) -> None:
        """See `Database.close`."""
        self._database.close()


class PostgresStore(TableStore):
    """The store in one PostgreSQL database; see `memorist.store.protocol.Store`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._server = Database(url)
        self._to_rewrite: set[str] = set()
        self._numbers: set[str] = set()
        super().__init__(Rooms(self._server), self._server.place)

    def seen(self, sight: Sight) -> TableStore:
        """The store as a subject sees it."""
        return SeenStore(self, sight, Seen(self._server, sight))

    def searches(self) -> bool:
        """Whether this user may read the server's files (pg_read_server_files)."""
        with self._server.alone() as connection:
            return rewrite.may_read(connection)

    def remains(self, number: str, cubes: Sequence[str], texts: Sequence[str]) -> Remains:
        """What of an erasure is still or again there; its texts are sought where the server's files may be read."""
        self.identity()  # has a secret from then on
        with self._server.alone() as connection, self._database.reading() as db:
            return erasure.found_again(db, rewrite.slices(connection, STRETCH - 1), number, cubes, texts)

    def erase(self, scope: Scope, ids: Sequence[str], kinds: Sequence[str]) -> Erased:
        """As for every store; `compact` then knows whose tables to rewrite."""
        erased = super().erase(scope, ids, kinds)
        self._to_rewrite.add(scope.tenant)
        self._numbers.add(erased.removed.number)
        return erased

    def compact(self, texts: Sequence[str]) -> int:
        """Rewrite the tables without dead rows: those of the tenants that this process has erased from, or all.

        Returns how many of the texts' bytes are still found in the tables' files, where the user may read them
        (pg_read_server_files), else 0. The server's log has them until it is recycled, backups until they are deleted.
        """
        tenants = list(self._to_rewrite) if texts else []
        known = self._known_unfinished(every=not tenants)
        with self._server.alone() as connection:
            rewritten = rewrite.rewrite(connection, tenants)
            found = rewrite.remnants(connection, rewritten, texts)
        self._rewritten(tenants, known)
        return found

    def finish_erasing(self) -> bool:
        """Rewrite the tables of the tenant of an erase that was ended before; False when others kept that from it."""
        with self._database.reading() as db:
            number = erasure.number_unfinished(db)
            tenants = [one.tenant for one in audit.erasing(db, number)] if number else []
        if not number:
            return True
        try:
            with self._server.alone() as connection:
                rewrite.rewrite(connection, tenants, patience="1s")
            self._rewritten(tenants, {number})
        except (StoreBusy, StoreReadOnly, StoreFull):
            return False
        return True

    def _rewritten(self, tenants: Sequence[str], numbers: set[str]) -> None:
        """Write down that nothing is left of these erases."""
        self._to_rewrite.difference_update(tenants or self._to_rewrite.copy())
        self._numbers -= numbers
        with self._database.writing() as db:
            for number in numbers:
                erasure.finished(db, number)

    def _known_unfinished(self, *, every: bool) -> set[str]:
        """The numbers of the erases of this process, or of any, that a rewriting which begins now ends."""
        with self._database.reading() as db:
            number = erasure.number_unfinished(db)
        return self._numbers | ({number} if every and number else set())

    def about(self) -> tuple[str, str]:
        """See `TableStore.about`."""
        with self._server.alone() as connection:
            ((number, version, durable, size),) = connection.execute(ABOUT).fetchall()
        problem = ""
        if number < OLDEST:
            problem = "use PostgreSQL 16 or newer"
        elif durable == "off":
            problem = "fsync is off there, so a power cut may lose or damage everything; turn it on"
        return problem, f"PostgreSQL {version}, store {size / 1e6:.1f} MB"

    def check(self) -> list[str]:
        """Everything that is not as it should be."""
        with self._database.reading() as db:
            return broken_rules(db, dimension_of(db)) + broken_off(db)

    def backup(self, path: Path, now: datetime) -> None:
        """A consistent copy while others go on, as an SQLite store. For a server's own backups see the guide."""
        with self._database.writing() as db:
            note_backup(db, path, now)
        partial = path.with_name(path.name + ".partial")
        partial.unlink(missing_ok=True)  # of one that was killed
        try:
            with closing(SQLiteStore(partial)) as copy:
                self.copy_to(copy)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
