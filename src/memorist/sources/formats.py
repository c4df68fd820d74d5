"""Which formats there are, and which one a file is in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from memorist.cube import Observation
from memorist.errors import InputError
from memorist.sources import chatgpt, claude, jsonl, locomo, markdown, openai, table, text, transcript
from memorist.sources.file import SourceFile
from memorist.sources.json_items import first_record


class Format(NamedTuple):
    """A format: its name; whether a file, given its first JSON record if it has one, is in it; and how it is read."""

    name: str
    recognise: Callable[[SourceFile, Any], bool]
    read: Callable[[SourceFile], Iterator[Observation]]


REGISTRY: tuple[Format, ...] = (
    Format("jsonl", jsonl.recognise, jsonl.read),
    Format("chatgpt", chatgpt.recognise, chatgpt.read),
    Format("claude", claude.recognise, claude.read),
    Format("locomo", locomo.recognise, locomo.read),
    Format("openai", openai.recognise, openai.read),
    Format("csv", table.recognise, table.read),
    Format("markdown", markdown.recognise, markdown.read),
    Format("transcript", transcript.recognise, transcript.read),
    Format("text", text.recognise, text.read),
)
"""In the order in which they are tried: the narrow before the wide."""

FORMATS: tuple[str, ...] = tuple(sorted(format.name for format in REGISTRY))

_JSON = (".json", ".jsonl", ".ndjson")
_TEXT = (".txt", ".text", ".log", ".md", ".markdown", ".mdown", ".mkd", ".csv", ".tsv", ".srt", ".vtt")


def named(name: str) -> Format:
    """The format of this name. Raises InputError listing the names."""
    for format in REGISTRY:
        if format.name == name:
            return format
    raise InputError(f"format {name!r:.100} is not known; use one of {', '.join(FORMATS)}")


def recognise(file: SourceFile) -> Format:
    """The format that a file is in. Raises InputError for JSON of an unknown shape."""
    first = _first(file)
    is_json = file.suffix in _JSON or isinstance(first, Mapping)
    for format in REGISTRY:
        if format.recognise(file, first) and not (is_json and format.name in ("transcript", "text")):
            return format
    raise InputError(
        f"{file.name}: {_shape(first)} is no JSON that is known; it can be a list of messages with role and content, "
        '{"messages": [...]}, JSON lines of either, or an export of ChatGPT or Claude. Convert it to JSON lines with '
        '{"speaker": ..., "text": ..., "timestamp": ...}, or say which format it is in: ' + ", ".join(FORMATS)
    )


def _first(file: SourceFile) -> Any:
    """The first JSON record of a file that is, or could be, one JSON value; else None."""
    start = file.head.lstrip()[:1]
    if file.suffix == ".json" or (file.suffix in _JSON and start == b"["):
        return first_record(file)
    if file.suffix in (*_JSON, *_TEXT) or start not in (b"[", b"{"):
        return None
    try:
        return first_record(file)
    except InputError:  # another kind of text may begin with a bracket
        return None


def _shape(first: Any) -> str:
    if isinstance(first, Mapping):
        return f"a record with the keys {', '.join(list(first)[:8])!a:.200}"
    return "an empty list" if first is None else f"a record that is {type(first).__name__}"
