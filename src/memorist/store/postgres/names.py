"""What the schemas of the store are called in a database, and how their columns are written."""

from __future__ import annotations

from collections.abc import Sequence

VIEWS = "memorist"
"""The schema with a tenant's view of each table, and the functions."""

SEEN = "memorist_seen"
"""The schema with a subject's view of each table."""

TABLES = "memorist_tables"
PARTITIONS = 8
TENANT = """tenant TEXT COLLATE "C" NOT NULL DEFAULT current_setting('memorist.tenant', true)"""
OF_TENANT = "tenant = current_setting('memorist.tenant', true)"


def quoted(names: Sequence[str]) -> str:
    """Column names, with those that are words of SQL in quotes."""
    return ", ".join(f'"{name}"' for name in names)


def partitions(table: str) -> list[str]:
    """What makes the partitions of a table."""
    rest = [f"FOR VALUES WITH (MODULUS {PARTITIONS}, REMAINDER {number})" for number in range(PARTITIONS)]
    return [f"CREATE TABLE {table}_{number} PARTITION OF {table} {part}" for number, part in enumerate(rest)]
