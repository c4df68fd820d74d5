"""The tables in PostgreSQL: those of SQLite's migrations, partitioned by tenant, with the tenant first in every key.

Each migration is run on an empty SQLite file; what it added there is added here, so a new table needs no second
description. What has a tenant (it leads to an owner) gets a column for it, hash partitions, and a view that shows a
transaction the rows of its own tenant alone: the rooms' statements work on the views and name no tenant. Statements of
a migration that change rows are run here too.

Forward only, in one transaction under a lock, so any number of processes may start at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from importlib.resources import files
from typing import Any

from memorist.errors import StoreError, StoreTooNew
from memorist.store.connection import statements
from memorist.store.postgres import shown
from memorist.store.postgres.dialect import Dialect
from memorist.store.postgres.names import OF_TENANT, SEEN, TABLES, TENANT, VIEWS, partitions, quoted
from memorist.store.postgres.tables import Column, Index, Layout, Table, layout_of

MIGRATING = 0x4D454D5201
"""The advisory lock of who changes the schema; writers share, or hold alone, the next number."""

TYPES = {"INTEGER": "BIGINT", "TEXT": 'TEXT COLLATE "C"', "BLOB": "BYTEA", "REAL": "DOUBLE PRECISION"}
CHANGES_ROWS = re.compile(r"(?:\s|--[^\n]*\n)*(UPDATE|INSERT|DELETE)\b", re.IGNORECASE)
TRIGGER = re.compile(
    r"CREATE\s+TRIGGER\s+\w+\s+(?P<event>.*?)(?:\s+WHEN\s+(?P<when>.*?))?\s+BEGIN\s+(?P<body>.*)END\s*\Z",
    re.IGNORECASE | re.DOTALL,
)
REFUSAL = re.compile(r"SELECT\s+RAISE\s*\(\s*ABORT\s*,\s*('(?:[^']|'')*')\s*\)", re.IGNORECASE)


def migrate(db: Any, migrations: Sequence[str], place: str) -> None:
    """Bring a database to the newest schema. `db` is a psycopg connection that commits by itself."""
    if version_of(db, place) == len(migrations) and is_shown(db):
        return
    with db.transaction():
        db.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATING,))
        found = version_of(db, place)
        if found > len(migrations):
            raise StoreTooNew(
                f"{place} has schema {found}, this Memorist knows up to {len(migrations)}; upgrade with:"
                " pip install -U memorist"
            )
        if found < len(migrations) or not is_shown(db):
            for statement in upgrade(found, migrations, anew=not is_shown(db)):
                db.execute(statement)


def is_shown(db: Any) -> bool:
    """Whether there is what subjects see; databases of the first releases have none."""
    (known,) = db.execute(f"SELECT to_regclass('{SEEN}.cubes')").fetchone()
    return known is not None


def version_of(db: Any, place: str) -> int:
    """The version of the schema; 0 when there is none. Raises StoreError for another program's schema."""
    (known,) = db.execute(f"SELECT to_regclass('{TABLES}.schema_version')").fetchone()
    if known is not None:
        (version,) = db.execute(f"SELECT version FROM {TABLES}.schema_version").fetchone()
        return int(version)
    taken = "SELECT nspname FROM pg_namespace WHERE nspname = ANY(%s)"
    if found := db.execute(taken, ([VIEWS, TABLES, SEEN],)).fetchone():
        raise StoreError(f"{place} has a schema {found[0]} that is not Memorist's; use another database")
    return 0


def upgrade(found: int, migrations: Sequence[str], *, anew: bool) -> Iterator[str]:
    """The statements that take a database from a version to the newest; `anew` makes what subjects see as well."""
    if not found:
        yield f"CREATE SCHEMA {VIEWS}"
        yield f"CREATE SCHEMA {TABLES}"
        yield f"CREATE TABLE {TABLES}.schema_version (version BIGINT NOT NULL)"
        yield f"INSERT INTO {TABLES}.schema_version VALUES (0)"
    yield f"SET LOCAL search_path = {VIEWS}"
    yield files("memorist.store.postgres").joinpath("functions.sql").read_text("utf-8")
    yield f"SET LOCAL search_path = {TABLES}, {VIEWS}"
    yield f"DROP SCHEMA IF EXISTS {SEEN} CASCADE"
    yield f"CREATE SCHEMA {SEEN}"
    before = layout_of(migrations[:found])
    for view in before.tables:
        yield f"DROP VIEW {VIEWS}.{view}"
    for version in range(found, len(migrations)):
        after = layout_of(migrations[: version + 1])
        yield from difference(before, after)
        dialect = Dialect(after)
        for statement in statements(migrations[version]):
            if CHANGES_ROWS.match(statement):
                yield dialect.text(statement)
        before = after
    for table in before.tables.values():
        yield view_of(table, owned=table.name in before.owned)
    if anew:
        yield from shown.masks()
    yield from shown.views(before)
    yield f"UPDATE {TABLES}.schema_version SET version = {len(migrations)}"


