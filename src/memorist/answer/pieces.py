"""The texts inside a JSON reply while it still comes."""

from __future__ import annotations

import json
import re

HIGH_SURROGATE = re.compile(r"\\u[dD][89abAB]")
LOST = "\N{REPLACEMENT CHARACTER}"


class Pieces:
    """Reads JSON as it comes, and gives what was added to the string values under one name, with a space between two.

    It expects JSON that is well formed and raises on none that is not: the whole reply is parsed at its end.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._open = False
        self._escape = ""  # of a character that is not whole yet
        self._string: list[str] = []
        self._value_of: str | None = None
        self._begun = self._any = False

    def feed(self, piece: str) -> str:
        """What the piece adds."""
        return "".join(self._inside(char) if self._open else self._between(char) for char in piece)

    def _between(self, char: str) -> str:
        """A character outside of strings; of a value nothing but strings matters."""
        if char == '"':
            self._open, self._begun = True, False
            self._string.clear()
        elif char == ":":
            self._value_of = "".join(self._string)
        elif char in "{[,]}":
            self._value_of = None
        return ""

    def _inside(self, char: str) -> str:
        """A character of a string."""
        if self._escape:
            return self._escaped(char)
        if char == '"':
            self._open = False
            return ""
        if char == "\\":
            self._escape = char
            return ""
        return self._character(char)

    def _escaped(self, char: str) -> str:
        """A character after a backslash: `\\n`, `\\u00e9`, or two of these for one character."""
        self._escape += char
        pair = HIGH_SURROGATE.match(self._escape) is not None
        length = 12 if pair else 6 if self._escape[1] == "u" else 2
        if pair and len(self._escape) in (7, 8) and not r"\u".startswith(self._escape[6:]):
            lone, self._escape = self._escape[6:], ""
            return self._character(LOST) + self.feed(lone)
        if len(self._escape) < length:
            return ""
        escape, self._escape = self._escape, ""
        return self._character(decoded(escape))

    def _character(self, char: str) -> str:
        """A whole character, given when its value is ours."""
        self._string.append(char)
        if self._value_of != self.name:
            return ""
        gap = " " if self._any and not self._begun else ""
        self._begun = self._any = True
        return gap + char


def decoded(escape: str) -> str:
    """The character that an escape stands for."""
    try:
        text = str(json.loads(f'"{escape}"'))
    except ValueError:
        return LOST
    return text if text.isprintable() or text.isspace() else LOST
