"""Conditions on metadata, as SQL that SQLite and PostgreSQL read alike.

A number is compared with numbers alone (true is 1, false 0), a text with texts: values of the other kind are unequal
and neither smaller nor larger.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

VALUE = "json_extract(meta, ?)"
TEXT = f"CASE WHEN json_type(meta, ?) = 'text' THEN {VALUE} END"
NUMBER = f"CASE WHEN json_type(meta, ?) IN ('integer', 'real', 'true', 'false') THEN CAST({VALUE} AS NUMERIC) END"
NEVER = "1 = 0"

Clause = tuple[str, list[Any]]


def compared(name: str, sign: str, value: Any) -> Clause:
    """A named value compared with a number or a text; `sign` is SQL's. Where there is no value, nothing holds."""
    path = f'$."{name}"'
    kind = TEXT if isinstance(value, str) else NUMBER
    if sign == "!=":
        return f"{VALUE} IS NOT NULL AND NOT COALESCE({kind} = ?, {NEVER})", [path, path, path, value]
    return f"COALESCE({kind} {sign} ?, {NEVER})", [path, path, value]


def missing(name: str) -> Clause:
    """There is no value, or null."""
    return f"{VALUE} IS NULL", [f'$."{name}"']


def any_of(name: str, values: Sequence[Any]) -> Clause:
    """A named value is one of these; the empty text stands for no value, too."""
    path = f'$."{name}"'
    parts: list[str] = []
    bound: list[Any] = []
    texts = [value for value in values if isinstance(value, str)]
    numbers = [value for value in values if not isinstance(value, str)]
    for kind, wanted in ((TEXT, texts), (NUMBER, numbers)):
        if wanted:
            parts.append(f"COALESCE({kind} IN ({', '.join('?' * len(wanted))}), {NEVER})")
            bound += [path, path, *wanted]
    if "" in texts:
        parts.append(f"{VALUE} IS NULL")
        bound.append(path)
    return f"({' OR '.join(parts) or NEVER})", bound
