"""Which records hang on cubes, read from the schema: a table that is added later is erased, counted and shown like the
others, if it names its cube by a foreign key that cascades."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from functools import cache

from memorist.store.postgres.tables import Layout, layout_of
from memorist.store.schema import MIGRATIONS


@cache
def layout() -> Layout:
    """The newest schema, for a database that cannot be asked in SQLite's words."""
    return layout_of(MIGRATIONS)


def hanging(db: sqlite3.Connection, root: str, condition: str) -> dict[str, str]:
    """Each table whose records go when records of `root` go, with the SQL of which: those that hang on the records of
    `root` that meet `condition`."""
    found = {root: condition}
    fresh = [root]
    references = {table: cascades(db, table) for table in tables(db)}
    while fresh:
        parent = fresh.pop()
        for table, keys in references.items():
            parts = [
                f"{column} IN (SELECT {key} FROM {parent} WHERE {found[parent]})"
                for column, of, key in keys
                if of == parent
            ]
            if parts and table not in found:
                found[table] = " OR ".join(parts)
                fresh.append(table)
    return {table: sql for table, sql in found.items() if table != root}


def tables(db: sqlite3.Connection) -> list[str]:
    """All tables of the store."""
    if not isinstance(db, sqlite3.Connection):
        return sorted(layout().tables)
    sql = "SELECT name FROM main.sqlite_master WHERE type = 'table' AND name NOT GLOB 'sqlite_*' ORDER BY name"
    return [name for (name,) in db.execute(sql)]


def columns(db: sqlite3.Connection, table: str) -> Mapping[str, str]:
    """Columns of a table with their types."""
    if not isinstance(db, sqlite3.Connection):
        return {column.name: column.type for column in layout().tables[table].columns}
    return {name: type for _, name, type, *_ in db.execute(f"PRAGMA main.table_info({table})")}


def cascades(db: sqlite3.Connection, table: str) -> list[tuple[str, str, str]]:
    """(column, table, its key) of the references that delete along."""
    if not isinstance(db, sqlite3.Connection):
        references = layout().tables[table].references
        return [(one.column, one.table, one.to) for one in references if one.on_delete == "CASCADE"]
    found = db.execute(f"PRAGMA main.foreign_key_list({table})").fetchall()
    return [
        (column, parent, key or primary_key(db, parent))
        for _, _, parent, column, key, _, on_delete, _ in found
        if on_delete == "CASCADE"
    ]


def primary_key(db: sqlite3.Connection, table: str) -> str:
    """The one column of a table's primary key."""
    return next(str(name) for _, name, _, _, _, place in db.execute(f"PRAGMA main.table_info({table})") if place == 1)
