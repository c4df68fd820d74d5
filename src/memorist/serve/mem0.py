"""The routes of mem0's platform that its official client calls, so that an application moves over by its `host`.

A memory here is an episode: what is added is kept word for word, nothing is inferred. `user_id`, `agent_id` and
`run_id` are user, agent and session. The client looks memories up by id alone, so an id here names its user, too; the
tenant is the key's, as everywhere. Deleting erases: mem0's users expect what is deleted to be gone.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse
from fastapi.security.utils import get_authorization_scheme_param
from pydantic import BaseModel, Field

from memorist.arguments import CONVERSATION
from memorist.cube import LONGEST_NAME, Cube, Observation, parse_moment
from memorist.errors import InputError, NotFound
from memorist.memory import Memory
from memorist.results import Change
from memorist.scoped import ScopedMemory
from memorist.serve.access import Caller
from memorist.serve.attempts import once
from memorist.serve.memories import Once, Store
from memorist.serve.problems import Refused
from memorist.serve.shapes import Name
from memorist.sources.message import flat, parts_text

router = APIRouter(tags=["mem0"], include_in_schema=False)  # mem0 describes these

EVERY = 1_000_000
AskedT = TypeVar("AskedT", bound="Entities")
SEPARATOR = "~"
ROLES = ("user", "assistant", "system", "tool")
EVENTS: Mapping[str, str] = {"added": "ADD", "updated": "UPDATE", "forgotten": "DELETE"}


class Entities(BaseModel):
    """Whose memory, in mem0's words; newer clients say it in `filters`."""

    user_id: Name | None = None
    agent_id: Name | None = None
    run_id: Name | None = None
    app_id: Name | None = None
    filters: dict[str, Any] | None = None


class Adding(Entities):
    """Messages to remember; mem0's further options have no meaning here."""

    messages: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=10_000)]
    metadata: dict[str, Any] | None = None
    timestamp: float | str | None = None


class Searching(Entities):
    """A query."""

    query: Annotated[str, Field(min_length=1, max_length=20_000)]
    top_k: Annotated[int, Field(ge=1, le=1_000)] = 10
    threshold: float | None = None


class Updating(BaseModel):
    """A new text, new metadata, or both."""

    text: str | None = None
    metadata: dict[str, Any] | None = None
    timestamp: float | str | None = None


class Item(Updating):
    """One of a batch."""

    memory_id: str


class Batch(BaseModel):
    """Several memories."""

    memories: Annotated[list[Item], Field(min_length=1, max_length=1_000)]


def caller_of(request: Request) -> Caller:
    """The caller: mem0's client sends its key as a Token. Raises Refused."""
    scheme, secret = get_authorization_scheme_param(request.headers.get("authorization"))
    caller: Caller = request.app.state.doorman.admit(secret if scheme.lower() in ("token", "bearer") else None)
    request.state.key = caller.id
    return caller


Anyone = Annotated[Caller, Depends(caller_of)]


@router.get("/v1/ping/")
def mem0_ping(caller: Anyone) -> dict[str, Any]:
    """Whether the key is good, and names for the organisation and project that the client insists on."""
    return {"status": "ok", "org_id": caller.tenant or "memorist", "project_id": "memory", "user_email": None}


@router.post("/v1/memories/")
@router.post("/v3/memories/add/")
def mem0_add(asked: Adding, caller: Anyone, memory: Store, key: Once = None) -> JSONResponse:
    """Remember messages, as they are."""
    named, where = filtered(asked)
    if where:
        raise InputError("the filters of an addition name a user, an agent or a run; metadata has a field of its own")
    scoped = scoped_for(caller, memory, "write", named)

    def write(first: datetime) -> dict[str, Any]:
        at = moment(asked.timestamp) or first
        receipt = scoped.add([observation(one, asked.metadata, at, scoped) for one in asked.messages])
        found = [scoped.get(id) for id in receipt.ids]
        return {"results": [{"id": told(cube), "memory": cube.text, "event": "ADD"} for cube in found]}

    return once(memory, caller, key, "mem0 add", asked, write, 200)


@router.post("/v2/memories/search/")
@router.post("/v3/memories/search/")
def mem0_search(asked: Searching, caller: Anyone, memory: Store) -> dict[str, Any]:
    """What speaks to a query, best first."""
    asked, where = filtered(asked)
    scoped = scoped_for(caller, memory, "read", asked)
    hits = scoped.search(asked.query, k=asked.top_k, where=where)
    least = asked.threshold if asked.threshold is not None else float("-inf")
    shapes = [{**shape(scoped.get(hit.id)), "score": hit.score} for hit in hits if hit.score >= least]
    return {"results": shapes}


