"""What `add` is given: files, texts, and what comes through a pipe."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from memorist.errors import InputError

STDIN = "-"
PATHLIKE = re.compile(r"\S+\.[A-Za-z][A-Za-z0-9]{0,8}|~\S*|\S*[/\\]\S+")
OPTION = re.compile(r"--?[A-Za-z][\w-]*(=.*)?", re.DOTALL)

Input = str | Path | Sequence[Mapping[str, Any]]


def inputs(what: Sequence[str], text: Sequence[str]) -> list[Input]:
    """Each argument as a file or a text, `-` as what stdin holds. Raises InputError before anything is added."""
    found = [piped() if one == STDIN else file_or_text(one) for one in what]
    found += text
    if not found:
        raise InputError('nothing to add; name a file, or give a text: memorist add --text "..."')
    return found


def file_or_text(argument: str) -> Input:
    """A Path when there is one; what looks like a path, but is none, is a mistake and not a memory."""
    try:
        path = Path(argument).expanduser()
        if path.exists():
            return path
    except (OSError, ValueError, RuntimeError):  # a text can be too long for a path, or hold a NUL
        return argument
    if OPTION.fullmatch(argument):
        raise InputError(
            f"there is no option {argument}; see memorist add --help, or use --text to remember these words"
        )
    if PATHLIKE.fullmatch(argument.strip()):
        raise InputError(f"{argument} does not exist; check the path, or use --text to remember these words")
    return argument


def piped() -> Input:
    """Messages (a JSON list, {"messages": [...]}, or JSON lines) or else a text, from stdin."""
    if sys.stdin.isatty():
        print("memorist: reading from the keyboard; end with Ctrl-D", file=sys.stderr)
    try:
        binary = getattr(sys.stdin, "buffer", None)
        text = binary.read().decode("utf-8-sig") if binary else sys.stdin.read()
    except UnicodeDecodeError as error:
        raise InputError(f"stdin is not UTF-8 (byte {error.start + 1}); convert it: iconv -t utf-8") from None
    if not text.strip():
        raise InputError("stdin is empty; there is nothing to add")
    messages = messages_in(text)
    return text.rstrip(os.linesep + "\n") if messages is None else messages


def messages_in(text: str) -> Sequence[Mapping[str, Any]] | None:
    """The messages when the text is JSON, None when it is words."""
    if text.lstrip()[:1] not in ("[", "{"):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = lines_of(text)
    if isinstance(value, Mapping):
        value = value["messages"] if isinstance(value.get("messages"), list) else [value]
    return value if isinstance(value, list) and all(isinstance(one, Mapping) for one in value) else None


def lines_of(text: str) -> list[Any] | None:
    """JSON lines, or None. Raises InputError when it is JSON lines up to a broken one."""
    values: list[Any] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            values.append(json.loads(line))
        except (ValueError, RecursionError) as error:
            if values or line.lstrip().startswith('{"'):
                raise InputError(f"stdin, line {number}: not JSON ({error}); nothing was added") from None
            return None
    return values
