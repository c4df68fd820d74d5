"""Counting recalls beside the queries: in memory at once, in the store in batches, by a thread that ends when all is
written."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from datetime import datetime

from memorist.cube import Scope
from memorist.errors import MemoristError, StoreReadOnly
from memorist.store.protocol import Recalled, Store

WAIT = 1.0
"""Seconds that counts wait for more: what a killed process can lose of them."""

MOST = 200_000
"""Cubes whose counts may wait while the store cannot be written."""

LOGGER = logging.getLogger("memorist")


class Usage:
    """The recalls of one open store that are not written yet. Safe to call from several threads.

    A store that cannot be written for now keeps them waiting, and `problem` says so; one that is read-only counts
    nothing. `dropped` is how many cubes' counts did not fit.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._waiting: dict[Scope, dict[int, Recalled]] = {}
        self._timer: threading.Timer | None = None
        self.problem: str | None = None
        self.dropped = 0

    def record(self, scope: Scope, rows: Sequence[int], now: datetime) -> None:
        """Count these rows as recalled once; a few microseconds, whatever the store is doing."""
        if os.getpid() != self._process:  # a fork's thread did not come along; what waited is the parent's
            self._begin()
        with self._lock:
            self._add(Scope(scope.tenant, scope.user), {row: Recalled(1, now) for row in rows})
            if self._timer is None and self._waiting:
                self._timer = threading.Timer(WAIT, self._written_later)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        """Write what waits. Never raises for a store that cannot be written: see `problem`."""
        with self._writing:
            with self._lock:
                waiting, self._waiting = self._waiting, {}
            for scope, counts in waiting.items():
                try:
                    self._store.used(scope, counts)
                    self.problem = None
                except MemoristError as error:
                    self.problem = f"recalls are not counted: {error}"
                    if not isinstance(error, StoreReadOnly):
                        with self._lock:
                            self._add(scope, counts)

    def close(self) -> None:
        """Write what waits, and say so when that is impossible."""
        if os.getpid() != self._process:
            return
        with self._lock:
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        self.flush()
        lost = self.dropped + sum(map(len, self._waiting.values()))
        if lost:
            LOGGER.warning("the recalls of %d memories were not counted: %s", lost, self.problem)
        self._waiting = {}

    def _written_later(self) -> None:
        with self._lock:
            self._timer = None
        self.flush()

    def _add(self, scope: Scope, counts: dict[int, Recalled]) -> None:
        known = self._waiting.setdefault(scope, {})
        for row, one in counts.items():
            before = known.get(row)
            if before is not None:
                known[row] = Recalled(before.times + one.times, max(before.last, one.last))
            elif len(known) < MOST:
                known[row] = one
            else:
                self.dropped += 1
