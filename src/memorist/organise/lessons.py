"""Lessons from solved problems in a model's words: ArcMemo's open-ended format (2509.04439), a situation and a
suggestion.

The model first retells how somebody came to the solution, dead ends included, then says what is worth knowing for other
problems. Both are one reply here, where the paper's code asks twice. Writing does not look at earlier lessons, so the
calls of a job run side by side, and the same problems give the same questions in every order.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from memorist.errors import BadReply, ModelError, ModelRefused
from memorist.ids import derived_id
from memorist.models.wordpiece import count_tokens
from memorist.organise.attempts import Attempt, solutions, visible
from memorist.organise.protocol import Call, Desk, Task, Written
from memorist.organise.quoting import clean
from memorist.store.protocol import Derived, Kept, Organised, Stretch, Turn
from memorist.store.texts import Texts

LESSONS = "lessons"

MOST = 8
"""Lessons of one solution; more are left out."""

LONGEST = 400
"""Characters of a situation or a suggestion."""

LONGEST_SOLUTION = 6_000
"""Characters that are shown of a solution."""


@dataclass
class SaidLesson:
    """A lesson as a model says it."""

    situation: str
    suggestion: str


@dataclass
class Learned:
    """How the solution was come to, and what is worth knowing of it."""

    thoughts: list[str]
    lessons: list[SaidLesson]


WRITE = Task("lessons", Learned, 1_024)


@dataclass(frozen=True, slots=True)
class Lesson:
    """In such a situation, this is what to try. `problem` is the one that taught it."""

    id: str
    situation: str
    suggestion: str
    problem: str


class LessonWriter:
    """The writer of lessons, one call for each solution."""

    name = LESSONS
    origin = LESSONS
    reach = 0
    batch = 10

    def write(self, stretches: Sequence[Stretch], changed: frozenset[int], desk: Desk) -> Written:
        """The lessons of each solution that has none yet. One with a bad reply is left; the others are written."""
        view = desk.view(LESSONS, Texts)
        known = {int(row) for cube in view.kept.values() if cube.active for row in cube.members}
        found = [(turn, attempt) for turn, attempt in solutions(stretches) if turn.row not in known]
        replies = desk.ask([call_of(turn, attempt) for turn, attempt in found])
        written: list[Derived] = []
        left: list[int] = []
        fault: ModelError | None = None
        for (turn, attempt), reply in zip(found, replies):
            if isinstance(reply, ModelError):
                left.append(turn.row)
                if fault is None or isinstance(fault, (BadReply, ModelRefused)):
                    fault = reply
            else:
                written += cubes_of(turn, attempt, reply, desk.model.name)
        vectors = desk.embedder.embed([one.text for one in written]) if written else ()
        dressed = tuple(replace(one, vector=vector) for one, vector in zip(written, vectors))
        reason = None if fault is None else f"{type(fault).__name__}: {fault}"
        return Written(Organised(dressed), tuple(left), reason, fault)


def call_of(turn: Turn, attempt: Attempt) -> Call[Learned]:
    """The question about a solution."""
    return Call(WRITE, shown_of(turn, attempt), (turn.row,))


def shown_of(turn: Turn, attempt: Attempt) -> dict[str, str]:
    """A problem and how it was solved, as JSON texts that no words in them can end."""
    return {
        "problem": json.dumps(visible(attempt.problem, LONGEST_SOLUTION), ensure_ascii=False),
        "solution": json.dumps(visible(turn.text, LONGEST_SOLUTION), ensure_ascii=False),
    }


def cubes_of(turn: Turn, attempt: Attempt, said: Learned, by: str) -> list[Derived]:
    """The cubes of a reply's lessons; those with an empty part are left out.

    A solution that teaches nothing gets a cube that says so, or it would be asked about again and again.
    """
    pairs = [(clean(one.situation, LONGEST), clean(one.suggestion, LONGEST)) for one in said.lessons]
    full = list(dict.fromkeys(pair for pair in pairs if all(pair)))[:MOST]
    return [cube_of(turn, attempt, number, pair, by) for number, pair in enumerate(full or [("", "")])]


def cube_of(turn: Turn, attempt: Attempt, number: int, pair: tuple[str, str], by: str) -> Derived:
    """The cube of a lesson."""
    situation, suggestion = pair
    text = f"When {situation}: {suggestion}" if situation else f"{clean(attempt.problem, 80)}: no lesson"
    meta = {"situation": situation, "suggestion": suggestion, "problem": attempt.problem, "by": by}
    return Derived(
        derived_id(LESSONS, turn.id, str(number)), LESSONS, text, (turn.row,), "model", turn.agent, turn.session,
        turn.at, turn.valid_from, tokens=count_tokens([text])[0], meta=meta,
    )  # fmt: skip


def lesson_of(cube: Kept) -> Lesson | None:
    """The lesson of a cube; None of one that says that there is none."""
    meta = cube.meta
    return Lesson(cube.id, meta["situation"], meta["suggestion"], meta["problem"]) if meta["situation"] else None
