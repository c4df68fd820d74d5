"""Which sittings belong together (MemGAS, organise path): similar granularities are joined, as a two-part Gaussian
mixture over each one's nearest decides.

The edges follow from the vectors of the sittings that hold, in the order of time and not of arrival. So they live in
memory, not in the store: there the erasure of a sitting would leave between others what would never have been drawn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import numpy.typing as npt

from memorist.models.embedder import Vectors
from memorist.store.protocol import Floats, Kept, Rows
from memorist.store.terms import stems, term_of

Places = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]

ORIGIN = "granularity"
SESSION, TURNS, SUMMARY, KEYWORDS = GRANULARITIES = ("session", "turns", "summary", "keywords")

CANDIDATES = 30
"""Nearest nodes that a node's mixture is fitted to."""

FIRST = 5
"""So many earliest sittings start no edge: too few came before them. Later ones may still choose them."""

LEAST_CANDIDATES, LEAST_RANGE = 4, 1e-9
"""With fewer candidates, or when all are as near, no edge is drawn: there are no two groups to tell apart."""

LEAST_VARIANCE = 1e-6
MOST_ROUNDS, SETTLED = 100, 1e-5

BLOCK = 64
"""Sittings whose similarities are held at once."""

EACH = len(GRANULARITIES)


@dataclass(frozen=True, slots=True)
class Unit:
    """A sitting by its cubes, in the order of GRANULARITIES."""

    id: str
    at: datetime
    session: str
    cubes: tuple[Kept, ...]

    @property
    def members(self) -> Rows:
        """The rows of its turns."""
        return self.cubes[0].members


@dataclass(frozen=True, slots=True)
class Sittings:
    """A view of an owner's sittings in the order of time. Node EACH · i + g is granularity g of sitting i.

    `chosen` are the earlier nodes that each node was joined to, `edges` the same in both directions, `terms` the terms
    of each node's text with how often they come.
    """

    units: tuple[Unit, ...] = ()
    vectors: Vectors = field(default_factory=lambda: np.empty((0, 0), np.float32))
    chosen: tuple[Places, ...] = ()
    edges: tuple[Places, Places] = (np.empty(0, np.intp), np.empty(0, np.intp))
    terms: Mapping[int, Mapping[int, int]] = field(default_factory=dict)
    cubes: Mapping[int, Kept] = field(default_factory=dict)

    def take(self, kept: Sequence[Kept]) -> Sittings:
        """The view with these changes. Edges are drawn anew from the earliest sitting that is not as it was."""
        cubes = {**self.cubes, **{one.row: one for one in kept}}
        cubes = {row: one for row, one in cubes.items() if one.active and one.vector is not None}
        units = tuple(units_of(cubes.values()))
        same = 0
        for old, new in zip(self.units, units):
            if any(one is not other for one, other in zip(old.cubes, new.cubes)):
                break
            same += 1
        vectors = np.array([cube.vector for unit in units for cube in unit.cubes], np.float32)
        chosen = (*self.chosen[: EACH * same], *associated(vectors, same))
        terms = {row: self.terms.get(row) or counted(one.text) for row, one in cubes.items()}
        terms |= {one.row: counted(one.text) for one in kept if one.row in cubes}
        return Sittings(units, vectors, chosen, both_ways(chosen), terms, cubes)


def both_ways(chosen: Sequence[Places]) -> tuple[Places, Places]:
    """Edges between each node and those it chose, in both directions: from, to."""
    later = np.repeat(np.arange(len(chosen)), [len(one) for one in chosen])
    earlier = np.concatenate([np.empty(0, np.intp), *chosen])
    return np.concatenate([later, earlier]), np.concatenate([earlier, later])


def counted(text: str) -> Mapping[int, int]:
    """The terms of a text with how often they come."""
    return Counter(map(term_of, stems(text)))


def units_of(cubes: Iterable[Kept]) -> Iterator[Unit]:
    """Sittings that have all their granularities, in the order of time; ties in the order of their ids."""
    grouped: dict[str, dict[str, Kept]] = {}
    for cube in cubes:
        grouped.setdefault(str(cube.meta["sitting"]), {})[str(cube.meta["granularity"])] = cube
    whole = (
        (id, tuple(by_name[name] for name in GRANULARITIES)) for id, by_name in grouped.items() if len(by_name) == EACH
    )
    units = (Unit(id, cubes[0].at, cubes[0].session, cubes) for id, cubes in whole)
    yield from sorted(units, key=lambda unit: (unit.at, unit.id))


