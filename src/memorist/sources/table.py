"""Comma, semicolon or tab separated values with a header: a message a row."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from typing import Any

from memorist.cube import Observation
from memorist.errors import InputError
from memorist.sources.file import LARGEST, SourceFile
from memorist.sources.message import KEY, SESSION, SPEAKER, TEXT, TIME, observe

FIELDS: Mapping[str, tuple[str, ...]] = {
    "text": (*TEXT, "msg", "comment"),
    "speaker": (*SPEAKER, "username"),
    "role": ("role",),
    "at": TIME,
    "session": (*SESSION, "channel", "chat", "chat_id"),
    "key": KEY,
}
"""The fields of an observation that a column can give, with the headers they go by."""

_LARGEST_CELL = LARGEST // 4  # the csv module takes four bytes for a character


def recognise(file: SourceFile, first: Any) -> bool:
    """By the extension."""
    return file.suffix in (".csv", ".tsv")


def read(file: SourceFile) -> Iterator[Observation]:
    """One observation for each row with a text; columns that are no field go to meta, empty cells do not.

    Raises InputError when no column holds the text.
    """
    # The limit is one for the whole process. It is only ever raised, so that no other reader of CSV is hurt.
    csv.field_size_limit(max(csv.field_size_limit(), _LARGEST_CELL))
    rows = _rows(file)
    line, header = next(rows, (0, []))
    blank = len(file.head) - len(file.head.lstrip())
    if line != file.head.count(b"\n", 0, blank) + 1:
        raise InputError(
            f"{file.name}: the header line cannot be read; correct it, without it the columns have no names"
        )
    headers = _distinct([name.strip() for name in header])
    fields = _fields(file, headers)
    for line, row in rows:
        try:
            observation = _observe(row, headers, fields, file.name)
        except InputError as error:
            file.bad(line, str(error))
            continue
        if observation is not None:
            yield observation


def _rows(file: SourceFile) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, the header first, with the lines that they begin on."""
    first = 0  # line of the row; lines that cannot be read are left out, so they cannot be counted by rows

    def lines() -> Iterator[str]:
        nonlocal first
        for number, line in file.lines():
            first = first or number
            yield line

    reader = csv.reader(lines(), delimiter=_delimiter(file.head), strict=True)
    while True:
        first = 0
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            file.bad(first, f"not a row of this CSV: {error}; look for a stray quotation mark")
            continue
        if any(cell.strip() for cell in row):
            yield first, row


def _delimiter(head: bytes) -> str:
    """The delimiter that stands most often in the header line, outside of quotation marks."""
    line = head.lstrip().split(b"\n", 1)[0].decode("utf-8", "replace")
    bare = "".join(line.split('"')[::2])
    return max(",;\t", key=bare.count)


def _distinct(headers: list[str]) -> list[str]:
    """The headers, with numbers on those that are empty or repeat one before."""
    seen: set[str] = set()
    for place, header in enumerate(headers):
        name = header or f"column {place + 1}"
        while name in seen:
            name += f" ({place + 1})"
        seen.add(name)
        headers[place] = name
    return headers


def _fields(file: SourceFile, headers: list[str]) -> dict[str, int]:
    """The place of the column for each field that has one."""
    if file.columns is None:
        fields = {name: place for name in FIELDS if (place := _guess(name, headers)) is not None}
    else:
        fields = {name: _place(name, header, headers) for name, header in file.columns.items()}
        if "text" not in fields and (place := _guess("text", headers)) is not None:
            fields["text"] = place
    if "text" not in fields:
        raise InputError(
            f"{file.name}: no column holds the text; say which one with --columns text=HEADER. "
            f"The headers are: {', '.join(headers)[:500]}"
        )
    return fields


def _guess(field: str, headers: list[str]) -> int | None:
    names = [header.lower().replace(" ", "_") for header in headers]
    return next((names.index(name) for name in FIELDS[field] if name in names), None)


def _place(field: str, header: object, headers: list[str]) -> int:
    if field not in FIELDS:
        raise InputError(f"columns: {field!r} is not a field; use {', '.join(FIELDS)}")
    lower = [name.lower() for name in headers]
    if not isinstance(header, str) or header.strip().lower() not in lower:
        raise InputError(f"columns: no header {header!r:.100}; the file has: {', '.join(headers)[:500]}")
    return headers.index(header.strip()) if header.strip() in headers else lower.index(header.strip().lower())


def _observe(row: list[str], headers: list[str], fields: Mapping[str, int], source: str) -> Observation | None:
    cells = f"{len(row)} cells under {len(headers)} headers"
    if any(cell.strip() for cell in row[len(headers) :]):
        raise InputError(f"{cells}; put quotation marks around cells that hold the delimiter")
    if len(row) <= fields["text"]:
        raise InputError(f"{cells}; the text is missing")
    taken = set(fields.values())
    meta = {headers[place]: cell for place, cell in enumerate(row[: len(headers)]) if place not in taken and cell}
    record = {name: row[place] for name, place in fields.items() if place < len(row) and row[place].strip()}
    return observe({"text": "", **record, "metadata": meta}, source)
