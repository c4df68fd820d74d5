"""Attempts at problems, told by the metadata of episodes: what was tried, with which hint, and whether it solved.

An episode is an attempt when its metadata name a `problem` (an id, or its words); its text says how it was gone about.
It solved the problem unless `solved` is false. `hinted`, ids parted by `|`, are the lessons and concepts that the
solver was shown. The caller decides what counts as solved: who lets hidden outputs decide leaks them into memory.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from memorist.cube import Observation
from memorist.errors import InputError, brief
from memorist.ids import derived_id
from memorist.organise.protocol import Around
from memorist.store.protocol import Derived, Kept, Organised, Stretch, Turn

ATTEMPTS = "attempts"

IDLE = 5
"""Failed attempts that were shown a lesson or concept, without one that solved, after which it is no longer shown."""

HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a problem, and the ids of what the solver was shown."""

    problem: str
    solved: bool
    hinted: tuple[str, ...]


@dataclass(frozen=True)
class Attempts:
    """A view of the attempts by row of their cubes."""

    every: Mapping[int, Attempt] = field(default_factory=dict)

    def take(self, kept: Sequence[Kept]) -> Attempts:
        """The view with these changes."""
        every = dict(self.every)
        for one in kept:
            every.pop(one.row, None)
            if one.active and (made := attempt_of(one.meta)) is not None:
                every[one.row] = made
        return Attempts(every)

    def idle(self) -> frozenset[str]:
        """Ids of what was shown IDLE times to attempts that failed, and to none that solved."""
        failed = Counter(id for one in self.every.values() if not one.solved for id in one.hinted)
        helped = {id for one in self.every.values() if one.solved for id in one.hinted}
        return frozenset(id for id, times in failed.items() if times >= IDLE and id not in helped)


class Outcomes:
    """The organiser of attempts; it asks no model."""

    name = ATTEMPTS
    reach = 0
    batch = 256

    def organise(self, stretches: Sequence[Stretch], changed: frozenset[int], around: Around) -> Organised:
        """A cube for each attempt; what a web page says is none."""
        turns = [turn for stretch in stretches for turn in stretch.turns if turn.trust != "web"]
        return Organised(tuple(kept_attempt(turn, made) for turn in turns if (made := attempt_of(turn.meta))))


def told(problem: str, text: str, *, solved: bool, hinted: str) -> Observation:
    """An attempt as an episode. Raises InputError for one without a problem, or without words on how it went."""
    for name, value in (("problem", problem), ("text", text)):
        if not isinstance(value, str) or not value.strip():
            raise InputError(f"{name}={brief(value)} says nothing; name the problem, and tell how it was gone about")
    if not isinstance(solved, bool) or not isinstance(hinted, str):
        raise InputError(f"solved={brief(solved)} is not true or false, or hinted={brief(hinted)} not that of a Hint")
    return Observation(text, meta={"problem": problem, "solved": solved, **({"hinted": hinted} if hinted else {})})


def attempt_of(meta: Mapping[str, Any]) -> Attempt | None:
    """The attempt that metadata speak of, None when they do not."""
    problem = meta.get("problem")
    if not isinstance(problem, str) or not problem.strip():
        return None
    hinted = tuple(filter(None, str(meta.get("hinted") or "").split("|")))
    return Attempt(problem, meta.get("solved", True) is not False, hinted)


def kept_attempt(turn: Turn, attempt: Attempt) -> Derived:
    """The cube of an attempt."""
    meta = {name: turn.meta[name] for name in ("problem", "solved", "hinted") if name in turn.meta}
    return Derived(
        derived_id(ATTEMPTS, turn.id), ATTEMPTS, turn.text, (turn.row,), turn.trust, turn.agent, turn.session, turn.at,
        turn.valid_from, meta=meta, vector=turn.vector,
    )  # fmt: skip


def solutions(stretches: Sequence[Stretch]) -> list[tuple[Turn, Attempt]]:
    """The attempts that solved, in the order in which they came; what a web page says solves nothing."""
    turns = [turn for stretch in stretches for turn in stretch.turns if turn.trust != "web"]
    turns.sort(key=lambda turn: turn.row)
    found = ((turn, attempt_of(turn.meta)) for turn in turns)
    return [(turn, attempt) for turn, attempt in found if attempt is not None and attempt.solved]


def visible(text: str, longest: int) -> str:
    """A text of several lines without characters that hide or command; what is too long is cut with a mark."""
    whole = HIDDEN.sub(" ", text[: 2 * longest].encode("utf-8", "replace").decode())
    return whole if len(whole) <= longest else whole[:longest] + " …"
