"""Routes that write memories, and read them one by one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.responses import JSONResponse

from memorist.cube import Cube, parse_moment
from memorist.errors import InputError, MemoristError
from memorist.ids import digest
from memorist.memory import Memory
from memorist.scoped import ScopedMemory
from memorist.serve import shapes
from memorist.serve.access import Caller, may, memory_of
from memorist.serve.attempts import once
from memorist.serve.problems import Refused, of_error, responses

router = APIRouter(prefix="/v1", tags=["memories"])

Reader = Annotated[Caller, Depends(may("read"))]
Writer = Annotated[Caller, Depends(may("write"))]
Eraser = Annotated[Caller, Depends(may("erase"))]
Store = Annotated[Memory, Depends(memory_of)]
User = Annotated[shapes.Name, Query(description="The user whose memory it is.")]
Once = Annotated[str | None, Header(alias="Idempotency-Key", description="The same key again writes nothing again.")]
IfMatch = Annotated[str | None, Header(alias="If-Match", description="The ETag of the version to change.")]


@router.post("/memories", status_code=201, response_model=shapes.ReceiptShape, responses=responses(409))
def add(asked: shapes.Adding, caller: Writer, memory: Store, key: Once = None) -> JSONResponse:
    """Remember a text or a conversation. Answers when all of it is on disk."""
    scoped = caller.scoped(memory, asked.user, asked.agent, asked.session)
    return once(memory, caller, key, "add", asked, lambda first: added(scoped, asked, first))


@router.post("/memories/batch", response_model=shapes.BatchShape, responses=responses())
def add_batch(asked: shapes.AddingBatch, caller: Writer, memory: Store, key: Once = None) -> shapes.BatchShape:
    """Several additions, each with its scope; each succeeds or fails by itself."""
    keys = [None if key is None else f"{key}#{number}" for number in range(len(asked.items))]
    return shapes.BatchShape(items=[part(caller, memory, one, own) for one, own in zip(asked.items, keys)])


@router.get("/memories", response_model=shapes.PageShape, responses=responses(404))
def page(
    caller: Reader,
    memory: Store,
    user: User = "",
    agent: shapes.Name = "",
    session: shapes.Name = "",
    limit: Annotated[int, Query(ge=1, le=1_000)] = 50,
    cursor: Annotated[shapes.Id | None, Query(description="`next` of the page before.")] = None,
    skip: Annotated[
        int, Query(ge=0, le=2**40, description="Begin so many further on; /v1/days tells what is there.")
    ] = 0,
    origin: Annotated[str, Query(max_length=50, description="source, or the organiser that derived it.")] = "source",
    where: Annotated[str | None, Query(max_length=10_000, description="A filter on the header, as JSON.")] = None,
) -> shapes.PageShape:
    """Memories, newest first, a page at a time."""
    scoped = caller.scoped(memory, user, agent, session)
    found = scoped.list(limit=limit + 1, where=filter_of(where), origin=origin, before=cursor, skip=skip)
    items = [shapes.cube_shape(cube) for cube in found[:limit]]
    return shapes.PageShape(items=items, next=items[-1].id if len(found) > limit else None)


@router.get("/memories/{id}", response_model=shapes.CubeShape, responses=responses(404))
def get(id: shapes.Id, response: Response, caller: Reader, memory: Store, user: User = "") -> shapes.CubeShape:
    """A memory by id, with its ETag."""
    cube = caller.scoped(memory, user, "", "").get(id)
    response.headers["ETag"] = etag(cube)
    return shapes.cube_shape(cube)


@router.patch("/memories/{id}", status_code=201, response_model=shapes.ReceiptShape, responses=responses(404, 409, 412))
def update(
    id: shapes.Id, asked: shapes.Updating, caller: Writer, memory: Store, match: IfMatch = None, key: Once = None
) -> JSONResponse:
    """Put a new version in a memory's place. The old one stays, closed, and answers as_of and known_at."""
    scoped = caller.scoped(memory, asked.user, asked.agent, asked.session)

    def write(first: datetime) -> shapes.ReceiptShape:
        check_match(scoped.get(id), match)
        return shapes.receipt_shape(scoped.update(id, text=asked.text, meta=asked.meta, at=asked.at))

    return once(memory, caller, key, f"update {id}", asked, write)


@router.delete("/memories/{id}", status_code=204, responses=responses(404, 409, 412))
def forget(id: shapes.Id, caller: Writer, memory: Store, user: User = "", match: IfMatch = None) -> None:
    """Hide a memory from recall. Restoring undoes it; to destroy it, erase it."""
    scoped = caller.scoped(memory, user, "", "")
    check_match(scoped.get(id), match)
    scoped.forget(id)


