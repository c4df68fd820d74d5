"""Tools for an agent that solves problems: a hint from those solved before, and how its attempt went."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from mcp.server.mcpserver import MCPServer
from mcp_types import CallToolResult
from pydantic import Field

from memorist.cube import Observation
from memorist.organise.attempts import told
from memorist.results import Receipt
from memorist.scoped import ScopedMemory
from memorist.serve import shapes
from memorist.serve.hints import HintShape, hint_shape
from memorist.serve.mcp.desk import ADDS, READS, Desk, User, Words
from memorist.serve.mcp.tools import result_of

NOTHING = "Nothing is known that may help."
Problem = Annotated[str, Field(min_length=1, max_length=20_000, description="The problem, in words.")]


def add_hint_tools(server: MCPServer[Any], desk: Desk) -> None:
    """Both of them."""

    @server.tool(annotations=READS, title="Hint for a problem")
    async def hint(
        problem: Problem,
        user: User = "",
        k: Annotated[int, Field(ge=1, le=100)] = 5,
        failed: Annotated[str | None, Field(max_length=20_000, description="An attempt that did not solve it.")] = None,
    ) -> Annotated[CallToolResult, HintShape]:
        """Lessons and concepts from problems solved before that may help with this one; a suggestion, not a rule."""
        made = await desk.call("read", user, lambda scoped: scoped.hint(problem, k=k, failed=failed))
        return result_of("\n".join([made.text or NOTHING, f"hinted: {made.hinted}"]), hint_shape(made))

    @server.tool(annotations=ADDS, title="Tell how an attempt went")
    async def attempt(
        problem: Problem,
        text: Words,
        solved: Annotated[bool, Field(description="Whether it solved the problem.")],
        user: User = "",
        hinted: Annotated[str, Field(max_length=100_000, description="`hinted` of the hint that was shown.")] = "",
    ) -> shapes.ReceiptShape:
        """Remember how a problem was gone about, so that later hints are better. Failed attempts teach, too."""
        receipt = await desk.call(
            "write", user, lambda scoped: tried(scoped, told(problem, text, solved=solved, hinted=hinted))
        )
        return shapes.receipt_shape(receipt)


def tried(scoped: ScopedMemory, attempt: Observation) -> Receipt:
    """What an agent tells of its attempts is its own word, and trusted as that."""
    return scoped.add(replace(attempt, speaker=scoped.scope.agent or "agent", role="assistant", trust="agent"))
