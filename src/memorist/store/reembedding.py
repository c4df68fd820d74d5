"""Vectors of another embedder, made beside those in use until all are there and take their place at once.

What runs stands in `meta`, the new vectors in `beside`; a vector that is written anew in the meantime takes the one
beside it away (a trigger of the schema), so what lies there is always of what the cube says now.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime

import numpy as np
import numpy.typing as npt

from memorist.errors import InputError, StateError
from memorist.models.embedder import Identity, Vectors
from memorist.store.living import REWRITABLE
from memorist.store.moments import micros, moment
from memorist.store.protocol import Passage, Reembedding, Rows
from memorist.store.scoped import alone, each_tenant, enter

# Windows have no vector of their own; those of an odd length are their organiser's own, and it makes them again.
OF_TEXT = "f.vector IS NOT NULL AND length(f.vector) = :size"
LACKING = f"{OF_TEXT} AND NOT EXISTS (SELECT 1 FROM beside b WHERE b.row = f.row)"
BATCH = 10_000


def identity_of(db: sqlite3.Connection) -> Identity | None:
    """Whose vectors are in use."""
    found = db.execute("SELECT value FROM meta WHERE name = 'embedder'").fetchone()
    return Identity(**json.loads(found[0])) if found else None


def size_of(db: sqlite3.Connection) -> int:
    """Bytes of a vector in use."""
    found = identity_of(db)
    return 2 * found.dimension if found else 0


def target(db: sqlite3.Connection) -> tuple[Identity, datetime] | None:
    """The embedder whose vectors are being made, and since when."""
    found = db.execute("SELECT value FROM meta WHERE name = 'reembedding'").fetchone()
    if not found:
        return None
    said = json.loads(found[0])
    return Identity(**said["identity"]), moment(said["began"])


def demand(db: sqlite3.Connection, identity: Identity) -> None:
    """Raises StateError unless vectors of this embedder are being made."""
    running = target(db)
    if running is None or running[0] != identity:
        raise StateError(f"no re-embedding with {identity.name} is going on any more: it was cancelled or has ended")


def begin(db: sqlite3.Connection, identity: Identity, now: datetime) -> None:
    """Begin, or go on with what was begun. Raises StateError when another embedder's vectors are being made."""
    alone(db)
    running = target(db)
    if running and running[0] != identity:
        raise StateError(
            f"a re-embedding with {running[0].name} is going on; finish it, or end it with: memorist reembed --cancel"
        )
    if identity_of(db) in (None, identity):
        raise StateError(f"the store's vectors are those of {identity.name} already; there is nothing to do")
    if not running:
        said = {"identity": asdict(identity), "began": micros(now)}
        db.execute("INSERT INTO meta VALUES ('reembedding', ?)", (json.dumps(said),))


def progress(db: sqlite3.Connection) -> Reembedding | None:
    """How far it is."""
    running = target(db)
    if running is None:
        return None
    (total,) = db.execute(f"SELECT COUNT(*) FROM features f WHERE {OF_TEXT}", {"size": size_of(db)}).fetchone()
    (done,) = db.execute("SELECT COUNT(*) FROM beside").fetchone()
    return Reembedding(running[0], running[1], done, total)


def passages(db: sqlite3.Connection, after: int, limit: int) -> list[Passage]:
    """Cubes beyond a row that lack a vector beside; none when none are being made."""
    if target(db) is None:
        return []
    sql = (
        "SELECT f.row, c.revision, c.origin = 'source', c.speaker, c.text, c.at, o.tenant FROM features f"
        " JOIN cubes c ON c.row = f.row JOIN owners o ON o.owner = c.owner"
        f" WHERE f.row > :after AND {LACKING} ORDER BY f.row LIMIT :limit"
    )
    found = db.execute(sql, {"after": after, "limit": limit, "size": size_of(db)})
    return [
        Passage(row, seen, bool(said), who, text, moment(at), tenant)
        for row, seen, said, who, text, at, tenant in found
    ]


def put(db: sqlite3.Connection, identity: Identity, vectors: Mapping[Passage, Vectors]) -> None:
    """Keep vectors, but of what was erased or changed since it was read."""
    alone(db)
    demand(db, identity)
    for passage, vector in vectors.items():
        if vector.shape != (identity.dimension,) or not np.isfinite(vector).all():
            raise InputError(f"{identity.name} gave no finite vector of {identity.dimension} numbers")
        enter(db, passage.tenant)
        db.execute(
            "INSERT OR REPLACE INTO beside SELECT row, ? FROM cubes WHERE row = ? AND revision = ?",
            (vector.astype(np.float16).tobytes(), passage.row, passage.revision),
        )


