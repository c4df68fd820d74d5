"""Work that follows an add, kept in the same transaction as what it is about."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta

from memorist.cube import Scope
from memorist.store.moments import micros
from memorist.store.protocol import Job

LEASE = timedelta(minutes=10)
"""How long a process may work on a job before another may take it over. One that has ended is not waited for."""

FREE = "owner = ? AND (lease_until <= ? OR holder IN (SELECT value FROM json_each(?))) AND (? = 0 OR job = ?)"


def create(db: sqlite3.Connection, owner: int, kinds: Sequence[str], rows: Sequence[int]) -> int:
    """A job of each kind about the rows; returns the first one's number."""
    numbers = [
        db.execute("INSERT INTO jobs (owner, kind, rows) VALUES (?, ?, ?)", (owner, kind, json.dumps(rows))).lastrowid
        for kind in kinds
    ]
    return int(numbers[0] or 0) if numbers else 0


def any_free(db: sqlite3.Connection, owner: int, now: datetime, number: int) -> bool:
    """Whether `claim` would find a job: a read, which never waits for a writer."""
    values = (owner, micros(now), orphaned(db, owner, now), number, number)
    return db.execute(f"SELECT 1 FROM jobs WHERE {FREE} LIMIT 1", values).fetchone() is not None


def claim(db: sqlite3.Connection, scope: Scope, owner: int, now: datetime, number: int) -> Job | None:
    """Lease the oldest free job, or the one named."""
    sql = f"SELECT job, kind, rows, attempts, reason FROM jobs WHERE {FREE} ORDER BY job LIMIT 1"
    found = db.execute(sql, (owner, micros(now), orphaned(db, owner, now), number, number)).fetchone()
    if found is None:
        return None
    job, kind, rows, attempts, reason = found
    sql = "UPDATE jobs SET lease_until = ?, holder = ?, attempts = attempts + 1 WHERE job = ?"
    db.execute(sql, (micros(now + LEASE), holder(), job))
    (seen,) = db.execute("SELECT revision FROM owners WHERE owner = ?", (owner,)).fetchone()
    return Job(job, Scope(scope.tenant, scope.user), kind, tuple(json.loads(rows)), attempts + 1, reason, seen)


def held(db: sqlite3.Connection, job: Job) -> bool:
    """Whether the job is still the caller's."""
    sql = "SELECT 1 FROM jobs WHERE job = ? AND attempts = ?"
    return db.execute(sql, (job.number, job.attempts)).fetchone() is not None


def overtaken(db: sqlite3.Connection, owner: int, job: Job) -> bool:
    """Whether an episode of the job's conversations was added or changed since it was claimed."""
    sql = (
        "SELECT 1 FROM cubes WHERE owner = ? AND revision > ? AND origin = 'source' AND session != ''"
        " AND (session, agent) IN (SELECT session, agent FROM cubes WHERE row IN (SELECT value FROM json_each(?)))"
        " LIMIT 1"
    )
    return db.execute(sql, (owner, job.seen, json.dumps(job.rows))).fetchone() is not None


def finish(db: sqlite3.Connection, job: Job) -> None:
    """End the job."""
    db.execute("DELETE FROM jobs WHERE job = ? AND attempts = ?", (job.number, job.attempts))


def fail(db: sqlite3.Connection, job: Job, reason: str | None) -> None:
    """Give the job back with the reason."""
    sql = "UPDATE jobs SET lease_until = 0, reason = ? WHERE job = ? AND attempts = ?"
    db.execute(sql, (reason and reason[:2000], job.number, job.attempts))


def pending(db: sqlite3.Connection, scope: Scope, owner: int) -> list[Job]:
    """Jobs not done, oldest first."""
    sql = "SELECT job, kind, rows, attempts, reason FROM jobs WHERE owner = ? ORDER BY job"
    bare = Scope(scope.tenant, scope.user)
    return [
        Job(job, bare, kind, tuple(json.loads(rows)), n, why) for job, kind, rows, n, why in db.execute(sql, (owner,))
    ]


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
