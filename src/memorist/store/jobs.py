"""Work that follows an add, kept in the same transaction as what it is about."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta

from memorist.cube import Scope
from memorist.store.moments import micros
from memorist.store.protocol import Job

LEASE = timedelta(minutes=10)
"""How long a process may work on a job before another may take it over."""


def create(db: sqlite3.Connection, owner: int, kinds: Sequence[str], rows: Sequence[int]) -> int:
    """A job of each kind about the rows; returns the first one's number."""
    numbers = [
        db.execute("INSERT INTO jobs (owner, kind, rows) VALUES (?, ?, ?)", (owner, kind, json.dumps(rows))).lastrowid
        for kind in kinds
    ]
    return int(numbers[0] or 0) if numbers else 0


def any_free(db: sqlite3.Connection, owner: int, now: datetime, number: int) -> bool:
    """Whether `claim` would find a job: a read, which never waits for a writer."""
    sql = "SELECT 1 FROM jobs WHERE owner = ? AND lease_until <= ? AND (? = 0 OR job = ?) LIMIT 1"
    return db.execute(sql, (owner, micros(now), number, number)).fetchone() is not None


def claim(db: sqlite3.Connection, scope: Scope, owner: int, now: datetime, number: int) -> Job | None:
    """Lease the oldest free job, or the one named."""
    sql = (
        "SELECT job, kind, rows, attempts, reason FROM jobs"
        " WHERE owner = ? AND lease_until <= ? AND (? = 0 OR job = ?) ORDER BY job LIMIT 1"
    )
    found = db.execute(sql, (owner, micros(now), number, number)).fetchone()
    if found is None:
        return None
    until = micros(now + LEASE)
    db.execute("UPDATE jobs SET lease_until = ?, attempts = attempts + 1 WHERE job = ?", (until, found[0]))
    return Job(found[0], Scope(scope.tenant, scope.user), found[1], tuple(json.loads(found[2])), found[3] + 1, found[4])


def finish(db: sqlite3.Connection, job: Job) -> bool:
    """End the job; False when it had ended or was taken over."""
    sql = "DELETE FROM jobs WHERE job = ? AND attempts = ?"
    return db.execute(sql, (job.number, job.attempts)).rowcount == 1


def fail(db: sqlite3.Connection, job: Job, reason: str) -> None:
    """Give the job back with the reason."""
    sql = "UPDATE jobs SET lease_until = 0, reason = ? WHERE job = ? AND attempts = ?"
    db.execute(sql, (reason[:2000], job.number, job.attempts))


def pending(db: sqlite3.Connection, scope: Scope, owner: int) -> list[Job]:
    """Jobs not done, oldest first."""
    sql = "SELECT job, kind, rows, attempts, reason FROM jobs WHERE owner = ? ORDER BY job"
    bare = Scope(scope.tenant, scope.user)
    return [Job(job, bare, kind, tuple(json.loads(rows)), n, why) for job, kind, rows, n, why in db.execute(sql, (owner,))]


def drop_rows(db: sqlite3.Connection, owner: int, gone: set[int]) -> int:
    """Take erased rows out of pending jobs; returns how many jobs that ended."""
    ended = 0
    for number, text in db.execute("SELECT job, rows FROM jobs WHERE owner = ?", (owner,)).fetchall():
        rows = json.loads(text)
        kept = [row for row in rows if row not in gone]
        if not kept:
            db.execute("DELETE FROM jobs WHERE job = ?", (number,))
            ended += 1
        elif len(kept) < len(rows):
            db.execute("UPDATE jobs SET rows = ? WHERE job = ?", (json.dumps(kept), number))
    return ended
