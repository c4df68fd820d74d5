"""What a schema's migrations amount to: tables, keys, references and indexes, as an empty SQLite file tells them."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from memorist.store.connection import statements

WHERE = re.compile(r"\bWHERE\b(.*)\Z", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Column:
    """One column, with its default as SQL."""

    name: str
    type: str
    required: bool
    default: str | None


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key of one column to the key of another table."""

    column: str
    table: str
    to: str
    on_delete: str


@dataclass(frozen=True, slots=True)
class Index:
    """An index; `where` makes it a partial one."""

    name: str
    columns: tuple[str, ...]
    unique: bool
    where: str | None


@dataclass(frozen=True, slots=True)
class Table:
    """A table. `counted` is the column that numbers its rows, if they are numbered here; `never_again` says that a
    number is not given twice, whatever is deleted."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    counted: str | None
    never_again: bool
    uniques: tuple[tuple[str, ...], ...]
    references: tuple[Reference, ...]
    indexes: tuple[Index, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Its columns' names, in their order."""
        return tuple(column.name for column in self.columns)


@dataclass(frozen=True, slots=True)
class Layout:
    """Tables by name, parents before children, and triggers by name. `owned` are the tables that lead to an owner."""

    tables: dict[str, Table]
    triggers: dict[str, str]
    owned: frozenset[str]


def layout_of(migrations: Sequence[str]) -> Layout:
    """What the migrations make of an empty file."""
    db = sqlite3.connect(":memory:")
    try:
        for script in migrations:
            for statement in statements(script):
                db.execute(statement)
        listed = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        tables = parents_first({name: table_of(db, name) for (name,) in db.execute(listed).fetchall()})
        triggers = dict(db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall())
    finally:
        db.close()
    owned = {"owners"} & set(tables)
    for name, table in tables.items():
        if any(reference.table in owned for reference in table.references):
            owned.add(name)
    return Layout(tables, triggers, frozenset(owned))


def table_of(db: sqlite3.Connection, name: str) -> Table:
    """One table as SQLite describes it."""
    described = db.execute(f"PRAGMA table_info({name})").fetchall()
    columns = tuple(
        Column(column, kind, bool(required) or place > 0, default)
        for _, column, kind, required, default, place in described
    )
    key = tuple(row[1] for row in sorted(described, key=lambda row: row[5]) if row[5])
    references = tuple(
        Reference(column, table, to or key_of(db, table), on_delete)
        for _, _, table, column, to, _, on_delete, _ in db.execute(f"PRAGMA foreign_key_list({name})").fetchall()
    )
    number = (
        key[0] if len(key) == 1 and dict(zip((c.name for c in columns), columns))[key[0]].type == "INTEGER" else None
    )
    counted = number if number and all(number != reference.column for reference in references) else None
    (made,) = db.execute("SELECT sql FROM sqlite_master WHERE name = ?", (name,)).fetchone()
    never_again = "AUTOINCREMENT" in made.upper()
    uniques, indexes = [], []
    for _, index, unique, made_by, _ in db.execute(f"PRAGMA index_list({name})").fetchall():
        held = tuple(row[2] for row in db.execute(f"PRAGMA index_info({index})"))
        if made_by == "u":
            uniques.append(held)
        elif made_by == "c":
            (sql,) = db.execute("SELECT sql FROM sqlite_master WHERE name = ?", (index,)).fetchone()
            condition = WHERE.search(sql)
            indexes.append(Index(index, held, bool(unique), condition.group(1).strip() if condition else None))
    indexes.sort(key=lambda index: index.name)
    return Table(name, columns, key, counted, never_again, tuple(sorted(uniques)), references, tuple(indexes))


def key_of(db: sqlite3.Connection, table: str) -> str:
    """The column that a reference without one means."""
    return str(next(row[1] for row in db.execute(f"PRAGMA table_info({table})") if row[5] == 1))


def parents_first(tables: dict[str, Table]) -> dict[str, Table]:
    """The tables in an order in which each comes after those it references."""
    ordered: dict[str, Table] = {}

    def place(table: Table) -> None:
        for reference in table.references:
            if reference.table != table.name and reference.table not in ordered:
                place(tables[reference.table])
        ordered[table.name] = table

    for table in tables.values():
        if table.name not in ordered:
            place(table)
    return ordered
