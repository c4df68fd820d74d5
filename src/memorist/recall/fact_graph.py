"""The graph of an owner's facts in memory: phrases and passages as numbered nodes, edges, and the facts to start from.

A cache of the cubes that the graph's organiser derives. A change costs what the changed cubes hold, not what the graph
holds: edges that come or go are added as a small further part, which is joined with the large one when it has grown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from memorist.organise.fact_cube import FactCubes
from memorist.recall.pagerank import Adjacency, Nodes, Reals
from memorist.store.bits import Words, sign_words
from memorist.store.index import grown
from memorist.store.postings import Postings, pack
from memorist.store.protocol import Kept, Rows

MERGE = 4
"""A part of the edges is joined with the one before it when that is not this many times larger."""

SIGNED = 1 << 16
"""Vectors whose signs are taken at once."""

Parts = tuple[Adjacency, ...]
Edges = tuple[Nodes, Nodes, Reals]


@dataclass(frozen=True, slots=True)
class Place:
    """A cube's nodes, and its facts' places in the columns: `first` to `stop`."""

    passage: int
    phrases: Nodes
    first: int
    stop: int


@dataclass(frozen=True, slots=True)
class Share:
    """What some cubes give to the graph: each one's passage and number of phrases, these, and their facts."""

    passages: Nodes
    counts: Nodes
    phrases: Nodes
    facts: Nodes

    @classmethod
    def of(cls, places: Sequence[Place]) -> Share:
        """The share of cubes that were entered one by one."""
        return cls(
            np.array([place.passage for place in places], np.int64),
            np.array([len(place.phrases) for place in places], np.int64),
            chained(place.phrases for place in places),
            chained(np.arange(place.first, place.stop) for place in places),
        )

    def edges(self, ends: Nodes, sign: float) -> Edges:
        """Relations, `sign` for each fact, and contexts, `sign` for each phrase; both ways. `ends` [all facts, 2]."""
        related = ends[self.facts]
        related = related[related[:, 0] != related[:, 1]]
        one = np.concatenate([related[:, 0], self.phrases])
        other = np.concatenate([related[:, 1], np.repeat(self.passages, self.counts)])
        return np.concatenate([one, other]), np.concatenate([other, one]), np.full(2 * len(one), sign)


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
        self._words = 0.0
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

    @property
    def mean_length(self) -> float:
        """Of a fact, in words."""
        return self._words / max(self.size, 1)

    def enter(self, kept: Sequence[Kept]) -> tuple[Share, Edges]:
        """Number what the cubes hold and append their facts; what they give to the graph, and say of synonyms."""
        cubes = FactCubes(kept)
        phrases = self._numbered(self.phrases, cubes.keys)
        places, others, cosines = cubes.synonyms
        synonyms = (phrases[places], self._numbered(self.phrases, others), cosines)
        passages = self._numbered(self.passages, cubes.episodes)
        for node, name in zip(phrases.tolist(), cubes.names):
            self.names[node] = name
        self.episodes = np.concatenate([self.episodes, np.full(len(self.names) - len(self.episodes), -1, np.int64)])
        self.episodes[passages] = cubes.episodes
        first = self.size
        self._append(cubes, phrases)
        begins = first + np.cumsum(cubes.facts) - cubes.facts
        stops = np.cumsum(cubes.phrases)
        columns = (cubes.rows, passages, stops - cubes.phrases, stops, begins, begins + cubes.facts)
        for row, passage, a, b, begin, stop in zip(*(column.tolist() for column in columns)):
            self.cubes[row] = Place(passage, phrases[a:b], begin, stop)
        return Share(passages, cubes.phrases, phrases, np.arange(first, self.size)), synonyms

    def _numbered(self, known: dict[int, int], keys: npt.NDArray[Any]) -> Nodes:
        """The node of each key; a key that was not known has a new one."""
        distinct, places = np.unique(keys, return_inverse=True)
        found = np.array([known.get(key, -1) for key in distinct.tolist()], np.int64)
        new = np.flatnonzero(found < 0)
        found[new] = np.arange(len(self.names), len(self.names) + len(new))
        known.update(zip(distinct[new].tolist(), found[new].tolist()))
        self.names += [""] * len(new)
        return np.asarray(found[places], np.int64)

    def _append(self, cubes: FactCubes, phrases: Nodes) -> None:
        first, self.size = self.size, self.size + len(cubes.fact_keys)
        if first == self.size:
            return
        self._reserve(cubes.dimension)
        packed, lengths = pack(cubes.terms, first)
        self.postings.append(packed)
        new = slice(first, self.size)
        cubes.fact_vectors(self.vectors[new])
        for start in range(first, self.size, SIGNED):
            some = slice(start, min(start + SIGNED, self.size))
            self.words[:, some] = sign_words(self.vectors[some].view(np.int16))
        self.lengths[new] = lengths
        self._words += float(lengths.sum())
        self.ends[new] = phrases[cubes.ends]
        self.keys[new] = cubes.fact_keys
        self.rows[new] = np.repeat(cubes.episodes, cubes.facts)
        self.sources[new] = np.repeat(cubes.rows, cubes.facts)
        self.orders[new] = np.arange(self.size - first) - np.repeat(np.cumsum(cubes.facts) - cubes.facts, cubes.facts)

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
        gone = Share.of([place for one in kept if (place := ledger.cubes.pop(one.row, None)) is not None])
        come, synonyms = ledger.enter([one for one in kept if one.active])
        count = len(ledger.names)
        mentions = np.zeros(count, np.int32)
        mentions[: len(self.mentions)] = self.mentions
        before = mentions > 0
        alive = np.zeros(ledger.size, np.bool_)
        alive[: len(self.alive)] = self.alive
        for share, step in ((gone, -1), (come, 1)):
            np.add.at(mentions, share.phrases, step)
            np.add.at(mentions, share.passages, step)
            alive[share.facts] = step > 0
        said = [gone.edges(ledger.ends, -1), come.edges(ledger.ends, 1)]
        alike = self._alike(before, mentions > 0, synonyms)
        return FactGraph(
            ledger,
            merged(self.said, count, said),
            merged(self.alike, count, alike),
            degrees(self.said_degree, count, said),
            degrees(self.alike_degree, count, alike),
            mentions,
            alive,
        )

    def _alike(self, before: npt.NDArray[np.bool_], after: npt.NDArray[np.bool_], fresh: Edges) -> list[Edges]:
        """What changes in the synonyms: all of phrases that are gone go, known pairs of phrases that are there come.

        Whichever of two passages was organised later says that its phrase is like the other's. So as long as both
        phrases are there, some cube that is there says it.
        """
        dead = np.flatnonzero(before & ~after)
        gone = both_ways([(dead[place], target, weight) for place, target, weight in self._from(dead)], -1)
        source, target, cosine = joined([*self.ledger.waiting, fresh])
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
        """The synonyms of some nodes."""
        return [summed(self.alike, nodes, len(self.ledger.names))]

    def joined_to(self, node: int, parts: Parts) -> Nodes:
        """What a node is joined to by some of the edges, rising."""
        if len(parts) == 1:  # the usual case: targets rise, and nothing cancels out
            return parts[0].edges(np.array([node]))[1]
        return summed(parts, np.array([node]), len(self.ledger.names))[1]

    def neighbours(self, node: int) -> list[tuple[int, float, str]]:
        """(node, weight, "said" or "alike") of all that a node is joined to."""
        found: list[tuple[int, float, str]] = []
        for kind, parts in (("said", self.said), ("alike", self.alike)):
            _, target, weight = summed(parts, np.array([node]), len(self.ledger.names))
            found += [(one, by, kind) for one, by in zip(target.tolist(), weight.tolist())]
        return found

    def passages(self, rows: Rows) -> Nodes:
        """The nodes of episodes by row; -1 for those that are not in the graph."""
        found = np.array([self.ledger.passages.get(row, -1) for row in rows.tolist()], np.int64)
        known = np.flatnonzero((found >= 0) & (found < len(self.mentions)))
        inside = known[self.mentions[found[known]] > 0]
        nodes = np.full(len(found), -1, np.int64)
        nodes[inside] = found[inside]
        return nodes

    def passage(self, row: int) -> int:
        """The node of an episode; -1 when it is not in the graph."""
        return int(self.passages(np.array([row]))[0])


def summed(parts: Parts, nodes: Nodes, count: int) -> Edges:
    """The edges of some of `count` nodes as (place in `nodes`, target, weight), each once; what cancels out is gone."""
    place, target, weight = joined([part.edges(nodes) for part in parts])
    key, inverse = np.unique(place * count + target, return_inverse=True)
    total = np.asarray(np.bincount(inverse, weights=weight, minlength=len(key)), np.float64)
    key, total = key[total > 0], total[total > 0]
    return np.asarray(key // count, np.int64), np.asarray(key % count, np.int64), total


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