def associated(vectors: Vectors, start: int) -> Iterator[Places]:
    """For each node from sitting `start` on, the nodes of earlier sittings that it is joined to."""
    for begin in range(start, len(vectors) // EACH, BLOCK):
        end = min(begin + BLOCK, len(vectors) // EACH)
        later, earlier = vectors[EACH * begin : EACH * end], vectors[: EACH * (end - 1)]
        similar = later @ earlier.T
        sitting = np.repeat(np.arange(begin, end), EACH)
        similar[np.arange(len(earlier)) >= EACH * sitting[:, None]] = -np.inf
        similar[sitting < FIRST] = -np.inf
        nearest = nearest_of(similar)
        near = np.take_along_axis(similar, nearest, 1)
        joined = upper_group(near, np.isfinite(near))
        yield from (np.sort(nearest[row][joined[row]]) for row in range(len(nearest)))


def nearest_of(similar: Floats) -> Places:
    """The columns of the CANDIDATES greatest values of each row, greatest first; of equal ones the first."""
    count = min(CANDIDATES, similar.shape[1])
    if not count:
        return np.empty((len(similar), 0), np.intp)
    least = -np.partition(-similar, count - 1, axis=1)[:, count - 1]
    nearest = np.empty((len(similar), count), np.intp)
    for row, values in enumerate(similar):
        found = np.flatnonzero(values >= least[row])  # sorting these alone is far cheaper than sorting all
        nearest[row] = found[np.argsort(-values[found], kind="stable")][:count]
    return nearest


def upper_group(values: Floats, given: Bools) -> Bools:
    """Which values belong to the upper of two groups, row by row: [n, k] from values [n, k], where they are `given`.

    A mixture of two Gaussians by EM in one dimension, begun at the least and the greatest value. A value below the
    lower mean is never taken, though a wide upper group may claim it.
    """
    if not values.size:
        return np.zeros(values.shape, np.bool_)
    x = np.where(given, values, 0).astype(np.float64)
    least, most = np.where(given, x, np.inf).min(1), np.where(given, x, -np.inf).max(1)
    apart = (given.sum(1) >= LEAST_CANDIDATES) & (most - least >= LEAST_RANGE)
    upper = np.zeros(values.shape, np.bool_)
    if apart.any():
        upper[apart] = mixed(x[apart], given[apart], least[apart], most[apart])
    return upper


def mixed(
    x: npt.NDArray[np.float64], given: Bools, least: npt.NDArray[np.float64], most: npt.NDArray[np.float64]
) -> Bools:
    """`upper_group` of rows that have two groups."""
    mean = np.stack([least, most], 1)  # [n, 2]
    spread = ((x - (x * given).sum(1, keepdims=True) / given.sum(1, keepdims=True)) ** 2 * given).sum(1) / given.sum(1)
    variance = np.maximum(np.repeat(spread[:, None], 2, 1), LEAST_VARIANCE)
    share = np.full_like(mean, 0.5)
    belongs = np.zeros((*x.shape, 2))
    for _ in range(MOST_ROUNDS):
        distance = (x[:, :, None] - mean[:, None]) ** 2 / variance[:, None]
        likely = np.log(share)[:, None] - 0.5 * (distance + np.log(variance)[:, None])  # [n, k, 2]
        belongs = np.exp(likely - likely.max(2, keepdims=True))
        belongs *= given[:, :, None] / belongs.sum(2, keepdims=True)
        weight = np.maximum(belongs.sum(1), 1e-12)
        moved = (belongs * x[:, :, None]).sum(1) / weight
        variance = np.maximum((belongs * (x[:, :, None] - moved[:, None]) ** 2).sum(1) / weight, LEAST_VARIANCE)
        share = weight / weight.sum(1, keepdims=True)
        settled = float(np.abs(moved - mean).max()) < SETTLED
        mean = moved
        if settled:
            break
    high = mean.argmax(1)
    mine = np.take_along_axis(belongs, high[:, None, None], 2)[:, :, 0]
    return np.asarray(given & (mine > 0.5) & (x >= mean.min(1)[:, None]), np.bool_)
