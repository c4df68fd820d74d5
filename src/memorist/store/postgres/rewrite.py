"""Rewriting tables so that what was erased is in none of their files.

PostgreSQL leaves a deleted row in its page, and a plain VACUUM only frees the place. VACUUM FULL writes a new file;
others wait while a partition is rewritten.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from memorist.store.erasure import LEAST_SEARCHED, MOST_SEARCHED, pieces
from memorist.store.postgres.names import TABLES

if TYPE_CHECKING:
    import psycopg

PATIENCE = "30s"
PIECE = 1 << 23
OVERLAP = 256

PARTITIONS = f"""
SELECT c.relname FROM pg_class c WHERE c.relnamespace = '{TABLES}'::regnamespace AND c.relkind = 'r'
ORDER BY c.relname
"""
OF_TENANTS = (
    f"SELECT DISTINCT substring(tableoid::regclass::text from '_[0-9]+$') FROM {TABLES}.owners WHERE tenant = ANY(%s)"
)
FILES = f"""
SELECT pg_relation_filepath(part.oid), pg_relation_size(part.oid) FROM pg_class c
JOIN pg_class part ON part.oid IN (c.oid, c.reltoastrelid)
WHERE c.relnamespace = '{TABLES}'::regnamespace AND c.relkind = 'r' AND (%s::text[] IS NULL OR c.relname = ANY(%s))
"""
SEGMENT = 1 << 30
"""Bytes after which a table goes on in another file."""
READ = "SELECT pg_read_binary_file(%s, %s, %s, true)"
MAY_READ = "SELECT pg_has_role('pg_read_server_files', 'USAGE')"
HOLDS = """
SELECT bool_or(position(%s::bytea IN pg_read_binary_file(%s, start, %s)) > 0)
FROM generate_series(0, greatest(%s::bigint - 1, 0), %s) AS start
"""


def rewrite(connection: psycopg.Connection[Any], tenants: Sequence[str], patience: str = PATIENCE) -> list[str]:
    """Rewrite the partitions of the tenants, or all tables when none are named; returns their names."""
    names = [name for (name,) in connection.execute(PARTITIONS)]
    if tenants:
        ends = tuple(end for (end,) in connection.execute(OF_TENANTS, (list(tenants),)))
        names = [name for name in names if name.endswith(ends)]
    connection.execute(f"SET lock_timeout = '{patience}'")
    try:
        for name in names:
            connection.execute(f"VACUUM (FULL) {TABLES}.{name}")
    finally:
        connection.execute("RESET lock_timeout")
    return names


def may_read(connection: psycopg.Connection[Any]) -> bool:
    """Whether this user may read the server's files."""
    found = connection.execute(MAY_READ).fetchone()
    return bool(found and found[0])


def files_of(connection: psycopg.Connection[Any], tables: Sequence[str] | None) -> list[tuple[str, int]]:
    """The files of these tables, or of all, with their sizes."""
    names = None if tables is None else list(tables)
    return [
        (f"{path}.{start // SEGMENT}" if start else path, min(size - start, SEGMENT))
        for path, size in connection.execute(FILES, (names, names)).fetchall()
        for start in range(0, size, SEGMENT)
    ]


def slices(connection: psycopg.Connection[Any], overlap: int) -> Iterator[bytes]:
    """All tables' files, if they may be read, in pieces that overlap."""
    if not may_read(connection):
        return
    for path, size in files_of(connection, None):
        for start in range(0, size, PIECE):
            found = connection.execute(READ, (path, start, PIECE + overlap), binary=True).fetchone()
            if found and found[0]:
                yield bytes(found[0])


def remnants(connection: psycopg.Connection[Any], tables: Sequence[str], texts: Sequence[str]) -> int:
    """How many of the texts have a piece in the tables' files that no living row says; 0 where none may be read."""
    if not texts or not may_read(connection):
        return 0
    files = files_of(connection, tables)
    longest = sorted(texts, key=len, reverse=True)[:MOST_SEARCHED]
    return sum(any(remains(connection, files, piece) for piece in pieces(text)) for text in longest)


def remains(connection: psycopg.Connection[Any], files: Sequence[tuple[str, int]], piece: str) -> bool:
    """Whether a file holds a piece of text that no living row does."""
    needle = piece.encode()
    if len(needle) < LEAST_SEARCHED or not any(holds(connection, path, size, needle) for path, size in files):
        return False
    living = f"SELECT 1 FROM {TABLES}.cubes WHERE strpos(text, %s) > 0 OR strpos(meta, %s) > 0 LIMIT 1"
    return connection.execute(living, (piece, piece)).fetchone() is None


def holds(connection: psycopg.Connection[Any], path: str, size: int, needle: bytes) -> bool:
    """Whether a file of the server holds these bytes."""
    found = connection.execute(HOLDS, (needle, path, PIECE + OVERLAP, size, PIECE)).fetchone()
    return bool(found and found[0])
