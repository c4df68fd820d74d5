"""Governance in tables; see `memorist.store.governed.Governed`."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from memorist.cube import Scope
from memorist.store import audit, dossier, grants, tags
from memorist.store.governed import Entry, Grant, Subject
from memorist.store.prints import secret_of
from memorist.store.rows import next_revision
from memorist.store.scoped import Transactions, enter, owner_of

STORE = "store"


class Governing:
    """What a store of tables does beside remembering, but for what needs its files or its connections."""

    _database: Transactions

    def grant(self, grant: Grant, by: Subject | None) -> Grant:
        """Keep a grant, and return it with its number."""
        with self._database.writing() as db:
            owner = owner_of(db, grant.scope, create=True)
            next_revision(db, owner)
            return replace(grant, number=grants.add(db, owner, grant, by))

    def revoke(self, scope: Scope, number: int, now: datetime, by: Subject | None) -> None:
        """End a grant of this owner at once."""
        with self._database.writing() as db:
            owner = owner_of(db, scope, create=False)
            next_revision(db, owner)
            grants.revoke(db, owner, number, now, by)

    def grants(self, scope: Scope) -> list[Grant]:
        """All grants of an owner's memory, oldest first."""
        with self._database.reading() as db:
            return grants.given(db, owner_of(db, scope, create=False))

    def granted(self, tenant: str, subject: Subject) -> list[Grant]:
        """The grants that a subject has now, oldest first."""
        with self._database.reading() as db:
            enter(db, tenant)
            return grants.held(db, tenant, subject)

    def tags(self, scope: Scope) -> dict[str, tuple[str, ...]]:
        """The tags of an owner's cubes by id, with those that derived cubes have from their sources."""
        with self._database.reading() as db:
            return tags.by_id(db, owner_of(db, scope, create=False))

    def record(self, act: str, scope: Scope, detail: Mapping[str, Any]) -> tuple[int, str]:
        """Add an entry to the audit log."""
        with self._database.writing() as db:
            return audit.record(db, act, scope.tenant, scope.user, **detail)

    def audit(self, after: int, limit: int, scope: Scope | None) -> list[Entry]:
        """Entries beyond a place, oldest first."""
        with self._database.reading() as db:
            return audit.entries(db, after, limit, None if scope is None else (scope.tenant, scope.user))

    def audit_head(self) -> tuple[int, str]:
        """Place and hash of the last entry."""
        with self._database.reading() as db:
            return audit.head(db)

    def audit_problems(self) -> list[str]:
        """Where the chain of the audit log does not hold."""
        with self._database.reading() as db:
            return audit.problems(db)

    def audit_hash(self, place: int) -> str | None:
        """The hash of the entry at a place."""
        with self._database.reading() as db:
            return audit.hash_at(db, place)

    def identity(self) -> str:
        """A random name of this store and its copies."""
        with self._database.reading() as db:
            found = named(db)
        if found:
            return found
        with self._database.writing() as db:
            return name_store(db)

    def known_of(self, scope: Scope) -> Iterator[tuple[str, dict[str, Any]]]:
        """All that is kept of an owner, as (table, record)."""
        with self._database.reading() as db:
            enter(db, scope.tenant)
            yield from dossier.known_of(db, scope.tenant, scope.user)


def name_store(db: sqlite3.Connection) -> str:
    """Give a store its name and its secret, which its copies share, unless it has them."""
    secret_of(db)
    db.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (STORE, secrets.token_hex(16)))
    return named(db) or ""


def named(db: sqlite3.Connection) -> str | None:
    """The store's name, once it has one."""
    found = db.execute("SELECT value FROM meta WHERE name = ?", (STORE,)).fetchone()
    return found[0] if found else None
