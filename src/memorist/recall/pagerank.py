"""Personalised PageRank from few seeds, by forward push (Andersen, Chung & Lang 2006), a frontier at a time.

Only what the seeds reach with more than a tolerance is touched, so a query costs the same in a graph of any size. The
weights of an edge may lie in two places, a large matrix and what was added since; they add up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from memorist.store.search import distinct

Nodes = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]

FOLLOW = 0.5
"""The paper's damping, as the code has it: the probability to follow an edge, else start anew at a seed."""

TOLERANCE = 2e-5
"""A node with less waiting mass for each unit of its degree (the seeds' mass being 1) keeps it to itself."""


@dataclass(frozen=True, slots=True)
class Adjacency:
    """Edges by their source: `nodes[i]` (rising) has those at `starts[i]:starts[i + 1]`. Both directions are listed."""

    nodes: Nodes
    starts: Nodes
    targets: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float32]

    @classmethod
    def of(cls, count: int, sources: Nodes, targets: Nodes, weights: Reals) -> Adjacency:
        """From edges between `count` nodes in any order; equal ones are summed, and left out when that is nothing."""
        key = sources * count + targets
        order = np.argsort(key, kind="stable")
        key = key[order]
        first = np.flatnonzero(np.diff(key, prepend=-1))
        summed = np.add.reduceat(weights[order], first) if len(first) else weights
        stays = np.abs(summed) > 1e-6
        key, summed = key[first[stays]], summed[stays]
        sources = key // count
        starts = np.flatnonzero(np.diff(sources, prepend=-1))
        return cls(
            sources[starts], np.append(starts, len(key)), (key % count).astype(np.int32), summed.astype(np.float32)
        )

    def edges(self, nodes: Nodes) -> tuple[Nodes, Nodes, Reals]:
        """All edges of the nodes: (place in `nodes`, target, weight)."""
        found = np.minimum(np.searchsorted(self.nodes, nodes), len(self.nodes) - 1)
        inside = np.flatnonzero(self.nodes[found] == nodes)
        begin = self.starts[found[inside]]
        counts = self.starts[found[inside] + 1] - begin
        # Places run through each node's part: a rising count, set to the part's begin where a part begins.
        offset = np.repeat(begin - np.cumsum(counts) + counts, counts)
        place = offset + np.arange(len(offset))
        return np.repeat(inside, counts), self.targets[place].astype(np.int64), self.weights[place].astype(np.float64)

    def all(self) -> tuple[Nodes, Nodes, Reals]:
        """Every edge: (source, target, weight)."""
        sources = np.repeat(self.nodes, np.diff(self.starts))
        return sources, self.targets.astype(np.int64), self.weights.astype(np.float64)


@dataclass(frozen=True, slots=True)
class Walk:
    """Where a walk is: the nodes that it reaches, rising, and its share of each."""

    nodes: Nodes
    shares: Reals

    def at(self, nodes: Nodes) -> Reals:
        """float64 [nodes]: its share of some; 0 where it does not come."""
        found = np.minimum(np.searchsorted(self.nodes, nodes), len(self.nodes) - 1)
        return np.where(self.nodes[found] == nodes, self.shares[found], 0.0)


def pagerank(
    parts: tuple[Adjacency, ...],
    degree: Reals,
    seeds: Nodes,
    mass: Reals,
    *,
    follow: float = FOLLOW,
    tolerance: float = TOLERANCE,
) -> Walk:
    """Where a walk is that starts at the (distinct) seeds in proportion to `mass`; all shares sum to 1.

    `degree` [nodes] are the sums of the nodes' weights. A walk at a node without edges starts anew: that scales all
    ranks alike, so it is left out, and the sum is less than 1 then.
    """
    rank = np.zeros(len(degree))  # memory that is not touched is never made
    waiting = np.zeros(len(degree))
    waiting[seeds] = mass / mass.sum()
    frontier, visited = seeds, [seeds]
    while len(frontier):
        moving = waiting[frontier]
        waiting[frontier] = 0
        rank[frontier] += (1 - follow) * moving
        weights = degree[frontier]
        share = np.divide(follow * moving, weights, out=np.zeros(len(frontier)), where=weights > 0)
        reached = [frontier[:0]]
        for part in parts:
            place, target, weight = part.edges(frontier)
            np.add.at(waiting, target, share[place] * weight)
            reached.append(target)
        visited += reached
        every = np.concatenate(reached)
        frontier = distinct(every[waiting[every] > tolerance * degree[every]])
    nodes = distinct(np.concatenate(visited))
    return Walk(nodes, rank[nodes] + waiting[nodes])  # what waits stands where it is: it is at most the tolerance
