"""All that a store of tables keeps of one owner, record by record, whichever table it stands in."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from typing import Any

from memorist.store.moments import moment
from memorist.store.reach import columns, hanging, tables

CLOCKS = (
    *("at", "valid_from", "valid_to", "recorded_at", "superseded_at", "revoked_at", "created_at", "lease_until"),
    *("not_before", "expires_at", "used_at"),
)
"""Columns that hold microseconds since 1970."""

OWNED = "owner = (SELECT owner FROM main.owners WHERE tenant = :tenant AND user = :user)"
NAMED = "tenant = :tenant AND user = :user"


def known_of(db: sqlite3.Connection, tenant: str, user: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(table, record) of all that is the owner's, names the owner, or hangs on the owner's cubes."""
    where = {"cubes": OWNED, **hanging(db, "cubes", OWNED)}
    for table in tables(db):
        held = columns(db, table)
        if "owner" in held and table not in where:
            where[table] = OWNED
        elif {"tenant", "user"} <= set(held):
            where[table] = NAMED
    where["grants"] = (
        f"({OWNED}) OR (with_user = :user AND owner IN (SELECT owner FROM main.owners WHERE tenant = :tenant))"
    )
    where["attempts"] = f"key IN (SELECT id FROM keys WHERE {NAMED})"
    owner = {"tenant": tenant, "user": user}
    for table, condition in where.items():
        names = [name for name in columns(db, table) if name != "digest"]
        found = db.execute(f"SELECT {', '.join(names)} FROM {table} WHERE {condition}", owner)
        for row in found:
            yield table, {name: shown(name, value) for name, value in zip(names, row)}


def shown(name: str, value: Any) -> Any:
    """A value as JSON data: times as ISO 8601, bytes by their size and hash."""
    if isinstance(value, bytes):
        return {"bytes": len(value), "sha256": hashlib.sha256(value).hexdigest()}
    if name in CLOCKS and isinstance(value, int) and value > 1_000_000_000:
        return moment(value).isoformat()
    if isinstance(value, str) and value[:1] in ("{", "[") and name not in ("text",):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
