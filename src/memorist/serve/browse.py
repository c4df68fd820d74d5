"""Routes for looking through a memory: its days, its parts, what is tied to what, and what contradicts itself."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from memorist import __version__
from memorist.serve import shapes
from memorist.serve.memories import Reader, Store, User, Writer, filter_of
from memorist.serve.problems import responses
from memorist.store.browsing import Relation

router = APIRouter(prefix="/v1", tags=["browse"])

Ids = Annotated[list[shapes.Id], Query(alias="id", min_length=1, max_length=100, description="May be repeated.")]


class CallerShape(BaseModel):
    """What a key opens. An empty user or agent is any of the tenant's."""

    tenant: str
    user: str
    agent: str
    rights: list[str]
    version: str


class DayShape(BaseModel):
    """A day (UTC) and how many memories are dated on it."""

    start: datetime
    count: int


class DaysShape(BaseModel):
    """The days of a memory, newest first."""

    items: list[DayShape]
    total: int


class ForgottenShape(BaseModel):
    """Memories that are hidden from recall, and how many there are in all."""

    items: list[shapes.CubeShape]
    total: int


class PartShape(BaseModel):
    """How many cubes of an origin and kind are in a state."""

    origin: str
    kind: str
    state: str
    count: int


class PartsShape(BaseModel):
    """All that is kept of a user."""

    items: list[PartShape]


class RelationShape(BaseModel):
    """Two memories that belong together: `derived`, `replaced`, or a link's kind."""

    source: str
    target: str
    kind: str
    weight: float


class RelatedShape(BaseModel):
    """Memories around some, and how they are tied to each other; `more`: there are more than were asked for."""

    items: list[shapes.CubeShape]
    relations: list[RelationShape]
    more: bool


class ConflictShape(BaseModel):
    """Facts about one thing that cannot all be true."""

    subject: str
    relation: str
    facts: list[shapes.CubeShape]


class ConflictsShape(BaseModel):
    """What waits for somebody's decision."""

    items: list[ConflictShape]


@router.get("/caller", response_model=CallerShape, responses=responses())
def who(caller: Reader) -> CallerShape:
    """What the key of this request opens."""
    same = {"tenant": caller.tenant, "user": caller.user, "agent": caller.agent}
    return CallerShape(**same, rights=list(caller.rights), version=__version__)


@router.get("/days", response_model=DaysShape, responses=responses())
def days(
    caller: Reader,
    memory: Store,
    user: User = "",
    agent: shapes.Name = "",
    session: shapes.Name = "",
    origin: Annotated[str, Query(max_length=50, description="source, or the organiser that derived it.")] = "source",
    where: Annotated[str | None, Query(max_length=10_000, description="A filter on the header, as JSON.")] = None,
) -> DaysShape:
    """On which days how many memories are dated, newest first: where a list of them can begin."""
    found = caller.scoped(memory, user, agent, session).browse.days(origin=origin, where=filter_of(where))
    items = [DayShape(start=day.start, count=day.count) for day in found]
    return DaysShape(items=items, total=sum(day.count for day in found))


@router.get("/forgotten", response_model=ForgottenShape, responses=responses(404))
def forgotten(
    caller: Reader,
    memory: Store,
    user: User = "",
    limit: Annotated[int, Query(ge=1, le=1_000)] = 50,
    skip: Annotated[int, Query(ge=0, le=2**40)] = 0,
) -> ForgottenShape:
    """What was forgotten and can be restored, newest first."""
    found, total = caller.scoped(memory, user, "", "").browse.forgotten(skip=skip, limit=limit)
    return ForgottenShape(items=[shapes.cube_shape(cube) for cube in found], total=total)


@router.get("/parts", response_model=PartsShape, responses=responses())
def parts(
    caller: Reader, memory: Store, user: User = "", agent: shapes.Name = "", session: shapes.Name = ""
) -> PartsShape:
    """What is kept of a user, by origin, kind and state."""
    found = caller.scoped(memory, user, agent, session).browse.parts()
    items = [PartShape(origin=one.origin, kind=one.kind, state=one.state, count=one.count) for one in found]
    return PartsShape(items=items)


@router.get("/relations", response_model=RelatedShape, responses=responses(404))
def relations(
    caller: Reader,
    memory: Store,
    ids: Ids,
    user: User = "",
    depth: Annotated[int, Query(ge=1, le=3, description="How many steps away.")] = 1,
    limit: Annotated[int, Query(ge=1, le=300)] = 100,
) -> RelatedShape:
    """The memories around some: what they came of, what came of them, their versions and links."""
    found = caller.scoped(memory, user, "", "").browse.related(ids, depth=depth, limit=limit)
    items = [shapes.cube_shape(cube) for cube in found.cubes]
    return RelatedShape(items=items, relations=[relation_shape(one) for one in found.relations], more=found.more)


@router.get("/conflicts", response_model=ConflictsShape, responses=responses())
def conflicts(caller: Reader, memory: Store, user: User = "") -> ConflictsShape:
    """Facts that cannot all be true, and of which none may close another."""
    found = caller.scoped(memory, user, "", "").conflicts()
    return ConflictsShape(
        items=[
            ConflictShape(
                subject=one.subject, relation=one.relation, facts=[shapes.cube_shape(cube) for cube in one.facts]
            )
            for one in found
        ]
    )


@router.post("/memories/{id}/undo", response_model=shapes.CubeShape, responses=responses(404, 409))
def undo(id: shapes.Id, caller: Writer, memory: Store, user: User = "") -> shapes.CubeShape:
    """Take back the last thing that happened to what was derived: a rewriting, a closing, or its being there."""
    return shapes.cube_shape(caller.scoped(memory, user, "", "").undo(id))


def relation_shape(relation: Relation) -> RelationShape:
    """A relation for the wire."""
    return RelationShape(source=relation.source, target=relation.target, kind=relation.kind, weight=relation.weight)
