"""The graph of an owner's facts in memory: phrases and passages as numbered nodes, edges, and the facts to start from.

A cache of the cubes that the graph's organiser derives. A change costs what the changed cubes hold, not what the graph
holds: edges that come or go are added as a small further part, which is joined with the large one when it has grown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
import numpy.typing as npt

from memorist.organise.fact_cube import FactCube, unpack
from memorist.recall.pagerank import Adjacency, Nodes, Reals
from memorist.store.bits import Words, sign_words
from memorist.store.index import grown
from memorist.store.postings import Postings, pack
from memorist.store.protocol import Kept, Rows

MERGE = 4
"""A part of the edges is joined with the one before it when that is not this many times larger."""

Parts = tuple[Adjacency, ...]
Edges = tuple[Nodes, Nodes, Reals]


@dataclass(frozen=True, slots=True)
class Place:
    """A cube's nodes, its facts' places in the columns, and what it says of synonyms (source, target, cosine)."""

    passage: int
    phrases: Nodes
    facts: Nodes
    ends: Nodes
    synonyms: Edges


class Ledger:
    """What only grows: the numbers of nodes, and columns of facts. Versions of a graph share it."""

    def __init__(self) -> None:
        self.phrases: dict[int, int] = {}
        self.passages: dict[int, int] = {}
        self.names: list[str] = []
        self.episodes = np.empty(0, np.int64)
        """The row of the episode that a node stands for; -1 for a phrase."""
        self.cubes: dict[int, Place] = {}
        self.waiting: list[Edges] = []
        """Synonyms of which an end was not there when they were read."""
        self.size = 0
        self.postings = Postings()
        self.vectors = np.empty((0, 0), np.float16)
        self.words: Words = np.empty((0, 0), np.uint64)
        self.lengths = np.empty(0, np.float32)
        self.ends = np.empty((0, 2), np.int64)
        self.keys = np.empty(0, np.int64)
        self.rows = np.empty(0, np.int64)
        self.sources = np.empty(0, np.int64)
        """The row of the cube that a fact stands in, and of the episode that says it (`rows`)."""
        self.orders = np.empty(0, np.int32)
        """Which line of that cube it is."""

    def node(self, key: int) -> int:
        """The number of a phrase by its key."""
        found = self.phrases.get(key)
        if found is None:
            found = self.phrases[key] = len(self.names)
            self.names.append("")
        return found

    def passage(self, row: int) -> int:
        """The number of an episode."""
        found = self.passages.get(row)
        if found is None:
            found = self.passages[row] = len(self.names)
            self.names.append("")
        return found

    def enter(self, cubes: Sequence[FactCube]) -> list[Place]:
        """Number what the cubes hold and append their facts."""
        places = [self._place(cube) for cube in cubes]
        self.episodes = np.concatenate([self.episodes, np.full(len(self.names) - len(self.episodes), -1, np.int64)])
        self.episodes[[place.passage for place in places]] = [cube.episode for cube in cubes]
        self._append(cubes, places)
        return places

    def _place(self, cube: FactCube) -> Place:
        nodes = np.array([self.node(key) for key in cube.keys.tolist()], np.int64)
        for node, phrase in zip(nodes.tolist(), cube.phrases):
            self.names[node] = phrase
        targets = np.array([self.node(key) for key in cube.synonyms["other"].tolist()], np.int64)
        cosines = cube.synonyms["cosine"].astype(np.float64)
        synonyms = (nodes[cube.synonyms["phrase"]], targets, cosines)
        facts = np.arange(self.size, self.size + len(cube.facts))
        self.size += len(cube.facts)
        place = Place(self.passage(cube.episode), nodes, facts, nodes[cube.facts], synonyms)
        self.cubes[cube.row] = place
        return place

    def _append(self, cubes: Sequence[FactCube], places: Sequence[Place]) -> None:
        first = self.size - sum(len(place.facts) for place in places)
        if first == self.size:
            return
        vectors = np.concatenate([cube.fact_vectors for cube in cubes])
        self._reserve(vectors.shape[1])
        packed, lengths = pack(list(chain.from_iterable(cube.terms for cube in cubes)), first)
        self.postings.append(packed)
        new = slice(first, self.size)
        counts = [len(cube.facts) for cube in cubes]
        self.vectors[new], self.lengths[new] = vectors, lengths
        self.words[:, new] = sign_words(vectors.view(np.int16))
        self.ends[new] = np.concatenate([place.ends for place in places])
        self.keys[new] = np.concatenate([cube.fact_keys for cube in cubes])
        self.rows[new] = np.repeat([cube.episode for cube in cubes], counts)
        self.sources[new] = np.repeat([cube.row for cube in cubes], counts)
        self.orders[new] = np.concatenate([np.arange(count) for count in counts])

    def _reserve(self, dimension: int) -> None:
        """Room for all facts. Old arrays stay as they are for whoever reads them."""
        if self.size <= len(self.keys):
            return
        room = self.size + self.size // 5
        if not self.vectors.shape[1]:
            self.vectors = np.empty((0, dimension), np.float16)
            self.words = np.empty((-(-dimension // 64), 0), np.uint64)
        words = np.zeros((len(self.words), room), np.uint64)
        words[:, : self.words.shape[1]] = self.words
        self.words = words
        for name in ("vectors", "lengths", "ends", "keys", "rows", "sources", "orders"):
            setattr(self, name, grown(getattr(self, name), room))


@dataclass(frozen=True, slots=True)
class FactGraph:
    """One version of a graph. See `View`.

    `mentions` [nodes] says in how many passages a phrase stands, 1 for a passage. `alive` [facts] which facts hold.
    """

    ledger: Ledger = field(default_factory=Ledger)
    said: Parts = ()
    alike: Parts = ()
    """Edges of relations and contexts, and of synonyms, each listed in both directions."""
    said_degree: Reals = field(default_factory=lambda: np.empty(0))
    alike_degree: Reals = field(default_factory=lambda: np.empty(0))
    mentions: npt.NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    alive: npt.NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_))

    def take(self, kept: Sequence[Kept]) -> FactGraph:
        """The graph with these changes."""
        ledger = self.ledger
        gone = [place for one in kept if (place := ledger.cubes.pop(one.row, None)) is not None]
        come = ledger.enter([unpack(one) for one in kept if one.active])
        count = len(ledger.names)
        mentions = np.zeros(count, np.int32)
        mentions[: len(self.mentions)] = self.mentions
        before = mentions > 0
        for places, step in ((gone, -1), (come, 1)):
            for place in places:
                mentions[place.phrases] += step
                mentions[place.passage] += step
        alive = np.zeros(ledger.size, np.bool_)
        alive[: len(self.alive)] = self.alive
        alive[chained(place.facts for place in gone)] = False
        alive[chained(place.facts for place in come)] = True
        said = [*(signed(edges_of(place), -1) for place in gone), *(edges_of(place) for place in come)]
        alike = self._alike(before, mentions > 0, [place.synonyms for place in come])
        return FactGraph(
            ledger,
            merged(self.said, count, said),
            merged(self.alike, count, alike),
            degrees(self.said_degree, count, said),
            degrees(self.alike_degree, count, alike),
            mentions,
            alive,
        )

    def _alike(
        self, before: npt.NDArray[np.bool_], after: npt.NDArray[np.bool_], fresh: Sequence[Edges]
    ) -> list[Edges]:
        """What changes in the synonyms: all of phrases that are gone go, known pairs of phrases that are there come.

        Whichever of two passages was organised later says that its phrase is like the other's. So as long as both
        phrases are there, some cube that is there says it.
        """
        dead = np.flatnonzero(before & ~after)
        gone = both_ways([(dead[place], target, weight) for place, target, weight in self._from(dead)], -1)
        source, target, cosine = joined([*self.ledger.waiting, *fresh])
        ready = after[source] & after[target]
        self.ledger.waiting[:] = [(source[~ready], target[~ready], cosine[~ready])] if not ready.all() else []
        source, target, cosine = source[ready], target[ready], cosine[ready]
        low, high = np.minimum(source, target), np.maximum(source, target)
        key, first = np.unique(low * len(after) + high, return_index=True)
        low, high, cosine = low[first], high[first], cosine[first]
        ends = np.unique(low)
        new = ~np.isin(key, chained(ends[place] * len(after) + to for place, to, _ in self._from(ends)))
        return [*gone, *both_ways([(low[new], high[new], cosine[new])], 1)]

    def _from(self, nodes: Nodes) -> list[Edges]:
        """The synonyms of some nodes, whose sums are not nothing."""
        place, target, weight = joined([part.edges(nodes) for part in self.alike])
        count = len(self.ledger.names)
        key, inverse = np.unique(place * count + target, return_inverse=True)
        total = np.asarray(np.bincount(inverse, weights=weight, minlength=len(key)), np.float64)
        key, total = key[total > 0], total[total > 0]
        return [(np.asarray(key // count, np.int64), np.asarray(key % count, np.int64), total)]

    def neighbours(self, node: int) -> list[tuple[int, float, str]]:
        """(node, weight, "said" or "alike") of all that a node is joined to."""
        found: list[tuple[int, float, str]] = []
        for kind, parts in (("said", self.said), ("alike", self.alike)):
            _, target, weight = joined([part.edges(np.array([node])) for part in parts])
            totals: dict[int, float] = {}
            for one, by in zip(target.tolist(), weight.tolist()):
                totals[one] = totals.get(one, 0.0) + by
            found += [(one, by, kind) for one, by in totals.items() if by > 0]
        return found

    def passages(self, rows: Rows) -> Nodes:
        """The nodes of episodes by row; -1 for those that are not in the graph."""
        found = np.array([self.ledger.passages.get(row, -1) for row in rows.tolist()], np.int64)
        known = np.flatnonzero((found >= 0) & (found < len(self.mentions)))
        found[np.setdiff1d(np.arange(len(found)), known)] = -1
        found[known[self.mentions[found[known]] <= 0]] = -1
        return found


def edges_of(place: Place) -> Edges:
    """A cube's relations, 1 for each fact, and contexts, 1 for each phrase; both ways."""
    related = place.ends[place.ends[:, 0] != place.ends[:, 1]]
    one = np.concatenate([related[:, 0], place.phrases])
    other = np.concatenate([related[:, 1], np.full(len(place.phrases), place.passage, np.int64)])
    return np.concatenate([one, other]), np.concatenate([other, one]), np.ones(2 * len(one))


