"""Scopes and cubes by address, and prompts that bring the memory along."""

from __future__ import annotations

import json
from typing import Annotated, Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.prompts.base import UserMessage
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS
from pydantic import Field

from memorist.serve import shapes
from memorist.serve.mcp.desk import Desk

JSON = "application/json"
Question = Annotated[str, Field(description="What you want to ask.")]
NEWEST = 50
UNNAMED = "-"
"""Stands in an address for the unnamed user, or the one that the server is bound to."""


def add_resources(server: MCPServer[Any], desk: Desk) -> None:
    """Resources, all of them JSON."""

    @server.resource("memorist://scopes", mime_type=JSON, title="Users")
    async def scopes() -> str:
        """The users whose memories can be read here, with their number of episodes."""
        return json.dumps(await desk.users())

    @server.resource("memorist://users/{user}", mime_type=JSON, title="A user's newest memories")
    async def newest(user: str) -> str:
        """The fifty newest memories of a user; `-` is the unnamed one, or the one that the server is bound to."""
        found = await desk.read(named(user), lambda scoped: scoped.list(limit=NEWEST))
        return shapes.PageShape(items=[shapes.cube_shape(cube) for cube in found], next=None).model_dump_json()

    @server.resource("memorist://users/{user}/cubes/{id}", mime_type=JSON, title="A memory")
    async def cube(user: str, id: str) -> str:
        """A memory with its header."""
        found = await desk.read(named(user), lambda scoped: scoped.get(id))
        return shapes.cube_shape(found).model_dump_json()

    @server.resource("memorist://users/{user}/cubes/{id}/history", mime_type=JSON, title="History of a memory")
    async def history(user: str, id: str) -> str:
        """All versions of a memory and what happened to them."""
        changes = await desk.read(named(user), lambda scoped: scoped.history(id))
        return shapes.HistoryShape(items=[shapes.change_shape(change) for change in changes]).model_dump_json()


def add_prompts(server: MCPServer[Any], desk: Desk) -> None:
    """Prompts for a person to choose."""

    @server.prompt(title="Answer with memory")
    async def recall(question: Question, user: str = "") -> list[UserMessage]:
        """A question together with what the memory holds about it."""
        try:
            hits = await desk.call("read", user, lambda scoped: scoped.search(question))
        except ToolError as error:
            raise MCPError(INVALID_PARAMS, str(error)) from error
        return [UserMessage(f"{hits.prompt()}\n\n{question}".strip())]

    @server.prompt(title="Remember this conversation")
    def remember() -> str:
        """Has the model keep what will matter later."""
        return REMEMBER


REMEMBER = """Look back over this conversation. For each thing that will still matter in a later one (facts about me,
decisions, preferences, plans with their dates), search the memory first: if it is there and has changed, update it; if
it is new, add it as one sentence that can be understood by itself. Leave out what is only of this moment. Then tell me
in one line each what you changed."""


def named(user: str) -> str:
    """The user of an address."""
    return "" if user == UNNAMED else user
