"""The same API for asyncio: every call runs the one implementation in a worker thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, TypeVar

from memorist.memory import Memory
from memorist.organise.general import General
from memorist.results import Candidate, Recommendations
from memorist.scoped import ScopedMemory

P = ParamSpec("P")
R = TypeVar("R")


def of_memory(
    method: Callable[Concatenate[Memory, P], R],
) -> Callable[Concatenate[AsyncMemory, P], Coroutine[Any, Any, R]]:
    """The method of Memory, awaitable."""

    async def call(self: AsyncMemory, *args: P.args, **kwargs: P.kwargs) -> R:
        return await asyncio.to_thread(method, self.memory, *args, **kwargs)

    return update_wrapper(call, method)  # type: ignore[return-value]


def of_scope(
    method: Callable[Concatenate[ScopedMemory, P], R],
) -> Callable[Concatenate[AsyncScopedMemory, P], Coroutine[Any, Any, R]]:
    """The method of ScopedMemory, awaitable."""

    async def call(self: AsyncScopedMemory, *args: P.args, **kwargs: P.kwargs) -> R:
        return await asyncio.to_thread(method, self.scoped, *args, **kwargs)

    return update_wrapper(call, method)  # type: ignore[return-value]


class AsyncMemory:
    """`Memory` for asyncio: `memory = await AsyncMemory.open("memory.db")`."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory

    @classmethod
    async def open(cls, *args: Any, **kwargs: Any) -> AsyncMemory:
        """As `Memory.open`."""
        return cls(await asyncio.to_thread(Memory.open, *args, **kwargs))

    def scope(self, *, user: str = "", tenant: str = "", agent: str = "", session: str = "") -> AsyncScopedMemory:
        """As `Memory.scope`."""
        return AsyncScopedMemory(self.memory.scope(user=user, tenant=tenant, agent=agent, session=session))

    scopes = of_memory(Memory.scopes)
    export = of_memory(Memory.export)
    restore = of_memory(Memory.restore)
    backup = of_memory(Memory.backup)
    compact = of_memory(Memory.compact)
    verify = of_memory(Memory.verify)
    doctor = of_memory(Memory.doctor)
    organise = of_memory(Memory.organise)
    costs = of_memory(Memory.costs)
    reembed = of_memory(Memory.reembed)
    reembedding = of_memory(Memory.reembedding)
    cancel_reembedding = of_memory(Memory.cancel_reembedding)
    flush = of_memory(Memory.flush)
    close = of_memory(Memory.close)


class AsyncScopedMemory:
    """`ScopedMemory` for asyncio."""

    def __init__(self, scoped: ScopedMemory) -> None:
        self.scoped = scoped

    add = of_scope(ScopedMemory.add)
    search = of_scope(ScopedMemory.search)
    ask = of_scope(ScopedMemory.ask)
    summarise = of_scope(ScopedMemory.summarise)
    concepts = of_scope(ScopedMemory.concepts)
    hint = of_scope(ScopedMemory.hint)
    attempt = of_scope(ScopedMemory.attempt)
    learned = of_scope(ScopedMemory.learned)
    get = of_scope(ScopedMemory.get)
    list = of_scope(ScopedMemory.list)
    update = of_scope(ScopedMemory.update)
    history = of_scope(ScopedMemory.history)
    costs = of_scope(ScopedMemory.costs)
    forget = of_scope(ScopedMemory.forget)
    restore = of_scope(ScopedMemory.restore)
    erase = of_scope(ScopedMemory.erase)
    undo = of_scope(ScopedMemory.undo)
    organise = of_scope(ScopedMemory.organise)
    jobs = of_scope(ScopedMemory.jobs)
    about = of_scope(ScopedMemory.about)
    retry = of_scope(ScopedMemory.retry)
    cancel = of_scope(ScopedMemory.cancel)
    conflicts = of_scope(ScopedMemory.conflicts)
    working_set = of_scope(ScopedMemory.working_set)
    snapshot = of_scope(ScopedMemory.snapshot)
    rollback = of_scope(ScopedMemory.rollback)
    snapshots = of_scope(ScopedMemory.snapshots)
    drop_snapshot = of_scope(ScopedMemory.drop_snapshot)

    async def recommend(
        self,
        request: str,
        candidates: Sequence[Candidate | Mapping[str, Any] | str],
        *,
        general: AsyncScopedMemory | General | None = None,
        **options: Any,
    ) -> Recommendations:
        """As `ScopedMemory.recommend`."""
        shared = general.scoped if isinstance(general, AsyncScopedMemory) else general
        return await asyncio.to_thread(self.scoped.recommend, request, candidates, general=shared, **options)
