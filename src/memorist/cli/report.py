"""What a user sees of an error, and the exit code it becomes."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence

from cyclopts import CycloptsError

from memorist.cli import BUG, INTERRUPTED, MISSING, STORE, USAGE
from memorist.cli.render import emit, plain
from memorist.errors import InputError, MemoristError, NotFound, StateError


class Declined(Exception):
    """The user said no."""


def code_of(error: BaseException) -> int:
    """The exit code of an error."""
    if isinstance(error, (InputError, CycloptsError)):
        return USAGE
    if isinstance(error, (NotFound, StateError)):
        return MISSING
    if isinstance(error, MemoristError):
        return STORE
    return INTERRUPTED if isinstance(error, (KeyboardInterrupt, Declined)) else BUG


def report(error: BaseException, tokens: Sequence[str]) -> None:
    """One line on stderr, or one JSON document on stdout; the traceback only for a bug and with --debug."""
    message = message_of(error, tokens)
    if code_of(error) == BUG and "--debug" in tokens:
        traceback.print_exception(error)
    if wants_json(tokens):
        emit({"error": type(error).__name__, "message": message})
    else:
        print(f"memorist: {plain(message)}", file=sys.stderr)


def message_of(error: BaseException, tokens: Sequence[str]) -> str:
    """The error in a sentence that says what to do."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted; what is on disk already stays"
    if isinstance(error, CycloptsError):
        error.verbose = False
        command = " ".join(error.command_chain or ())
        return f"{error} See: memorist {command + ' ' if command else ''}--help"
    if code_of(error) == BUG:
        told = "" if "--debug" in tokens else " (--debug shows where)"
        return f"unexpected {type(error).__name__}: {error}; this is a bug, please report it{told}"
    return str(error)


def wants_json(tokens: Sequence[str]) -> bool:
    """Whether the answer is to be JSON, told before the options are parsed; `bench --json` names a file."""
    options = tokens[: tokens.index("--")] if "--" in tokens else tokens
    return "--json" in options and tokens[0] != "bench"
