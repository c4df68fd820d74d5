"""Tensors of cubes: safetensors files in the database itself, in parts, named by the sha256 of their bytes.

So a store stays one file, a payload changes in the transaction of its cube, and erasing scrubs it like any row. Nothing
is ever unpickled: what is kept is checked to be a safetensors file, whose header is JSON and whose rest are numbers.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

from memorist.errors import InputError, StoreError
from memorist.states import LIVING
from memorist.store.living import among
from memorist.store.protocol import Derived

PART = 8 << 20
"""Bytes of a row: small beside memory, large beside what a row costs."""

LARGEST = 2 << 30
"""Bytes of a payload. It is held in memory as a whole, when it is written and when it is used."""

LONGEST_HEADER = 16 << 20
WIDTHS: Mapping[str, int] = {
    **{"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2},
    **{"I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1},
}
"""Bytes of a number of each type."""


def header_of(data: bytes) -> dict[str, Any]:
    """What a safetensors file says of itself: its tensors by name, its own words under `__metadata__`.

    Raises InputError when it is none, or when its tensors do not fill it exactly.
    """
    if len(data) > LARGEST:
        raise InputError(f"a payload of {len(data):,} bytes is over the limit of {LARGEST:,}; make cubes of less text")
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or not 2 <= length <= min(LONGEST_HEADER, len(data) - 8):
        raise InputError(f"a payload of {len(data)} bytes is not a safetensors file: it has no header")
    try:
        header = json.loads(data[8 : 8 + length])
        spans = sorted(span_of(entry) for name, entry in header.items() if name != "__metadata__")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError(f"a payload is not a safetensors file: its header cannot be read ({error})") from error
    end = 0
    for begin, stop in spans:
        if begin != end:
            raise InputError(f"a payload is not a safetensors file: no tensor holds byte {end} of its data")
        end = stop
    if end != len(data) - 8 - length:
        raise InputError(f"a safetensors file of {end} bytes of data has {len(data) - 8 - length}: it is cut short")
    return dict(header)


def span_of(entry: Mapping[str, Any]) -> tuple[int, int]:
    """Where a tensor lies in the data. Raises ValueError when its shape takes another number of bytes."""
    begin, stop = entry["data_offsets"]
    size = WIDTHS[entry["dtype"]]
    for extent in entry["shape"]:
        size *= extent
    if not 0 <= begin <= stop or stop - begin != size:
        raise ValueError(f"a tensor of {size} bytes lies at {begin} to {stop}")
    return begin, stop


def of(cube: Derived) -> bytes:
    """The payload of a cube to be written. Raises InputError when it has none."""
    if cube.payload is None:
        raise InputError(f"{cube.id} is of the kind {cube.kind} and has no payload; give its tensors as safetensors")
    return cube.payload


def put(db: sqlite3.Connection, owner: int, data: bytes) -> str:
    """Keep a payload of this owner, once; returns its sha256. Raises InputError for what is no safetensors file."""
    header_of(data)
    sha256 = hashlib.sha256(data).hexdigest()
    if not size(db, owner, sha256):
        parts = ((owner, sha256, part, data[start : start + PART]) for part, start in enumerate(starts(len(data))))
        db.executemany("INSERT INTO payloads (owner, sha256, part, bytes) VALUES (?, ?, ?, ?)", parts)
    return sha256


def starts(length: int) -> range:
    """Where the parts of a payload begin."""
    return range(0, length, PART)


def size(db: sqlite3.Connection, owner: int, sha256: str) -> int:
    """Bytes of a payload; 0 when there is none."""
    sql = "SELECT COALESCE(SUM(length(bytes)), 0) FROM payloads WHERE owner = ? AND sha256 = ?"
    return int(db.execute(sql, (owner, sha256)).fetchone()[0])


def read(db: sqlite3.Connection, owner: int, sha256: str) -> bytes:
    """A payload. Raises StoreError when its bytes are not what its name says."""
    data = b"".join(parts(db, owner, sha256))
    if hashlib.sha256(data).hexdigest() != sha256:
        raise StoreError(f"the payload {sha256[:12]} is damaged; erase its cube and make it again, or restore a backup")
    return data


def parts(db: sqlite3.Connection, owner: int, sha256: str) -> Iterator[bytes]:
    """The bytes of a payload, a part at a time."""
    sql = "SELECT bytes FROM payloads WHERE owner = ? AND sha256 = ? ORDER BY part"
    return (data for (data,) in db.execute(sql, (owner, sha256)))


def problems(db: sqlite3.Connection) -> list[str]:
    """Cubes without payload, payloads without cube, bytes that changed, and tensors of what is not current."""
    found = [
        f"cube {id} is {kind} but has no payload"
        for id, kind in db.execute("SELECT id, kind FROM cubes WHERE kind != 'text' AND payload IS NULL ORDER BY row")
    ]
    kept = db.execute("SELECT DISTINCT owner, sha256 FROM payloads").fetchall()
    used = db.execute("SELECT owner, payload, MIN(id) FROM cubes WHERE payload IS NOT NULL GROUP BY owner, payload")
    users = {(owner, sha256): id for owner, sha256, id in used}
    stale = (
        "SELECT DISTINCT c.id FROM cubes c JOIN lineage l ON l.child = c.row JOIN cubes p ON p.row = l.parent"
        f" WHERE c.kind != 'text' AND {among(LIVING, 'c.state')} AND c.superseded_at IS NULL"
        f" AND NOT ({among(LIVING, 'p.state')} AND p.superseded_at IS NULL)"
    )
    found += [f"cube {id} holds what is forgotten or superseded" for (id,) in db.execute(stale)]
    missing = [key for key in users if key not in set(kept)]
    found += [f"the payload {key[1][:12]} of cube {users[key]} is not there" for key in missing]
    for owner, sha256 in kept:
        if (owner, sha256) not in users:
            found.append(f"the payload {sha256[:12]} belongs to no cube")
            continue
        digest = hashlib.sha256()
        for data in parts(db, owner, sha256):
            digest.update(data)
        if digest.hexdigest() != sha256:
            found.append(f"the payload {sha256[:12]} of cube {users[owner, sha256]} is damaged")
    return found
