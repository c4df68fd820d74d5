"""Between rows of the `cubes` table and the nouns of the API."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from memorist.cube import Cube, Scope, TimeSpan
from memorist.store.moments import micros, moment, optional_moment

HEADER = (
    "row, id, agent, session, kind, origin, state, trust, role, speaker, source, text, meta, times, at, valid_from,"
    " valid_to, recorded_at, superseded_at, semantic_type, COALESCE(updated_at, recorded_at), expires_at, priority,"
    " sensitivity, (SELECT recalls FROM usage u WHERE u.row = cubes.row),"
    " (SELECT last FROM usage u WHERE u.row = cubes.row), payload"
)


def dump_times(times: Iterable[TimeSpan]) -> str:
    """Time spans as JSON: [[words, start, end], …] in microseconds."""
    return json.dumps([[span.words, micros(span.start), micros(span.end)] for span in times])


def load_times(text: str) -> tuple[TimeSpan, ...]:
    """The inverse of `dump_times`."""
    if text == "[]":
        return ()
    return tuple(TimeSpan(words, moment(start), moment(end)) for words, start, end in json.loads(text))


def span_bounds(text: str) -> list[tuple[int, int]]:
    """Only the bounds, in microseconds."""
    return [(start, end) for _, start, end in json.loads(text)]


def cube_of(row: Sequence[Any], scope: Scope, episodes: tuple[str, ...]) -> Cube:
    """A cube from a row of HEADER; the scope gives tenant and user."""
    (_, id, agent, session, kind, origin, state, trust, role, speaker, source, text, meta, times, *more) = row
    at, valid_from, valid_to, recorded_at, superseded_at, semantic, updated_at, expires_at, *more = more
    priority, sensitivity, recalls, recalled_at, payload = more
    return Cube(
        id=id,
        scope=scope_of(scope.tenant, scope.user, agent, session),
        text=text,
        origin=origin,
        kind=kind,
        state=state,
        trust=trust,
        role=role,
        speaker=speaker,
        source=source,
        at=moment(at),
        valid_from=moment(valid_from),
        valid_to=optional_moment(valid_to),
        recorded_at=moment(recorded_at),
        superseded_at=optional_moment(superseded_at),
        times=load_times(times),
        meta={} if meta == "{}" else json.loads(meta),
        episodes=episodes or (id,),
        semantic_type=semantic,
        updated_at=moment(updated_at),
        expires_at=optional_moment(expires_at),
        priority=priority,
        sensitivity=() if sensitivity == "[]" else tuple(json.loads(sensitivity)),
        recalls=recalls or 0,
        recalled_at=optional_moment(recalled_at),
        payload=payload,
    )


def next_row(db: sqlite3.Connection) -> int:
    """A row above all that ever were: rows rise in the order of arrival."""
    found = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'cubes'").fetchone()
    return int(found[0]) + 1 if found else 1


def owner_of(db: sqlite3.Connection, scope: Scope, *, create: bool) -> int:
    """The number of (tenant, user); 0, which owns nothing, when it is not known and not to be created."""
    key = (scope.tenant, scope.user)
    found = db.execute("SELECT owner FROM owners WHERE tenant = ? AND user = ?", key).fetchone()
    if found:
        return int(found[0])
    if not create:
        return 0
    return int(db.execute("INSERT INTO owners (tenant, user) VALUES (?, ?)", key).lastrowid or 0)


def next_revision(db: sqlite3.Connection, owner: int) -> int:
    """The revision of the changes of this transaction."""
    sql = "UPDATE owners SET revision = revision + 1 WHERE owner = ? RETURNING revision"
    found = db.execute(sql, (owner,)).fetchall()
    return int(found[0][0]) if found else 0


def next_rows(db: sqlite3.Connection, count: int) -> Sequence[int]:
    """Rows above all that ever were: an owner's rise in the order of arrival. Those not used may be given again."""
    if not isinstance(db, sqlite3.Connection):
        return db.numbers("cubes", count)
    found = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'cubes'").fetchone()
    first = int(found[0]) + 1 if found else 1
    return range(first, first + count)


@lru_cache(maxsize=4096)
def scope_of(tenant: str, user: str, agent: str, session: str) -> Scope:
    """A scope; the cubes of a session share one."""
    return Scope(tenant, user, agent, session)


def in_chunks(values: Sequence[Any], size: int = 500) -> Iterable[Sequence[Any]]:
    """Slices small enough for one statement's parameters."""
    return (values[start : start + size] for start in range(0, len(values), size))


def fetch_in(db: sqlite3.Connection, sql: str, values: Sequence[Any], *before: Any) -> list[Any]:
    """All rows of `sql`, whose `{}` is filled with a placeholder for each value."""
    found: list[Any] = []
    for chunk in in_chunks(values):
        if isinstance(db, sqlite3.Connection):
            found += db.execute(sql.format(", ".join("?" * len(chunk))), (*before, *chunk)).fetchall()
        else:  # one array, so that the statement is planned once
            found += db.execute(sql, (*before, list(chunk))).fetchall()
    return found


def dimension_of(db: sqlite3.Connection) -> int:
    """The dimension of the store's vectors; 0 before an embedder is bound."""
    found = db.execute("SELECT value FROM meta WHERE name = 'embedder'").fetchone()
    return int(json.loads(found[0])["dimension"]) if found else 0
