"""A small language of grids: each operation takes a grid (int8 [rows, columns]) and colours, and gives a grid.

An operation that means nothing for a grid raises Nonsense. A step names an operation and its colours; a program is a
row of steps. What stands here was chosen before any puzzle was tried, and knows no puzzle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product

import numpy as np
import numpy.typing as npt

Grid = npt.NDArray[np.int8]
Mask = npt.NDArray[np.bool_]
Step = tuple[str | int, ...]
"""An operation's name and its colours."""
Program = tuple[Step, ...]

LARGEST = 30


class Nonsense(Exception):
    """The operation means nothing for this grid."""


def crop(grid: Grid) -> Grid:
    """The box around all that is not background."""
    rows, columns = np.nonzero(grid)
    if not len(rows):
        raise Nonsense
    return grid[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def fall(grid: Grid) -> Grid:
    """Every cell sinks in its column."""
    return np.take_along_axis(grid, np.argsort(grid != 0, axis=0, kind="stable"), axis=0)


def scaled(grid: Grid, times: int) -> Grid:
    """Each cell as a square."""
    return np.repeat(np.repeat(grid, times, 0), times, 1)


def within_itself(grid: Grid) -> Grid:
    """A copy of the grid at each of its cells that is not background."""
    return np.kron((grid != 0).astype(np.int8), grid)


def halves(grid: Grid, axis: int) -> tuple[Grid, Grid]:
    """Both halves; a line between them, all of one colour, is left out."""
    size = grid.shape[axis]
    if size < 2:
        raise Nonsense
    parts = np.take(grid, range(size // 2), axis), np.take(grid, range(size - size // 2, size), axis)
    if size % 2 and len(np.unique(np.take(grid, size // 2, axis))) > 1:
        raise Nonsense
    return parts


def half(axis: int, which: int) -> Callable[[Grid], Grid]:
    """One of the halves."""
    return lambda grid: halves(grid, axis)[which]


def combined(axis: int, rule: Callable[[Mask, Mask], Mask]) -> Callable[..., Grid]:
    """Where a rule holds between the halves, in a colour."""

    def combine(grid: Grid, colour: int) -> Grid:
        one, other = halves(grid, axis)
        return np.where(rule(one != 0, other != 0), colour, 0).astype(np.int8)

    return combine


def neither(one: Mask, other: Mask) -> Mask:
    """Where both are background."""
    return ~(one | other)


def overlaid(axis: int) -> Callable[[Grid], Grid]:
    """One half over the other."""

    def overlay(grid: Grid) -> Grid:
        one, other = halves(grid, axis)
        return np.where(one != 0, one, other)

    return overlay


def majority(grid: Grid) -> Grid:
    """All in the commonest colour."""
    return np.full_like(grid, np.bincount(grid.ravel()).argmax())


def colours_by_count(grid: Grid) -> npt.NDArray[np.intp]:
    """Colours that are not background, the commonest first."""
    counts = np.bincount(grid.ravel(), minlength=10)
    counts[0] = 0
    return np.array([colour for colour in np.argsort(-counts, kind="stable") if counts[colour]], np.intp)


def keep_ranked(place: int) -> Callable[[Grid], Grid]:
    """Only the commonest (0) or rarest (-1) colour."""

    def keep(grid: Grid) -> Grid:
        found = colours_by_count(grid)
        if len(found) < 2:
            raise Nonsense
        return np.where(grid == found[place], grid, 0).astype(np.int8)

    return keep


def parts_of(grid: Grid, same_colour: bool = False) -> list[npt.NDArray[np.bool_]]:
    """The connected things (eight neighbours), as masks."""
    left = grid != 0
    found = []
    while left.any():
        seed = np.unravel_index(left.argmax(), left.shape)
        mask = np.zeros_like(left)
        mask[seed] = True
        allowed = left & (grid == grid[seed]) if same_colour else left
        while True:
            padded = np.pad(mask, 1)
            rows, columns = mask.shape
            grown = np.zeros_like(mask)
            for row, column in product(range(3), range(3)):
                grown |= padded[row : row + rows, column : column + columns]
            grown &= allowed
            if (grown == mask).all():
                break
            mask = grown
        found.append(mask)
        left &= ~mask
    return found


def part(by: Callable[[Sequence[int]], int], cut: bool) -> Callable[[Grid], Grid]:
    """One of at least two things, by size: alone in its place, or cut out."""

    def take(grid: Grid) -> Grid:
        found = parts_of(grid)
        if len(found) < 2:
            raise Nonsense
        kept = np.where(found[by([int(mask.sum()) for mask in found])], grid, 0).astype(np.int8)
        return crop(kept) if cut else kept

    return take


def enclosed(grid: Grid, colour: int) -> Grid:
    """Background that no path leads out of, in a colour."""
    free = np.pad(grid == 0, 1, constant_values=True)
    outside = np.zeros_like(free)
    outside[0] = outside[-1] = outside[:, 0] = outside[:, -1] = True
    while True:
        grown = outside.copy()
        grown[1:] |= outside[:-1]
        grown[:-1] |= outside[1:]
        grown[:, 1:] |= outside[:, :-1]
        grown[:, :-1] |= outside[:, 1:]
        grown &= free
        if (grown == outside).all():
            break
        outside = grown
    return np.where((free & ~outside)[1:-1, 1:-1], colour, grid).astype(np.int8)


def symmetric(grid: Grid) -> Grid:
    """What is background takes the colour of its mirror images."""
    made = grid
    for turned in (np.fliplr, np.flipud):
        made = np.asarray(np.where(made != 0, made, turned(made)), np.int8)
    return made


def without_repeats(grid: Grid) -> Grid:
    """Rows and columns that repeat the one before are left out."""
    for _ in range(2):
        keep = np.ones(len(grid), bool)
        keep[1:] = (grid[1:] != grid[:-1]).any(1)
        grid = grid[keep].T
    return grid


def recoloured(grid: Grid, old: int, new: int) -> Grid:
    """One colour becomes another."""
    return np.where(grid == old, new, grid).astype(np.int8)


def swapped(grid: Grid, one: int, other: int) -> Grid:
    """Two colours change places."""
    return np.asarray(np.where(grid == one, other, np.where(grid == other, one, grid)), np.int8)


def rays(axis: int) -> Callable[[Grid], Grid]:
    """Each row (or column) that holds one colour is filled with it."""

    def fill(grid: Grid) -> Grid:
        turned = grid if axis == 1 else grid.T
        made = turned.copy()
        for place, line in enumerate(turned):
            found = np.unique(line[line != 0])
            if len(found) == 1:
                made[place] = np.where(line == 0, found[0], line)
        return np.asarray(made if axis == 1 else made.T, np.int8)

    return fill


OPERATIONS: Mapping[str, tuple[int, Callable[..., Grid]]] = {
    "turn": (0, np.rot90),
    "turn_twice": (0, lambda grid: np.rot90(grid, 2)),
    "turn_back": (0, lambda grid: np.rot90(grid, 3)),
    "flip_sides": (0, np.fliplr),
    "flip_over": (0, np.flipud),
    "transpose": (0, np.transpose),
    "transpose_back": (0, lambda grid: np.rot90(grid, 2).T),
    "crop": (0, crop),
    "fall": (0, fall),
    "rise": (0, lambda grid: np.flipud(fall(np.flipud(grid)))),
    "fall_left": (0, lambda grid: np.rot90(fall(np.rot90(grid)), 3)),
    "fall_right": (0, lambda grid: np.rot90(fall(np.rot90(grid, 3)))),
    "double": (0, lambda grid: scaled(grid, 2)),
    "triple": (0, lambda grid: scaled(grid, 3)),
    "tile_across": (0, lambda grid: np.tile(grid, (1, 2))),
    "tile_down": (0, lambda grid: np.tile(grid, (2, 1))),
    "tile_twice": (0, lambda grid: np.tile(grid, (2, 2))),
    "tile_thrice": (0, lambda grid: np.tile(grid, (3, 3))),
    "mirror_right": (0, lambda grid: np.hstack([grid, np.fliplr(grid)])),
    "mirror_left": (0, lambda grid: np.hstack([np.fliplr(grid), grid])),
    "mirror_down": (0, lambda grid: np.vstack([grid, np.flipud(grid)])),
    "mirror_up": (0, lambda grid: np.vstack([np.flipud(grid), grid])),
    "within_itself": (0, within_itself),
    "symmetric": (0, symmetric),
    "without_repeats": (0, without_repeats),
    "majority": (0, majority),
    "keep_commonest": (0, keep_ranked(0)),
    "keep_rarest": (0, keep_ranked(-1)),
    "left_half": (0, half(1, 0)),
    "right_half": (0, half(1, 1)),
    "top_half": (0, half(0, 0)),
    "bottom_half": (0, half(0, 1)),
    "overlay_across": (0, overlaid(1)),
    "overlay_down": (0, overlaid(0)),
    "largest_part": (0, part(np.argmax, False)),
    "smallest_part": (0, part(np.argmin, False)),
    "cut_largest": (0, part(np.argmax, True)),
    "cut_smallest": (0, part(np.argmin, True)),
    "rays_across": (0, rays(1)),
    "rays_down": (0, rays(0)),
    "both_across": (1, combined(1, np.logical_and)),
    "either_across": (1, combined(1, np.logical_or)),
    "one_across": (1, combined(1, np.logical_xor)),
    "neither_across": (1, combined(1, neither)),
    "both_down": (1, combined(0, np.logical_and)),
    "either_down": (1, combined(0, np.logical_or)),
    "one_down": (1, combined(0, np.logical_xor)),
    "neither_down": (1, combined(0, neither)),
    "enclosed": (1, enclosed),
    "keep": (1, lambda grid, colour: np.where(grid == colour, grid, 0).astype(np.int8)),
    "drop": (1, lambda grid, colour: np.where(grid == colour, 0, grid).astype(np.int8)),
    "all_in": (1, lambda grid, colour: np.where(grid != 0, colour, 0).astype(np.int8)),
    "recolour": (2, recoloured),
    "swap": (2, swapped),
}
"""How many colours an operation takes, and what it does."""

WRITES = frozenset(("both_across", "either_across", "one_across", "neither_across", "enclosed", "all_in")) | frozenset(
    ("both_down", "either_down", "one_down", "neither_down")
)
"""Operations whose one colour is one that is written."""


def applied(step: Step, grid: Grid) -> Grid:
    """What a step makes of a grid. Raises Nonsense."""
    name, *colours = step
    made = OPERATIONS[str(name)][1](grid, *colours)
    if not made.size or max(made.shape) > LARGEST:
        raise Nonsense
    return np.ascontiguousarray(made, dtype=np.int8)


def run(program: Program, grid: Grid) -> Grid:
    """What a program makes of a grid. Raises Nonsense."""
    for step in program:
        grid = applied(step, grid)
    return grid


def colourings(name: str, inside: Sequence[int], outside: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Colours an operation may take in a puzzle: read ones stand in its inputs, written ones in its outputs."""
    holes = OPERATIONS[name][0]
    if holes == 0:
        yield ()
    elif holes == 1:
        yield from ((colour,) for colour in (outside if name in WRITES else inside) if colour)
    elif name == "swap":
        yield from ((one, other) for one, other in product(inside, inside) if one < other)
    else:
        yield from ((old, new) for old, new in product(inside, outside) if old != new)
