"""The states of a cube as SQL."""

from __future__ import annotations

from collections.abc import Sequence

from memorist.states import CHANGEABLE, LIVING, State


def among(states: Sequence[State], column: str = "state") -> str:
    """A condition: the state is one of these."""
    return f"{column} IN ({', '.join(repr(state) for state in states)})"


ALIVE = among(LIVING)
"""What recall may return."""

REWRITABLE = among(CHANGEABLE)
"""What an organiser may hide or rewrite."""
