"""What was learned from solved problems: ArcMemo's program-synthesis concepts, found without a language model.

An episode is a trace when its metadata name a `problem` and the `program` that solved it: a JSON list of steps, each a
list of an operation's name and its arguments. `cues`, parted by `|`, say what could be seen of the problem before it
was solved. The caller decides what counts as solved; the benchmark asks only for the pairs that a solver was shown.

A concept is a row of operations with holes where traces differ (their least general generalisation: what is the same
in all of them stays, what differs in the same way is the same hole). It is a concept when it is a single operation, a
whole solution, or part of the solutions of two problems: keeping every part of every solution was found to hurt. A
further trace revises it: holes open, uses and cues are counted anew, and what it was before stays in its history.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from memorist.cube import Scope, Trust
from memorist.ids import derived_id
from memorist.organise.protocol import Around
from memorist.organise.windows import TRUST_ORDER
from memorist.store.protocol import Derived, Kept, Organised, Stretch, Turn

NAME = "concepts"

LONGEST = 4
"""Operations of a concept at most."""

Argument = str | int
Step = tuple[Argument, ...]
"""An operation's name and its arguments; in a concept an argument that is a text begins with ? and is a hole."""
Program = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Trace:
    """A solved problem: the row of its episode, and how it was solved."""

    row: int
    problem: str
    program: Program
    cues: tuple[str, ...]
    at: datetime
    trust: Trust


@dataclass(frozen=True, slots=True)
class Concept:
    """A routine, how many problems it is `used` in, and in how many of these each cue was seen."""

    id: str
    pattern: Program
    used: int
    cues: Mapping[str, int]
    rows: tuple[int, ...]


@dataclass(frozen=True)
class Concepts:
    """A view of traces and concepts by row of their cubes."""

    traces: Mapping[int, Trace] = field(default_factory=dict)
    concepts: Mapping[int, Concept] = field(default_factory=dict)

    def take(self, kept: Sequence[Kept]) -> Concepts:
        """The view with these changes."""
        traces, concepts = dict(self.traces), dict(self.concepts)
        for one in kept:
            traces.pop(one.row, None)
            concepts.pop(one.row, None)
            if one.active and one.meta["level"] == "trace":
                found = trace_of(int(one.members[0]), one.meta, one.at, one.trust)
                assert found is not None  # it was one when the cube was written
                traces[one.row] = found
            elif one.active:
                concepts[one.row] = concept_of(one)
        return Concepts(traces, concepts)

    def selected(self, cues: Sequence[str], most: int) -> list[Concept]:
        """The concepts most likely to solve a problem with these cues, by their share of uses and of each cue."""
        total = sum(one.used for one in self.concepts.values())
        names = {name for one in self.concepts.values() for name in one.cues} | set(cues)

        def likely(one: Concept) -> float:
            seen = {name: (one.cues.get(name, 0) + 0.5) / (one.used + 1) for name in names}
            return math.log(one.used / total) + sum(
                math.log(share if name in cues else 1 - share) for name, share in seen.items()
            )

        return sorted(self.concepts.values(), key=lambda one: (-likely(one), one.id))[:most]

    def nearest(self, cues: Sequence[str], most: int) -> list[Trace]:
        """The earlier solutions of the problems that look most like this one, the latest first among equals."""

        def like(trace: Trace) -> float:
            return len(set(cues) & set(trace.cues)) / max(len(set(cues) | set(trace.cues)), 1)

        latest = sorted(self.traces.values(), key=lambda one: (one.at, one.problem), reverse=True)
        return sorted(latest, key=like, reverse=True)[:most]


class Abstraction:
    """The organiser of concepts."""

    name = NAME
    reach = 0
    batch = 256

    def organise(self, stretches: Sequence[Stretch], changed: frozenset[int], around: Around) -> Organised:
        """The traces that changed, and anew the concepts that they have a part in."""
        turns = [turn for stretch in stretches for turn in stretch.turns]
        fresh = [(turn, made) for turn in turns if (made := trace_of(turn.row, turn.meta, turn.at, turn.trust))]
        if not fresh:
            return Organised()
        view = around.view(NAME, Concepts)
        known = [one for one in view.traces.values() if one.row not in changed]
        touched = {names for _, made in fresh for names in parts_of(made.program)}
        every = sorted((*known, *(made for _, made in fresh)), key=lambda one: (one.at, one.problem, one.row))
        written = [
            cube_of(around.scope, found)
            for names in sorted(touched)
            if (found := generalised(names, every)) is not None
        ]
        vectors = around.embedder.embed([one.text for one in written]) if written else ()
        cubes = [replace(one, vector=vector) for one, vector in zip(written, vectors)]
        return Organised((*(kept_trace(turn, made) for turn, made in fresh), *cubes))