def difference(before: Layout, after: Layout) -> Iterator[str]:
    """What one migration added. Raises StoreError for what is not an addition."""
    for name, table in after.tables.items():
        old = before.tables.get(name)
        owned = name in after.owned
        if old is None:
            yield from create(table, owned=owned)
        elif old.columns != table.columns[: len(old.columns)] or (old.key, old.references) != (
            table.key, table.references[-len(old.references) :] if old.references else (),
        ):  # fmt: skip
            raise StoreError(f"a migration changes the table {name} in a way that has no form for PostgreSQL yet")
        else:
            for column in table.columns[len(old.columns) :]:
                yield f"ALTER TABLE {name} ADD COLUMN {defined(column)}"
        for index in table.indexes:
            if old is None or index not in old.indexes:
                yield indexed(table, index, owned=owned)
    for name in reversed(list(before.tables)):
        if name not in after.tables:
            yield f"DROP TABLE {name}"
    for name, sql in after.triggers.items():
        if name not in before.triggers:
            yield from trigger(name, sql, Dialect(after))


def create(table: Table, *, owned: bool) -> Iterator[str]:
    """A table; with a tenant, its partitions too."""
    if table.counted:
        yield f"CREATE SEQUENCE {table.name}_numbers"
    lines = [defined(column, table) for column in table.columns]
    lead = ""
    if owned:
        lead = "tenant, "
        lines += [TENANT] * ("tenant" not in table.names)
    lines.append(f"PRIMARY KEY ({lead if 'tenant' not in table.key else ''}{quoted(table.key)})")
    for unique in table.uniques:
        lines.append(f"UNIQUE ({lead if 'tenant' not in unique else ''}{quoted(unique)})")
    for one in table.references:
        action = f" ON DELETE {one.on_delete}" if one.on_delete != "NO ACTION" else ""
        lines.append(f"FOREIGN KEY ({lead}{one.column}) REFERENCES {one.table} ({lead}{one.to}){action}")
    partition = " PARTITION BY HASH (tenant)" if owned else ""
    yield f"CREATE TABLE {table.name} ({', '.join(lines)}){partition}"
    if owned:
        yield from partitions(table.name)


def defined(column: Column, table: Table | None = None) -> str:
    """A column's definition."""
    if column.type not in TYPES:
        raise StoreError(f"the column {column.name} has the type {column.type!r}, which has no form for PostgreSQL yet")
    default = column.default
    if table is not None and table.counted == column.name:
        default = f"nextval('{TABLES}.{table.name}_numbers')"
    required = " NOT NULL" if column.required else ""
    return f'"{column.name}" {TYPES[column.type]}{required}' + (f" DEFAULT {default}" if default is not None else "")


def indexed(table: Table, index: Index, *, owned: bool) -> str:
    """An index."""
    lead = "tenant, " if owned and "tenant" not in index.columns else ""
    where = f" WHERE {index.where}" if index.where else ""
    unique = "UNIQUE " if index.unique else ""
    return f"CREATE {unique}INDEX {index.name} ON {table.name} ({lead}{quoted(index.columns)}){where}"


def view_of(table: Table, *, owned: bool) -> str:
    """What the rooms see of a table. The tenant is its last column, so that inserting may leave it out."""
    names = quoted(table.names)
    if not owned:
        return f"CREATE VIEW {VIEWS}.{table.name} AS SELECT {names} FROM {TABLES}.{table.name}"
    tenant = "" if "tenant" in table.names else ", tenant"
    return f"CREATE VIEW {VIEWS}.{table.name} AS SELECT {names}{tenant} FROM {TABLES}.{table.name} WHERE {OF_TENANT}"


def trigger(name: str, sql: str, dialect: Dialect) -> Iterator[str]:
    """A trigger of one or more plain statements. They run where the statement that fires it does: in its tenant."""
    found = TRIGGER.match(sql)
    if found is None:
        raise StoreError(f"the trigger {name} has no form for PostgreSQL yet")
    body = dialect.text(REFUSAL.sub(r"RAISE EXCEPTION USING MESSAGE = \1", found.group("body")))
    when = f" WHEN ({dialect.text(found.group('when'))})" if found.group("when") else ""
    yield (
        f"CREATE FUNCTION {TABLES}.{name}() RETURNS trigger LANGUAGE plpgsql AS $trigger$"
        f" BEGIN {body} RETURN NEW; END $trigger$"
    )
    yield f"CREATE TRIGGER {name} {found.group('event')} FOR EACH ROW{when} EXECUTE FUNCTION {TABLES}.{name}()"
