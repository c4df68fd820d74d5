"""Routes for sharing: who else may use a user's memory."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from memorist.serve import shapes
from memorist.serve.access import Caller
from memorist.serve.attempts import once
from memorist.serve.memories import Once, Reader, Store, User, Writer
from memorist.serve.problems import Refused, responses
from memorist.store.governed import Grant, Right

router = APIRouter(prefix="/v1", tags=["grants"])

NEEDS: Mapping[Right, str] = {
    "read": "read", "write": "write", "share": "write", "administer": "erase", "reveal": "reveal",
}  # fmt: skip
"""What a key must be able to do itself to let others do it."""

READ: list[Right] = ["read"]


class Sharing(shapes.Scoped):
    """What of a user's memory to share (all, an agent's, a session, or single cubes), with whom, and for what."""

    with_user: Annotated[shapes.Name, Field(min_length=1, description="Another user of the tenant.")]
    with_agent: shapes.Name = Field("", description="Only this agent of theirs.")
    rights: Annotated[list[Right], Field(min_length=1, max_length=10)] = Field(default_factory=lambda: READ[:])
    cubes: Annotated[list[shapes.Id], Field(min_length=1, max_length=1_000)] | None = Field(
        None, description="Only these memories, and their later versions."
    )


class GrantShape(BaseModel):
    """Who may do what with whose memory. `cubes` are the only ones it opens, if it names any."""

    number: int
    user: str
    agent: str
    session: str
    with_user: str
    with_agent: str
    rights: list[str]
    cubes: list[str] | None
    at: datetime
    revoked_at: datetime | None


class GrantsShape(BaseModel):
    """Grants, oldest first."""

    items: list[GrantShape]


@router.post("/grants", status_code=201, response_model=GrantShape, responses=responses(404, 409))
def share(asked: Sharing, caller: Writer, memory: Store, key: Once = None) -> JSONResponse:
    """Let another user of the tenant use a memory. Nobody can give what the key does not hold."""
    for right in asked.rights:
        refuse_more(caller, right)
    scoped = caller.scoped(memory, asked.user, asked.agent, asked.session)

    def make(first: datetime) -> GrantShape:
        return grant_shape(scoped.share(asked.with_user, asked.rights, agent=asked.with_agent, cubes=asked.cubes))

    return once(memory, caller, key, "share", asked, make)


@router.get("/grants", response_model=GrantsShape, responses=responses())
def given(
    caller: Reader,
    memory: Store,
    user: User = "",
    ended: Annotated[bool, Query(description="Those that were revoked, too.")] = False,
) -> GrantsShape:
    """Who may use a user's memory."""
    found = caller.scoped(memory, user, "", "").rights.given(ended=ended)
    return GrantsShape(items=[grant_shape(one) for one in found])


@router.get("/grants/received", response_model=GrantsShape, responses=responses())
def received(caller: Reader, memory: Store, user: User = "", agent: shapes.Name = "") -> GrantsShape:
    """What others have shared with a user, or with this agent of theirs."""
    found = caller.scoped(memory, user, agent, "").rights.received()
    return GrantsShape(items=[grant_shape(one) for one in found])


@router.delete("/grants/{number}", status_code=204, responses=responses(404))
def revoke(number: Annotated[int, Path(ge=1, le=2**63 - 1)], caller: Writer, memory: Store, user: User = "") -> None:
    """End a grant at once."""
    caller.scoped(memory, user, "", "").rights.revoke(number)


def refuse_more(caller: Caller, right: Right) -> None:
    """Raises Refused (403) for a right that the key does not hold itself."""
    if NEEDS[right] not in caller.rights:
        raise Refused(403, "no-right", f"this key may not {NEEDS[right]}, so it cannot give the right to {right}")


def grant_shape(grant: Grant) -> GrantShape:
    """A grant for the wire."""
    return GrantShape(
        number=grant.number,
        user=grant.scope.user,
        agent=grant.scope.agent,
        session=grant.scope.session,
        with_user=grant.subject.user,
        with_agent=grant.subject.agent,
        rights=list(grant.rights),
        cubes=None if grant.cubes is None else list(grant.cubes),
        at=grant.at,
        revoked_at=grant.revoked_at,
    )
