"""The solver: breadth-first search over programs, with a budget of expansions.

An expansion applies one operation to a state (what a program makes of every shown input). States that came before are
not searched again. A routine from memory costs as many expansions as it has operations.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from memorist.bench.arc.language import OPERATIONS, Grid, Nonsense, Program, applied, colourings, run
from memorist.bench.arc.puzzles import Puzzle

LONGEST = 6
"""Operations of a program at most."""

State = tuple[Grid, ...]


@dataclass
class Search:
    """One puzzle's search; `spent` counts expansions."""

    puzzle: Puzzle
    budget: int
    spent: int = 0

    def tried(self, programs: Sequence[Program]) -> Program | None:
        """The first of these programs that solves every shown pair."""
        start = tuple(given for given, _ in self.puzzle.shown)
        for program in programs:
            if self.spent + len(program) > self.budget:
                return None
            state = self._after(start, program)
            if state is not None and self._solved(state):
                return program
        return None

    def over(self, moves: Sequence[Program], upto: int) -> Program | None:
        """Breadth-first over rows of moves, in their order, until solved or `upto` expansions are spent in all."""
        start = tuple(given for given, _ in self.puzzle.shown)
        seen = {key_of(start)}
        level: list[tuple[Program, State]] = [((), start)]
        while level:
            deeper: list[tuple[Program, State]] = []
            for program, state in level:
                for move in moves:
                    if len(program) + len(move) > LONGEST:
                        continue
                    if self.spent + len(move) > min(upto, self.budget):
                        return None
                    made = self._after(state, move)
                    if made is None or (key := key_of(made)) in seen:
                        continue
                    seen.add(key)
                    if self._solved(made):
                        return program + move
                    deeper.append((program + move, made))
            level = deeper
        return None

    def _after(self, state: State, move: Program) -> State | None:
        """The state after a move, None where it is nonsense."""
        self.spent += len(move)
        try:
            for step in move:
                state = tuple(applied(step, grid) for grid in state)
        except Nonsense:
            return None
        return state

    def _solved(self, state: State) -> bool:
        return all(same(made, wanted) for made, (_, wanted) in zip(state, self.puzzle.shown))


def plain_moves(puzzle: Puzzle) -> list[Program]:
    """Every operation with every colouring that the puzzle's shown grids suggest: those without colours first."""
    inside, outside = palette(puzzle)
    return [((name, *colouring),) for name in OPERATIONS for colouring in colourings(name, inside, outside)]


def palette(puzzle: Puzzle) -> tuple[list[int], list[int]]:
    """The colours of shown inputs and of shown outputs."""
    inputs: set[int] = set().union(*(np.unique(given).tolist() for given, _ in puzzle.shown))
    outputs: set[int] = set().union(*(np.unique(wanted).tolist() for _, wanted in puzzle.shown))
    return sorted(inputs), sorted(outputs)


def score(program: Program, puzzle: Puzzle) -> bool:
    """Whether the program also gives the outputs that were not shown."""
    try:
        return all(same(run(program, given), wanted) for given, wanted in puzzle.asked)
    except Nonsense:
        return False


def same(one: Grid, other: Grid) -> bool:
    """Whether two grids are the same."""
    return one.shape == other.shape and bool((one == other).all())


def key_of(state: State) -> bytes:
    """A state as bytes."""
    return b"".join(bytes(grid.shape) + grid.tobytes() for grid in state)


def instances(pattern: Program, puzzle: Puzzle, most: int) -> Iterator[Program]:
    """A pattern with its holes filled by the puzzle's colours; the same hole is the same colour. At most `most`."""
    inside, outside = palette(puzzle)
    made: list[tuple[Program, dict[str, int]]] = [((), {})]
    for step in pattern:
        name, *wanted = step
        longer: list[tuple[Program, dict[str, int]]] = []
        for program, bound in made:
            every = sorted({*inside, *outside}) if program else inside
            for colouring in colourings(str(name), every, every if program else outside):
                taken = dict(bound)
                if all(matches(one, colour, taken) for one, colour in zip(wanted, colouring)):
                    longer.append(((*program, (name, *colouring)), taken))
        made = longer
    yield from (program for program, _ in made[:most])


def matches(wanted: str | int, colour: int, bound: dict[str, int]) -> bool:
    """Whether a place takes a colour; a hole is bound by the first."""
    return wanted == colour if isinstance(wanted, int) else bound.setdefault(wanted, colour) == colour
