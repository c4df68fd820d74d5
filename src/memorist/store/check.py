"""Is the store as it should be?"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from memorist.states import LIVING
from memorist.store import audit, payloads
from memorist.store.erasure import unfinished
from memorist.store.freespace import dirty_pages
from memorist.store.living import ALIVE, among
from memorist.store.reembedding import target
from memorist.store.scoped import each_tenant

QUERIES = (
    (
        "episode {} has no features",
        "SELECT id FROM cubes c WHERE NOT EXISTS (SELECT 1 FROM features f WHERE f.row = c.row)",
    ),
    (
        "episode {} has neither a vector nor a job that will make one",
        "SELECT c.id FROM cubes c JOIN features f ON f.row = c.row WHERE c.origin = 'source' AND c.kind = 'text'"
        f" AND f.vector IS NULL AND {ALIVE} AND c.superseded_at IS NULL AND NOT EXISTS"
        " (SELECT 1 FROM jobs j, json_each(j.rows) e WHERE j.owner = c.owner AND j.kind = 'index'"
        " AND CAST(e.value AS BIGINT) = c.row)",
    ),
    (
        "cube {} is derived but rests on nothing",
        "SELECT id FROM cubes c WHERE origin != 'source' AND NOT EXISTS"
        " (SELECT 1 FROM lineage l WHERE l.child = c.row)",
    ),
    (
        "cube {} rests on an episode of another owner",
        "SELECT c.id FROM lineage l JOIN cubes c ON c.row = l.child JOIN cubes p ON p.row = l.parent"
        " WHERE p.owner != c.owner",
    ),
    (
        "window {} shows an episode that is not living or superseded, and no job will mend it",
        "SELECT c.id FROM lineage l JOIN cubes c ON c.row = l.child JOIN cubes p ON p.row = l.parent"
        f" WHERE {among(LIVING, 'c.state')} AND c.origin = 'windows'"
        f" AND (NOT {among(LIVING, 'p.state')} OR p.superseded_at IS NOT NULL)"
        " AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.owner = c.owner AND j.kind = 'index')",
    ),
    (
        "cube {} ends before it begins",
        "SELECT id FROM cubes WHERE valid_to < valid_from OR superseded_at < recorded_at",
    ),
    (
        "cube {} has a revision beyond its owner's",
        "SELECT c.id FROM cubes c JOIN owners o USING (owner) WHERE c.revision > o.revision",
    ),
    (
        "reply {} of the log rests on nothing",
        "SELECT reply FROM replies r WHERE (text != '' OR error IS NULL)"
        " AND NOT EXISTS (SELECT 1 FROM reply_rows s WHERE s.reply = r.reply)",
    ),
    (
        "grant {} opens a cube of another owner",
        "SELECT g.number FROM grants g JOIN granted USING (number) JOIN cubes c USING (row) WHERE c.owner != g.owner",
    ),
    (
        "reply {} of the log saw an episode of another owner, or a cube that is none",
        "SELECT r.reply FROM replies r JOIN reply_rows s USING (reply) JOIN cubes c USING (row)"
        " WHERE c.owner != r.owner OR c.origin != 'source'",
    ),
)
SHOWN = 5


def check(db: sqlite3.Connection, path: Path, dimension: int) -> list[str]:
    """Problems in words; empty when there are none."""
    try:
        return damage_of(db) or [*broken_rules(db, dimension), *left_over(db, path)]
    except sqlite3.DatabaseError as error:
        if "malformed" not in str(error):
            raise
        return [f"the file is damaged: {error}"]


def damage_of(db: sqlite3.Connection) -> list[str]:
    """What SQLite finds in the file; damage may make it give up itself."""
    damage = [text for (text,) in db.execute("PRAGMA integrity_check(20)") if text != "ok"]
    if damage:
        return [f"the file is damaged: {text}" for text in damage]
    return [f"broken reference in {table}" for table, *_ in db.execute("PRAGMA foreign_key_check")]


def broken_rules(db: sqlite3.Connection, dimension: int) -> list[str]:
    """What no table can refuse by itself, in words."""
    problems: list[str] = []
    for _ in each_tenant(db):
        problems += contradictions(db)
        problems += wrong_vectors(db, dimension)
    return problems + audit.problems(db)


def contradictions(db: sqlite3.Connection) -> list[str]:
    """Rows that contradict others."""
    problems: list[str] = []
    for sentence, sql in QUERIES:
        found = [id for (id,) in db.execute(sql)]
        problems += [sentence.format(id) for id in found[:SHOWN]]
        if len(found) > SHOWN:
            problems.append(f"… and {len(found) - SHOWN} more like this")
    problems += payloads.problems(db)
    return problems


def wrong_vectors(db: sqlite3.Connection, dimension: int) -> list[str]:
    """Vectors of a length that is not the embedder's."""
    problems: list[str] = []
    wrong = "SELECT COUNT(*) FROM features WHERE length(vector) != :size OR length(vectors) % :size != 0"
    (number,) = db.execute(wrong, {"size": 2 * dimension}).fetchone()
    if number:
        problems.append(f"{number} vectors do not have {dimension} dimensions")
    going = target(db)
    size = 2 * going[0].dimension if going else -1
    (number,) = db.execute("SELECT COUNT(*) FROM beside WHERE length(vector) != ?", (size,)).fetchone()
    if number:
        problems.append(
            f"{number} vectors lie beside that belong to no re-embedding; end it: memorist reembed --cancel"
        )
    return problems


def broken_off(db: sqlite3.Connection) -> list[str]:
    """An erase that left its bytes."""
    if not unfinished(db):
        return []
    return ["an erase was ended before the file was rewritten, so its bytes may remain; run: memorist compact"]


def left_over(db: sqlite3.Connection, path: Path) -> list[str]:
    """Where bytes of what was erased may be."""
    if broken := broken_off(db):
        return broken
    log = path.with_name(path.name + "-wal")
    if log.exists() and log.stat().st_size:  # the file is not yet what the database is
        return []
    try:
        dirty = dirty_pages(db, path)
    except ValueError as error:
        return [f"the file is damaged: {error}"]
    more = f" and {len(dirty) - 1} more" if len(dirty) > 1 else ""
    told = "bytes of deleted records lie in page {}{} of the file, though nothing is there; run: memorist compact"
    return [told.format(dirty[0], more)] if dirty else []
