"""Which store a place means: a file, or an address of PostgreSQL."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from memorist.store.sqlite import SQLiteStore

if TYPE_CHECKING:
    from memorist.store.postgres.store import PostgresStore

SERVER = re.compile(r"postgres(?:ql)?://")


def is_server(place: str | Path) -> bool:
    """Whether a place is the address of a server rather than a file."""
    return isinstance(place, str) and SERVER.match(place) is not None


def open_store(place: str | Path) -> SQLiteStore | PostgresStore:
    """The store at a place, a file of which ~ is expanded already. Raises StoreError and what is below it."""
    if not is_server(place):
        return SQLiteStore(Path(place))
    from memorist.store.postgres.store import PostgresStore

    return PostgresStore(str(place))
