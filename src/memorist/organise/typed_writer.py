"""The writer of typed concepts: one call for each solved problem, which sees the concepts that there are.

Solutions are abstracted in the order in which they came, each seeing what the earlier ones made: so a memory that is
rebuilt asks the same questions and is answered by the log. The reply begins with the solution as pseudocode, which the
paper's code asks for in a call of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

import numpy as np

from memorist.cube import Scope
from memorist.errors import BadReply, ModelError, ModelRefused
from memorist.ids import derived_id
from memorist.models.embedder import Vectors
from memorist.models.wordpiece import count_tokens
from memorist.organise.attempts import Attempt, solutions
from memorist.organise.lessons import shown_of
from memorist.organise.protocol import Call, Desk, Task, Written
from memorist.organise.quoting import clean
from memorist.organise.typed import SaidConcept, TypedConcept, concept_of, key_of, merged, meta_of
from memorist.organise.typed_shown import compact
from memorist.store.protocol import Derived, Kept, Organised, Stretch, Turn
from memorist.store.terms import stems
from memorist.store.texts import Texts

TYPED = "typed-concepts"

SHOWN = 40
"""Concepts that are shown with a solution, those nearest to it; of the rest only the names, up to NAMES."""

NAMES = 200
MOST = 12
"""Concepts of one reply; more are left out."""

ALIKE = 0.92
"""How alike a misspelled name must be to the known one that it is taken for."""


@dataclass
class Abstracted:
    """A solution in few words, and the concepts that it is made of."""

    pseudocode: str
    summary: str
    concepts: list[SaidConcept]


WRITE = Task("concepts", Abstracted, 1_500)


class ConceptWriter:
    """The writer of typed concepts."""

    name = TYPED
    origin = TYPED
    reach = 0
    batch = 10

    def write(self, stretches: Sequence[Stretch], changed: frozenset[int], desk: Desk) -> Written:
        """What each solution adds to the concepts. One with a bad reply is left; nothing of it is written."""
        library = Library(desk)
        left: list[int] = []
        fault: ModelError | None = None
        found = solutions(stretches)  # one that comes again shared a concept with an episode that is gone
        for place, (turn, attempt) in enumerate(found):
            (reply,) = desk.ask([library.call(turn, attempt)])
            if not isinstance(reply, ModelError):
                library.put(turn, attempt, reply)
                continue
            fault = reply
            if not isinstance(reply, (BadReply, ModelRefused)):
                left += [later.row for later, _ in found[place:]]
                break
            left.append(turn.row)
        reason = None if fault is None else f"{type(fault).__name__}: {fault}"
        return Written(Organised(tuple(library.written())), tuple(left), reason, fault)


class Library:
    """An owner's typed concepts while some are being written; what is put there is seen by the next solution."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._view: Texts = desk.view(TYPED, Texts)
        stored = [cube for cube in self._view.kept.values() if cube.active]
        self._concepts = {key_of(made.name): made for made in map(typed_of, stored) if made is not None}
        self._cubes = {cube.id: cube for cube in stored}
        self._rows = {cube.id: tuple(map(int, cube.members)) for cube in stored}
        self._changed: dict[str, Derived] = {}

    def call(self, turn: Turn, attempt: Attempt) -> Call[Abstracted]:
        """The question about a solution. Concepts that were used once are shown by name alone."""
        near = self._near(turn)
        rest = sorted(one.name for one in self._concepts.values() if one not in near)[:NAMES]
        memory = compact(near) + (f"\nOthers by name: {'; '.join(rest)}" if rest else "")
        rows = {turn.row, *(row for one in self._concepts.values() for row in self._rows[one.id])}
        fields = shown_of(turn, attempt) | {"memory": memory.strip() or "(none yet)"}
        return Call(WRITE, fields, tuple(sorted(rows)))

    def put(self, turn: Turn, attempt: Attempt, said: Abstracted) -> None:
        """Merge a reply. A reply without a concept that can be used leaves a cube that says so."""
        used = False
        for one in said.concepts[:MOST]:
            known = self._concepts.get(self._name(one.concept))
            id = known.id if known else derived_id(TYPED, *owner(self._desk.scope), key_of(one.concept))
            made = merged(known, one, id, attempt.problem, turn.id)
            if made is None:
                continue
            used = True
            self._concepts[key_of(made.name)] = made
            rows = self._rows.get(id, ())
            self._rows[id] = (*rows, *([turn.row] if turn.row not in rows else []))
            self._changed[id] = self._cube(made, turn)
        if not used:
            self._changed[turn.id] = nothing(turn, attempt, said)

    def written(self) -> list[Derived]:
        """The cubes to write, embedded."""
        cubes = list(self._changed.values())
        vectors = self._desk.embedder.embed([one.text for one in cubes]) if cubes else ()
        return [replace(one, vector=vector) for one, vector in zip(cubes, vectors)]

    def _near(self, turn: Turn) -> list[TypedConcept]:
        """The concepts used more than once that have most to do with a solution, by meaning and by words: a function of
        the concepts alone, so that the same question is asked wherever jobs begin."""
        every = [one for one in self._concepts.values() if one.used > 1]
        if len(every) <= SHOWN:
            return sorted(every, key=lambda one: one.name)
        vector = turn.vector if turn.vector is not None else self._desk.embedder.embed([turn.text])[0]
        asked = set(stems(turn.text))
        vectors = self._vectors(every)

        def near(one: TypedConcept) -> float:
            shared = len(asked & set(stems(one.text))) / max(len(asked), 1)
            return round(float(np.dot(vectors[one.id], vector)) + shared, 4)

        return sorted(every, key=lambda one: (-near(one), one.name))[:SHOWN]

    def _vectors(self, concepts: Sequence[TypedConcept]) -> dict[str, Vectors]:
        """Their vectors by id: as they are kept, or made where this job changed one."""
        kept = {one.id: self._cubes[one.id].vector for one in concepts if one.id not in self._changed}
        found = {id: vector for id, vector in kept.items() if vector is not None}
        missing = [one for one in concepts if one.id not in found]
        made = self._desk.embedder.embed([one.text for one in missing]) if missing else ()
        return found | {one.id: vector for one, vector in zip(missing, made)}

    def _name(self, said: str) -> str:
        """The known name that is meant, or a new one."""
        key = key_of(said)
        close = [] if key in self._concepts else get_close_matches(key, self._concepts, 1, ALIKE)
        return close[0] if close else key

    def _cube(self, made: TypedConcept, turn: Turn) -> Derived:
        before = self._changed.get(made.id) or self._cubes.get(made.id)
        return Derived(
            made.id, TYPED, made.text, self._rows[made.id], "model", "", "", turn.at,
            max(before.valid_from, turn.valid_from) if before is not None else turn.valid_from,
            tokens=count_tokens([made.text])[0],
            meta=meta_of(made) | {"by": self._desk.model.name, "cause": turn.id},
            recorded_at=turn.recorded_at, versioned=True,
        )  # fmt: skip


def owner(scope: Scope) -> tuple[str, str]:
    """Whose concepts they are."""
    return scope.tenant, scope.user


def typed_of(cube: Kept) -> TypedConcept | None:
    """The concept of a cube; None of one that says that a solution had none."""
    return concept_of(cube.id, cube.meta) if "name" in cube.meta else None


def nothing(turn: Turn, attempt: Attempt, said: Abstracted) -> Derived:
    """The cube of a solution without a concept, or it would be asked about again and again."""
    text = f"{clean(attempt.problem, 80)}: no concept. {clean(said.summary, 300)}"
    return Derived(
        derived_id(TYPED, turn.id), TYPED, text, (turn.row,), "model", turn.agent, turn.session, turn.at,
        turn.valid_from, tokens=count_tokens([text])[0], meta={"problem": attempt.problem},
    )  # fmt: skip
