"""Waiting for what another thread makes, no longer than the caller allows."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from threading import Event
from typing import TypeVar

from memorist.errors import ModelSlow, ModelUnreachable

T = TypeVar("T")

POLL = 0.05
"""Seconds between looks at whether the caller still wants the reply."""


def arriving(
    items: queue.SimpleQueue[T | BaseException | None], name: str, begin: float, seconds: float, cancel: Event | None
) -> Iterator[T]:
    """Items until None comes; an exception that comes is raised here.

    Raises ModelSlow when `seconds` have passed since `begin` (by time.monotonic), ModelUnreachable on `cancel`.
    """
    deadline = begin + seconds
    while True:
        if cancel is not None and cancel.is_set():
            raise ModelUnreachable(f"the call of {name} was cancelled", name)
        left = deadline - time.monotonic()
        if left <= 0:
            raise ModelSlow(f"{name} did not answer within {seconds:g} s; allow more, or ask for less", name)
        try:
            item = items.get(timeout=left if cancel is None else min(left, POLL))
        except queue.Empty:
            continue
        if item is None:
            return
        if isinstance(item, BaseException):
            raise item
        yield item
