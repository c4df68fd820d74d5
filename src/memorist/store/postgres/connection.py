"""Transactions on a PostgreSQL database: a pool, a tenant for each, and errors in our words."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from memorist.errors import (
    MemoristError,
    StoreBusy,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreUnreachable,
)
from memorist.store.postgres.dialect import Dialect
from memorist.store.postgres.names import SEEN, TABLES, VIEWS
from memorist.store.postgres.schema import MIGRATING, migrate
from memorist.store.postgres.tables import layout_of
from memorist.store.schema import MIGRATIONS

if TYPE_CHECKING:
    import psycopg
    import psycopg_pool

WRITING = MIGRATING + 1
"""The advisory lock that writers of one owner share, and that who writes for all owners holds alone."""

AUDITING = WRITING + 1
"""The advisory lock of who adds to the audit log."""

BUSY_SECONDS = 30.0
POOL = 16
"""Connections of a process, at most: one for each transaction that runs."""

Values = Sequence[Any] | Mapping[str, Any]


class Cursor:
    """What the rooms use of a cursor of sqlite3."""

    def __init__(self, cursor: psycopg.Cursor[Any], numbered: bool) -> None:
        self._cursor = cursor
        self._numbered = numbered
        self.rowcount = cursor.rowcount

    @property
    def lastrowid(self) -> int | None:
        """The number that the inserted row was given."""
        found = self._cursor.fetchone() if self._numbered else None
        return int(found[0]) if found else None

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self._cursor)

    def fetchone(self) -> Any:
        """The next row, or None."""
        return self._cursor.fetchone()

    def fetchmany(self, size: int) -> list[tuple[Any, ...]]:
        """Up to `size` rows."""
        return self._cursor.fetchmany(size)

    def fetchall(self) -> list[tuple[Any, ...]]:
        """All rows that are left."""
        return self._cursor.fetchall()


class Session:
    """One transaction, spoken to as the rooms speak to sqlite3. Until it enters a tenant, it sees all of them."""

    def __init__(self, connection: psycopg.Connection[Any], dialect: Dialect, *, writes: bool) -> None:
        self.writes = writes
        self._connection = connection
        self._dialect = dialect
        self._tenant: str | None = None
        self._path = VIEWS
        self._streams: list[psycopg.ServerCursor[Any]] = []

    def execute(self, sql: str, values: Values = ()) -> Cursor:
        """Run one statement of the rooms."""
        statement = self._dialect.statement(sql)
        found = self._connection.execute(statement.telling, values, binary=True)
        return Cursor(found, statement.counted is not None)

    def executemany(self, sql: str, many: Sequence[Values]) -> None:
        """Run one statement for each of the values."""
        with self._connection.cursor() as cursor:
            cursor.executemany(self._dialect.statement(sql).sql, many)

    def stream(self, sql: str, values: Values, batch: int) -> Cursor:
        """As `execute`, for more rows than should be held at once: no more than `batch`."""
        cursor = self._connection.cursor(f"stream_{len(self._streams)}", binary=True)
        cursor.itersize = batch
        self._streams.append(cursor)
        cursor.execute(self._dialect.statement(sql).sql, values)
        return Cursor(cursor, False)

    def close_streams(self) -> None:
        """Let go of what `stream` began."""
        while self._streams:
            self._streams.pop().close()

    def enter(self, tenant: str) -> None:
        """See and write rows of this tenant alone, from here on."""
        if self._tenant == tenant:
            return
        sql = "SELECT set_config('memorist.tenant', %s, true), set_config('search_path', %s, true)"
        if self.writes and self._tenant is None:
            sql += f", pg_advisory_xact_lock_shared({WRITING})"
        self._connection.execute(sql, (tenant, self._path))
        self._tenant = tenant

    def show(self, settings: Mapping[str, str]) -> None:
        """See from here on what a subject may see, and nothing else; see `shown`."""
        self._path = f"{SEEN}, {VIEWS}"
        values = {"search_path": self._path, **{f"memorist.{name}": value for name, value in settings.items()}}
        sql = ", ".join(["set_config(%s, %s, true)"] * len(values))
        self._connection.execute(f"SELECT {sql}", [one for item in values.items() for one in item])

    def leave(self) -> None:
        """See all tenants again; a subject sees no more than before."""
        if self._path != VIEWS:
            return
        self._connection.execute("SELECT set_config('search_path', %s, true)", (f"{TABLES}, {VIEWS}",))
        self._tenant = None

    def alone(self) -> None:
        """Wait for all other writers, and keep them waiting until this transaction ends."""
        self._connection.execute("SELECT pg_advisory_xact_lock(%s)", (WRITING,))

    def audited(self) -> None:
        """Wait for whoever adds to the audit log, and keep others from it until this transaction ends."""
        self._connection.execute("SELECT pg_advisory_xact_lock(%s)", (AUDITING,))

    def tenants(self) -> list[str]:
        """All tenants that are seen."""
        if self._path != VIEWS:
            return [self._tenant or ""]
        return [name for (name,) in self._connection.execute(f"SELECT DISTINCT tenant FROM {TABLES}.owners ORDER BY 1")]

    def copy_in(self, table: str, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert many rows, the tenant's column among them."""
        listed = ", ".join(f'"{name}"' for name in names)
        with (
            self._connection.cursor() as cursor,
            cursor.copy(f"COPY {TABLES}.{table} ({listed}) FROM STDIN") as copy,
        ):
            for row in rows:
                copy.write_row(row)

    def last_number(self, table: str) -> int:
        """The highest number given to a row of a table; 0 when none was."""
        sql = f"SELECT last_value, is_called FROM {TABLES}.{table}_numbers"
        last, called = self._connection.execute(sql).fetchone() or (0, False)
        return int(last) if called else 0

    def set_last_number(self, table: str, number: int) -> None:
        """Number the next row of a table above this."""
        self._connection.execute("SELECT setval(%s, %s)", (f"{TABLES}.{table}_numbers", number))

    def numbers(self, table: str, count: int) -> list[int]:
        """New numbers for rows of a table, rising."""
        sql = f"SELECT nextval('{TABLES}.{table}_numbers') FROM generate_series(1, %s)"
        return [number for (number,) in self._connection.execute(sql, (count,), binary=True)]


