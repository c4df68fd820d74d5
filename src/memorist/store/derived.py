"""Cubes that organisers derive: writing them with their lineage and links, hiding them, and reading what changed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import numpy as np

from memorist.errors import StateError
from memorist.states import CHANGEABLE, LIVING
from memorist.store import payloads
from memorist.store.living import ALIVE, REWRITABLE, among
from memorist.store.moments import micros, moment, optional_moment
from memorist.store.protocol import Changes, Derived, Kept, Mark, Organised, Unorganised
from memorist.store.rows import dimension_of, fetch_in

CURRENT = f"{ALIVE} AND superseded_at IS NULL"

NEIGHBOURS = "SELECT DISTINCT parent FROM lineage JOIN cubes c ON c.row = child WHERE c.kind = 'text' AND child IN ({})"
"""What rows were derived from. Of tensors it does not matter: they are made when somebody asks, not by looking anew."""


class Meta(Mapping[str, Any]):
    """Metadata that are parsed when first asked for: whoever reads many cubes needs those of few."""

    __slots__ = ("_parsed", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._parsed: dict[str, Any] | None = None

    @property
    def _found(self) -> dict[str, Any]:
        if self._parsed is None:
            self._parsed = json.loads(self._text)
        return self._parsed

    def __getitem__(self, key: str) -> Any:
        return self._found[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


def write(db: sqlite3.Connection, owner: int, organised: Organised, now: datetime, revision: int) -> None:
    """Upsert derived cubes, hide withdrawn ones. What lost a member meanwhile is left to whoever sees that change."""
    wanted = {row for cube in organised.cubes for row in cube.members}
    current = f"SELECT row FROM cubes WHERE +owner = ? AND {CURRENT} AND row IN ({{}})"
    alive = {row for (row,) in fetch_in(db, current, sorted(wanted), owner)}
    told = {cube.id: cube.text for cube in organised.cubes if cube.superseded_at is None}
    ids = [*(cube.id for cube in organised.cubes), *organised.withdrawn]
    before = fetch_in(db, "SELECT row, id, text FROM cubes WHERE +owner = ? AND id IN ({})", ids, owner)
    hide_tensors(db, [row for row, id, text in before if told.get(id) != text], revision)
    written: dict[int, Derived] = {}
    for cube in organised.cubes:  # one may come several times: each time is a version
        if alive.issuperset(cube.members) and (row := put(db, owner, cube, now, revision)):
            link(db, owner, row, cube)
            written[row] = cube
    for row, cube in written.items():  # again when all are there, as they may link to each other
        link(db, owner, row, cube)
    hide = f"UPDATE cubes SET state = 'deleted', revision = ? WHERE id = ? AND owner = ? AND {REWRITABLE}"
    db.executemany(hide, [(revision, id, owner) for id in organised.withdrawn])


def overtaken(db: sqlite3.Connection, owner: int, organised: Organised, since: int) -> bool:
    """Whether cubes of the origins about to be written changed after a revision."""
    sql = (
        "SELECT 1 FROM cubes WHERE owner = ? AND origin = ? AND revision > ? AND origin NOT IN ('source', 'windows')"
        " LIMIT 1"
    )
    origins = {cube.origin for cube in organised.cubes}
    return any(db.execute(sql, (owner, origin, since)).fetchone() for origin in origins)


def put(db: sqlite3.Connection, owner: int, cube: Derived, now: datetime, revision: int) -> int:
    """Insert or rewrite one derived cube, with its lineage; returns its row. One that was archived, merged, frozen or
    expired stays as it is, which returns 0."""
    meta = json.dumps(dict(cube.meta), ensure_ascii=False)
    clock = (
        micros(cube.at),
        micros(cube.valid_from),
        None if cube.valid_to is None else micros(cube.valid_to),
        micros(now if cube.recorded_at is None else cube.recorded_at),
        None if cube.superseded_at is None else micros(cube.superseded_at),
    )
    found = db.execute("SELECT row, state, text, meta FROM cubes WHERE id = ?", (cube.id,)).fetchone()
    members = np.array(cube.members, np.int64).tobytes()
    vector = None if cube.vector is None else cube.vector.astype(np.float16).tobytes()
    vectors = None if cube.vectors is None else cube.vectors.astype(np.float16).tobytes()
    features = (cube.tokens, members, cube.norm, vector, vectors, cube.data or None)
    if found is not None and found[1] not in (*CHANGEABLE, "deleted"):  # someone has decided about it
        return 0
    tensors = payloads.put(db, owner, payloads.of(cube)) if cube.kind != "text" else None
    if found is None:
        row = db.execute(
            "INSERT INTO cubes (id, owner, agent, session, kind, origin, state, trust, role, text, meta, times,"
            " position, at, valid_from, valid_to, recorded_at, superseded_at, revision, payload)"
            " VALUES (?, ?, ?, ?, ?, ?, 'activated', ?, 'derived', ?, ?, '[]', 0, ?, ?, ?, ?, ?, ?, ?)",
            (cube.id, owner, cube.agent, cube.session, cube.kind, cube.origin, cube.trust, cube.text, meta, *clock)
            + (revision, tensors),
        ).lastrowid
        sql = "INSERT INTO features (tokens, members, norm, vector, vectors, data, row) VALUES (?, ?, ?, ?, ?, ?, ?)"
        db.execute(sql, (*features, row))
    else:
        row, state, *said = found
        if cube.versioned and state in CHANGEABLE and said != [cube.text, meta]:
            keep_version(db, row, cube.id, clock[1], clock[3], revision)
        db.execute(
            "UPDATE cubes SET state = 'activated', aside = NULL, trust = ?, text = ?, meta = ?, at = ?, valid_from = ?,"
            " valid_to = ?, recorded_at = ?, superseded_at = ?, revision = ?, kind = ?, payload = ? WHERE row = ?",
            (cube.trust, cube.text, meta, *clock, revision, cube.kind, tensors, row),
        )
        sql = "UPDATE features SET tokens = ?, members = ?, norm = ?, vector = ?, vectors = ?, data = ? WHERE row = ?"
        db.execute(sql, (*features, row))
        db.execute("DELETE FROM lineage WHERE child = ?", (row,))
        db.execute("DELETE FROM links WHERE source = ?", (row,))
    db.executemany("INSERT INTO lineage VALUES (?, ?)", [(row, member) for member in dict.fromkeys(cube.members)])
    return int(row or 0)


COPIED = (
    *("owner", "agent", "session", "kind", "origin", "state", "trust", "role", "speaker", "source", "text", "meta"),
    *("times", "at", "position", "valid_from", "recorded_at", "replaces", "payload"),
)
"""What an earlier version has of the cube as it was."""


def keep_version(db: sqlite3.Connection, row: int, id: str, at: int, known: int, revision: int) -> None:
    """Copy a cube, its lineage and its links to a row that ends `at` (as is `known` since), and that it replaces."""
    names = ", ".join(COPIED)
    (before,) = db.execute("SELECT COUNT(*) FROM cubes WHERE id > ? AND id < ?", (f"{id}.", f"{id}/")).fetchone()
    copy = db.execute(
        f"INSERT INTO cubes (id, {names}, valid_to, superseded_at, revision)"
        f" SELECT ?, {names}, MAX(valid_from, ?), MAX(recorded_at, ?), ? FROM cubes WHERE row = ?",
        (f"{id}.{before + 1}", at, known, revision, row),
    ).lastrowid
    copy_features(db, row, int(copy or 0))
    db.execute("UPDATE cubes SET replaces = ? WHERE row = ?", (copy, row))


def copy_features(db: sqlite3.Connection, source: int, target: int) -> None:
    """Features, lineage and links of one cube as those of another."""
    for table, key in (("features", "row"), ("lineage", "child"), ("links", "source")):
        db.execute(f"DELETE FROM {table} WHERE {key} = ?", (target,))
    names = "tokens, terms, vector, members, norm, vectors, data"
    features = f"INSERT INTO features (row, {names}) SELECT ?, {names} FROM features WHERE row = ?"
    db.execute(features, (target, source))
    db.execute("INSERT INTO lineage SELECT ?, parent FROM lineage WHERE child = ?", (target, source))
    db.execute("INSERT INTO links SELECT ?, target, kind, weight FROM links WHERE source = ?", (target, source))


def undo(db: sqlite3.Connection, owner: int, row: int, now: datetime, revision: int) -> None:
    """Open a cube that was closed; give another what its version before had, as a new version; hide one that has none,
    which is then never written again."""
    sql = "SELECT id, replaces, superseded_at FROM cubes WHERE row = ?"
    id, before, superseded = db.execute(sql, (row,)).fetchone()
    replaced = db.execute("SELECT id FROM cubes WHERE replaces = ? AND aside IS NULL", (row,)).fetchone()
    if replaced:
        raise StateError(f"{id} is an earlier version; undo {replaced[0]}")
    if superseded is not None:
        db.execute(
            "UPDATE cubes SET valid_to = NULL, superseded_at = NULL, revision = ? WHERE row = ?", (revision, row)
        )
    elif before is None:
        db.execute("UPDATE cubes SET state = 'archived', revision = ? WHERE row = ?", (revision, row))
    else:
        keep_version(db, row, id, micros(now), micros(now), revision)
        taken = "text, meta, trust, at, payload"
        db.execute(
            f"UPDATE cubes SET ({taken}) = (SELECT {taken} FROM cubes WHERE row = ?), valid_from = ?, recorded_at = ?,"
            " revision = ? WHERE row = ?",
            (before, micros(now), micros(now), revision, row),
        )
        copy_features(db, before, row)
    db.execute("INSERT INTO events (row, at, what) VALUES (?, ?, 'undone')", (row, micros(now)))


def link(db: sqlite3.Connection, owner: int, row: int, cube: Derived) -> None:
    """Write the links of a cube; a target that is gone has none."""
    sql = "INSERT OR REPLACE INTO links SELECT ?, row, ?, ? FROM cubes WHERE id = ? AND owner = ?"
    db.executemany(sql, [(row, one.kind, one.weight, one.target, owner) for one in cube.links])


def close_over(db: sqlite3.Connection, rows: Iterable[int], revision: int) -> list[int]:
    """Hide the derived cubes that rest on the rows, and what rests on those; returns the rows of their other members.

    These count as changed, so that every organiser looks at them anew.
    """
    closed = set(rows)
    children: set[int] = set()
    fresh = sorted(closed)
    while fresh:
        found = fetch_in(db, "SELECT DISTINCT child FROM lineage WHERE parent IN ({})", fresh)
        fresh = sorted({child for (child,) in found} - children)
        children.update(fresh)
    hide = f"UPDATE cubes SET state = 'deleted', revision = ? WHERE row = ? AND {REWRITABLE}"
    db.executemany(hide, [(revision, child) for child in sorted(children)])
    members = fetch_in(db, NEIGHBOURS, sorted(children))
    touched = sorted({row for (row,) in members} - closed - children)
    changed(db, touched, revision)
    return touched


def hide_tensors(db: sqlite3.Connection, rows: Iterable[int], revision: int) -> None:
    """Hide the tensors made of rows that will say something else, or nothing: unlike texts nobody makes them anew."""
    sql = "SELECT child FROM lineage JOIN cubes c ON c.row = child WHERE c.kind != 'text' AND parent IN ({})"
    children = fetch_in(db, sql, sorted(rows))
    hide = f"UPDATE cubes SET state = 'deleted', revision = ? WHERE row = ? AND {REWRITABLE}"
    db.executemany(hide, [(revision, child) for (child,) in children])


def changed(db: sqlite3.Connection, rows: Iterable[int], revision: int) -> None:
    """Have every organiser look at these rows anew."""
    db.executemany("UPDATE cubes SET revision = ? WHERE row = ?", [(revision, row) for row in rows])


def unorganised(db: sqlite3.Connection, owner: int, organiser: str, limit: int) -> Unorganised:
    """Episodes that changed since the organiser's mark, oldest change first."""
    since = mark_of(db, owner, organiser)
    sql = (
        "SELECT revision, row FROM cubes INDEXED BY cubes_said WHERE owner = ? AND (revision, row) > (?, ?)"
        " AND origin = 'source' AND kind = 'text' AND aside IS NULL ORDER BY revision, row LIMIT ?"
    )
    found = db.execute(sql, (owner, since.revision, since.row, limit)).fetchall()
    known = db.execute("SELECT revision FROM owners WHERE owner = ?", (owner,)).fetchone()
    upto = Mark(*found[-1]) if found else since
    rows = tuple(row for _, row in found)
    return Unorganised(rows, since, upto, epoch_of(db, owner), known[0] if known else 0)


