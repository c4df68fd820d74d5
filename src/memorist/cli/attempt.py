"""The command that tells how a problem was gone about."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from memorist.cli import OK
from memorist.cli.options import ScopeOptions
from memorist.cli.render import console, emit


def attempt(
    problem: str,
    /,
    *,
    text: str,
    failed: Annotated[bool, Parameter(negative=())] = False,
    hinted: str = "",
    at: str | None = None,
    options: ScopeOptions = ScopeOptions(),
) -> int:
    """Remember how a problem was gone about, and whether that solved it, so that later hints are better.

    For example:

        memorist attempt "order the words" --text "Sorted them by their last letter." --user ana

        memorist attempt "order the names" --text "The alphabet does not fit." --failed --user ana

    Parameters
    ----------
    problem
        The problem's name, or its words.
    text
        What was tried, and how it went.
    failed
        It did not solve the problem.
    hinted
        What memorist hint --json gave as hinted, when a hint was shown.
    at
        When it was (default: now).
    """
    with options.scoped(create=True) as memory:
        receipt = memory.attempt(problem, text, solved=not failed, hinted=hinted, at=at)
    emit(receipt) if options.json else console().print(f"Remembered as {receipt.ids[0]}.")
    return OK
