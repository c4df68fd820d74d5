"""LangGraph's SqliteStore with an index over texts by sqlite-vec, a namespace for each owner.

The fields to index are documented as `fields` and read as `text_fields`: without the second, 3.1.2 embeds the JSON.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from langgraph.store.sqlite import SqliteStore

from .langgraph_memory import Store, index
from .serve import Embed, serve


def make(folder: Path, embed: Embed) -> Store:
    """A store in a file. `isolation_level=None` is what its own `from_conn_string` opens it with."""
    connection = sqlite3.connect(folder / "store.db", check_same_thread=False, isolation_level=None)
    store = SqliteStore(connection, index={**index(embed), "text_fields": ["text"]})
    store.setup()
    return Store(store)


if __name__ == "__main__":
    serve("langgraph-sqlite", "langgraph-checkpoint-sqlite", make)