def epoch_of(db: sqlite3.Connection, owner: int) -> int:
    """Counts up when an owner's rows vanish or its vectors become another embedder's."""
    found = db.execute("SELECT epoch FROM owners WHERE owner = ?", (owner,)).fetchone()
    return int(found[0]) if found else 0


def mark_of(db: sqlite3.Connection, owner: int, organiser: str) -> Mark:
    """How far an organiser has come."""
    sql = "SELECT revision, row FROM marks WHERE owner = ? AND organiser = ?"
    found = db.execute(sql, (owner, organiser)).fetchone()
    return Mark(*found) if found else Mark()


def move_mark(db: sqlite3.Connection, owner: int, organiser: str, mark: Mark) -> None:
    """Remember how far an organiser has come."""
    db.execute("INSERT OR REPLACE INTO marks VALUES (?, ?, ?, ?)", (owner, organiser, mark.revision, mark.row))


def changes(db: sqlite3.Connection, owner: int, origin: str, since: int) -> Changes:
    """Derived cubes of an origin that changed after a revision, by rising row."""
    found = db.execute("SELECT revision, epoch FROM owners WHERE owner = ?", (owner,)).fetchone()
    revision, epoch = found if found else (0, 0)
    sql = (  # rows are sorted before anything else of them is read; the last condition is that of the index
        f"SELECT c.row, c.id, c.text, c.meta, f.members, f.vector, {ALIVE} AND c.superseded_at IS NULL,"
        " f.vectors, f.data, c.session, c.agent, c.trust, c.at, f.tokens, c.state, c.valid_from, c.valid_to,"
        " c.recorded_at, c.superseded_at FROM (SELECT row FROM cubes WHERE owner = ? AND origin = ? AND revision > ?"
        " AND origin NOT IN ('source', 'windows') AND aside IS NULL ORDER BY row LIMIT -1) r"
        " CROSS JOIN cubes c ON c.row = r.row CROSS JOIN features f ON f.row = r.row /*+ ORDER BY r.row */"
    )
    rows = db.execute(sql, (owner, origin, since)) if revision > since else ()
    dimension = dimension_of(db)
    return Changes(tuple(kept_of(dimension, *row) for row in rows), revision, epoch)


