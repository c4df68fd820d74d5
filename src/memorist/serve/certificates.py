"""Routes for what can be proven and told: certificates of erasures, all that is known of a user, the audit log."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from memorist.lifecycle.erasing import problems, read
from memorist.serve import shapes
from memorist.serve.memories import Eraser, Store, User
from memorist.serve.problems import Refused, responses
from memorist.store.sqlite import SQLiteStore

router = APIRouter(prefix="/v1", tags=["governance"])


class Checking(shapes.Asked):
    """The certificate that an erasure returned."""

    certificate: dict[str, Any]


class CheckedShape(BaseModel):
    """Whether a certificate still holds, and what speaks against it."""

    ok: bool
    problems: list[str]


class EntryShape(BaseModel):
    """An entry of the audit log. `hash` is over all of it and the hash of the entry before."""

    seq: int
    at: datetime
    actor: str
    user: str
    act: str
    detail: dict[str, Any]
    hash: str


class EntriesShape(BaseModel):
    """Entries, oldest first; `next` is the `after` of the next page."""

    items: list[EntryShape]
    next: int | None


@router.post("/certificates/check", response_model=CheckedShape, responses=responses(404))
def check(asked: Checking, caller: Eraser, memory: Store) -> CheckedShape:
    """Whether what a certificate says was erased is still gone. Backups it names are not opened from here."""
    document = read(json.dumps(asked.certificate))
    if document.get("tenant") != caller.tenant or caller.user not in ("", document.get("user")):
        raise Refused(403, "wrong-scope", "this certificate is of a memory that the key does not open")
    here = {**document, "backups": {**document["backups"], "left": []}}
    found = problems(here, memory._store, SQLiteStore)
    return CheckedShape(ok=not found, problems=found)


@router.get("/known", response_model=dict[str, Any], responses=responses())
def known(caller: Eraser, memory: Store, user: User = "") -> dict[str, Any]:
    """All that is kept of a user in every form: memories, jobs, replies, grants, keys and audit entries."""
    return caller.scoped(memory, user, "", "").all_known()


@router.get("/audit", response_model=EntriesShape, responses=responses())
def audit(
    caller: Eraser,
    memory: Store,
    user: User = "",
    after: Annotated[int, Query(ge=0, le=2**53, description="Entries beyond this place.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> EntriesShape:
    """What was done to a user's memory, without anything that was remembered."""
    scoped = caller.scoped(memory, user, "", "")
    found = scoped._memory._store.audit(after, limit + 1, scoped.scope)
    items = [
        EntryShape(
            seq=one.seq, at=one.at, actor=one.actor, user=one.user, act=one.act, detail=dict(one.detail), hash=one.hash
        )
        for one in found[:limit]
    ]
    return EntriesShape(items=items, next=items[-1].seq if len(found) > limit else None)
