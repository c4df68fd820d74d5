"""The archive: one JSON Lines file (gzip by name) that any tool can read, and that becomes a store again.

The first line says what it is: {"format": "memorist-archive", "version": 2}; each further line is a record, see
`memorist.store.archive`; the last one, {"records": n}, proves that the file is whole.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from memorist.errors import InputError, StoreError

FORMAT = "memorist-archive"
VERSIONS = (1, 2)
"""Those that can be read; the last one is written."""


def write_archive(path: Path, records: Iterable[Mapping[str, Any]]) -> int:
    """Write the records; the file appears under its name only when whole. Returns how many."""
    if path.exists():
        raise InputError(f"{path} exists already; name another file")
    partial = path.with_name(path.name + ".partial")
    count = 0
    try:
        with opened(partial, path.suffix, "wt") as file:
            file.write(json.dumps({"format": FORMAT, "version": VERSIONS[-1]}) + "\n")
            for record in records:
                file.write(json.dumps(record, ensure_ascii=False) + "\n")
                count += 1
            file.write(json.dumps({"records": count}) + "\n")
        partial.replace(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return count


def read_archive(path: Path) -> Iterator[dict[str, Any]]:
    """The records. Raises InputError when the file is not an archive, too new, or not whole."""
    if not path.is_file():
        raise InputError(f"{path} does not exist; name a file made by: memorist export")
    count = 0
    ended = False
    try:
        with opened(path, path.suffix, "rt") as file:
            head = parsed(file.readline(), path, 1)
            if head.get("format") != FORMAT:
                raise InputError(f"{path} is not a Memorist archive; to add conversations use: memorist add {path}")
            if head.get("version") not in VERSIONS:
                raise InputError(f"{path} has archive version {head.get('version')!r:.20}; upgrade Memorist to read it")
            for number, line in enumerate(file, 2):
                record = parsed(line, path, number)
                if "record" in record:
                    count += 1
                    yield record
                else:
                    ended = record.get("records") == count
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise InputError(f"{path} cannot be read ({error}); nothing was imported") from error
    if not ended:
        raise InputError(f"{path} is cut short after {count} records; nothing was imported")


def parsed(line: str, path: Path, number: int) -> dict[str, Any]:
    """A line as an object."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}, line {number}: not JSON ({error}); nothing was imported") from error
    if not isinstance(record, dict):
        raise InputError(f"{path}, line {number}: not a record; nothing was imported")
    return record


def opened(path: Path, suffix: str, mode: str) -> IO[str]:
    """A text file, through gzip when the suffix says so."""
    if suffix == ".gz":
        return gzip.open(path, mode, encoding="utf-8")  # type: ignore[return-value]
    return path.open(mode[0], encoding="utf-8")
