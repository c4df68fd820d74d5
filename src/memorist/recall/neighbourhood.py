"""The part of a fact graph around a question: what a person looks at to see why a memory came up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from memorist.organise.fact_cube import ORIGIN
from memorist.recall.associate import Paths
from memorist.recall.fact_graph import FactGraph
from memorist.recall.pool import Pool, Query

Kind = Literal["phrase", "passage"]
Relation = Literal["fact", "in", "like"]

MOST_RELATED = 4
"""Further phrases that are shown of each passage: those the walk passes most."""


@dataclass(frozen=True, slots=True)
class Node:
    """A phrase or a passage; `row` is the passage's. `start`: the walk starts here. `rank` is where it is then."""

    number: int
    kind: Kind
    name: str
    rank: float
    start: bool
    row: int | None = None


@dataclass(frozen=True, slots=True)
class Edge:
    """Two phrases of a fact, a phrase in a passage, or two phrases that mean the same."""

    source: int
    target: int
    relation: Relation
    weight: float


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """Nodes and edges around a question, and the facts that the walk started from."""

    query: str
    facts: tuple[str, ...]
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


def neighbourhood(query: Query, pool: Pool) -> Neighbourhood:
    """What lies between the question and the passages of a pool that the stage scored."""
    graph = query.view(ORIGIN, FactGraph)
    paths = pool.notes.get("facts")
    if not isinstance(paths, Paths):
        return Neighbourhood(query.text, (), (), ())
    known = graph.passages(pool.rows)
    passages = known[known >= 0].tolist()
    rows = dict(zip(known.tolist(), pool.rows.tolist()))
    score = dict(zip(known.tolist(), pool.columns["score"].tolist()))
    shown = dict.fromkeys(paths.seeds)
    for node in passages:
        said = [(one, weight) for one, weight, kind in graph.neighbours(node) if kind == "said"]
        shown |= dict.fromkeys(best_joined(graph, [one for one, _ in said], shown))
    cubes = query.load([rows[node] for node in passages])
    nodes = [Node(node, "phrase", graph.ledger.names[node], 0.0, node in paths.seeds) for node in shown] + [
        Node(node, "passage", cubes[rows[node]].text, score[node], False, rows[node])
        for node in passages
        if rows[node] in cubes
    ]
    inside = {node.number for node in nodes}
    return Neighbourhood(query.text, tuple(paths.facts), tuple(nodes), tuple(edges_among(graph, inside)))


def best_joined(graph: FactGraph, phrases: Sequence[int], shown: Iterable[int]) -> list[int]:
    """Of a passage's phrases those that lead on: shown ones, or joined to shown ones, or in several passages."""
    known = set(shown)
    joined = [one for one in phrases if one in known or any(to in known for to, _, _ in graph.neighbours(one))]
    rest = sorted(set(phrases) - set(joined), key=lambda one: -int(graph.mentions[one]))
    shared = [one for one in rest if graph.mentions[one] > 1]
    return [*joined[: 2 * MOST_RELATED], *shared[: max(0, MOST_RELATED - len(joined))]]


def edges_among(graph: FactGraph, nodes: set[int]) -> list[Edge]:
    """The edges between some nodes, each once."""
    found = []
    for node in sorted(nodes):
        for other, weight, kind in graph.neighbours(node):
            if other in nodes and node < other:
                passage = bool(np.any(graph.ledger.episodes[[node, other]] >= 0))
                relation: Relation = "like" if kind == "alike" else "in" if passage else "fact"
                found.append(Edge(node, other, relation, round(weight, 3)))
    return found
