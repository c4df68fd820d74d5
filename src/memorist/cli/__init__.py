"""The command line: the same words as the Python API. See docs/cli.md."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress

OK, NEGATIVE, USAGE, MISSING, STORE, BUG, INTERRUPTED = 0, 1, 2, 3, 4, 70, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; the errors a user can make are one line, never a traceback."""
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a name that is no Unicode must not break its own error message
            stream.reconfigure(errors="backslashreplace")
    try:
        code = run(tokens)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads us, such as `head`, has seen enough
        silence()
        return OK
    return code


def run(tokens: Sequence[str]) -> int:
    """Parse and run, with errors reported."""
    try:
        from memorist.cli.app import app

        code = app(tokens, exit_on_error=False, print_error=False, result_action="return_value")
    except BrokenPipeError:
        raise
    except (Exception, KeyboardInterrupt) as error:
        from memorist.cli.report import code_of, report

        report(error, tokens)
        return code_of(error)
    return code if isinstance(code, int) else OK


def silence() -> None:
    """Point stdout nowhere, or the interpreter complains about the pipe when it ends."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
