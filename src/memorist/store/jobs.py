"""Work that follows an add, kept in the same transaction as what it is about."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from memorist.cube import Scope
from memorist.store.moments import micros, moment
from memorist.store.protocol import Job

LEASE = timedelta(minutes=10)
"""How long a process may work on a job before another may take it over. One that has ended is not waited for."""

FREE = """
owner = :owner AND kind = :kind AND state = 'pending' AND not_before <= :now AND (:job = 0 OR job = :job)
AND (lease_until <= :now OR holder IN (SELECT value FROM json_each(:ended)))
AND (kind = 'index' OR NOT EXISTS (
  SELECT 1 FROM jobs o WHERE o.owner = :owner AND o.kind = :kind AND o.lease_until > :now
  AND o.holder NOT IN (SELECT value FROM json_each(:ended))))
"""
COLUMNS = "job, kind, rows, attempts, reason, failures, not_before, state, lease_until"


def create(db: sqlite3.Connection, owner: int, kinds: Sequence[str], rows: Sequence[int]) -> int:
    """A job of each kind about the rows; returns the first one's number."""
    numbers = [
        db.execute("INSERT INTO jobs (owner, kind, rows) VALUES (?, ?, ?)", (owner, kind, json.dumps(rows))).lastrowid
        for kind in kinds
    ]
    return int(numbers[0] or 0) if numbers else 0


def request(db: sqlite3.Connection, owner: int, kind: str, rows: Sequence[int]) -> int:
    """The number of the job of this kind about these rows, made unless it is there."""
    sql = "SELECT job FROM jobs WHERE owner = ? AND kind = ? AND rows = ?"
    found = db.execute(sql, (owner, kind, json.dumps(list(rows)))).fetchone()
    return int(found[0]) if found else create(db, owner, (kind,), list(rows))


def free(db: sqlite3.Connection, owner: int, now: datetime, number: int, kind: str) -> dict[str, Any]:
    """What FREE is asked with."""
    ended = orphaned(db, owner, now)
    return {"owner": owner, "kind": kind, "now": micros(now), "job": number, "ended": ended}


def any_free(db: sqlite3.Connection, owner: int, now: datetime, number: int, kind: str) -> bool:
    """Whether `claim` would find a job: a read, which never waits for a writer."""
    values = free(db, owner, now, number, kind)
    return db.execute(f"SELECT 1 FROM jobs WHERE {FREE} LIMIT 1", values).fetchone() is not None


def claim(db: sqlite3.Connection, scope: Scope, owner: int, now: datetime, number: int, kind: str) -> Job | None:
    """Lease the oldest free job, or the one named."""
    sql = f"SELECT {COLUMNS} FROM jobs WHERE {FREE} ORDER BY job LIMIT 1 /*+ FOR UPDATE SKIP LOCKED */"
    found = db.execute(sql, free(db, owner, now, number, kind)).fetchone()
    if found is None:
        return None
    sql = "UPDATE jobs SET lease_until = ?, holder = ?, attempts = attempts + 1 WHERE job = ?"
    db.execute(sql, (micros(now + LEASE), holder(), found[0]))
    seen, epoch = db.execute("SELECT revision, epoch FROM owners WHERE owner = ?", (owner,)).fetchone()
    job = job_of(found, scope, None)
    return replace(job, attempts=job.attempts + 1, seen=seen, epoch=epoch, running=True)


def job_of(record: Sequence[Any], scope: Scope, now: datetime | None) -> Job:
    """A job from a row of COLUMNS."""
    number, kind, rows, attempts, reason, failures, wait, state, lease = record
    return Job(
        number,
        Scope(scope.tenant, scope.user),
        kind,
        tuple(json.loads(rows)),
        attempts,
        reason,
        failures=failures,
        not_before=moment(wait) if wait else None,
        dead=state == "dead",
        running=now is not None and lease > micros(now),
    )


def held(db: sqlite3.Connection, job: Job) -> bool:
    """Whether the job is still the caller's."""
    sql = "SELECT 1 FROM jobs WHERE job = ? AND attempts = ?"
    return db.execute(sql, (job.number, job.attempts)).fetchone() is not None


def renew(db: sqlite3.Connection, job: Job, now: datetime) -> bool:
    """Lengthen a lease that is still the caller's."""
    sql = "UPDATE jobs SET lease_until = ? WHERE job = ? AND attempts = ?"
    return db.execute(sql, (micros(now + LEASE), job.number, job.attempts)).rowcount == 1


