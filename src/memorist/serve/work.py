"""Routes for the work that waits."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel

from memorist.serve.memories import Reader, Store, User, Writer
from memorist.serve.problems import responses
from memorist.store.protocol import Job

router = APIRouter(prefix="/v1", tags=["jobs"])

Number = Annotated[int, Path(ge=1, le=2**63 - 1)]


class JobShape(BaseModel):
    """Work that is not done: about how many memories, how often it was tried, and why it failed last."""

    number: int
    kind: str
    state: str
    memories: int
    attempts: int
    failures: int
    reason: str | None
    not_before: datetime | None


class JobsShape(BaseModel):
    """A user's work, oldest first."""

    items: list[JobShape]


@router.get("/jobs", response_model=JobsShape, responses=responses())
def jobs(caller: Reader, memory: Store, user: User = "") -> JobsShape:
    """The work of a user that is not done, oldest first."""
    return JobsShape(items=[job_shape(job) for job in caller.scoped(memory, user, "", "").jobs()])


@router.post("/jobs/{number}/retry", status_code=204, responses=responses(404))
def retry(number: Number, caller: Writer, memory: Store, user: User = "") -> None:
    """Have a job tried again by the next that works, also one that was given up."""
    caller.scoped(memory, user, "", "").retry(number)


@router.delete("/jobs/{number}", status_code=204, responses=responses(404, 409))
def cancel(number: Number, caller: Writer, memory: Store, user: User = "") -> None:
    """Drop a job of a writer; the memories that it is about stay."""
    caller.scoped(memory, user, "", "").cancel(number)


def job_shape(job: Job) -> JobShape:
    """A job for the wire."""
    state = "given up" if job.dead else "running" if job.running else "waiting"
    return JobShape(
        number=job.number,
        kind=job.kind,
        state=state,
        memories=len(job.rows),
        attempts=job.attempts,
        failures=job.failures,
        reason=job.reason,
        not_before=job.not_before,
    )
