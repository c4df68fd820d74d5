"""The memory tools of the writing agent (Mem-alpha): a core paragraph and two lists that an agent keeps itself."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel, Field

from memorist.organise.agent import LONGEST_ITEM, Kind, Result
from memorist.serve.mcp.desk import ADDS, READS, REPLACES, Desk, User

Listed = Literal["semantic_memory", "episodic_memory"]
Content = Annotated[str, Field(min_length=1, max_length=LONGEST_ITEM)]
ItemId = Annotated[str, Field(description="The memory_id of an item, from search_memory; none for core_memory.")]


class ItemShape(BaseModel):
    """An item of a list."""

    memory_id: str
    content: str


class ResultShape(BaseModel):
    """What a memory tool did: `status` is ok, or skipped for what is there already."""

    status: str
    memory_id: str | None
    items: list[ItemShape]


def add_core_tools(server: MCPServer[Any], desk: Desk) -> None:
    """The four tools, under the names that policies are trained on."""

    async def act(right: str, user: str, name: str, arguments: dict[str, str]) -> ResultShape:
        given = {key: value for key, value in arguments.items() if value}
        return result_shape(await desk.call(right, user, lambda scoped: scoped.tools().call(name, given)))

    @server.tool(annotations=ADDS, title="Insert an item")
    async def new_memory_insert(memory_type: Listed, content: Content, user: User = "") -> ResultShape:
        """Remember something new as one item: knowledge in semantic memory, an event with its time in episodic."""
        return await act("write", user, "new_memory_insert", {"memory_type": memory_type, "content": content})

    @server.tool(annotations=REPLACES, title="Rewrite an item")
    async def memory_update(
        memory_type: Kind, new_content: Content, memory_id: ItemId = "", user: User = ""
    ) -> ResultShape:
        """Put a new text in the place of an item (memory_id is needed), or of the whole core memory (without one)."""
        arguments = {"memory_type": memory_type, "new_content": new_content, "memory_id": memory_id}
        return await act("write", user, "memory_update", arguments)

    @server.tool(annotations=REPLACES, title="Drop an item")
    async def memory_delete(memory_type: Kind, memory_id: ItemId = "", user: User = "") -> ResultShape:
        """Drop an item that is wrong or of no use (memory_id is needed), or clear the core memory (without one)."""
        arguments = {"memory_type": memory_type, "memory_id": memory_id}
        return await act("write", user, "memory_delete", arguments)

    @server.tool(annotations=READS, title="Search items")
    async def search_memory(
        memory_type: Listed,
        query: Annotated[str, Field(min_length=1, max_length=LONGEST_ITEM)],
        search_method: Literal["bm25"] = "bm25",
        user: User = "",
    ) -> ResultShape:
        """Find items by words."""
        arguments = {"memory_type": memory_type, "query": query, "search_method": search_method}
        return await act("read", user, "search_memory", arguments)


def result_shape(result: Result) -> ResultShape:
    """A result for the wire. Raises ToolError for one that did nothing, with the reason."""
    if result.status not in ("ok", "skipped"):
        raise ToolError(result.status)
    items = [ItemShape(memory_id=id, content=text) for id, text in result.items]
    return ResultShape(status=result.status, memory_id=result.id, items=items)
