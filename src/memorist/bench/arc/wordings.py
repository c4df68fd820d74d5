"""`memorist bench concepts --wordings`: could concepts be merged by what their words mean, and not by name alone?

Some operations on grids, each in two wordings of ours, as two solvers might name and describe it. Both wordings of one
operation should be taken for the same, those of different ones should not; a threshold of cosine is of use when it
tells these apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table

from memorist.bench.told import Outputs, tell
from memorist.models.embedder import Embedder

WORDINGS: Mapping[str, tuple[str, str]] = {
    "flip_sides": ("mirror left to right: the grid as in a mirror beside it", "horizontal flip: columns in reverse"),
    "flip_over": ("mirror top to bottom: the grid as in a mirror below it", "vertical flip: rows in reverse"),
    "turn": ("quarter turn: rotate the grid to the left", "rotate 90 degrees anticlockwise"),
    "turn_back": ("quarter turn back: rotate the grid to the right", "rotate 90 degrees clockwise"),
    "transpose": ("transpose: rows become columns", "swap axes: reflect along the diagonal"),
    "crop": ("crop: cut out the box around all that is coloured", "bounding box: remove the empty border"),
    "fall": ("gravity down: every cell sinks in its column", "let cells fall to the bottom"),
    "rise": ("gravity up: every cell rises in its column", "let cells float to the top"),
    "double": ("scale by two: each cell becomes a square of four", "enlarge twofold"),
    "triple": ("scale by three: each cell becomes a square of nine", "enlarge threefold"),
    "tile_across": ("repeat to the right: a copy of the grid beside it", "tile horizontally"),
    "tile_down": ("repeat below: a copy of the grid under it", "tile vertically"),
    "keep_commonest": ("keep the commonest colour: all else is removed", "dominant colour only"),
    "keep_rarest": ("keep the rarest colour: all else is removed", "least frequent colour only"),
    "largest_part": ("keep the largest thing: smaller ones vanish", "biggest object only"),
    "smallest_part": ("keep the smallest thing: larger ones vanish", "tiniest object only"),
    "enclosed": ("fill holes: background with no way out is painted", "flood enclosed regions with a colour"),
    "recolour": ("recolour: one colour becomes another", "replace a colour throughout"),
    "swap": ("swap colours: two colours change places", "exchange two colours"),
    "symmetric": ("complete the symmetry: gaps take their mirror image", "restore a symmetric pattern"),
}


@dataclass(frozen=True, slots=True)
class Level:
    """What a threshold of cosine merges: pairs of one operation, of different ones, and operations that are left apart
    from all others and whole."""

    threshold: float
    same: int
    different: int
    right: int


@dataclass(frozen=True, slots=True)
class Found:
    """The levels; `nearest` are the different operations whose words are most alike, with their cosine."""

    embedder: str
    operations: int
    levels: tuple[Level, ...]
    nearest: tuple[tuple[str, str, float], ...]
    own_first: int
    """Wordings whose nearest other wording is of the same operation."""


def run(embedder: Embedder, out: Outputs, console: Console) -> Found:
    """Compare all pairs, print a table, and tell `out`."""
    names = [name for name, both in WORDINGS.items() for _ in both]
    texts = [text for both in WORDINGS.values() for text in both]
    vectors = embedder.embed(texts)
    cosine = vectors @ vectors.T
    found = measured(names, cosine, embedder.identity.name)
    show(found, console)
    tell(out, "wordings", found.levels, embedder=found.embedder, nearest=found.nearest, own_first=found.own_first)
    return found


def measured(names: Sequence[str], cosine: np.ndarray, embedder: str) -> Found:
    """All levels."""
    pairs = [(float(cosine[one, other]), names[one], names[other]) for one in range(len(names)) for other in range(one)]
    levels = []
    for threshold in np.arange(0.5, 0.96, 0.05):
        merged = [(one, other) for value, one, other in pairs if value >= threshold]
        wrong = {name for one, other in merged if one != other for name in (one, other)}
        same = {one for one, other in merged if one == other}
        different = sum(one != other for one, other in merged)
        levels.append(Level(round(float(threshold), 2), len(same), different, len(same - wrong)))
    apart = cosine - 2 * np.eye(len(names))
    own = sum(names[int(np.argmax(apart[place]))] == name for place, name in enumerate(names))
    unlike = sorted((pair for pair in pairs if pair[1] != pair[2]), reverse=True)[:5]
    nearest = tuple((one, other, round(value, 3)) for value, one, other in unlike)
    return Found(embedder, len(WORDINGS), tuple(levels), nearest, own)


def show(found: Found, console: Console) -> None:
    """The table, and the pairs that are taken for one another first."""
    table = Table(title=f"{found.operations} operations in two wordings, {found.embedder}")
    for name in ("cosine from", "merged rightly", "pairs merged wrongly", "whole and apart"):
        table.add_column(name, justify="right")
    for level in found.levels:
        table.add_row(f"{level.threshold:.2f}", str(level.same), str(level.different), str(level.right))
    console.print(table)
    console.print(f"nearest wording is of the same operation: {found.own_first} of {2 * found.operations}")
    for one, other, value in found.nearest:
        console.print(f"  {one} and {other}: {value:.3f}")
