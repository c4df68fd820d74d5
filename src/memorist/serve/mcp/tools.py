"""Tools that remember, recall and change. Nothing here destroys: a model that was led astray can hide, not erase."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from mcp.server.mcpserver import MCPServer
from mcp_types import CallToolResult, TextContent
from pydantic import BaseModel, Field

from memorist.answer.context import context_of
from memorist.arguments import DEFAULT_BUDGET
from memorist.cube import Cube, Observation, parse_moment
from memorist.models.wordpiece import count_tokens
from memorist.results import Hits, Receipt
from memorist.scoped import ScopedMemory
from memorist.serve import shapes
from memorist.serve.mcp.desk import ADDS, READS, REPLACES, SETS, Desk, Id, User, When, Words

NOTHING = "Nothing in this memory speaks to that."
Budget = Annotated[int, Field(ge=50, le=100_000, description="The most tokens of memories to return.")]


def add_tools(server: MCPServer[Any], desk: Desk) -> None:
    """All of them."""
    add_recall(server, desk)
    add_reading(server, desk)
    add_writing(server, desk)


def add_recall(server: MCPServer[Any], desk: Desk) -> None:
    """Tools that ask by meaning."""

    @server.tool(annotations=READS, title="Search memory")
    async def search(
        query: Annotated[str, Field(min_length=1, max_length=20_000)],
        user: User = "",
        budget: Budget = DEFAULT_BUDGET,
        as_of: When = None,
        known_at: When = None,
    ) -> Annotated[CallToolResult, shapes.HitsShape]:
        """Find what was said about something: dated, quoted memories with their ids, as many as fit the budget.

        `as_of` asks for what was true then, `known_at` for what was believed then.
        """
        ask = partial(ScopedMemory.search, query=query, budget=budget, as_of=as_of, known_at=known_at)
        hits = await desk.call("read", user, ask)
        return result_of(shown(hits, budget), shapes.hits_shape(hits))

    @server.tool(annotations=READS, title="Ask memory")
    async def ask(
        question: Annotated[str, Field(min_length=1, max_length=20_000)], user: User = ""
    ) -> Annotated[CallToolResult, shapes.AnswerShape]:
        """An answer from the memory with citations, or that the memory does not know."""
        answer = await desk.call("read", user, lambda scoped: scoped.ask(question))
        cited = [f"[{place}] {one.id}, {one.at:%Y-%m-%d}" for place, one in enumerate(answer.citations, 1)]
        return result_of("\n".join([answer.text, *cited]), shapes.answer_shape(answer))


def add_reading(server: MCPServer[Any], desk: Desk) -> None:
    """Tools that look memories up."""

    @server.tool(annotations=READS, title="Get a memory")
    async def get(id: Id, user: User = "") -> shapes.CubeShape:
        """One memory with its header: who said it, when, since when it is true, whether it was replaced."""
        return shapes.cube_shape(await desk.call("read", user, lambda scoped: scoped.get(id)))

    @server.tool(annotations=READS, title="Browse memories")
    async def browse(
        user: User = "",
        limit: Annotated[int, Field(ge=1, le=200)] = 20,
        cursor: Annotated[str | None, Field(description="`next` of the page before.")] = None,
    ) -> shapes.PageShape:
        """The newest memories, a page at a time."""
        found = await desk.call("read", user, lambda scoped: scoped.list(limit=limit + 1, before=cursor))
        items = [shapes.cube_shape(cube) for cube in found[:limit]]
        return shapes.PageShape(items=items, next=items[-1].id if len(found) > limit else None)

    @server.tool(annotations=READS, title="History of a memory")
    async def history(id: Id, user: User = "") -> shapes.HistoryShape:
        """All versions of a memory and what happened to them, oldest first."""
        changes = await desk.call("read", user, lambda scoped: scoped.history(id))
        return shapes.HistoryShape(items=[shapes.change_shape(change) for change in changes])


def add_writing(server: MCPServer[Any], desk: Desk) -> None:
    """Tools that change what is remembered."""

    @server.tool(annotations=ADDS, title="Remember")
    async def add(text: Words, user: User = "", at: When = None) -> shapes.ReceiptShape:
        """Remember something; `at` is when it was said or happened (default: now). Returns when it is on disk.

        To correct what is remembered already, update it instead.
        """
        receipt = await desk.call("write", user, lambda scoped: noted(scoped, text, at))
        return shapes.receipt_shape(receipt)

    @server.tool(annotations=REPLACES, title="Update a memory")
    async def update(id: Id, text: Words, user: User = "", at: When = None) -> shapes.ReceiptShape:
        """Put a new version in a memory's place, true since `at` (default: now). The old one stays in its history."""
        change = partial(ScopedMemory.update, id=id, text=text, at=at)
        return shapes.receipt_shape(await desk.call("write", user, change))

    @server.tool(annotations=REPLACES, title="Forget a memory")
    async def forget(id: Id, user: User = "") -> shapes.CubeShape:
        """Hide a memory from search. `restore` brings it back."""
        return shapes.cube_shape(await desk.call("write", user, lambda scoped: hidden(scoped, id)))

    @server.tool(annotations=SETS, title="Restore a memory")
    async def restore(id: Id, user: User = "") -> shapes.CubeShape:
        """Bring a forgotten memory back."""
        return shapes.cube_shape(await desk.call("write", user, lambda scoped: brought_back(scoped, id)))


def noted(scoped: ScopedMemory, text: str, at: str | None) -> Receipt:
    """What an agent writes down is its own word, and trusted as that."""
    speaker = scoped.scope.agent or "agent"
    said = parse_moment(at, "at") if at is not None else None
    return scoped.add(Observation(text, speaker=speaker, role="assistant", at=said, trust="agent"))


def hidden(scoped: ScopedMemory, id: str) -> Cube:
    """The memory, forgotten."""
    scoped.forget(id)
    return scoped.get(id)


def brought_back(scoped: ScopedMemory, id: str) -> Cube:
    """The memory, restored."""
    scoped.restore(id)
    return scoped.get(id)


def shown(hits: Hits, budget: int) -> str:
    """Hits as quoted data under numbers within the budget, and the ids that the numbers stand for."""
    context = context_of(hits, count_tokens, budget)
    if not context.passages:
        return NOTHING
    ids = [f"[{passage.handle}] {passage.hit.id}" for passage in context.passages]
    return "\n".join([context.text, *ids])


def result_of(text: str, shape: BaseModel) -> CallToolResult:
    """A text for the model to read, and the same for a program."""
    return CallToolResult(
        content=[TextContent(type="text", text=text)], structured_content=shape.model_dump(mode="json")
    )
