"""All that a store knows about somebody, as a document that they can read."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from memorist.cube import Scope
from memorist.errors import InputError

TITLE = "memorist: all that is known"
FIRST = ("cubes", "grants", "audit")
"""The tables that a reader wants first; the others follow in the order of the alphabet."""


def document_of(scope: Scope, records: Iterable[tuple[str, dict[str, Any]]], now: datetime) -> dict[str, Any]:
    """The records by table. Bytes (vectors, tensors) are given by their size and hash."""
    tables: dict[str, list[dict[str, Any]]] = {}
    for table, record in records:
        tables.setdefault(table, []).append(record)
    order = [table for table in FIRST if table in tables] + sorted(set(tables) - set(FIRST))
    return {
        "document": TITLE,
        "tenant": scope.tenant,
        "user": scope.user,
        "at": now.isoformat(timespec="seconds"),
        "counts": {table: len(tables[table]) for table in order},
        "records": {table: tables[table] for table in order},
    }


def write(document: Mapping[str, Any], path: Path) -> None:
    """Write it as HTML, Markdown or JSON, as the name ends. Raises InputError for a file that exists or cannot be."""
    form = {".html": as_html, ".md": as_markdown}.get(path.suffix.lower(), as_json)
    try:
        with path.open("x", encoding="utf-8") as out:
            out.write(form(document))
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}; name a new file") from error


def as_json(document: Mapping[str, Any]) -> str:
    """For programs."""
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def as_markdown(document: Mapping[str, Any]) -> str:
    """For people: a heading for each table, a list for each record. What was remembered stands in quotes of code."""
    lines = [f"# All that is known about {document['user'] or 'the unnamed user'}", "", f"As of {document['at']}.", ""]
    for table, records in document["records"].items():
        lines += [f"## {table} ({len(records)})", ""]
        for record in records:
            lines += [f"- {name}: {quoted(value)}" for name, value in record.items() if value not in (None, "", "[]")]
            lines.append("")
    return "\n".join(lines)


def quoted(value: Any) -> str:
    """A value that no Markdown in it can change."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    ticks = "`" * (1 + max((len(run) for run in runs_of(text, "`")), default=0))
    return f"{ticks} {' '.join(text.splitlines())} {ticks}"


def runs_of(text: str, sign: str) -> list[str]:
    """The stretches of a sign in a text."""
    return [run for run in "".join(char if char == sign else " " for char in text).split() if run]


def as_html(document: Mapping[str, Any]) -> str:
    """For people, as one page without scripts."""
    parts = [
        "<!doctype html><meta charset=utf-8><title>All that is known</title>",
        "<style>body{font:15px sans-serif;max-width:60em;margin:2em auto}th{text-align:left;vertical-align:top}"
        "td{white-space:pre-wrap;overflow-wrap:anywhere}table{border-top:1px solid;margin:1em 0}</style>",
        f"<h1>All that is known about {html.escape(document['user'] or 'the unnamed user')}</h1><p>{document['at']}",
    ]
    for table, records in document["records"].items():
        parts.append(f"<h2>{html.escape(table)} ({len(records)})</h2>")
        for record in records:
            cells = [
                f"<tr><th>{html.escape(name)}<td>"
                f"{html.escape(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))}"
                for name, value in record.items()
                if value not in (None, "", "[]")
            ]
            parts.append(f"<table>{''.join(cells)}</table>")
    return "\n".join(parts) + "\n"
