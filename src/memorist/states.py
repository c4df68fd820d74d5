"""The life of a cube: its states, and the one table of moves between them.

    generated ──index──▶ activated ──fuse──▶ merged ──unfuse──▶ activated
                          │  │  └──freeze──▶ frozen ──thaw────▶ activated
                          │  └─────archive─▶ archived ─activate▶ activated
                          └────────expire──▶ expired ──activate▶ activated
    any of these but frozen ───────forget──▶ deleted ──restore─▶ activated

Erasing is no move: it leaves nothing that could have a state. Nothing that is frozen can be erased.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from memorist.errors import StateError

State = Literal["generated", "activated", "merged", "archived", "expired", "frozen", "deleted"]
Verb = Literal["index", "fuse", "unfuse", "archive", "activate", "expire", "freeze", "thaw", "forget", "restore"]

LIVING: tuple[State, ...] = ("generated", "activated", "frozen")
"""What recall may return. `generated` is durable and found by its words; the embedder has yet to see it."""

CHANGEABLE: tuple[State, ...] = ("generated", "activated")
"""What may get a new version."""


@dataclass(frozen=True, slots=True)
class Move:
    """Where a verb leads from and to, and what `history` calls it."""

    sources: tuple[State, ...]
    target: State
    event: str


MOVES: Mapping[Verb, Move] = {
    "index": Move(("generated",), "activated", "indexed"),
    "fuse": Move(("generated", "activated"), "merged", "merged"),
    "unfuse": Move(("merged",), "activated", "unmerged"),
    "archive": Move(("generated", "activated"), "archived", "archived"),
    "activate": Move(("archived", "expired"), "activated", "activated"),
    "expire": Move(("generated", "activated", "archived"), "expired", "expired"),
    "freeze": Move(("generated", "activated"), "frozen", "frozen"),
    "thaw": Move(("frozen",), "activated", "thawed"),
    "forget": Move(("generated", "activated", "merged", "archived", "expired"), "deleted", "forgotten"),
    "restore": Move(("deleted",), "activated", "restored"),
}
"""Every move there is; what is not here cannot happen."""


def moved(id: str, state: State, verb: Verb) -> State:
    """The state that a verb leads to. Raises StateError, which says what is possible instead."""
    move = MOVES[verb]
    if state in move.sources:
        return move.target
    if state == move.target:
        raise StateError(f"{id} is {state} already")
    raise StateError(f"{id} is {state} and cannot become {move.target} by {verb}; {possible(state)}")


def unchangeable(id: str, state: State, verb: str) -> StateError:
    """Why a cube in this state cannot be updated, erased or fused."""
    return StateError(f"{id} is {state}, so it cannot {verb}; {possible(state)}")


def possible(state: State) -> str:
    """What may be done with a cube in this state, in words."""
    moves = [f"{verb} (then {move.target})" for verb, move in MOVES.items() if state in move.sources]
    return f"what is {state} allows: {', '.join(moves)}"
