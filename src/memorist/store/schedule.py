"""What a user changed in the schedule of his memory, and when its entries were last done; their runs are jobs."""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime, timedelta

from memorist.store import jobs
from memorist.store.living import among
from memorist.store.moments import micros, moment, optional_moment
from memorist.store.protocol import Idle, Job, Scheduled

PREFIX = "schedule:"
"""What the kinds of its jobs begin with."""

COLUMNS = "name, every, enabled, options, ran_at, told"


def entries(db: sqlite3.Connection, owner: int) -> list[Scheduled]:
    """What is written down; other entries are as they come."""
    found = db.execute(f"SELECT {COLUMNS} FROM schedule WHERE owner = ? ORDER BY name", (owner,))
    return [
        Scheduled(name, timedelta(seconds=every), bool(enabled), json.loads(options), optional_moment(ran_at), told)
        for name, every, enabled, options, ran_at, told in found
    ]


def put(db: sqlite3.Connection, owner: int, entry: Scheduled) -> None:
    """Write an entry; when it ran is not changed."""
    sql = (
        "INSERT INTO schedule (owner, name, every, enabled, options) VALUES (?, ?, ?, ?, ?) ON CONFLICT (owner, name)"
        " DO UPDATE SET every = excluded.every, enabled = excluded.enabled, options = excluded.options"
    )
    values = (entry.every.total_seconds(), entry.enabled, json.dumps(dict(entry.options)))
    db.execute(sql, (owner, entry.name, *values))


def begin(db: sqlite3.Connection, owner: int, name: str) -> None:
    """Make a job of an entry, unless there is one already: waiting, running or dead."""
    kind = PREFIX + name
    if not db.execute("SELECT 1 FROM jobs WHERE owner = ? AND kind = ?", (owner, kind)).fetchone():
        jobs.create(db, owner, (kind,), ())


def finish(db: sqlite3.Connection, owner: int, entry: Scheduled, job: Job, now: datetime, told: str) -> bool:
    """End a job of an entry and write down that it ran; False when it is not the caller's any more."""
    if not jobs.held(db, job):
        return False
    sql = "INSERT OR IGNORE INTO schedule (owner, name, every, enabled, options) VALUES (?, ?, ?, ?, ?)"
    values = (entry.every.total_seconds(), entry.enabled, json.dumps(dict(entry.options)))
    db.execute(sql, (owner, entry.name, *values))
    sql = "UPDATE schedule SET ran_at = ?, told = ? WHERE owner = ? AND name = ?"
    db.execute(sql, (micros(now), told[:2000], owner, entry.name))
    jobs.finish(db, job)
    return True


def idle(db: sqlite3.Connection, owner: int, before: datetime, limit: int, after: int) -> list[Idle]:
    """Current episodes and compositions beyond the row `after` that were neither recorded nor recalled since."""
    sql = (
        "SELECT c.row, c.id, COALESCE(u.recalls, 0), MAX(c.recorded_at, COALESCE(u.last, 0)) idle_since"
        " FROM cubes c LEFT JOIN usage u ON u.row = c.row WHERE c.owner = ? AND c.row > ?"
        f" AND c.origin IN ('source', 'composed') AND {among(('activated',), 'c.state')} AND c.superseded_at IS NULL"
        " AND c.priority <= 0 AND MAX(c.recorded_at, COALESCE(u.last, 0)) < ? ORDER BY c.row LIMIT ?"
    )
    found = db.execute(sql, (owner, after, micros(before), limit))
    return [Idle(row, id, recalls, moment(since)) for row, id, recalls, since in found]
