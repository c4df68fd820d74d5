"""What a model answered, read on its way through: whole, or in the events of a stream."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from memorist.serve.chat.turn import Kind

END = re.compile(rb"\r?\n\r?\n")
LAST = ("response.completed", "response.incomplete", "response.failed")
LONGEST_EVENT = 10_000_000
"""Bytes without an end after which a stream is no longer read, only forwarded."""


def text_of_reply(kind: Kind, body: Any) -> str:
    """The words of a whole reply; those of the first choice, where there are several."""
    try:
        if kind == "chat":
            return str(body["choices"][0]["message"].get("content") or "")
        parts = [part for item in body["output"] if item.get("type") == "message" for part in item["content"]]
        return "".join(part["text"] for part in parts if part.get("type") == "output_text")
    except (KeyError, IndexError, TypeError, AttributeError):
        return ""


class Events:
    """The events of a stream, cut out of its bytes without changing one, and the words in them."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._rest = b""
        self._words: list[str] = []

    @property
    def text(self) -> str:
        """The words so far."""
        return "".join(self._words)

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bool]]:
        """Whole events as they came, each with whether it is the last."""
        self._rest += data
        while found := END.search(self._rest):
            event, self._rest = self._rest[: found.end()], self._rest[found.end() :]
            yield event, self._read(event)
        if len(self._rest) > LONGEST_EVENT:
            yield self.rest(), False

    def rest(self) -> bytes:
        """What came after the last whole event."""
        rest, self._rest = self._rest, b""
        return rest

    def _read(self, event: bytes) -> bool:
        """Keep an event's words; whether it is the last."""
        lines = [line[5:].strip() for line in event.splitlines() if line.startswith(b"data:")]
        data = b"\n".join(lines)
        if data == b"[DONE]":
            return True
        try:
            value = json.loads(data)
        except ValueError:
            return False
        if self._kind == "chat":
            self._words.append(delta_of(value))
            return False
        if not isinstance(value, dict):
            return False
        if value.get("type") == "response.output_text.delta":
            self._words.append(str(value.get("delta") or ""))
        return value.get("type") in LAST


def delta_of(chunk: Any) -> str:
    """The words of a chunk for the first choice."""
    try:
        choice = next(one for one in chunk["choices"] if one.get("index", 0) == 0)
        return str(choice["delta"].get("content") or "")
    except (StopIteration, KeyError, TypeError, AttributeError):
        return ""
