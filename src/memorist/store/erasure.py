"""Destroying cubes along their lineage, and proving that their bytes are gone."""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from memorist.cube import SOURCE
from memorist.errors import StoreBusy
from memorist.store import access, audit, derived, jobs, replies, snapshots
from memorist.store.governed import Remains, Removed
from memorist.store.prints import Prints, found_in, print_of, secret_of
from memorist.store.protocol import SAW, Erased
from memorist.store.rawfile import holds
from memorist.store.reach import columns, hanging, tables
from memorist.store.rows import fetch_in
from memorist.store.scoped import each_tenant

PATIENCE = 30.0
LEAST_SEARCHED = 12
"""Texts under this many bytes are not searched for afterwards: they would be found by chance."""

MOST_SEARCHED = 100
"""Of more erased texts only the longest are searched for: each search reads the whole file."""

VALUES = 1 << 22
"""Bytes of records that are looked through at once."""

PIECE = 40
"""Characters of a text to search for at once: a long text lies in several pages, its whole is nowhere."""


UNFINISHED = "erasing"
"""In `meta` from an erase until the files are rewritten."""


FOLLOWED = (
    "SELECT child FROM lineage WHERE parent IN ({})",
    f"SELECT source FROM links WHERE kind = '{SAW}' AND target IN ({{}})",
)


LISTED = "row IN (SELECT CAST(value AS BIGINT) FROM json_each(:listed))"

SHOWN_WITH = (
    "SELECT DISTINCT parent FROM lineage"
    f" WHERE child IN (SELECT source FROM links WHERE kind = '{SAW}') AND child IN ({{}})"
)
"""What cubes rest on that a model wrote with others in sight: a call that was shown such a cube is logged with that."""


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
    """The rows, their versions, and everything derived from any of them, or written by a model that saw one."""
    known: set[int] = set()
    fresh = set(versions(db, rows))
    while fresh:
        known |= fresh
        children = {row for sql in FOLLOWED for (row,) in fetch_in(db, sql, sorted(fresh))}
        fresh = set(versions(db, sorted(children - known))) - known
    return known


def erase(db: sqlite3.Connection, owner: int, rows: Sequence[int]) -> tuple[Erased, list[int]]:
    """Delete the closure of the rows. Also returns the episodes that lost a neighbour, to organise anew."""
    doomed = sorted(closure(db, rows))
    headers = fetch_in(db, "SELECT row, id, origin, kind, text, meta FROM cubes WHERE row IN ({}) ORDER BY row", doomed)
    parents = fetch_in(db, derived.NEIGHBOURS, doomed)
    touched = sorted({row for (row,) in parents} - set(doomed))
    ids = [id for _, id, *_ in headers]
    listed = json.dumps([int(row) for row in doomed])
    records = hanging_counts(db, listed)
    counts = {
        "episodes": sum(origin == SOURCE for _, _, origin, *_ in headers),
        "derived": sum(origin != SOURCE for _, _, origin, *_ in headers),
        "vectors": len(fetch_in(db, "SELECT 1 FROM features WHERE vector IS NOT NULL AND row IN ({})", doomed)),
        **{name: records[name] for name in ("lineage", "links", "events")},
        "payloads": len(fetch_in(db, "SELECT 1 FROM cubes WHERE payload IS NOT NULL AND row IN ({})", doomed)),
    }
    copied = snapshots.forget_copies(db, doomed)
    shown = fetch_in(db, SHOWN_WITH, doomed)
    counts["replies"], told = replies.erase(db, sorted({*doomed, *(row for (row,) in shown)}))
    widowed = fetch_in(
        db,
        "SELECT DISTINCT l.source FROM links l JOIN cubes c ON c.row = l.source WHERE l.kind = 'merged'"
        " AND c.state = 'merged' AND l.target IN ({})",
        doomed,
    )
    # In one statement, as versions hold each other.
    db.execute(f"DELETE FROM cubes WHERE {LISTED}", {"listed": listed})
    back = [row for (row,) in widowed if row not in set(doomed)]
    db.executemany("UPDATE cubes SET state = 'activated' WHERE row = ?", [(row,) for row in back])
    touched = sorted({*touched, *back})
    counts["jobs"] = jobs.drop_rows(db, owner, set(doomed))
    records |= {"cubes": len(doomed), "attempts": access.forget_ids(db, ids)}
    records |= {name: counts[name] for name in ("replies", "payloads")}
    db.execute("UPDATE owners SET epoch = epoch + 1 WHERE owner = ?", (owner,))
    texts = [text for _, _, origin, _, text, _ in headers if origin == SOURCE]
    written = [text for _, _, origin, _, text, _ in headers if origin not in (SOURCE, "windows")]
    texts += [text for text in (*told, *written, *copied) if not any(replies.says(db, piece) for piece in pieces(text))]
    metas = [meta for *_, meta in headers if meta != "{}"]
    removed = removed_of(
        db,
        {table: number for table, number in sorted(records.items()) if number},
        Counter(kind for _, _, _, kind, *_ in headers),
        Counter(origin for _, _, origin, *_ in headers),
        [id for _, id, origin, *_ in headers if origin == SOURCE],  # what is derived may be made again, without it
        [*texts, *metas],
    )
    marks = audit.digest_of((*removed.cubes, *removed.texts))
    audit.recorded(db, owner, "erase", number=removed.number, cubes=len(doomed), prints=marks)
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (UNFINISHED, removed.number))
    return Erased(tuple(ids), counts, tuple(texts), removed), touched