@router.post("/memories/{id}/restore", status_code=204, responses=responses(404, 409))
def restore(id: shapes.Id, caller: Writer, memory: Store, user: User = "") -> None:
    """Bring a forgotten memory back."""
    caller.scoped(memory, user, "", "").restore(id)


@router.get("/memories/{id}/history", response_model=shapes.HistoryShape, responses=responses(404))
def history(id: shapes.Id, caller: Reader, memory: Store, user: User = "") -> shapes.HistoryShape:
    """All versions of a memory and what happened to them, oldest first."""
    changes = caller.scoped(memory, user, "", "").history(id)
    return shapes.HistoryShape(items=[shapes.change_shape(change) for change in changes])


@router.post("/memories/{id}/erase", response_model=shapes.ErasureShape, responses=responses(404, 409))
def erase_one(id: shapes.Id, caller: Eraser, memory: Store, user: User = "") -> shapes.ErasureShape:
    """Destroy a memory, its versions and all that was derived from it; answers when its bytes are gone."""
    return erased(caller.scoped(memory, user, "", ""), [id])


@router.post("/erase", response_model=shapes.ErasureShape, responses=responses(404, 409))
def erase(asked: shapes.Erasing, caller: Eraser, memory: Store) -> shapes.ErasureShape:
    """Destroy several memories at once."""
    return erased(caller.scoped(memory, asked.user, asked.agent, asked.session), asked.ids)


@router.get("/scopes", response_model=shapes.ScopesShape, responses=responses())
def scopes(caller: Reader, memory: Store) -> shapes.ScopesShape:
    """The users that the key may see, with the number of their episodes."""
    found = [
        shapes.ScopeShape(user=scope.user, episodes=count)
        for scope, count in memory.scopes()
        if scope.tenant == caller.tenant and caller.user in ("", scope.user)
    ]
    return shapes.ScopesShape(items=found)


def added(scoped: ScopedMemory, asked: shapes.Adding, first: datetime) -> shapes.ReceiptShape:
    """The receipt of an addition that was first asked for at a time."""
    if (asked.content is None) == (asked.messages is None):
        raise InputError("send either content or messages")
    # What has a source but no time is known by its source: a time would make it another each time it comes.
    said: datetime | None = None if asked.source else first
    if asked.at is not None:
        said = parse_moment(asked.at, "at")
    what: Any = asked.content
    if asked.messages is not None:
        what = [message.model_dump() for message in asked.messages]
    return shapes.receipt_shape(scoped.add(what, at=said, source=asked.source))


def part(caller: Caller, memory: Memory, asked: shapes.Adding, key: str | None) -> shapes.BatchPartShape:
    """One addition of a batch, with an idempotency key of its own: a batch that comes again repeats what failed."""
    try:
        scoped = caller.scoped(memory, asked.user, asked.agent, asked.session)
        response = once(memory, caller, key, "add", asked, lambda first: added(scoped, asked, first))
        return shapes.BatchPartShape(status=201, result=json.loads(bytes(response.body)))
    except (MemoristError, Refused) as error:
        return failed_part(error)


def failed_part(error: MemoristError | Refused) -> shapes.BatchPartShape:
    """What went wrong with one of a batch."""
    if isinstance(error, Refused):
        problem = {"type": f"urn:memorist:{error.kind}", "status": error.status, "detail": error.detail}
        return shapes.BatchPartShape(status=error.status, problem=problem)
    response = of_error(error)
    return shapes.BatchPartShape(status=response.status_code, problem=json.loads(bytes(response.body)))


def erased(scoped: ScopedMemory, ids: Sequence[str]) -> shapes.ErasureShape:
    """The receipt of an erasure."""
    return shapes.erasure_shape(scoped.erase(ids))


def etag(cube: Cube) -> str:
    """A tag that changes with all that a writer may have changed; being recalled is no change."""
    return f'"{digest(shapes.cube_shape(cube).model_dump_json(exclude={"recalls", "recalled_at"}))}"'


def check_match(cube: Cube, match: str | None) -> None:
    """Raises Refused (412) when the caller has seen another version."""
    if match is not None and match.strip() not in ("*", etag(cube)):
        raise Refused(412, "changed-meanwhile", "this memory is not as you have seen it; get it again")


def filter_of(where: str | None) -> dict[str, Any] | None:
    """A filter from its JSON. Raises InputError."""
    if where is None:
        return None
    try:
        found = json.loads(where)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InputError('where is not a JSON object, such as {"speaker": "Ana"}')
    return found
