"""The audit log: what was done to the store, each entry chained to the one before by its hash.

It holds no memories and outlives them: names of users, counts, and digests. Changing or leaving out an entry breaks the
chain; cutting off its end does not, so its head (place and hash) is kept beside it and is told to whoever asks.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from typing import Any

from memorist.store.governed import Entry
from memorist.store.moments import moment
from memorist.store.scoped import audited

ACTOR: ContextVar[str] = ContextVar("actor", default="")
"""On whose behalf this thread acts, where that is not the owner: a server's key, or another subject."""

BEGIN = "0" * 64
HEAD = "audit_head"
COLUMNS = "seq, at, actor, tenant, user, act, detail, hash"


def canonical(value: Any) -> bytes:
    """One spelling of a JSON value."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode("utf-8", "replace")


def chained(before: str, entry: Sequence[Any]) -> str:
    """The hash of an entry, given as its columns without the hash."""
    return hashlib.sha256(before.encode() + canonical(list(entry))).hexdigest()


def record(db: sqlite3.Connection, act: str, tenant: str = "", user: str = "", **detail: Any) -> tuple[int, str]:
    """Add an entry in the caller's transaction; returns its place and hash.

    Its time is this machine's: an audit does not take the caller's word for it.
    """
    audited(db)
    place, before = head(db)
    told = canonical(detail).decode()
    entry = (place + 1, time.time_ns() // 1000, ACTOR.get(), tenant, user, act, told)
    hash = chained(before, entry)
    db.execute(f"INSERT INTO audit ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*entry, hash))
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (HEAD, f"{place + 1}:{hash}"))
    return place + 1, hash


def recorded(db: sqlite3.Connection, owner: int, act: str, **detail: Any) -> None:
    """Add an entry about an owner."""
    found = db.execute("SELECT tenant, user FROM owners WHERE owner = ?", (owner,)).fetchone()
    record(db, act, *(found or ("", "")), **detail)


def digest_of(ids: Iterable[str]) -> str:
    """What an entry keeps of a batch of ids."""
    return hashlib.sha256("\n".join(ids).encode("utf-8", "replace")).hexdigest()


def head(db: sqlite3.Connection) -> tuple[int, str]:
    """Place and hash of the last entry, as the store has kept them."""
    found = db.execute("SELECT value FROM meta WHERE name = ?", (HEAD,)).fetchone()
    if not found:
        return 0, BEGIN
    place, _, hash = found[0].partition(":")
    return int(place), hash


def entries(db: sqlite3.Connection, after: int, limit: int, owner: tuple[str, str] | None) -> list[Entry]:
    """Up to `limit` entries beyond a place, oldest first; of one (tenant, user), or of all."""
    where, values = ("AND tenant = ? AND user = ?", owner) if owner is not None else ("", ())
    sql = f"SELECT {COLUMNS} FROM audit WHERE seq > ? {where} ORDER BY seq LIMIT ?"
    return [entry_of(row) for row in db.execute(sql, (after, *values, limit))]


def erasing(db: sqlite3.Connection, number: str) -> list[Entry]:
    """The entry of an erase by its number."""
    found = db.execute(f"SELECT {COLUMNS} FROM audit WHERE act = 'erase' ORDER BY seq DESC", ())
    return [entry for row in found if (entry := entry_of(row)).detail.get("number") == number]


def entry_of(row: Sequence[Any]) -> Entry:
    """An entry from a row of COLUMNS."""
    place, at, actor, tenant, user, act, detail, hash = row
    return Entry(place, moment(at), actor, tenant, user, act, json.loads(detail), hash)


def hash_at(db: sqlite3.Connection, place: int) -> str | None:
    """The hash of the entry at a place; that of place 0 begins the chain."""
    if place == 0:
        return BEGIN
    found = db.execute("SELECT hash FROM audit WHERE seq = ?", (place,)).fetchone()
    return found[0] if found else None


def problems(db: sqlite3.Connection) -> list[str]:
    """Where the chain does not hold; the first place is enough, as all that follows hangs on it."""
    before, last = BEGIN, 0
    for *entry, hash in db.execute(f"SELECT {COLUMNS} FROM audit ORDER BY seq"):
        if entry[0] != last + 1:
            return [f"the audit log lacks entry {last + 1}: it was cut out"]
        if chained(before, entry) != hash:
            return [f"entry {entry[0]} of the audit log was changed"]
        before, last = hash, entry[0]
    kept = head(db)
    if kept != (last, before):
        return [f"the audit log ends at entry {last}, and should at {kept[0]}: its end was cut off"]
    return []