def hanging_counts(db: sqlite3.Connection, listed: str) -> dict[str, int]:
    """How many records of each table go with the cubes whose rows are listed, as JSON."""
    found = hanging(db, "cubes", LISTED)
    return {
        table: int(db.execute(f"SELECT COUNT(*) FROM {table} WHERE {where}", {"listed": listed}).fetchone()[0])
        for table, where in found.items()
    }


def removed_of(
    db: sqlite3.Connection,
    tables: Mapping[str, int],
    forms: Mapping[str, int],
    origins: Mapping[str, int],
    ids: Sequence[str],
    texts: Sequence[str],
) -> Removed:
    """What a certificate says of an erasure."""
    number, secret = secrets.token_hex(8), secret_of(db)
    marked = tuple(print_of(secret, id) for id in ids)
    masked = tuple(Prints(secret).masked((text.encode("utf-8", "replace") for text in texts), number))
    return Removed(number, tables, dict(sorted(forms.items())), dict(sorted(origins.items())), marked, masked)


def unfinished(db: sqlite3.Connection) -> bool:
    """Whether bytes of what was erased may still be in the files: an erase was ended before they were rewritten."""
    return number_unfinished(db) is not None


def number_unfinished(db: sqlite3.Connection) -> str | None:
    """The number of such an erase, the last if there are several."""
    found = db.execute("SELECT value FROM meta WHERE name = ?", (UNFINISHED,)).fetchone()
    return str(found[0]) if found else None


def finished(db: sqlite3.Connection, number: str) -> None:
    """The files were rewritten since this erase."""
    db.execute("DELETE FROM meta WHERE name = ? AND value = ?", (UNFINISHED, number))


def compact(db: sqlite3.Connection, patience: float | None = None) -> None:
    """Fold the log into the file, rewrite the file without free pages, and cut the log to nothing."""
    truncate_log(db, patience)
    db.execute("VACUUM")
    truncate_log(db, patience)
    db.execute("DELETE FROM meta WHERE name = ?", (UNFINISHED,))


def truncate_log(db: sqlite3.Connection, patience: float | None = None) -> None:
    """Wait until no reader needs the write-ahead log, then empty it. Raises StoreBusy."""
    deadline = time.monotonic() + (PATIENCE if patience is None else patience)
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


def found_again(
    db: sqlite3.Connection, content: Iterable[bytes], number: str, cubes: Sequence[str], texts: Sequence[str]
) -> Remains:
    """What of an erasure is in a store; `content` are pieces of its files. Raises ValueError for what are no prints."""
    secret = secret_of(db)
    wanted = set(cubes)
    prints = Prints(secret)
    hashes = prints.unmasked(texts, number)
    again, stretches, living = 0, set(found_in(content, prints, hashes)), set()
    for _ in each_tenant(db):
        again += sum(print_of(secret, id) in wanted for (id,) in db.execute("SELECT id FROM cubes"))
        if stretches:
            living |= set(found_in(values(db), prints, hashes))
    return Remains(again, len(stretches - living))


def values(db: sqlite3.Connection) -> Iterator[bytes]:
    """All that records say, many of them at once."""
    gathered: list[bytes] = []
    size = 0
    for table in tables(db):
        names = [name for name, type in columns(db, table).items() if type in ("TEXT", "BLOB")]
        if not names:
            continue
        for row in db.execute(f"SELECT {', '.join(names)} FROM {table}"):
            gathered += [one.encode("utf-8", "replace") if isinstance(one, str) else one for one in row if one]
            size += sum(map(len, gathered[-len(names) :]))
            if size > VALUES:
                yield b"\x00".join(gathered)
                gathered, size = [], 0
    yield b"\x00".join(gathered)
