"""Copying a whole store into an empty one, of the same kind or another: every table, with the same numbers.

One transaction reads, one writes: the copy is of one moment, and all there or not at all. What was read and what was
written is summed up row by row, and the sums have to agree.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from memorist.errors import StateError, StoreError
from memorist.store.postgres.tables import Layout, Table, layout_of
from memorist.store.schema import MIGRATIONS
from memorist.store.scoped import alone, stream

BATCH = 2_000
BATCH_BYTES = 1 << 25
"""Rows that are held at once: so many, or of so many bytes."""

FETCHED = 50
Progress = Callable[[str, int, int], None]
"""Called with a table's name, and how many of how many rows of the store are copied."""


@dataclass(slots=True)
class Sum:
    """How many rows a table has, and a sum over their hashes, which does not depend on their order."""

    rows: int = 0
    hashes: int = 0

    def add(self, row: Sequence[Any]) -> None:
        """Take in one row."""
        digest = hashlib.blake2b(repr(tuple(row)).encode("utf-8", "surrogatepass"), digest_size=8).digest()
        self.rows += 1
        self.hashes = (self.hashes + int.from_bytes(digest, "little")) % (1 << 64)


def copy(source: sqlite3.Connection, target: sqlite3.Connection, progress: Progress | None = None) -> dict[str, int]:
    """Copy all tables within two transactions; returns the number of rows by table.

    Raises StateError when the target holds anything, and StoreError when it holds something else afterwards.
    """
    alone(target)
    layout = layout_of(MIGRATIONS)
    refuse_filled(target, layout)
    total = sum(count(source, table) for table in layout.tables.values())
    done = 0
    read: dict[str, Sum] = {}
    for table in layout.tables.values():
        found = read[table.name] = Sum()
        for batch in batches(rows_of(source, layout, table)):
            for row in batch:
                found.add(row)
            write(target, layout, table, batch)
            done += len(batch)
            if progress:
                progress(table.name, done, total)
        point_back(source, target, layout, table)
    copy_counters(source, target, layout)
    verify(target, layout, read)
    return {name: found.rows for name, found in read.items()}


def batches(rows: Iterable[Sequence[Any]]) -> Iterator[list[Sequence[Any]]]:
    """Rows in lists that memory can hold."""
    batch: list[Sequence[Any]] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += sum(len(value) for value in row if isinstance(value, (bytes, str)))
        if len(batch) >= BATCH or size > BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def verify(target: sqlite3.Connection, layout: Layout, read: dict[str, Sum]) -> None:
    """Raises StoreError when a table of the target is not what was read."""
    for table in layout.tables.values():
        written = Sum()
        for row in rows_of(target, layout, table):
            written.add(row)
        if written != read[table.name]:
            raise StoreError(
                f"the copy of {table.name} is not what was read ({written.rows} rows of {read[table.name].rows});"
                " nothing was kept"
            )


def refuse_filled(target: sqlite3.Connection, layout: Layout) -> None:
    """Raises StateError when there is anything in the target."""
    for table in layout.tables.values():
        if count(target, table):
            raise StateError(f"the target holds {table.name} already; nothing was copied: choose an empty store")


def count(db: sqlite3.Connection, table: Table) -> int:
    """How many rows a table has."""
    return int(db.execute(f"SELECT COUNT(*) FROM {table.name}").fetchone()[0])


def rows_of(db: sqlite3.Connection, layout: Layout, table: Table) -> Iterable[Sequence[Any]]:
    """All rows of a table by its key; with the tenant last, where the table has no such column itself."""
    names = ", ".join(f'{table.name}."{name}"' for name in table.names)
    order = ", ".join(f"{table.name}.{name}" for name in table.key)
    tenant, joined = ("", "")
    if table.name in layout.owned and "tenant" not in table.names:
        tenant, joined = ", owners.tenant", way_to_owner(layout, table)
    rows: Iterable[Sequence[Any]] = stream(
        db, f"SELECT {names}{tenant} FROM {table.name}{joined} ORDER BY {order}", (), FETCHED
    )
    return rows


def way_to_owner(layout: Layout, table: Table) -> str:
    """The joins from a table to the owners of its rows."""
    joins = ""
    while table.name != "owners":
        reference = next(one for one in table.references if one.table in layout.owned and one.table != table.name)
        joins += f" JOIN {reference.table} ON {reference.table}.{reference.to} = {table.name}.{reference.column}"
        table = layout.tables[reference.table]
    return joins


def own_references(table: Table) -> list[str]:
    """Columns that name another row of the same table."""
    return [one.column for one in table.references if one.table == table.name]


def write(db: sqlite3.Connection, layout: Layout, table: Table, rows: Sequence[Sequence[Any]]) -> None:
    """Insert rows; what names another row of the same table is left open, as that may not be there yet."""
    later = [table.names.index(name) for name in own_references(table)]
    if later:
        rows = [tuple(None if place in later else value for place, value in enumerate(row)) for row in rows]
    if isinstance(db, sqlite3.Connection):
        names = ", ".join(f'"{name}"' for name in table.names)
        marks = ", ".join("?" * len(table.names))
        cut = len(table.names)
        db.executemany(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", [row[:cut] for row in rows])
    else:
        tenant = ("tenant",) if table.name in layout.owned and "tenant" not in table.names else ()
        db.copy_in(table.name, (*table.names, *tenant), rows)


def point_back(source: sqlite3.Connection, target: sqlite3.Connection, layout: Layout, table: Table) -> None:
    """Fill in what names another row of the same table."""
    (key,) = table.key if len(table.key) == 1 else ("",)
    for name in own_references(table):
        pointing = f"SELECT {name}, {key} FROM {table.name} WHERE {name} IS NOT NULL ORDER BY {key}"
        for batch in batches(stream(source, pointing)):
            target.executemany(f"UPDATE {table.name} SET {name} = ? WHERE {key} = ?", batch)


def copy_counters(source: sqlite3.Connection, target: sqlite3.Connection, layout: Layout) -> None:
    """Numbers that were given in the source are not given again in the target."""
    for table in layout.tables.values():
        if table.counted:
            set_last(target, table, max(last_of(source, table), 0))


def last_of(db: sqlite3.Connection, table: Table) -> int:
    """The highest number that was given, as far as is known; 0 when none was."""
    if not isinstance(db, sqlite3.Connection):
        return int(db.last_number(table.name))
    (highest,) = db.execute(f"SELECT COALESCE(MAX({table.counted}), 0) FROM {table.name}").fetchone()
    counted = db.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table.name,)).fetchone()
    return max(int(highest), int(counted[0]) if counted else 0)


def set_last(db: sqlite3.Connection, table: Table, number: int) -> None:
    """The next row is numbered above this."""
    if not number:
        return
    if not isinstance(db, sqlite3.Connection):
        db.set_last_number(table.name, number)
    elif table.never_again:
        db.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table.name,))
        db.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table.name, number))