def signed(edges: Edges, sign: float) -> Edges:
    """The edges with their weights times a number."""
    return edges[0], edges[1], edges[2] * sign


def both_ways(edges: Iterable[Edges], sign: float) -> list[Edges]:
    """Each edge in both directions. Equal ones are listed once."""
    source, target, weight = joined(edges)
    if not len(source):
        return []
    low, high = np.minimum(source, target), np.maximum(source, target)
    _, first = np.unique(low * (int(high.max()) + 1) + high, return_index=True)
    low, high, weight = low[first], high[first], weight[first] * sign
    return [(np.concatenate([low, high]), np.concatenate([high, low]), np.concatenate([weight, weight]))]


def joined(edges: Iterable[Edges]) -> Edges:
    """All edges in one."""
    found = list(edges)
    if not found:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    sources, targets, weights = zip(*found)
    return np.concatenate(sources), np.concatenate(targets), np.concatenate(weights)


def merged(parts: Parts, count: int, edges: Sequence[Edges]) -> Parts:
    """The parts with more edges, those of like size joined."""
    source, target, weight = joined(edges)
    if not len(source):
        return parts
    kept = list(parts)
    new = Adjacency.of(count, source, target, weight)
    while kept and len(kept[-1].targets) < MERGE * len(new.targets):
        last = kept.pop()
        source, target, weight = joined([last.all(), new.all()])
        new = Adjacency.of(count, source, target, weight)
    return (*kept, new) if len(new.targets) else tuple(kept)


def degrees(known: Reals, count: int, edges: Sequence[Edges]) -> Reals:
    """The sums of the nodes' weights after a change; what rounding leaves of nothing is nothing."""
    source, _, weight = joined(edges)
    total = np.zeros(count)
    total[: len(known)] = known
    if len(source):
        np.add.at(total, source, weight)
        total[source[np.abs(total[source]) < 1e-6]] = 0
    return total


def chained(arrays: Iterable[Nodes]) -> Nodes:
    """All arrays in one."""
    found = list(arrays)
    return np.concatenate(found) if found else np.empty(0, np.int64)
