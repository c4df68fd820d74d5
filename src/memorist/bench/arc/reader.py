"""Solving a puzzle with what a memory returned: the programs of earlier puzzles, under a budget of expansions.

A quarter of the budget tries what was returned, as it was and with other colours; the rest is plain search, which
memory can never starve.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from memorist.bench.arc.language import Nonsense, Program, run
from memorist.bench.arc.puzzles import Puzzle
from memorist.bench.arc.search import Search, instances, plain_moves

BUDGET = 2_000
"""Expansions that a puzzle may take."""

SHARE = 4
"""The budget over this is what returned programs may take."""

FILLED = 24
"""Ways to fill a program's colours anew at most."""


def answer(puzzle: Puzzle, returned: Sequence[str]) -> str | None:
    """The outputs that were asked for, as JSON, by a program that gives all shown ones; None when none was found.

    `returned` are programs as JSON, best first.
    """
    program = solved(puzzle, [program_of(one) for one in returned])
    return None if program is None else outputs(program, puzzle)


def solved(puzzle: Puzzle, returned: Sequence[Program]) -> Program | None:
    """A program that passes the shown pairs."""
    search = Search(puzzle, BUDGET // SHARE)
    patterns = dict.fromkeys(map(without_colours, returned))
    tried = [*dict.fromkeys(returned), *(one for pattern in patterns for one in instances(pattern, puzzle, FILLED))]
    found = search.tried(tried)
    search.budget = BUDGET
    return found or search.over(plain_moves(puzzle), BUDGET)


def without_colours(program: Program) -> Program:
    """The program with a hole for each colour."""
    return tuple((name, *(f"colour {value}" for value in values)) for name, *values in program)


def outputs(program: Program, puzzle: Puzzle) -> str | None:
    """What a program makes of the asked inputs, as JSON; None for nonsense."""
    try:
        return json.dumps([run(program, given).tolist() for given, _ in puzzle.asked])
    except Nonsense:
        return None


def program_of(text: str) -> Program:
    """A program from JSON."""
    return tuple((str(name), *values) for name, *values in json.loads(text))
