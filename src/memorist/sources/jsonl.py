"""JSON lines: a message a line, or a session a line as {"messages": [...]}."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from memorist.cube import Observation
from memorist.errors import InputError
from memorist.sources.file import SourceFile
from memorist.sources.json_items import load
from memorist.sources.message import observe_all


def recognise(file: SourceFile, first: Any) -> bool:
    """By the extension, or a first line that is a JSON object with another one after it."""
    if file.suffix in (".jsonl", ".ndjson"):
        return not file.head.lstrip().startswith(b"[")
    if not isinstance(first, Mapping):
        return False
    lines = file.head.strip().split(b"\n", 2)
    if len(lines) == 1 or not lines[1].lstrip().startswith(b"{"):
        return False
    try:
        return isinstance(load(lines[0].decode("utf-8")), dict)
    except ValueError:  # InputError and UnicodeDecodeError
        return False


def read(file: SourceFile) -> Iterator[Observation]:
    """The messages of all lines. A line with several is the session FILE#LINE when it has no id of its own."""
    for number, line in file.lines():
        if not line.strip():
            continue
        try:
            value = load(line)
        except InputError as error:
            file.bad(number, str(error))
            continue
        yield from observe_all(file, number, "", value, f"{file.path.name}#{number}")