def kept_of(
    dimension: int,
    row: int,
    id: str,
    text: str,
    meta: str,
    members: bytes,
    vector: bytes | None,
    active: int,
    vectors: bytes | None,
    data: bytes | None,
    *rest: Any,
) -> Kept:
    """A derived cube from what the tables hold."""
    session, agent, trust, at, tokens, state, valid_from, valid_to, recorded_at, superseded_at = rest
    return Kept(
        row=row,
        id=id,
        text=text,
        meta=Meta(meta),
        members=np.frombuffer(members, np.int64),
        vector=None if vector is None else np.frombuffer(vector, np.float16).astype(np.float32),
        active=bool(active),
        session=session,
        agent=agent,
        trust=trust,
        at=moment(at),
        tokens=tokens,
        vectors=np.frombuffer(vectors or b"", np.float16).reshape(-1, dimension),
        data=data or b"",
        state=state,
        valid_from=moment(valid_from),
        valid_to=optional_moment(valid_to),
        recorded_at=moment(recorded_at),
        superseded_at=optional_moment(superseded_at),
    )


def links(db: sqlite3.Connection, owner: int, kind: str) -> list[tuple[int, int, float]]:
    """Links of a kind between active cubes of an owner."""
    sql = (
        "SELECT l.source, l.target, l.weight FROM links l JOIN cubes s ON s.row = l.source"
        f" JOIN cubes t ON t.row = l.target WHERE l.kind = ? AND s.owner = ? AND {among(LIVING, 's.state')}"
        f" AND {among(LIVING, 't.state')} AND s.superseded_at IS NULL AND t.superseded_at IS NULL"
        " ORDER BY l.source, l.target"
    )
    return db.execute(sql, (kind, owner)).fetchall()