@router.post("/v2/memories/")
@router.post("/v3/memories/")
def mem0_all(
    asked: Entities,
    caller: Anyone,
    memory: Store,
    page: Annotated[int, Query(ge=1)] = 1,
    page_size: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> dict[str, Any]:
    """All memories, newest first, a page at a time."""
    asked, where = filtered(asked)
    found = scoped_for(caller, memory, "read", asked).list(limit=EVERY, where=where)
    part = found[(page - 1) * page_size : page * page_size]
    more = page * page_size < len(found)
    pages = {"next": f"?page={page + 1}" if more else None, "previous": f"?page={page - 1}" if page > 1 else None}
    return {"count": len(found), **pages, "results": [shape(cube) for cube in part]}


@router.get("/v1/memories/{id}/")
def mem0_get(id: str, caller: Anyone, memory: Store) -> dict[str, Any]:
    """A memory."""
    scoped, known = opened(caller, memory, "read", id)
    return shape(scoped.get(known))


@router.put("/v1/memories/{id}/")
def mem0_update(id: str, asked: Updating, caller: Anyone, memory: Store, key: Once = None) -> JSONResponse:
    """Put a new version in a memory's place."""
    return updated(caller, memory, id, asked, key)


@router.delete("/v1/memories/{id}/")
def mem0_delete(id: str, caller: Anyone, memory: Store) -> dict[str, str]:
    """Destroy a memory and all that was derived from it."""
    scoped, known = opened(caller, memory, "erase", id)
    scoped.erase(known)
    return {"message": "Memory deleted successfully!"}


@router.delete("/v1/memories/")
def mem0_delete_all(
    caller: Anyone, memory: Store, user_id: Name = "", agent_id: Name = "", run_id: Name = "", app_id: Name = ""
) -> dict[str, str]:
    """Destroy all memories of a user, or of what is named of theirs. Raises InputError when nothing is named."""
    if not (user_id or agent_id or run_id or caller.user):
        raise InputError("name whose memories are to be deleted: user_id, agent_id or run_id")
    named = Entities(user_id=user_id, agent_id=agent_id, run_id=run_id, app_id=app_id)
    erase_all(scoped_for(caller, memory, "erase", named))
    return {"message": "Memories deleted successfully!"}


@router.get("/v1/memories/{id}/history/")
def mem0_history(id: str, caller: Anyone, memory: Store) -> list[dict[str, Any]]:
    """What happened to a memory, oldest first."""
    scoped, known = opened(caller, memory, "read", id)
    changes = scoped.history(known)
    return [change_shape(id, change, earlier) for change, earlier in zip(changes, [None, *changes])]


@router.get("/v1/entities/")
def mem0_entities(caller: Anyone, memory: Store) -> dict[str, Any]:
    """The users that the key may see."""
    allowed(caller, "read")
    found = [
        {"id": scope.user, "type": "user", "name": scope.user, "total_memories": count}
        for scope, count in memory.scopes()
        if scope.tenant == caller.tenant and scope.user and caller.user in ("", scope.user)
    ]
    return {"count": len(found), "results": found}


@router.delete("/v2/entities/{kind}/{name}/")
def mem0_delete_entity(kind: str, name: str, caller: Anyone, memory: Store) -> dict[str, str]:
    """Destroy all memories of a user."""
    if kind != "user":
        raise InputError(f"entities of type {kind!r:.40} are not deleted here; name a user")
    erase_all(scoped_for(caller, memory, "erase", Entities(user_id=name)))
    return {"message": "Entity deleted successfully!"}


@router.put("/v1/batch/")
def mem0_update_batch(asked: Batch, caller: Anyone, memory: Store, key: Once = None) -> dict[str, str]:
    """Put new versions in several places; one that comes again under its key goes on where the first one ended."""
    for number, one in enumerate(asked.memories):
        updated(caller, memory, one.memory_id, one, None if key is None else f"{key}#{number}")
    return {"message": f"Successfully updated {len(asked.memories)} memories"}


@router.delete("/v1/batch/")
def mem0_delete_batch(asked: Batch, caller: Anyone, memory: Store) -> dict[str, str]:
    """Destroy several memories."""
    for one in asked.memories:
        scoped, known = opened(caller, memory, "erase", one.memory_id)
        scoped.erase(known)
    return {"message": f"Successfully deleted {len(asked.memories)} memories"}


def updated(caller: Caller, memory: Memory, id: str, asked: Updating, key: str | None) -> JSONResponse:
    """The new version of a memory, made once under its key."""
    scoped, known = opened(caller, memory, "write", id)
    meta = flat(asked.metadata) if asked.metadata is not None else None

    def write(first: datetime) -> dict[str, Any]:
        receipt = scoped.update(known, text=asked.text, meta=meta, at=moment(asked.timestamp))
        return shape(scoped.get(receipt.ids[0]))

    return once(memory, caller, key, f"mem0 update {id}", asked, write, 200)


def erase_all(scoped: ScopedMemory) -> None:
    """Destroy all episodes of a scope."""
    ids = [cube.id for cube in scoped.list(limit=EVERY)]
    if ids:
        scoped.erase(ids)


def observation(
    message: Mapping[str, Any], metadata: Mapping[str, Any] | None, at: datetime, scoped: ScopedMemory
) -> Observation:
    """A message as it is remembered."""
    role = message.get("role", "user")
    if role not in ROLES:
        raise InputError(f"there is no role {role!r:.40}; use one of {', '.join(ROLES)}")
    text = parts_text(message.get("content"))
    speaker = (scoped.scope.user or "User") if role == "user" else None
    session = scoped.scope.session or CONVERSATION
    return Observation(text, speaker=speaker, role=role, at=at, session=session, meta=flat(metadata or {}))


def scoped_for(caller: Caller, memory: Memory, right: str, named: Entities) -> ScopedMemory:
    """The memory that is asked for. Raises Refused, or InputError for an app: there are none here."""
    allowed(caller, right)
    if named.app_id:
        raise InputError("memories here belong to a user, an agent and a run; app_id is not kept: leave it out")
    return caller.scoped(memory, named.user_id or "", named.agent_id or "", named.run_id or "")


def allowed(caller: Caller, right: str) -> None:
    """Raises Refused when the key has not the right."""
    if right not in caller.rights:
        raise Refused(403, "no-right", f"this key may not {right}; its rights are {', '.join(caller.rights)}")


def filtered(asked: AskedT) -> tuple[AskedT, dict[str, Any]]:
    """The request with the entities of its filters, and conditions on the header from the rest.

    Raises InputError for filters other than entities and metadata, each equal to a value, joined by AND.
    """
    found: dict[str, Any] = {}
    where: dict[str, Any] = {}
    for name, value in conditions(asked.filters or {}):
        if name in ("user_id", "agent_id", "run_id") and isinstance(value, str) and len(value) <= LONGEST_NAME:
            found[name] = value
        elif name == "metadata" and isinstance(value, Mapping):
            where |= {f"meta.{key}": one for key, one in value.items()}
        else:
            raise InputError(f"the filter {name!r:.60} is not understood; use user_id, agent_id, run_id or metadata")
    return asked.model_copy(update=found), where


def conditions(filters: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """Names and values of filters, with those of an AND."""
    for name, value in filters.items():
        if name == "AND" and isinstance(value, Sequence) and all(isinstance(one, Mapping) for one in value):
            for one in value:
                yield from conditions(one)
        else:
            yield name, value


def moment(given: float | str | None) -> datetime | None:
    """A time from seconds since 1970 or ISO 8601. Raises InputError."""
    if given is None:
        return None
    if isinstance(given, str):
        return parse_moment(given, "timestamp")
    try:
        return datetime.fromtimestamp(given, timezone.utc)
    except (OverflowError, OSError, ValueError):
        raise InputError(f"timestamp={given} is not a time in seconds since 1970") from None


def told(cube: Cube) -> str:
    """An id that names the memory's user, too."""
    user = base64.urlsafe_b64encode(cube.scope.user.encode()).decode().rstrip("=")
    return f"{cube.id}{SEPARATOR}{user}"


def opened(caller: Caller, memory: Memory, right: str, id: str) -> tuple[ScopedMemory, str]:
    """The memory that an id leads to, and the id there. Raises NotFound or Refused."""
    known, separator, user = id.partition(SEPARATOR)
    try:
        name = base64.urlsafe_b64decode(user + "=" * (-len(user) % 4)).decode()
    except (binascii.Error, ValueError):
        separator = ""
    if not separator:
        raise NotFound(f"there is no memory {id!r:.80}; take an id from search or get_all")
    return scoped_for(caller, memory, right, Entities(user_id=name)), known


def shape(cube: Cube) -> dict[str, Any]:
    """A memory as mem0 has it."""
    scope = cube.scope
    return {
        "id": told(cube),
        "memory": cube.text,
        "user_id": scope.user or None,
        "agent_id": scope.agent or None,
        "run_id": scope.session if scope.session != CONVERSATION else None,
        "metadata": dict(cube.meta),
        "categories": [],
        "created_at": cube.at.isoformat(),
        "updated_at": cube.recorded_at.isoformat(),
    }


def change_shape(id: str, change: Change, earlier: Change | None) -> dict[str, Any]:
    """Something that happened, as mem0 has it."""
    return {
        "id": f"{id}-{change.at.isoformat()}",
        "memory_id": id,
        "old_memory": earlier.cube.text if earlier else None,
        "new_memory": None if change.what == "forgotten" else change.cube.text,
        "event": EVENTS.get(change.what, change.what.upper()),
        "user_id": change.cube.scope.user or None,
        "created_at": change.at.isoformat(),
    }
