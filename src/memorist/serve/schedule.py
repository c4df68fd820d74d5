"""Routes for what happens by itself, and for going back: the schedule, snapshots, and what calls of models cost."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, StringConstraints

from memorist.serve import shapes
from memorist.serve.attempts import once
from memorist.serve.memories import Once, Reader, Store, User, Writer
from memorist.serve.problems import responses
from memorist.store.protocol import Scheduled, Snapshot

router = APIRouter(prefix="/v1", tags=["schedule"])

Entry = Annotated[str, StringConstraints(min_length=1, max_length=50)]
Named = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class SnapshotShape(BaseModel):
    """A memory as it was at a time, under a name, with the number of its episodes."""

    name: str
    at: datetime
    episodes: int


class SnapshotsShape(BaseModel):
    """Snapshots, oldest first."""

    items: list[SnapshotShape]


class Taking(shapes.Asked):
    """Whose memory to keep as it is, and under which name."""

    user: shapes.Name = ""
    name: Named


class RolledBackShape(BaseModel):
    """What a roll-back did: cubes that changed, that were put aside, and the snapshot to undo it with."""

    name: str
    changed: int
    aside: int
    before: str


class ScheduledShape(BaseModel):
    """What is done by itself: every how many seconds, whether at all, how, when last, and what came of it."""

    name: str
    every: float
    enabled: bool
    options: dict[str, float]
    ran_at: datetime | None
    told: str | None


class ScheduleShape(BaseModel):
    """All entries of a user's schedule."""

    items: list[ScheduledShape]


class Setting(shapes.Asked):
    """What to change of an entry; what is not named stays."""

    user: shapes.Name = ""
    every: Annotated[float, Field(ge=1, le=3e9, description="Seconds.")] | None = None
    enabled: bool | None = None
    options: Annotated[dict[Entry, float], Field(max_length=20)] | None = None


class Running(shapes.Asked):
    """Entries to run now; without names, what is due."""

    user: shapes.Name = ""
    names: Annotated[list[Entry], Field(max_length=20)] = Field(default_factory=list)


class RanShape(BaseModel):
    """What a run did, or why it could not."""

    name: str
    told: str
    problem: str | None


class RunsShape(BaseModel):
    """Runs."""

    items: list[RanShape]


class SpentShape(BaseModel):
    """What calls of a language model took on a day, for one purpose. A cost is null when no price is known."""

    purpose: str
    model: str
    day: date
    failed: int
    calls: int
    tokens: int
    cost: float | None


class CostsShape(BaseModel):
    """What all calls took."""

    items: list[SpentShape]


@router.get("/snapshots", response_model=SnapshotsShape, responses=responses())
def snapshots(caller: Reader, memory: Store, user: User = "") -> SnapshotsShape:
    """A user's snapshots, oldest first."""
    return SnapshotsShape(items=[snapshot_shape(one) for one in caller.scoped(memory, user, "", "").snapshots()])


@router.post("/snapshots", status_code=201, response_model=SnapshotShape, responses=responses(409))
def snapshot(asked: Taking, caller: Writer, memory: Store, key: Once = None) -> JSONResponse:
    """Keep a user's memory as it is under a name, to come back to."""
    scoped = caller.scoped(memory, asked.user, "", "")
    return once(memory, caller, key, "snapshot", asked, lambda first: snapshot_shape(scoped.snapshot(asked.name)))


@router.post("/snapshots/{name}/rollback", response_model=RolledBackShape, responses=responses(404, 409))
def rollback(name: Named, caller: Writer, memory: Store, user: User = "") -> RolledBackShape:
    """Make a user's memory what it was; what was erased stays erased."""
    done = caller.scoped(memory, user, "", "").rollback(name)
    return RolledBackShape(name=done.name, changed=done.changed, aside=done.aside, before=done.before)


@router.delete("/snapshots/{name}", status_code=204, responses=responses(404))
def drop_snapshot(name: Named, caller: Writer, memory: Store, user: User = "") -> None:
    """Delete a snapshot; the memory stays as it is."""
    caller.scoped(memory, user, "", "").drop_snapshot(name)


@router.get("/schedule", response_model=ScheduleShape, responses=responses())
def schedule(caller: Reader, memory: Store, user: User = "") -> ScheduleShape:
    """What is done to a user's memory by itself, and when."""
    return ScheduleShape(items=[entry_shape(one) for one in caller.scoped(memory, user, "", "").schedule.entries()])


@router.patch("/schedule/{name}", response_model=ScheduledShape, responses=responses())
def set_entry(name: Entry, asked: Setting, caller: Writer, memory: Store) -> ScheduledShape:
    """Change an entry of the schedule."""
    every = None if asked.every is None else timedelta(seconds=asked.every)
    plan = caller.scoped(memory, asked.user, "", "").schedule
    return entry_shape(plan.set(name, every=every, enabled=asked.enabled, options=asked.options))


@router.post("/schedule/run", response_model=RunsShape, responses=responses())
def run(asked: Running, caller: Writer, memory: Store) -> RunsShape:
    """Do what is due, or the entries that are named."""
    done = caller.scoped(memory, asked.user, "", "").schedule.run(asked.names)
    return RunsShape(items=[RanShape(name=one.name, told=one.told, problem=one.problem) for one in done])


@router.get("/costs", response_model=CostsShape, responses=responses())
def costs(caller: Reader, memory: Store, user: User = "") -> CostsShape:
    """What calls of language models took on behalf of a user, by purpose, model and day."""
    found = caller.scoped(memory, user, "", "").costs()
    items = [
        SpentShape(
            purpose=one.purpose,
            model=one.model,
            day=one.day,
            failed=one.failed,
            calls=one.used.calls,
            tokens=one.used.prompt_tokens + one.used.reply_tokens,
            cost=one.used.cost,
        )
        for one in found
    ]
    return CostsShape(items=items)


def snapshot_shape(one: Snapshot) -> SnapshotShape:
    """A snapshot for the wire."""
    return SnapshotShape(name=one.name, at=one.at, episodes=one.episodes)


def entry_shape(one: Scheduled) -> ScheduledShape:
    """An entry for the wire."""
    return ScheduledShape(
        name=one.name,
        every=one.every.total_seconds(),
        enabled=one.enabled,
        options=dict(one.options),
        ran_at=one.ran_at,
        told=one.told,
    )
