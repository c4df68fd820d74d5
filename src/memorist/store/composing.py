"""Cubes that somebody composed of others: bundled, fused into one, or split. One transaction, with what it does to the
originals, which are linked to what took their place.

A composition holds as long as its parts do: when one is forgotten, archived or erased, what was made of it goes, and
what had been merged into that comes back.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from memorist.cube import SOURCE
from memorist.errors import EmbedderMismatch, StateError
from memorist.states import LIVING, Verb, unchangeable
from memorist.store import derived, life, reembedding
from memorist.store.living import ALIVE, among
from memorist.store.moments import micros
from memorist.store.protocol import Composition
from memorist.store.rows import fetch_in, next_revision


def compose(
    db: sqlite3.Connection,
    owner: int,
    headers: Sequence[Mapping[str, Any]],
    composition: Composition,
    now: datetime,
    kinds: Sequence[str],
) -> None:
    """Write the cubes of a composition. Raises StateError when an original cannot take part, or changed meanwhile."""
    if reembedding.identity_of(db) not in (None, composition.embedder):
        raise EmbedderMismatch("the store was re-embedded meanwhile; try again")
    rows = [int(header["row"]) for header in headers]
    for header, text in zip(headers, composition.texts):
        demand(db, header, text, composition.verb)
    members = parents(db, rows)
    if composition.verb is not None:
        life.move(db, owner, rows, composition.verb, now, kinds)
    revision = next_revision(db, owner)
    for cube in composition.cubes:
        again = "UPDATE cubes SET state = 'deleted' WHERE id = ? AND owner = ? AND state = 'archived'"
        db.execute(again, (cube.id, owner))
        row = derived.put(db, owner, replace(cube, members=members), now, revision)
        if not row:
            raise StateError(f"{cube.id} says the same and was put aside; activate it instead")
        given = composition.header
        sql = (
            "UPDATE cubes SET speaker = ?, semantic_type = ?, priority = ?, sensitivity = ?, expires_at = ?"
            " WHERE row = ?"
        )
        tags = json.dumps(list(given.sensitivity or ()), ensure_ascii=False)
        end = None if given.expires_at is None else micros(given.expires_at)
        db.execute(sql, (composition.speaker, given.semantic_type or "", given.priority or 0, tags, end, row))
        if composition.verb is not None:
            links = [(original, row, LINKS[composition.verb]) for original in rows]
            db.executemany("INSERT OR REPLACE INTO links VALUES (?, ?, ?, 1.0)", links)


LINKS: Mapping[Verb, str] = {"fuse": life.MERGED, "archive": life.SPLIT}


def demand(db: sqlite3.Connection, header: Mapping[str, Any], text: str, verb: Verb | None) -> None:
    """Raises StateError unless the cube is a current text that may take part, and still says this."""
    id, row = header["id"], int(header["row"])
    kind, said = db.execute("SELECT kind, text FROM cubes WHERE row = ?", (row,)).fetchone()
    if header["origin"] == life.WINDOWS or kind != "text":
        raise StateError(f"{id} is {'a window' if kind == 'text' else f'of the kind {kind}'}; compose texts")
    if header["superseded_at"] is not None:
        raise StateError(f"{id} was superseded; compose what holds now (see its history)")
    if verb is not None:
        life.demand(db, header, verb)
    elif header["state"] not in LIVING:
        raise unchangeable(id, header["state"], "be composed")
    if said != text:
        raise StateError(f"{id} was rewritten meanwhile; look at it and try again")


def parents(db: sqlite3.Connection, rows: Sequence[int]) -> tuple[int, ...]:
    """The episodes behind the rows: themselves, or what they were derived from."""
    own = fetch_in(db, "SELECT row FROM cubes WHERE origin = ? AND row IN ({})", rows, SOURCE)
    sql = "SELECT parent FROM lineage l JOIN cubes c ON c.row = l.child WHERE c.origin != ? AND child IN ({})"
    behind = fetch_in(db, sql, rows, SOURCE)
    return tuple(sorted({row for (row,) in own + behind}))


def undo(db: sqlite3.Connection, owner: int, row: int, now: datetime, kinds: Sequence[str]) -> None:
    """Archive what a composition made, and have its originals take their place again."""
    sql = "SELECT l.source, l.kind FROM links l WHERE l.target = ? AND l.kind IN (?, ?)"
    sources = db.execute(sql, (row, life.MERGED, life.SPLIT)).fetchall()
    made = [row]
    if any(kind == life.SPLIT for _, kind in sources):
        pieces = "SELECT target FROM links WHERE kind = ? AND source = ?"
        made = [piece for (piece,) in db.execute(pieces, (life.SPLIT, sources[0][0]))]
    held = life.held(db, made)
    if held:
        raise unchangeable(held[0], "frozen", "be undone")
    living = fetch_in(db, f"SELECT row FROM cubes WHERE {ALIVE} AND row IN ({{}})", made)
    life.move(db, owner, [one for (one,) in living], "archive", now, kinds)
    for kind, state, verb in ((life.MERGED, "merged", "unfuse"), (life.SPLIT, "archived", "activate")):
        wanted = [source for source, linked in sources if linked == kind]
        back = fetch_in(db, "SELECT row FROM cubes WHERE state = ? AND row IN ({})", wanted, state)
        if back:
            life.move(db, owner, [one for (one,) in back], verb, now, kinds)  # type: ignore[arg-type]


def parts(db: sqlite3.Connection, owner: int, ids: Sequence[str]) -> set[str]:
    """Those of the ids that a living composition rests on."""
    sql = (
        "SELECT DISTINCT p.id FROM cubes p JOIN lineage l ON l.parent = p.row JOIN cubes c ON c.row = l.child"
        f" WHERE +p.owner = ? AND c.origin = '{life.COMPOSED}' AND {among(LIVING, 'c.state')} AND p.id IN ({{}})"
    )
    return {id for (id,) in fetch_in(db, sql, ids, owner)}
