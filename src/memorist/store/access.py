"""Who may ask a server what: API keys, kept as hashes, and what was answered to requests that may come again."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from memorist.store.moments import micros, moment, optional_moment
from memorist.store.protocol import Attempt, Key

KEPT = timedelta(hours=24)
"""How long an answered request is remembered."""

COLUMNS = "id, name, tenant, user, agent, rights, rate, created_at, revoked_at"


def add_key(db: sqlite3.Connection, key: Key, digest: str) -> None:
    """Keep a key under the hash of its secret."""
    values = (key.id, digest, key.name, key.tenant, key.user, key.agent, ",".join(key.rights), key.rate)
    sql = (
        "INSERT INTO keys (id, digest, name, tenant, user, agent, rights, rate, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
    )
    db.execute(sql, (*values, micros(key.created_at)))


def keys(db: sqlite3.Connection) -> list[Key]:
    """All keys, oldest first, revoked ones too."""
    return [key_of(record) for record in db.execute(f"SELECT {COLUMNS} FROM keys ORDER BY created_at, id")]


def key_with(db: sqlite3.Connection, digest: str) -> Key | None:
    """The key of a secret's hash, unless it was revoked."""
    sql = f"SELECT {COLUMNS} FROM keys WHERE digest = ? AND revoked_at IS NULL"
    record = db.execute(sql, (digest,)).fetchone()
    return key_of(record) if record else None


def revoke_key(db: sqlite3.Connection, id: str, now: datetime) -> bool:
    """End a key; False when there is none of this id that is not ended already."""
    sql = "UPDATE keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL"
    return db.execute(sql, (micros(now), id)).rowcount == 1


def key_of(record: Sequence[Any]) -> Key:
    """A key from a row of COLUMNS."""
    id, name, tenant, user, agent, rights, rate, created, revoked = record
    held = tuple(rights.split(","))
    return Key(id, name, tenant, user, agent, held, rate, moment(created), optional_moment(revoked))


def attempt(db: sqlite3.Connection, key: str, name: str, digest: str, now: datetime) -> Attempt:
    """Begin a request that may come again, or find how the first one of this name went. Old ones are dropped."""
    db.execute("DELETE FROM attempts WHERE at < ?", (micros(now - KEPT),))
    sql = "INSERT INTO attempts (key, name, digest, at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
    first = db.execute(sql, (key, name, digest, micros(now))).rowcount == 1
    sql = "SELECT digest, at, status, body FROM attempts WHERE key = ? AND name = ?"
    known, at, status, body = db.execute(sql, (key, name)).fetchone()
    return Attempt(first, known, moment(at), status, None if body is None else json.loads(body))


def answered(db: sqlite3.Connection, key: str, name: str, status: int, body: Mapping[str, Any]) -> None:
    """Remember the answer to a request."""
    sql = "UPDATE attempts SET status = ?, body = ? WHERE key = ? AND name = ?"
    db.execute(sql, (status, json.dumps(body), key, name))


def abandoned(db: sqlite3.Connection, key: str, name: str) -> None:
    """Forget a request that changed nothing, so that it may come again in another form."""
    db.execute("DELETE FROM attempts WHERE key = ? AND name = ? AND status IS NULL", (key, name))


def forget_ids(db: sqlite3.Connection, ids: Sequence[str]) -> int:
    """Drop the remembered answers that name one of these cubes; returns how many."""
    every = db.execute("SELECT key, name, body FROM attempts WHERE body IS NOT NULL").fetchall()
    named = [(key, name) for key, name, body in every if any(id in body for id in ids)]
    db.executemany("DELETE FROM attempts WHERE key = ? AND name = ?", named)
    return len(named)
