"""Destroying cubes along their lineage, and proving that their bytes are gone."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from memorist.errors import StoreBusy
from memorist.store import derived, jobs, replies, snapshots
from memorist.store.protocol import Erased
from memorist.store.rawfile import holds
from memorist.store.rows import fetch_in

PATIENCE = 30.0
LEAST_SEARCHED = 12
"""Texts under this many bytes are not searched for afterwards: they would be found by chance."""

MOST_SEARCHED = 100
"""Of more erased texts only the longest are searched for: each search reads the whole file."""

PIECE = 40
"""Characters of a text to search for at once: a long text lies in several pages, its whole is nowhere."""


def versions(db: sqlite3.Connection, rows: Sequence[int]) -> list[int]:
    """The rows and all other versions of the same cubes, oldest first."""
    known = set(rows)
    fresh = list(known)
    while fresh:
        newer = fetch_in(db, "SELECT row FROM cubes WHERE replaces IN ({})", fresh)
        older = fetch_in(db, "SELECT replaces FROM cubes WHERE replaces IS NOT NULL AND row IN ({})", fresh)
        fresh = [row for (row,) in newer + older if row not in known]
        known.update(fresh)
    return sorted(known)


def shown(db: sqlite3.Connection, rows: Sequence[int]) -> list[int]:
    """Those of the rows that no roll-back put aside, or the first of them when all were."""
    kept = [row for (row,) in fetch_in(db, "SELECT row FROM cubes WHERE aside IS NULL AND row IN ({})", rows)]
    return sorted(kept) or list(rows[:1])


def in_turn(db: sqlite3.Connection, rows: Sequence[int]) -> list[int]:
    """Versions of a cube from the first to the newest."""
    replaced = dict(fetch_in(db, "SELECT replaces, row FROM cubes WHERE replaces IS NOT NULL AND row IN ({})", rows))
    order = [row for row in rows if row not in replaced.values()]
    while order[-1] in replaced:
        order.append(replaced[order[-1]])
    return order


def closure(db: sqlite3.Connection, rows: Sequence[int]) -> set[int]:
    """The rows, their versions, and everything derived from any of them."""
    known: set[int] = set()
    fresh = set(versions(db, rows))
    while fresh:
        known |= fresh
        children = {row for (row,) in fetch_in(db, "SELECT child FROM lineage WHERE parent IN ({})", sorted(fresh))}
        fresh = set(versions(db, sorted(children - known))) - known
    return known


def erase(db: sqlite3.Connection, owner: int, rows: Sequence[int]) -> tuple[Erased, list[int]]:
    """Delete the closure of the rows. Also returns the episodes that lost a neighbour, to organise anew."""
    doomed = sorted(closure(db, rows))
    headers = fetch_in(db, "SELECT row, id, origin, text FROM cubes WHERE row IN ({}) ORDER BY row", doomed)
    parents = fetch_in(db, derived.NEIGHBOURS, doomed)
    touched = sorted({row for (row,) in parents} - set(doomed))
    counts = {
        "episodes": sum(origin == "source" for _, _, origin, _ in headers),
        "derived": sum(origin != "source" for _, _, origin, _ in headers),
    }
    tables = {
        "vectors": "SELECT COUNT(*) FROM features WHERE vector IS NOT NULL AND row IN ({})",
        "lineage": "SELECT COUNT(*) FROM lineage WHERE child IN ({})",
        "links": "SELECT COUNT(*) FROM links WHERE source IN ({})",
        "events": "SELECT COUNT(*) FROM events WHERE row IN ({})",
        "payloads": "SELECT COUNT(payload) FROM cubes WHERE row IN ({})",
    }
    for name, sql in tables.items():
        counts[name] = sum(number for (number,) in fetch_in(db, sql, doomed))
    copied = snapshots.forget_copies(db, doomed)
    counts["replies"], told = replies.erase(db, doomed)
    widowed = fetch_in(
        db,
        "SELECT DISTINCT l.source FROM links l JOIN cubes c ON c.row = l.source WHERE l.kind = 'merged'"
        " AND c.state = 'merged' AND l.target IN ({})",
        doomed,
    )
    # In one statement, as versions hold each other.
    listed = json.dumps([int(row) for row in doomed])
    db.execute("DELETE FROM cubes WHERE row IN (SELECT CAST(value AS BIGINT) FROM json_each(?))", (listed,))
    back = [row for (row,) in widowed if row not in set(doomed)]
    db.executemany("UPDATE cubes SET state = 'activated' WHERE row = ?", [(row,) for row in back])
    touched = sorted({*touched, *back})
    counts["jobs"] = jobs.drop_rows(db, owner, set(doomed))
    db.execute("UPDATE owners SET epoch = epoch + 1 WHERE owner = ?", (owner,))
    texts = [text for _, _, origin, text in headers if origin == "source"]
    written = [text for _, _, origin, text in headers if origin not in ("source", "windows")]
    texts += [text for text in (*told, *written, *copied) if not any(replies.says(db, piece) for piece in pieces(text))]
    return Erased(tuple(id for _, id, _, _ in headers), counts, tuple(texts)), touched


def compact(db: sqlite3.Connection) -> None:
    """Fold the log into the file, rewrite the file without free pages, and cut the log to nothing."""
    truncate_log(db)
    db.execute("VACUUM")
    truncate_log(db)


def truncate_log(db: sqlite3.Connection) -> None:
    """Wait until no reader needs the write-ahead log, then empty it. Raises StoreBusy."""
    deadline = time.monotonic() + PATIENCE
    while db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        if time.monotonic() > deadline:
            raise StoreBusy(
                "another process keeps reading the store, so erased bytes remain in its log; end it and"
                " run: memorist compact"
            )
        time.sleep(0.05)


def remnants(db: sqlite3.Connection, path: Path, texts: Sequence[str]) -> int:
    """How many of the texts' bytes are still in the file or its log, not counting what living cubes say too."""
    files = [path.with_name(path.name + suffix) for suffix in ("", "-wal")]
    longest = sorted(texts, key=len, reverse=True)[:MOST_SEARCHED]
    return sum(any(remains(db, files, piece) for piece in pieces(text)) for text in longest)


def pieces(text: str) -> set[str]:
    """The begin, the middle and the end of a text."""
    last = max(0, len(text) - PIECE)
    return {text[start : start + PIECE] for start in (0, last // 2, last)}


def remains(db: sqlite3.Connection, files: Sequence[Path], piece: str) -> bool:
    """Whether a file holds a piece of text that no living cube does."""
    needle = piece.encode()
    if len(needle) < LEAST_SEARCHED or not any(holds(file, needle) for file in files):
        return False
    living = "SELECT 1 FROM cubes WHERE instr(text, :piece) > 0 OR instr(meta, :piece) > 0 LIMIT 1"
    return db.execute(living, {"piece": piece}).fetchone() is None