def finish(db: sqlite3.Connection, identity: Identity, anew: Sequence[str]) -> bool:
    """Put the new vectors in place; False while some are lacking."""
    alone(db)
    demand(db, identity)
    size = {"size": size_of(db)}
    if db.execute(f"SELECT 1 FROM features f WHERE {LACKING} LIMIT 1", size).fetchone():
        return False
    for _ in each_tenant(db):
        hide_own(db, anew, size)
        measure_windows(db, identity.dimension)
        db.execute(
            "UPDATE features SET vector = (SELECT b.vector FROM beside b WHERE b.row = features.row)"
            " WHERE row IN (SELECT row FROM beside)"
        )
        # Caches are of the old vectors, and so is what is being made of running jobs: both begin anew.
        db.execute("UPDATE owners SET epoch = epoch + 1, revision = revision + 1")
        db.execute("UPDATE jobs SET lease_until = 0, attempts = attempts + 1")
    db.execute("UPDATE meta SET value = ? WHERE name = 'embedder'", (json.dumps(asdict(identity)),))
    cancel(db)
    return True


def hide_own(db: sqlite3.Connection, anew: Sequence[str], size: Mapping[str, int]) -> None:
    """Hide cubes whose vectors are not those of their texts, and have their organisers look at everything again."""
    own = "SELECT c.row FROM cubes c JOIN features f ON f.row = c.row WHERE f.vector IS NOT NULL"
    listed = {"anew": json.dumps(list(anew)), **size}
    odd = "(c.origin IN (SELECT value FROM json_each(:anew)) OR length(f.vector) != :size)"
    rows = db.execute(f"{own} AND c.origin != 'source' AND {odd}", listed).fetchall()
    db.executemany(
        "DELETE FROM marks WHERE (owner, organiser) IN (SELECT owner, origin FROM cubes WHERE row = ?)", rows
    )
    db.execute("DELETE FROM marks WHERE organiser IN (SELECT value FROM json_each(?))", (listed["anew"],))
    db.executemany(f"UPDATE cubes SET state = 'deleted' WHERE row = ? AND {REWRITABLE}", rows)
    db.executemany("UPDATE features SET vector = NULL WHERE row = ?", rows)


def measure_windows(db: sqlite3.Connection, dimension: int) -> None:
    """The lengths of the windows' summed vectors, an owner at a time."""
    for (owner,) in db.execute("SELECT owner FROM owners").fetchall():
        of_owner = "FROM cubes c JOIN features f ON f.row = c.row WHERE +c.owner = ?"
        sql = "SELECT c.row, b.vector FROM cubes c JOIN beside b ON b.row = c.row WHERE c.owner = ? ORDER BY c.row"
        found = db.execute(sql, (owner,)).fetchall()
        rows = np.array([row for row, _ in found], np.int64)
        vectors = np.frombuffer(b"".join(blob for _, blob in found), np.float16).reshape(-1, dimension)
        windows = db.execute(f"SELECT c.row, f.members {of_owner} AND c.origin = 'windows'", (owner,))
        while batch := windows.fetchmany(BATCH):
            norms = [(norm_of(rows, vectors, members), row) for row, members in batch]
            db.executemany("UPDATE features SET norm = ? WHERE row = ?", norms)


def norm_of(rows: Rows, vectors: npt.NDArray[np.float16], members: bytes) -> float:
    """The length of the sum of the members' vectors; those that have none yet add nothing."""
    wanted = np.frombuffer(members, np.int64)
    places = np.searchsorted(rows, wanted)
    inside = places < len(rows)
    places = places[inside][rows[places[inside]] == wanted[inside]]
    if not len(places):
        return 0.0
    return float(np.linalg.norm(np.sum(list(vectors[places].astype(np.float32)), axis=0)))


def cancel(db: sqlite3.Connection) -> None:
    """Drop what was made beside."""
    alone(db)
    db.execute("DELETE FROM beside")
    db.execute("DELETE FROM meta WHERE name = 'reembedding'")
