"""The store as a stream of plain records, and back: for export, import and moving between stores."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, get_args

import numpy as np

from memorist.cube import SOURCE, Kind, Role, Scope, Trust
from memorist.errors import InputError
from memorist.sources.message import check_text, flat
from memorist.states import State
from memorist.store import composed_records, extractions, jobs, replies, tensor_records
from memorist.store.header import check_header
from memorist.store.moments import moment
from memorist.store.rows import next_rows
from memorist.store.scoped import each_tenant, enter, owner_of, stream

CUBE = (
    *("id", "agent", "session", "kind", "origin", "state", "trust", "role", "speaker", "source", "text", "meta"),
    *("times", "at", "valid_from", "valid_to", "recorded_at", "superseded_at"),
)
LATER = ("semantic_type", "updated_at", "expires_at", "priority", "sensitivity")
"""Fields of the header that archives of version 1 lack."""

NAMES: Mapping[str, State] = {"active": "activated", "forgotten": "deleted"}
"""What archives of version 1 call states."""

FEATURES = ("tokens", "terms", "vector")

WORDS: Mapping[str, tuple[str, ...]] = {
    "kind": get_args(Kind)[:1],
    "origin": (SOURCE,),
    "state": get_args(State),
    "trust": get_args(Trust),
    "role": get_args(Role),
}
"""What an episode's header may say."""


def dump(db: sqlite3.Connection, owner: int | None = None) -> Iterator[dict[str, Any]]:
    """The embedder, each episode in order of arrival, what was read in and made of them, cubes that are not text, the
    reply log. Other derived cubes are not dumped: they are rebuilt. With an `owner`, only its own, without the logs.

    Times are microseconds since 1970 UTC, vectors base64 of float16.
    """
    found = db.execute("SELECT value FROM meta WHERE name = 'embedder'").fetchone()
    yield {"record": "embedder", "identity": json.loads(found[0]) if found else None}
    if owner is not None:
        yield from dump_cubes(db, owner)
        return
    for _ in each_tenant(db):
        yield from dump_cubes(db, None)
        yield from extractions.dump(db)
        yield from replies.dump(db)


def dump_cubes(db: sqlite3.Connection, owner: int | None) -> Iterator[dict[str, Any]]:
    """What nobody can derive again, of an owner or of all."""
    yield from dump_episodes(db, owner)
    yield from composed_records.dump(db, owner)
    yield from tensor_records.dump(db, owner)


def dump_episodes(db: sqlite3.Connection, owner: int | None) -> Iterator[dict[str, Any]]:
    """Each episode in order of arrival."""
    columns = ", ".join(f"c.{name}" for name in CUBE + LATER)
    features = ", ".join(f"f.{name}" for name in FEATURES)
    sql = (
        f"SELECT o.tenant, o.user, (SELECT id FROM cubes r WHERE r.row = c.replaces), c.row, {columns}, {features}"
        " FROM cubes c JOIN owners o USING (owner) JOIN features f ON f.row = c.row"
        " WHERE c.origin = 'source' AND c.aside IS NULL AND (? IS NULL OR c.owner = ?) ORDER BY c.row"
    )
    for tenant, user, replaces, row, *values in stream(db, sql, (owner, owner)):
        record = {"record": "episode", "tenant": tenant, "user": user, "replaces": replaces}
        record |= dict(zip(CUBE + LATER, values))
        for name in ("meta", "times", "sensitivity"):
            record[name] = json.loads(record[name])
        tokens, terms, vector = values[len(CUBE + LATER) :]
        record |= {"tokens": tokens, "terms": base64.b64encode(terms).decode()}
        record["vector"] = None if vector is None else base64.b64encode(vector).decode()
        happened = db.execute("SELECT at, what FROM events WHERE row = ? ORDER BY event", (row,)).fetchall()
        record["events"] = [list(event) for event in happened]
        yield record


def restore(db: sqlite3.Connection, records: Iterable[Mapping[str, Any]], kinds: Sequence[str]) -> int:
    """Insert episodes that are not there and have the rest rebuilt; vectors are kept when the embedder is the same."""
    mine = db.execute("SELECT value FROM meta WHERE name = 'embedder'").fetchone()
    dimension = json.loads(mine[0])["dimension"] if mine else 0
    same, new = False, 0
    touched: dict[tuple[str, int], list[int]] = {}
    tensors = tensor_records.Restoring(db)
    for number, record in enumerate(records, 1):
        try:
            if record["record"] == "embedder":
                same = bool(mine) and record["identity"] == json.loads(mine[0])
            elif record["record"] == "episode":
                record = current(record)
                inspect(record, dimension if same else 0)
                owner, row = insert(db, record, same)
                if row:
                    touched.setdefault((record["tenant"], owner), []).append(row)
                    new += 1
            elif record["record"] == "extraction":
                extractions.restore(db, record)
            elif record["record"] == "composed":
                new += composed_records.restore(db, record, dimension if same else 0)
            elif record["record"] == "part":
                tensors.part(record)
            elif record["record"] == "cube":
                tensors.cube(record)
            elif record["record"] == "reply":
                replies.restore(db, record)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            what = f"{type(error).__name__}: {error}"
            raise InputError(f"record {number} of the archive is broken ({what}); nothing was imported") from error
    for (tenant, owner), rows in touched.items():
        enter(db, tenant)
        for start in range(0, len(rows), 512):
            jobs.create(db, owner, kinds, rows[start : start + 512])
    return new