Names = tuple[str, ...]


def trace_of(row: int, meta: Mapping[str, Any], at: datetime, trust: Trust) -> Trace | None:
    """The trace that an episode's metadata speak of, None when they do not."""
    problem, program = meta.get("problem"), meta.get("program")
    if not isinstance(problem, str) or not isinstance(program, str):
        return None
    try:
        steps = tuple(tuple(step) for step in json.loads(program))
    except (ValueError, TypeError, RecursionError):
        return None
    if not steps or not all(step and isinstance(step[0], str) and all(map(is_argument, step)) for step in steps):
        return None
    cues = tuple(filter(None, str(meta.get("cues") or "").split("|")))
    return Trace(row, problem, steps, cues, at, trust)


def is_argument(value: object) -> bool:
    """A number, or a text that is no hole."""
    return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, str) and value[:1] != "?")


def parts_of(program: Program) -> set[Names]:
    """The names of the operations of every row of steps in a program."""
    return {names_of(program[start:stop]) for start, stop in spans(program)}


def spans(program: Program) -> list[tuple[int, int]]:
    """Where the rows of up to LONGEST steps begin and end."""
    size = len(program)
    return [(start, stop) for start in range(size) for stop in range(start + 1, min(size, start + LONGEST) + 1)]


def names_of(program: Program) -> Names:
    """The operations of a program."""
    return tuple(str(step[0]) for step in program)


def generalised(names: Names, traces: Sequence[Trace]) -> tuple[Program, list[Trace]] | None:
    """What the rows of these operations have in common in all traces, and whose they are; None for no concept."""
    users = []
    rows: list[Program] = []
    for trace in traces:
        found = [trace.program[start:stop] for start, stop in spans(trace.program)]
        found = [row for row in found if names_of(row) == names]
        if found:
            users.append(trace)
            rows += found
    whole = any(names_of(trace.program) == names for trace in users)
    if not users or not (len(names) == 1 or whole or len({trace.problem for trace in users}) > 1):
        return None
    shapes = {tuple(len(step) for step in row) for row in rows}
    return (anti_unified(rows), users) if len(shapes) == 1 else None


def anti_unified(programs: Sequence[Program]) -> Program:
    """The least general generalisation of programs of one shape.

    Numbers are never kept, not even when all agree: with few traces an agreement of colours is chance.
    """
    holes: dict[tuple[Argument, ...], str] = {}
    made: list[Step] = []
    for steps in zip(*programs):
        step: list[Argument] = [steps[0][0]]
        for values in zip(*(one[1:] for one in steps)):
            kept = len(set(values)) == 1 and isinstance(values[0], str)
            step.append(values[0] if kept else holes.setdefault(values, f"?{len(holes) + 1}"))
        made.append(tuple(step))
    return tuple(made)


def kept_trace(turn: Turn, trace: Trace) -> Derived:
    """The cube of a trace."""
    meta = {name: turn.meta[name] for name in ("problem", "program", "cues") if name in turn.meta} | {"level": "trace"}
    return Derived(
        derived_id(NAME, turn.id), NAME, turn.text, (turn.row,), turn.trust, turn.agent, turn.session, turn.at,
        turn.valid_from, meta=meta, vector=turn.vector,
    )  # fmt: skip


def cube_of(scope: Scope, found: tuple[Program, Sequence[Trace]]) -> Derived:
    """The cube of a concept, with lineage to every trace that it was made from."""
    pattern, users = found
    problems = {trace.problem: trace for trace in users}
    cues = Counter(name for trace in problems.values() for name in trace.cues)
    meta = {
        "level": "concept",
        "pattern": json.dumps(pattern),
        "used": len(problems),
        "cues": json.dumps(dict(sorted(cues.items()))),
    }
    seen = ", ".join(name for name, _ in sorted(cues.items(), key=lambda one: (-one[1], one[0]))[:6])
    return Derived(
        derived_id(NAME, scope.tenant, scope.user, "concept", *names_of(pattern)),
        NAME,
        f"{rendered(pattern)} (solved {len(problems)}{'; seen: ' + seen if seen else ''})",
        tuple(trace.row for trace in users),
        min((trace.trust for trace in users), key=TRUST_ORDER.index),
        "",
        "",
        users[-1].at,
        users[0].at,
        meta=meta,
        versioned=True,
    )


def concept_of(kept: Kept) -> Concept:
    """A concept from its cube."""
    pattern = tuple(tuple(step) for step in json.loads(kept.meta["pattern"]))
    rows = tuple(kept.members.tolist())
    return Concept(kept.id, pattern, int(kept.meta["used"]), json.loads(kept.meta["cues"]), rows)


def rendered(program: Program) -> str:
    """A program or pattern as a person reads it."""
    return " then ".join(" ".join(map(str, step)) for step in program)
