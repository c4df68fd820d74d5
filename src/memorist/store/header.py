"""The part of a cube's header that may be set: what it is, until when, how important and how sensitive."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from memorist.cube import LONGEST_NAME, is_unicode
from memorist.errors import InputError, brief
from memorist.store.moments import micros
from memorist.store.protocol import HeaderChange

MOST_PRIORITY = 100
MOST_TAGS = 50


def check_header(semantic_type: object, priority: object, sensitivity: object) -> None:
    """Raises InputError for a value that no header can have."""
    named(semantic_type, "semantic_type")
    if isinstance(priority, bool) or not isinstance(priority, int) or abs(priority) > MOST_PRIORITY:
        raise InputError(f"priority={brief(priority)} is not a whole number from -{MOST_PRIORITY} to {MOST_PRIORITY}")
    if not isinstance(sensitivity, (list, tuple)) or len(sensitivity) > MOST_TAGS:
        raise InputError(f"sensitivity={brief(sensitivity)} is not a list of up to {MOST_TAGS} tags")
    for tag in sensitivity:
        named(tag, "a sensitivity tag")
        if not tag:
            raise InputError("a sensitivity tag is empty; leave it out")


def named(value: object, what: str) -> None:
    """Raises InputError for what is not a short text."""
    if not isinstance(value, str) or len(value) > LONGEST_NAME or "\x00" in value or not is_unicode(value):
        raise InputError(f"{what}={brief(value)} is not a text of at most {LONGEST_NAME} valid characters")


def set_header(db: sqlite3.Connection, rows: Sequence[int], change: HeaderChange, now: datetime, revision: int) -> None:
    """Write what a change names, and an event."""
    check_header(change.semantic_type or "", change.priority or 0, change.sensitivity or ())
    values: dict[str, Any] = {
        "semantic_type": change.semantic_type,
        "priority": change.priority,
        "sensitivity": None if change.sensitivity is None else json.dumps(tags(change.sensitivity), ensure_ascii=False),
    }
    values = {name: value for name, value in values.items() if value is not None}
    if change.expires:
        values["expires_at"] = None if change.expires_at is None else micros(change.expires_at)
    names = "".join(f"{name} = ?, " for name in values)
    sql = f"UPDATE cubes SET {names}updated_at = MAX(?, recorded_at), revision = ? WHERE row = ?"
    db.executemany(sql, [(*values.values(), micros(now), revision, row) for row in rows])
    event = "INSERT INTO events (row, at, what) VALUES (?, ?, 'described')"
    db.executemany(event, [(row, micros(now)) for row in rows])


def tags(sensitivity: Sequence[str]) -> list[str]:
    """Each tag once, in the order of the alphabet."""
    return sorted(set(sensitivity))