def overtaken(db: sqlite3.Connection, owner: int, job: Job) -> bool:
    """Whether an episode of the job's conversations was added or changed since it was claimed."""
    sql = (
        "SELECT 1 FROM cubes WHERE owner = ? AND revision > ? AND origin = 'source' AND session != ''"
        " AND (session, agent) IN (SELECT session, agent FROM cubes WHERE row IN"
        " (SELECT CAST(value AS BIGINT) FROM json_each(?))) LIMIT 1"
    )
    return db.execute(sql, (owner, job.seen, json.dumps(job.rows))).fetchone() is not None


def finish(db: sqlite3.Connection, job: Job) -> None:
    """End the job."""
    db.execute("DELETE FROM jobs WHERE job = ? AND attempts = ?", (job.number, job.attempts))


def fail(
    db: sqlite3.Connection,
    job: Job,
    reason: str | None,
    failures: int = 0,
    not_before: datetime | None = None,
    dead: bool = False,
) -> None:
    """Give the job back with the reason."""
    sql = (
        "UPDATE jobs SET lease_until = 0, reason = ?, failures = ?, not_before = ?, state = ?"
        " WHERE job = ? AND attempts = ?"
    )
    wait = micros(not_before) if not_before else 0
    state = "dead" if dead else "pending"
    db.execute(sql, (reason and reason[:2000], failures, wait, state, job.number, job.attempts))


def keep(db: sqlite3.Connection, job: Job, rows: Sequence[int]) -> None:
    """Leave the job with these rows alone."""
    db.execute("UPDATE jobs SET rows = ? WHERE job = ?", (json.dumps(list(rows)), job.number))


def again(db: sqlite3.Connection, owner: int, number: int, anew: bool) -> bool:
    """Have a job tried again at once; False when there is none."""
    sql = (
        "UPDATE jobs SET state = 'pending', failures = failures * ?, not_before = 0, lease_until = 0,"
        " attempts = attempts + 1 WHERE owner = ? AND job = ?"
    )
    return db.execute(sql, (not anew, owner, number)).rowcount == 1


def pending(db: sqlite3.Connection, scope: Scope, owner: int, now: datetime | None) -> list[Job]:
    """Jobs not done, oldest first."""
    gone = set(json.loads(orphaned(db, owner, now))) if now else set()
    found = db.execute(f"SELECT {COLUMNS}, holder FROM jobs WHERE owner = ? ORDER BY job", (owner,)).fetchall()
    return [job_of(record[:-1], scope, None if record[-1] in gone else now) for record in found]


def drop_rows(db: sqlite3.Connection, owner: int, gone: set[int]) -> int:
    """Take erased rows out of pending jobs; returns how many jobs that ended.

    Whoever works on one of the owner's jobs has seen what is gone: its result will be refused and the job done again.
    """
    ended = 0
    for number, text in db.execute("SELECT job, rows FROM jobs WHERE owner = ?", (owner,)).fetchall():
        rows = json.loads(text)
        kept = [row for row in rows if row not in gone]
        if not kept:
            db.execute("DELETE FROM jobs WHERE job = ?", (number,))
            ended += 1
        elif len(kept) < len(rows):
            db.execute("UPDATE jobs SET rows = ? WHERE job = ?", (json.dumps(kept), number))
    db.execute("UPDATE jobs SET lease_until = 0, attempts = attempts + 1, reason = NULL WHERE owner = ?", (owner,))
    return ended


def holder() -> str:
    """This process, among all that may open the file."""
    return f"{os.getpid()}@{platform.node()}"


def orphaned(db: sqlite3.Connection, owner: int, now: datetime) -> str:
    """As a JSON list: who holds leases of this owner and has ended. Other machines' processes are beyond our sight."""
    sql = "SELECT DISTINCT holder FROM jobs WHERE owner = ? AND lease_until > ?"
    return json.dumps([name for (name,) in db.execute(sql, (owner, micros(now))) if ended(name)])


def ended(name: str) -> bool:
    """Whether a process of this machine is gone."""
    process, _, machine = name.partition("@")
    if os.name != "posix" or machine != platform.node() or not process.isdecimal():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # another user's
        return False
    return False
