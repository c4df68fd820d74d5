"""Binding a transaction to a tenant. In an SQLite file the owner's number does; PostgreSQL keeps tenants apart."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from memorist.cube import Scope


class Transactions(Protocol):
    """Where a store's rooms find their tables."""

    def reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """A transaction that sees one state of the store, or the thread's own when it is inside one."""
        ...

    def writing(self) -> AbstractContextManager[sqlite3.Connection]:
        """A transaction that is durable when the block ends, or undone if it raises."""
        ...

    def close(self) -> None:
        """Let go of what is open."""
        ...


def enter(db: sqlite3.Connection, tenant: str) -> None:
    """From here on the transaction sees and writes this tenant's rows alone, where the store keeps them apart."""
    if not isinstance(db, sqlite3.Connection):
        db.enter(tenant)


def each_tenant(db: sqlite3.Connection) -> Iterator[None]:
    """Once for each part of the store that is kept apart, with the transaction bound to it: work for all owners."""
    if isinstance(db, sqlite3.Connection):
        yield
        return
    for tenant in db.tenants():
        db.enter(tenant)
        yield
    db.leave()


def alone(db: sqlite3.Connection) -> None:
    """Before writing what all owners share: no other process writes until the transaction ends."""
    if not isinstance(db, sqlite3.Connection):
        db.alone()


def audited(db: sqlite3.Connection) -> None:
    """Before adding to the audit log, a chain that all owners share: who adds now waits until the transaction ends.

    Unlike `alone` it keeps nobody from writing anything else, and may be asked for by any number of writers.
    """
    if not isinstance(db, sqlite3.Connection):
        db.audited()


def owner_of(db: sqlite3.Connection, scope: Scope, *, create: bool, lock: bool = True) -> int:
    """The number of (tenant, user); 0, which owns nothing, when it is not known and not to be created.

    It comes first in every transaction of a scope. Writers of one owner queue from here on, but for one that takes no
    `lock`: it must not rely on what it reads twice.
    """
    enter(db, scope.tenant)
    key = (scope.tenant, scope.user)
    sql = "SELECT owner FROM owners WHERE tenant = ? AND user = ?"
    if lock and writes(db):
        sql += " /*+ FOR NO KEY UPDATE */"
    found = db.execute(sql, key).fetchone()
    if found:
        return int(found[0])
    if not create:
        return 0
    new = db.execute("INSERT INTO owners (tenant, user) VALUES (?, ?) ON CONFLICT DO NOTHING", key)
    return int(new.lastrowid or 0) if new.rowcount == 1 else owner_of(db, scope, create=True)


def writes(db: sqlite3.Connection) -> bool:
    """Whether the transaction may write."""
    return isinstance(db, sqlite3.Connection) or db.writes


def stream(db: sqlite3.Connection, sql: str, values: Sequence[Any] = (), batch: int = 20_000) -> Any:
    """As `execute`, for more rows than should be held at once: no more than `batch`."""
    return db.execute(sql, values) if isinstance(db, sqlite3.Connection) else db.stream(sql, values, batch)
