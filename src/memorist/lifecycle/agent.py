"""The memory tools for an agent outside: the same that a writer's model is given, as functions over the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from memorist.cube import SOURCE, Scope, Trust, utc
from memorist.errors import StoreBusy
from memorist.models.chat import Tool, ToolCall
from memorist.models.embedder import Embedder
from memorist.organise.agent import Result, tools
from memorist.organise.agent_writer import AGENT, Shelf
from memorist.store.protocol import Organised, Selection, Store
from memorist.store.texts import Texts
from memorist.store.views import Views

TRIES = 5


@dataclass(frozen=True, slots=True)
class AgentTools:
    """Tools on one owner's core, semantic and episodic memory. Made by `ScopedMemory.tools`.

    What the agent writes is first remembered as an episode of its own (`remember` does it and gives its id), so that
    an item always rests on something. `trust` is how far that is trusted.
    """

    store: Store
    views: Views
    embedder: Embedder
    clock: Callable[[], datetime]
    scope: Scope
    trust: Trust
    remember: Callable[[str], str]

    def schemas(self) -> tuple[Tool, ...]:
        """Name, description and JSON Schema of each tool, to be given to any model."""
        return tools(search=True)

    def call(self, name: str, arguments: Mapping[str, Any]) -> Result:
        """Do a call. Whatever is wrong with it is the result's `status`; then nothing is changed."""
        memory = self._shelf().memory(self.trust)
        result = memory.do(name, dict(arguments))
        if not memory.edits:
            return result
        edit = memory.edits[-1]
        episode = self.remember(edit.text or f"{name} {edit.kind} {edit.id}")
        rows = self.store.visible(self.scope, Selection(where={"id": episode}), SOURCE)
        said = self.store.turns(self.scope, rows.tolist())
        for _ in range(TRIES):
            seen = self.store.unorganised(self.scope, AGENT, 0)
            shelf = self._shelf()
            memory = shelf.memory(self.trust)
            result = memory.do(name, dict(arguments))
            if not memory.edits:  # another was quicker
                return result
            shelf.put(memory.edits, said, "")
            if self.store.organise(self.scope, AGENT, seen, Organised(tuple(shelf.written)), utc(self.clock())):
                return Result(result.status, shelf.written[-1].id)
        raise StoreBusy("others keep changing this memory; try again")

    def answer(self, call: ToolCall) -> str:
        """What a model's own call gives, as the JSON of a tool's message."""
        memory = self._shelf().memory(self.trust)
        arguments = memory.arguments(call)
        return (arguments if isinstance(arguments, Result) else self.call(call.name, arguments)).json()

    def _shelf(self) -> Shelf:
        return Shelf(self.views.of(self.scope, AGENT, Texts), self.embedder, by_id=True)
