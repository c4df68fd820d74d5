"""Where an agent's calls reach the memory: for whom, with which right, and in which words they fail."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Annotated, Any, TypeVar

import anyio.to_thread
from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError, ToolError
from mcp_types import ToolAnnotations
from pydantic import Field

from memorist.cube import LONGEST_NAME
from memorist.errors import MemoristError, NotFound, StateError, StoreBusy
from memorist.memory import Memory
from memorist.scoped import ScopedMemory
from memorist.serve.access import Caller
from memorist.serve.problems import SEE, Refused

T = TypeVar("T")
CallerOf = Callable[[ServerRequestContext[Any, Any]], Caller]

User = Annotated[
    str,
    Field(max_length=LONGEST_NAME, description="Whose memory. Leave it out when this server is bound to one user."),
]
Words = Annotated[
    str, Field(min_length=1, max_length=100_000, description="Whole sentences that can be understood by themselves.")
]
When = Annotated[str | None, Field(max_length=64, description="An ISO 8601 time, such as 2025-05-10T12:00:00Z.")]
Id = Annotated[str, Field(min_length=1, max_length=100, description="The id of a memory, from search or browse.")]

READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
ADDS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False)
SETS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
REPLACES = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=False, open_world_hint=False)

REMEDIES: tuple[tuple[type[MemoristError], str], ...] = (
    (NotFound, "take the id from search or browse, of the same user"),
    (StateError, "look at it with get or history first"),
    (StoreBusy, "call the tool again"),
)


class Desk(ServerMiddleware[Any]):
    """Calls on behalf of whoever asks, off the event loop. A tool's errors tell a model what to do next.

    As the server's middleware it notes for each message who asks, for a resource without parameters is not told.
    """

    def __init__(self, memory: Memory, caller_of: CallerOf, session: str = "") -> None:
        self._memory = memory
        self._caller_of = caller_of
        self._session = session
        self._caller: ContextVar[Caller] = ContextVar("caller")

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Handle one message."""
        token = self._caller.set(self._caller_of(ctx))
        try:
            return await call_next(ctx)
        finally:
            self._caller.reset(token)

    async def call(self, right: str, user: str, work: Callable[[ScopedMemory], T]) -> T:
        """What `work` makes of the memory that the caller may use. Raises ToolError."""
        try:
            caller = self._caller.get()
            if right not in caller.rights:
                raise Refused(403, "no-right", f"this key may not {right}; its rights are {', '.join(caller.rights)}")
            scoped = caller.scoped(self._memory, user, "", self._session)
            return await anyio.to_thread.run_sync(work, scoped)
        except (MemoristError, Refused) as error:
            raise ToolError(told(error)) from error

    async def read(self, user: str, work: Callable[[ScopedMemory], T]) -> T:
        """As `call`, for a resource. Raises ResourceError."""
        try:
            return await self.call("read", user, work)
        except ToolError as error:
            missing = isinstance(error.__cause__, NotFound)
            raise (ResourceNotFoundError if missing else ResourceError)(str(error)) from error

    async def users(self) -> list[dict[str, Any]]:
        """The users that the caller may see, with their number of episodes. Raises ResourceError."""
        try:
            caller = self._caller.get()
            if "read" not in caller.rights:
                raise Refused(403, "no-right", "this key may not read")
            found = await anyio.to_thread.run_sync(self._memory.scopes)
        except (MemoristError, Refused) as error:
            raise ResourceError(told(error)) from error
        return [
            {"user": scope.user, "episodes": count}
            for scope, count in found
            if scope.tenant == caller.tenant and caller.user in ("", scope.user)
        ]


def told(error: Exception) -> str:
    """An error in a sentence that ends with what to do, where that is known."""
    remedy = next((remedy for kind, remedy in REMEDIES if isinstance(error, kind)), None)
    said = SEE.sub("", str(error)).rstrip("; ")  # a command is no remedy for who has tools
    return f"{said}; {remedy}" if remedy else said