class Database:
    """A pool of connections. Transactions of a thread nest: one that reads inside one that writes is the writer's."""

    def __init__(self, url: str, migrations: Sequence[str] = MIGRATIONS) -> None:
        self.url = url
        self.place = place_of(url)
        self._layout = layout_of(migrations)
        self._dialect = Dialect(self._layout)
        self._running = threading.local()
        self._process = os.getpid()
        psycopg = driver()
        with self.translated():
            with psycopg.connect(url, autocommit=True) as connection:
                migrate(connection, migrations, self.place)
            self._pool = self._opened()

    def _opened(self) -> psycopg_pool.ConnectionPool[Any]:
        from psycopg_pool import ConnectionPool

        return ConnectionPool(
            self.url,
            min_size=1,
            max_size=POOL,
            timeout=BUSY_SECONDS,
            kwargs={"autocommit": True, "application_name": "memorist"},
            configure=configure,
            open=True,
        )

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A transaction that sees one state of the database, or the one that runs already."""
        running: Session | None = getattr(self._running, "session", None)
        if running is not None:
            yield running
            return
        with self.separate() as session:
            self._running.session = session
            try:
                yield session
            finally:
                self._running.session = None

    def separate(self) -> AbstractContextManager[Session]:
        """A transaction that reads, beside the one that this thread may be in."""
        return self._transaction("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", writes=False)

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction that is durable when the block ends, or undone if it raises."""
        with self._transaction("BEGIN", writes=True) as session:
            self._running.session = session
            try:
                yield session
            finally:
                self._running.session = None

    @contextmanager
    def alone(self) -> Iterator[psycopg.Connection[Any]]:
        """A connection outside any transaction."""
        with self.translated():
            connection = self._begun("SELECT 1")
            try:
                yield connection
            finally:
                self._pool.putconn(connection)

    @contextmanager
    def _transaction(self, begin: str, *, writes: bool) -> Iterator[Session]:
        with self.translated():
            connection = self._begun(begin)
            session = Session(connection, self._dialect, writes=writes)
            try:
                yield session
                session.close_streams()
                connection.execute("COMMIT")
            except BaseException:
                rolled_back(connection, session)
                raise
            finally:
                self._pool.putconn(connection)

    def _begun(self, begin: str) -> psycopg.Connection[Any]:
        """A connection that has begun; a server that restarts meanwhile is waited for."""
        import psycopg

        if os.getpid() != self._process:  # connections of a parent are the parent's
            PARENTS.append(self._pool)
            self._pool, self._running, self._process = self._opened(), threading.local(), os.getpid()
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            connection: psycopg.Connection[Any] = self._pool.getconn(max(0.1, deadline - time.monotonic()))
            try:
                connection.execute(begin)
                return connection
            except psycopg.OperationalError:
                self._pool.putconn(connection)  # which closes one that is broken
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            except BaseException:
                self._pool.putconn(connection)
                raise

    @contextmanager
    def translated(self) -> Iterator[None]:
        """The driver's errors as ours."""
        import psycopg

        try:
            yield
        except psycopg.Error as error:
            raise translate(error, self.place) from error

    def close(self) -> None:
        """Close every connection."""
        if os.getpid() == self._process and hasattr(self, "_pool"):
            self._pool.close()


