"""Work that goes on beside a search, on another core when one is idle.

What a search does is mostly numpy and networks, which let other threads run. On a machine without an idle core nothing
is lost: what no thread has begun by the time it is wanted is done by whoever wants it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Generic, TypeVar

T = TypeVar("T")


class Aside(Generic[T]):
    """A call that is under way. It must not use the store, whose connections belong to a thread."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._future = threads().submit(call)

    def result(self) -> T:
        """What the call returns; raises what it raises."""
        return self._call() if self._future.cancel() else self._future.result()


@lru_cache(maxsize=1)
def threads() -> ThreadPoolExecutor:
    """The threads of this process, made when first needed."""
    return ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="memorist aside")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=threads.cache_clear)  # a fork has none of its parent's threads
