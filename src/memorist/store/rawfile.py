"""Reading the bytes of a database's file beside SQLite.

POSIX ends all of a process's locks on a file when the process closes any descriptor of it. Were that the file of an
open database, another process could take itself for the only user, and delete the log that this one writes to. So a
descriptor of a file in use is kept until its last database is closed here.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PIECE = 1 << 22

File = tuple[int, int]

_lock = threading.RLock()
_used: Counter[File] = Counter()
_kept: dict[File, int] = {}


@contextmanager
def opening() -> Iterator[None]:
    """While a database is opened and its use begins, no file is read beside it."""
    with _lock:
        yield


def begin_use(path: Path) -> File:
    """A database of this file is open from now on; the name is for `end_use`."""
    found = path.stat()
    file = (found.st_dev, found.st_ino)
    with _lock:
        _used[file] += 1
    return file


def end_use(file: File) -> None:
    """A database of this file, with all its connections, is closed."""
    with _lock:
        _used[file] -= 1
        if _used[file] <= 0:
            del _used[file]
            if file in _kept:
                os.close(_kept.pop(file))


@contextmanager
def reading(path: Path) -> Iterator[int]:
    """A descriptor to read the file by. Raises OSError when it cannot be opened."""
    found = path.stat()
    file = (found.st_dev, found.st_ino)
    with _lock:
        descriptor = _kept.get(file)
        if descriptor is None:
            descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0))
        try:
            yield descriptor
        finally:
            if file in _used:
                _kept[file] = descriptor
            elif file not in _kept:
                os.close(descriptor)


def head(path: Path, size: int) -> bytes:
    """The first bytes of a file. Raises OSError."""
    with reading(path) as descriptor:
        return at(descriptor, 0, size)


def holds(path: Path, needle: bytes) -> bool:
    """Whether a file, if it is there, holds these bytes."""
    return any(needle in piece for piece in slices(path, len(needle) - 1))


def slices(path: Path, overlap: int) -> Iterator[bytes]:
    """A file, if it is there, in pieces that each begin with the last `overlap` bytes of the one before."""
    if not path.exists():
        return
    with reading(path) as descriptor:
        place, rest = 0, b""
        while piece := at(descriptor, place, PIECE):
            place += len(piece)
            whole = rest + piece
            yield whole
            rest = whole[-overlap:] if overlap > 0 else b""


def at(descriptor: int, place: int, size: int) -> bytes:
    """Up to `size` bytes of a file from a place."""
    os.lseek(descriptor, place, os.SEEK_SET)
    return os.read(descriptor, size)


def after_fork() -> None:
    """A child has no thread that could let go of the lock."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=after_fork)
