"""A JSON list of messages, {"messages": [...]}, or a list of such sessions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from memorist.cube import Observation
from memorist.sources.file import SourceFile
from memorist.sources.json_items import records
from memorist.sources.message import TEXT, observe_all


def recognise(file: SourceFile, first: Any) -> bool:
    """A first record that has messages, or is one."""
    if not isinstance(first, Mapping):
        return False
    return isinstance(first.get("messages"), list) or any(name in first for name in (*TEXT, "tool_calls"))


def read(file: SourceFile) -> Iterator[Observation]:
    """The messages. One of several sessions is FILE#RECORD when it has no id of its own."""
    for record in records(file):
        session = f"{file.path.name}#{record.number}"
        yield from observe_all(file, record.line, f"record {record.number}: ", record.value, session)
