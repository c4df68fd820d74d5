"""Puzzles: ARC's format from a file, and puzzles of our own, made by a seed, that need no data."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from memorist.bench.arc.language import Grid, Nonsense, Program, Step, run
from memorist.errors import InputError

Pair = tuple[Grid, Grid]


@dataclass(frozen=True)
class Puzzle:
    """A solver sees the pairs `shown`; the outputs of the pairs `asked` are for the score alone."""

    id: str
    shown: Sequence[Pair]
    asked: Sequence[Pair]


def read_puzzles(path: Path) -> list[Puzzle]:
    """A JSON object of puzzles by id, as ARC-AGI has them. Raises InputError."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return [Puzzle(id, pairs(one["train"]), pairs(one["test"])) for id, one in sorted(found.items())]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is not a file of ARC puzzles ({type(error).__name__}: {error})") from error


def pairs(records: Sequence[dict[str, list[list[int]]]]) -> list[Pair]:
    """Inputs with their outputs."""
    return [(np.array(one["input"], np.int8), np.array(one["output"], np.int8)) for one in records]


def cues_of(puzzle: Puzzle) -> tuple[str, ...]:
    """What can be seen of a puzzle's shown pairs without solving it; each cue holds for all of them."""
    cues = []
    for name, rule in CUES.items():
        if all(rule(given, wanted) for given, wanted in puzzle.shown):
            cues.append(name)
    return tuple(cues)


def colours(grid: Grid) -> set[int]:
    """The colours in a grid."""
    return set(np.unique(grid).tolist())


CUES: Mapping[str, Callable[[Grid, Grid], bool]] = {
    "same size": lambda given, wanted: given.shape == wanted.shape,
    "smaller": lambda given, wanted: wanted.size < given.size,
    "larger": lambda given, wanted: wanted.size > given.size,
    "twice as wide": lambda given, wanted: wanted.shape[1] == 2 * given.shape[1],
    "twice as high": lambda given, wanted: wanted.shape[0] == 2 * given.shape[0],
    "three times the size": lambda given, wanted: wanted.shape == tuple(3 * n for n in given.shape),
    "size squared": lambda given, wanted: wanted.shape == tuple(n * n for n in given.shape),
    "half as wide": lambda given, wanted: given.shape[1] // 2 == wanted.shape[1] and given.shape[0] == wanted.shape[0],
    "half as high": lambda given, wanted: given.shape[0] // 2 == wanted.shape[0] and given.shape[1] == wanted.shape[1],
    "turned shape": lambda given, wanted: given.shape == wanted.shape[::-1] and given.shape != wanted.shape,
    "square": lambda given, wanted: given.shape[0] == given.shape[1],
    "same colours": lambda given, wanted: colours(given) == colours(wanted),
    "fewer colours": lambda given, wanted: colours(wanted) < colours(given),
    "new colours": lambda given, wanted: bool(colours(wanted) - colours(given)),
    "same counts": lambda given, wanted: sorted(given.ravel()) == sorted(wanted.ravel()),
    "one colour": lambda given, wanted: len(colours(wanted) - {0}) == 1,
    "no background": lambda given, wanted: 0 not in colours(given),
    "only background changes": lambda given, wanted: (
        given.shape == wanted.shape and bool((given == wanted)[given != 0].all())
    ),
    "background grows": lambda given, wanted: int((wanted == 0).sum()) > int((given == 0).sum()),
}
"""What may be seen in a pair."""

PARTS: tuple[str, ...] = (
    *("turn", "flip_sides", "transpose", "crop", "fall", "double", "tile_across", "mirror_right", "mirror_down"),
    *("fall_left", "keep_commonest", "turn_twice"),
)

PALETTE = 3


def own_puzzles(seed: int, singles: int, doubles: int, routines: int = 4) -> list[Puzzle]:
    """Puzzles from hidden routines, an operation and a recolouring whose colours differ from puzzle to puzzle.

    The first `singles` take one routine, the `doubles` after them two in a row.
    """
    rng = random.Random(seed)
    hidden = rng.sample(PARTS, routines)
    made: list[Puzzle] = []
    while len(made) < singles + doubles:
        chosen = rng.sample(hidden, 1 if len(made) < singles else 2)
        steps: list[Step] = []
        for name in chosen:
            steps += [(name,), ("recolour", *rng.sample(range(1, PALETTE + 1), 2))]
        puzzle = drawn(rng, f"own-{seed}-{len(made)}", tuple(steps))
        if puzzle is not None:
            made.append(puzzle)
    return made


def drawn(rng: random.Random, id: str, program: Program) -> Puzzle | None:
    """Three pairs to see and two to be asked; None when the program does nothing, or nonsense, to one."""
    found: list[Pair] = []
    for _ in range(5):
        shape = rng.randint(3, 5), rng.randint(3, 5)
        grid = np.array(
            [rng.choice((0, 0, *range(1, PALETTE + 1))) for _ in range(shape[0] * shape[1])], np.int8
        ).reshape(shape)
        try:
            found.append((grid, run(program, grid)))
        except Nonsense:
            return None
    if any(one.shape == other.shape and (one == other).all() for one, other in found):
        return None
    return Puzzle(id, found[:3], found[3:])
