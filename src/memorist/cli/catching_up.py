"""A line on the terminal while a recipe's organisers catch up with what was added under another recipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LONG = 1.0
"""Seconds of work after which it is shown."""


@contextmanager
def catching_up() -> Iterator[Callable[[str, int], None]]:
    """Tells how many memories each organiser has looked at, on stderr, when that is a terminal and it takes long."""
    begin, done = time.monotonic(), dict[str, int]()
    shown = False

    def told(organiser: str, more: int) -> None:
        nonlocal shown
        done[organiser] = done.get(organiser, 0) + more
        if sys.stderr.isatty() and time.monotonic() - begin > LONG:
            print(f"\r\x1b[K{organiser}: {done[organiser]:,} memories", end="", file=sys.stderr, flush=True)
            shown = True

    try:
        yield told
    finally:
        if shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
