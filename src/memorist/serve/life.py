"""Routes for the life of memories: their states, their header, their versions, and making one of several."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, StringConstraints

from memorist.scoped import ScopedMemory
from memorist.serve import shapes
from memorist.serve.access import Caller
from memorist.serve.attempts import once
from memorist.serve.memories import IfMatch, Once, Reader, Store, User, Writer, check_match, etag
from memorist.serve.problems import responses

router = APIRouter(prefix="/v1", tags=["life"])

Ids = Annotated[list[shapes.Id], Field(min_length=1, max_length=1_000)]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=100)]
LONGEST_TTL = 36_500 * 86_400


class CubesShape(BaseModel):
    """Memories."""

    items: list[shapes.CubeShape]


class Composing(shapes.Scoped):
    """Memories to make one of, and its text: theirs, if none is given."""

    ids: Ids
    text: shapes.Text | None = None


class Splitting(shapes.Scoped):
    """What to make of a memory: its sentences, if no texts are given."""

    texts: Annotated[list[shapes.Text], Field(min_length=1, max_length=1_000)] | None = None


class Describing(shapes.Scoped):
    """Fields of a header; what is not named stays. `expires_at` is a time or "never", `ttl` seconds from now."""

    semantic_type: Annotated[str, StringConstraints(max_length=100)] | None = None
    expires_at: shapes.Moment | None = None
    ttl: Annotated[float, Field(gt=0, le=LONGEST_TTL)] | None = None
    priority: Annotated[int, Field(ge=-100, le=100)] | None = None
    sensitivity: Annotated[list[Tag], Field(max_length=50)] | None = None


@router.post("/memories/{id}/archive", status_code=204, responses=responses(404, 409, 412))
def archive(id: shapes.Id, caller: Writer, memory: Store, user: User = "", match: IfMatch = None) -> None:
    """Put a memory away that is seldom needed: kept, and out of recall. Activating undoes it."""
    seen(caller, memory, user, id, match).cubes.archive(id)


@router.post("/memories/{id}/activate", status_code=204, responses=responses(404, 409, 412))
def activate(id: shapes.Id, caller: Writer, memory: Store, user: User = "", match: IfMatch = None) -> None:
    """Bring an archived or expired memory back to recall."""
    seen(caller, memory, user, id, match).cubes.activate(id)


@router.post("/memories/{id}/freeze", status_code=204, responses=responses(404, 409, 412))
def freeze(id: shapes.Id, caller: Writer, memory: Store, user: User = "", match: IfMatch = None) -> None:
    """Hold a memory as it is: it is recalled, and can be neither changed nor erased."""
    seen(caller, memory, user, id, match).cubes.freeze(id)


@router.post("/memories/{id}/thaw", status_code=204, responses=responses(404, 409, 412))
def thaw(id: shapes.Id, caller: Writer, memory: Store, user: User = "", match: IfMatch = None) -> None:
    """End a freeze."""
    seen(caller, memory, user, id, match).cubes.thaw(id)


@router.patch("/memories/{id}/header", response_model=shapes.CubeShape, responses=responses(404, 409, 412))
def describe(
    id: shapes.Id, asked: Describing, response: Response, caller: Writer, memory: Store, match: IfMatch = None
) -> shapes.CubeShape:
    """Say what a memory is, until when it is recalled, how important and how sensitive it is."""
    scoped = caller.scoped(memory, asked.user, asked.agent, asked.session)
    check_match(scoped.get(id), match)
    fields = asked.model_dump(exclude={"user", "agent", "session", "ttl"}, exclude_none=True)
    scoped.cubes.describe(id, ttl=None if asked.ttl is None else timedelta(seconds=asked.ttl), **fields)
    cube = scoped.get(id)
    response.headers["ETag"] = etag(cube)
    return shapes.cube_shape(cube)


@router.get("/memories/{id}/versions", response_model=CubesShape, responses=responses(404))
def versions(id: shapes.Id, caller: Reader, memory: Store, user: User = "") -> CubesShape:
    """The versions of a memory, oldest first."""
    found = caller.scoped(memory, user, "", "").cubes.versions(id)
    return CubesShape(items=[shapes.cube_shape(cube) for cube in found])


@router.post("/memories/fuse", status_code=201, response_model=shapes.CubeShape, responses=responses(404, 409))
def fuse(asked: Composing, caller: Writer, memory: Store, key: Once = None) -> JSONResponse:
    """One memory in the place of several, which are then merged; undoing it brings them back."""
    cubes = caller.scoped(memory, asked.user, asked.agent, asked.session).cubes
    make = lambda first: shapes.cube_shape(cubes.fuse(asked.ids, text=asked.text))  # noqa: E731
    return once(memory, caller, key, "fuse", asked, make)


@router.post("/memories/compose", status_code=201, response_model=shapes.CubeShape, responses=responses(404, 409))
def compose(asked: Composing, caller: Writer, memory: Store, key: Once = None) -> JSONResponse:
    """One memory that says what several say, which stay."""
    cubes = caller.scoped(memory, asked.user, asked.agent, asked.session).cubes
    make = lambda first: shapes.cube_shape(cubes.compose(asked.ids, text=asked.text))  # noqa: E731
    return once(memory, caller, key, "compose", asked, make)


@router.post("/memories/{id}/split", status_code=201, response_model=CubesShape, responses=responses(404, 409))
def split(id: shapes.Id, asked: Splitting, caller: Writer, memory: Store, key: Once = None) -> JSONResponse:
    """Several memories in the place of one, which is then archived; undoing any of them brings it back."""
    cubes = caller.scoped(memory, asked.user, asked.agent, asked.session).cubes

    def make(first: object) -> CubesShape:
        return CubesShape(items=[shapes.cube_shape(cube) for cube in cubes.split(id, texts=asked.texts)])

    return once(memory, caller, key, f"split {id}", asked, make)


@router.get(
    "/memories/{id}/payload",
    response_class=Response,
    responses={**responses(404, 409), 200: {"content": {"application/octet-stream": {}}}},
)
def payload(id: shapes.Id, caller: Reader, memory: Store, user: Annotated[shapes.Name, Query()] = "") -> Response:
    """The tensors of a memory that is not text, as a safetensors file."""
    scoped = caller.scoped(memory, user, "", "")
    content = scoped._memory._store.payload(scoped.scope, id)
    return Response(content, media_type="application/octet-stream")


def seen(caller: Caller, memory: Store, user: str, id: str, match: str | None) -> ScopedMemory:
    """The memory that a change is about, if the cube is still as the caller has seen it."""
    scoped = caller.scoped(memory, user, "", "")
    check_match(scoped.get(id), match)
    return scoped
