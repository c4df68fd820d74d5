"""The route that shows the graph of facts around a question: why associative recall brought a memory up."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from memorist.recall.neighbourhood import Kind, Relation
from memorist.serve import shapes
from memorist.serve.memories import Reader, Store
from memorist.serve.problems import Refused, responses

router = APIRouter(prefix="/v1", tags=["browse"])


class AskingGraph(shapes.Scoped):
    """A question, and how many memories to go to."""

    query: str = Field(min_length=1, max_length=20_000)
    k: Annotated[int, Field(ge=1, le=30)] = 6


class NodeShape(BaseModel):
    """A phrase, or a passage with the id of its memory; `start`: the walk over the graph starts there."""

    number: int
    kind: Kind
    name: str
    rank: float
    start: bool
    id: str | None


class EdgeShape(BaseModel):
    """Two phrases of a fact, a phrase in a passage, or two phrases that mean the same, by the nodes' numbers."""

    source: int
    target: int
    relation: Relation
    weight: float


class GraphShape(BaseModel):
    """What lies between a question and its memories."""

    facts: list[str]
    nodes: list[NodeShape]
    edges: list[EdgeShape]


@router.post("/graph", response_model=GraphShape, responses=responses(404, 409))
def graph(asked: AskingGraph, caller: Reader, memory: Store) -> GraphShape:
    """Facts, phrases and passages around a question, where the server runs the recipe hipporag2."""
    if "reveal" not in caller.rights:  # phrases are taken from the words before these are masked
        raise Refused(403, "no-right", "this key may not reveal, and phrases of the graph are not masked")
    scoped = caller.scoped(memory, asked.user, asked.agent, asked.session)
    found = scoped.graph(asked.query, k=asked.k)
    rows = [node.row for node in found.nodes if node.row is not None]
    ids = {row: cube.id for row, cube in scoped._memory._store.cubes(scoped.scope, rows).items()}
    nodes = [
        NodeShape(
            number=node.number,
            kind=node.kind,
            name=node.name,
            rank=node.rank,
            start=node.start,
            id=None if node.row is None else ids.get(node.row),
        )
        for node in found.nodes
    ]
    edges = [
        EdgeShape(source=edge.source, target=edge.target, relation=edge.relation, weight=edge.weight)
        for edge in found.edges
    ]
    return GraphShape(facts=list(found.facts), nodes=nodes, edges=edges)