def current(record: Mapping[str, Any]) -> dict[str, Any]:
    """An episode of an older archive as one of now."""
    header: dict[str, Any] = {
        "semantic_type": "",
        "updated_at": None,
        "expires_at": None,
        "priority": 0,
        "sensitivity": [],
    }
    state = record["state"]
    return header | dict(record) | {"state": NAMES.get(state, state) if isinstance(state, str) else state}


def inspect(record: Mapping[str, Any], dimension: int) -> None:
    """Raises when a record could not have been dumped. Without a `dimension` its vector does not matter."""
    Scope(record["tenant"], record["user"], record["agent"], record["session"])
    for name in ("id", "text"):
        demand(isinstance(record[name], str) and bool(record[name]), name)
    for name in ("speaker", "source", "replaces"):
        demand(record[name] is None or isinstance(record[name], str), name)
    for name, words in WORDS.items():
        demand(record[name] in words, name)
    for name in ("at", "valid_from", "recorded_at"):
        moment(record[name])
    for begin, end in (("valid_from", "valid_to"), ("recorded_at", "superseded_at")):
        demand(record[end] is None or moment(record[end]) >= moment(record[begin]), end)
    for name in ("updated_at", "expires_at"):
        demand(record[name] is None or moment(record[name]) is not None, name)
    check_header(record["semantic_type"], record["priority"], record["sensitivity"])
    for words, start, end in record["times"]:
        demand(isinstance(words, str) and moment(start) <= moment(end), "times")
    flat(record["meta"])
    check_text(record["text"], "its text")
    demand(0 <= record["tokens"] == int(record["tokens"]), "tokens")
    demand(len(base64.b64decode(record["terms"])) % 5 == 0, "terms")
    if dimension and record["vector"] is not None:
        vector = np.frombuffer(base64.b64decode(record["vector"]), np.float16)
        demand(len(vector) == dimension and bool(np.isfinite(vector).all()), "vector")
    for at, what in record["events"]:
        demand(isinstance(what, str) and moment(at) is not None, "events")


def demand(holds: bool, name: str) -> None:
    """Raises ValueError naming the field."""
    if not holds:
        raise ValueError(f"its {name} cannot be")


def insert(db: sqlite3.Connection, record: Mapping[str, Any], with_vector: bool) -> tuple[int, int]:
    """One episode; the row is 0 when its id is there already."""
    owner = owner_of(db, Scope(record["tenant"], record["user"]), create=True)
    sql = "UPDATE owners SET revision = revision + 1 WHERE owner = ? RETURNING revision"
    ((revision,),) = db.execute(sql, (owner,)).fetchall()
    if db.execute("SELECT 1 FROM cubes WHERE id = ?", (record["id"],)).fetchone():
        return owner, 0
    (row,) = next_rows(db, 1)
    replaced, position = None, row
    if record["replaces"] is not None:
        sql = "SELECT row, position FROM cubes WHERE id = ? AND owner = ?"
        found = db.execute(sql, (record["replaces"], owner)).fetchone()
        replaced, position = found if found else (None, row)
    header: dict[str, Any] = {name: record[name] for name in CUBE + LATER}
    for name in ("meta", "times", "sensitivity"):
        header[name] = json.dumps(header[name], ensure_ascii=False)
    names = ", ".join(header)
    db.execute(
        f"INSERT INTO cubes (row, owner, position, replaces, revision, {names})"
        f" VALUES (?, ?, ?, ?, ?{', ?' * len(header)})",
        (row, owner, position, replaced, revision, *header.values()),
    )
    vector = base64.b64decode(record["vector"]) if with_vector and record["vector"] else None
    terms = base64.b64decode(record["terms"])
    db.execute(
        "INSERT INTO features (row, tokens, terms, vector) VALUES (?, ?, ?, ?)", (row, record["tokens"], terms, vector)
    )
    for at, what in record["events"]:
        db.execute("INSERT INTO events (row, at, what) VALUES (?, ?, ?)", (row, int(at), str(what)))
    return owner, row