PARENTS: list[object] = []
"""Pools that a fork brought along: to close them here would end the parent's connections."""


def driver() -> Any:
    """psycopg. Raises StoreError when it is not installed."""
    try:
        import psycopg
        import psycopg_pool  # noqa: F401
    except ImportError as error:
        raise StoreError(f"PostgreSQL needs {error.name}; run: pip install 'memorist[postgres]'") from None
    return psycopg


DURABLE = """
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'
"""
"""What is acknowledged is on disk, whatever the server does for others."""


def configure(connection: psycopg.Connection[Any]) -> None:
    """Have values go over and come back as they do with SQLite, and statements be planned once."""
    from memorist.store.postgres.values import adapt

    adapt(connection)
    connection.execute(f"SET search_path = {TABLES}, {VIEWS}")
    connection.execute("SET plan_cache_mode = force_generic_plan")
    connection.execute(DURABLE)


def rolled_back(connection: psycopg.Connection[Any], session: Session) -> None:
    """End a transaction that failed; one whose connection is broken has ended."""
    import psycopg

    try:
        session.close_streams()
        connection.execute("ROLLBACK")
    except psycopg.Error:
        connection.close()


def place_of(url: str) -> str:
    """The address without its password, for messages."""
    return PASSWORD.sub(r"\1…@", url)


PASSWORD = re.compile(r"(://[^/@:]*:)[^/@]*@")


def translate(error: psycopg.Error, place: str) -> MemoristError:
    """The error in our words, with what to do."""
    import psycopg_pool
    from psycopg import errors

    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if isinstance(error, (errors.DiskFull, errors.OutOfMemory)):
        return StoreFull(f"no room left for {place} ({text}); free some space (what was acknowledged is safe)")
    if isinstance(error, (errors.ReadOnlySqlTransaction, errors.InsufficientPrivilege)):
        return StoreReadOnly(f"{place} cannot be written ({text}); check the rights of its user, or name the primary")
    if isinstance(error, (errors.LockNotAvailable, errors.DeadlockDetected, errors.SerializationFailure)):
        return StoreBusy(f"{place} is held by others ({text}); try again")
    if isinstance(error, psycopg_pool.PoolTimeout):
        return StoreBusy(f"no connection to {place} within {BUSY_SECONDS:.0f} s ({text}); is it up, and large enough?")
    if isinstance(error, errors.OperationalError):
        return StoreUnreachable(f"{place} cannot be reached ({text}); is PostgreSQL running there?")
    return StoreError(f"{place}: {text}")
