"""The rooms' statements in PostgreSQL's words.

The rooms are written once, in SQLite's words. What differs is little and is changed here, word by word: marks of
values, `INSERT OR …`, a column named `user`. What only PostgreSQL should read stands in a comment /*+ … */. Functions
of SQLite that the rooms call exist in the database (`functions.sql`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from memorist.store.postgres.tables import Layout

TOKEN = re.compile(
    r"""
    (?P<text>'(?:[^']|'')*' | "[^"]*")
  | /\*\+(?P<only>.*?)\*/
  | (?P<given>\?\s+IS\s+NULL\b)
  | (?P<place>\?)
  | (?<![:\w]):(?P<name>[a-z_]\w*)
  | (?P<percent>%)
  | (?P<among>\bIN\s*\(\{\}\))
  | (?P<user>\buser\b)
  | (?P<main>\bmain\.)
  | (?P<cross>\bCROSS\s+JOIN\b)
  | (?P<hint>\bINDEXED\s+BY\s+\w+)
  | (?P<limit>\bLIMIT\s+-1\b)
  | (?P<or>\bINSERT\s+OR\s+(?:IGNORE|REPLACE)\b)
  | (?P<differs>\bIS\s+NOT\b(?!\s+(?:NULL|DISTINCT)\b))
  | \bON\s+CONFLICT\s*\((?P<conflict>[^)]*)\)
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
INTO = re.compile(r"\s*INSERT\s+(?:OR\s+(?P<or>\w+)\s+)?INTO\s+(?P<table>\w+)", re.IGNORECASE)
GIVEN = re.compile(r"\bRETURNING\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement for psycopg. `counted` is the column that tells the number of a row it inserts."""

    sql: str
    counted: str | None = None

    @property
    def telling(self) -> str:
        """The statement, which then tells the number of the inserted row."""
        return f"{self.sql} RETURNING {self.counted}" if self.counted else self.sql


class Dialect:
    """Translates for one layout of tables; statements are remembered."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self.statement = lru_cache(maxsize=4096)(self._statement)

    def text(self, sql: str) -> str:
        """A statement, or a part of one, that takes no values."""
        return self._statement(sql).sql.replace("%%", "%")

    def _statement(self, sql: str) -> Statement:
        into = INTO.match(sql)
        table = self._layout.tables.get(into.group("table")) if into else None
        tenant = "tenant, " if table and table.name in self._layout.owned else ""
        translated = TOKEN.sub(lambda found: word(found, tenant), sql)
        if into and table and (what := into.group("or")):
            translated += on_conflict(table.key, table.names, tenant, replace=what.upper() == "REPLACE")
        return Statement(translated, table.counted if table and not GIVEN.search(sql) else None)


def word(found: re.Match[str], tenant: str) -> str:
    """One token in PostgreSQL's words."""
    kind = found.lastgroup
    if kind == "text":
        return found.group().replace("%", "%%")
    if kind == "only":
        return found.group("only").replace("%", "%%")
    if kind == "name":
        return f"%({found.group('name')})s"
    if kind == "conflict":
        return f"ON CONFLICT ({tenant}{found.group('conflict')})"
    return {
        "given": "%s::text IS NULL",
        "place": "%s",
        "percent": "%%",
        "among": "= ANY(%s)",
        "user": '"user"',
        "main": "",
        "cross": "JOIN",
        "limit": "LIMIT ALL",
        "hint": "",
        "differs": "IS DISTINCT FROM",
        "or": "INSERT",
    }[kind or ""]


def on_conflict(key: tuple[str, ...], names: tuple[str, ...], tenant: str, *, replace: bool) -> str:
    """What becomes of a row that is there already."""
    if not replace:
        return " ON CONFLICT DO NOTHING"
    changed = ", ".join(f'"{name}" = EXCLUDED."{name}"' for name in names if name not in key)
    target = f"{tenant}{', '.join(key)}"
    return f" ON CONFLICT ({target}) DO UPDATE SET {changed}" if changed else f" ON CONFLICT ({target}) DO NOTHING"
