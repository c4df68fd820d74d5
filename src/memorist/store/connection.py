"""One SQLite file: opening it without harm, transactions, and its errors in our words."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from memorist.errors import (
    InputError,
    MemoristError,
    NotAStore,
    StoreBusy,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreTooNew,
)
from memorist.store.rawfile import File, begin_use, end_use, head, opening
from memorist.store.schema import APPLICATION_ID, MIGRATIONS

MAGIC = b"SQLite format 3\x00"
HEADER = 100
BUSY_SECONDS = 30.0


class Database:
    """Connections to one file, one for each thread. Writers in this process queue on a lock, others on SQLite's."""

    def __init__(self, path: Path, migrations: Sequence[str] = MIGRATIONS) -> None:
        self.path = path
        self._open: dict[threading.Thread, sqlite3.Connection] = {}
        self._writing = threading.RLock()
        self._process = os.getpid()
        inspect(path, len(migrations))
        self._file: File | None = None
        try:
            with self.translated():
                with opening():
                    connection = self.connection()
                    self._file = begin_use(path)
                prepare(connection, path, migrations)
        except BaseException:
            self.close()
            raise

    def connection(self) -> sqlite3.Connection:
        """This thread's connection."""
        if os.getpid() != self._process:
            PARENTS.append(self._open)
            self._open, self._writing, self._process = {}, threading.RLock(), os.getpid()
        thread = threading.current_thread()
        if thread not in self._open:
            for other in list(self._open):
                if not other.is_alive() and (ended := self._open.pop(other, None)):
                    ended.close()
            self._open[thread] = connect(self.path)
        return self._open[thread]

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A transaction that sees one state of the file, or the writer's own when inside one."""
        with self.translated():
            connection = self.connection()
            if connection.in_transaction:
                yield connection
                return
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                if connection.in_transaction:  # an error of the disk ends it
                    connection.execute("COMMIT")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that is on disk when the block ends, or undone if it raises."""
        with self.translated(), self._writing:
            connection = self.connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def alone(self) -> Iterator[sqlite3.Connection]:
        """The connection outside any transaction, with this process's writers held back."""
        with self.translated(), self._writing:
            yield self.connection()

    @contextmanager
    def translated(self) -> Iterator[None]:
        """SQLite's errors as ours."""
        try:
            yield
        except sqlite3.Error as error:
            raise translate(error, self.path) from error

    def close(self) -> None:
        """Close every connection; the last one folds the log into the file."""
        while self._open and os.getpid() == self._process:
            self._open.popitem()[1].close()
        if self._file is not None and os.getpid() == self._process:
            end_use(self._file)
            self._file = None


PARENTS: list[object] = []
"""Connections that a fork brought along: SQLite forbids even to close them here, so they are kept."""


def connect(path: Path) -> sqlite3.Connection:
    """A connection that waits for others, keeps deleted content zeroed and survives a power cut."""
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA cache_size = -16000")
    return connection


def inspect(path: Path, version: int) -> None:
    """Refuse a file that is not ours by its first bytes alone, so that it is never touched."""
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder; name a file in it, such as {path / 'memory.db'}")
        if not path.parent.is_dir():
            raise InputError(f"the folder {path.parent} does not exist; create it first")
        if not path.exists():
            return
        header = head(path, HEADER)
        journal = path.with_name(path.name + "-journal").exists()
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}; check its name and its rights") from error
    if not header or (journal and not any(header)):  # new, or a crash while it was made
        return
    if len(header) < HEADER or not header.startswith(MAGIC):
        raise NotAStore(f"{path} is not a Memorist store; choose another name, or move that file away")
    refuse(path, int.from_bytes(header[68:72], "big"), int.from_bytes(header[60:64], "big"), version)


def refuse(path: Path, application: int, found: int, version: int) -> None:
    """Raises for another program's database, or a newer schema than `version`."""
    if application != APPLICATION_ID:
        raise NotAStore(f"{path} is an SQLite database of another program; choose another name")
    if found > version:
        raise StoreTooNew(
            f"{path} has schema {found}, this Memorist knows up to {version}; upgrade with: pip install -U memorist"
        )


def prepare(connection: sqlite3.Connection, path: Path, migrations: Sequence[str]) -> None:
    """Bring the file to the newest schema in one transaction, after a copy when it holds data, and turn on WAL."""
    if version_of(connection) < len(migrations):
        connection.execute("BEGIN IMMEDIATE")
        try:
            migrate(connection, path, migrations)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    # The header on disk may be older than the log: what it said is asked again.
    refuse(path, number_of(connection, "application_id"), version_of(connection), len(migrations))
    turn_on_wal(connection)


def migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[str]) -> None:
    """Run what is missing. The write lock is ours, so the copy is of what is migrated."""
    found = version_of(connection)
    if found >= len(migrations):  # another process was first
        return
    if found == 0 and connection.execute("SELECT 1 FROM sqlite_master").fetchone():
        refuse(path, 0, 0, 0)
    copy = copy_beside(path, found) if found else None
    for script in migrations[found:]:
        for statement in statements(script):
            connection.execute(statement)
    if copy:
        values = (str(copy.resolve()), int(time.time() * 1e6))
        connection.execute("INSERT OR REPLACE INTO backups (path, at) VALUES (?, ?)", values)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {len(migrations)}")


def turn_on_wal(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log; the switch does not wait for locks by itself."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                connection.execute("PRAGMA journal_mode = WAL").fetchone()
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def copy_beside(path: Path, version: int) -> Path:
    """Keep the file as it was before a migration. The connection that holds the write lock cannot be copied from."""
    source = connect(path)
    try:
        target = path.with_name(f"{path.name}.v{version}.bak")
        copy_whole(source, target)
        return target
    finally:
        source.close()


def copy_whole(source: sqlite3.Connection, target: Path) -> None:
    """Copy a database; the copy appears under its name only when whole."""
    partial = target.with_name(target.name + ".partial")
    partial.unlink(missing_ok=True)  # of one that was killed
    try:
        copy = sqlite3.connect(partial)
        try:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
        finally:
            copy.close()
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def version_of(connection: sqlite3.Connection) -> int:
    """The schema version of the file."""
    return number_of(connection, "user_version")


def number_of(connection: sqlite3.Connection, pragma: str) -> int:
    """A number in the file's header."""
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])


def statements(script: str) -> Iterator[str]:
    """Single statements: `executescript` would end our transaction."""
    gathered = ""
    for line in script.splitlines(keepends=True):
        gathered += line
        if sqlite3.complete_statement(gathered):
            yield gathered
            gathered = ""
    if gathered.strip():
        yield gathered


def translate(error: sqlite3.Error, path: Path) -> MemoristError:
    """The error in our words, with what to do."""
    text = str(error)
    if "full" in text:
        return StoreFull(f"no room left for {path}; free some space and try again (what was acknowledged is safe)")
    if "readonly" in text or "unable to open" in text:
        return StoreReadOnly(f"{path} cannot be written ({text}); check the rights of the file and its folder")
    if "locked" in text or "busy" in text:
        return StoreBusy(f"{path} is held by another process for over {BUSY_SECONDS:.0f} s; end it or try later")
    if "malformed" in text or "not a database" in text or "corrupt" in text:
        return NotAStore(f"{path} is damaged ({text}); restore a backup, or see: memorist verify --store {path}")
    if "I/O" in text:
        return StoreFull(f"the disk refused to read or write {path} ({text}); check its space, quota and health")
    return StoreError(f"{path}: {text}")
