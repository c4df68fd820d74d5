"""Core, semantic and episodic memory that a model edits with tools (Mem-alpha, Wang et al. 2025).

`ToolMemory` is that memory alone, without a store: tools go in, results come out. The writer lets any chat model that
calls tools drive it over a stream of conversation, one reply for each piece; an outside agent may call the same tools
(`memorist.lifecycle.agent`); and `memorist.organise.replay` scores policies on it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from memorist.models.chat import Tool, ToolCall
from memorist.models.wordpiece import count_tokens
from memorist.organise.quoting import clean
from memorist.store.bm25 import idf, saturation
from memorist.store.terms import query_terms, stems, term_of

Kind = Literal["core_memory", "semantic_memory", "episodic_memory"]
CORE: Kind = "core_memory"
LISTS: tuple[Kind, ...] = ("semantic_memory", "episodic_memory")
KINDS: tuple[Kind, ...] = (CORE, *LISTS)

CORE_TOKENS = 512
"""The most that core memory may hold; what is longer is cut after a whole word, and marked."""

CUT = " […]"
LONGEST_ITEM = 4_000
"""Characters of an item."""

FOUND = 20
"""Items that `search_memory` gives."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a tool answers: `status` is "ok", "skipped" for what is there already, or what was wrong."""

    status: str
    id: str | None = None
    items: tuple[tuple[str, str], ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the call did what it asked for."""
        return self.status == "ok"

    def json(self) -> str:
        """As a tool's message shows it to a model."""
        shown: dict[str, Any] = {"status": self.status}
        if self.id is not None:
            shown["memory_id"] = self.id
        if self.items:
            shown["items"] = [{"memory_id": id, "content": text} for id, text in self.items]
        return json.dumps(shown, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Edit:
    """A change that a tool made: the text is the new one, empty for a deletion."""

    what: Literal["insert", "update", "delete"]
    kind: Kind
    id: str
    text: str


def tools(kinds: Sequence[Kind] = KINDS, *, search: bool = False) -> tuple[Tool, ...]:
    """The tools as any chat model takes them; a kind that is switched off is in none. `search` adds the reader's."""
    lists = [kind for kind in LISTS if kind in kinds]
    text = {"type": "string"}
    made = []
    if lists:
        made.append(
            Tool(
                "new_memory_insert",
                "Remember something new as one item: knowledge in semantic memory, an event with its time in episodic.",
                schema({"memory_type": {"type": "string", "enum": lists}, "content": text}, ["memory_type", "content"]),
            )
        )
    kind = {"type": "string", "enum": [one for one in KINDS if one in kinds]}
    made += [
        Tool(
            "memory_update",
            "Put a new text in the place of an item (memory_id is needed), or of the whole core memory (without one).",
            schema({"memory_type": kind, "new_content": text, "memory_id": text}, ["memory_type", "new_content"]),
        ),
        Tool(
            "memory_delete",
            "Drop an item that is wrong or of no use (memory_id is needed), or clear the core memory (without one).",
            schema({"memory_type": kind, "memory_id": text}, ["memory_type"]),
        ),
    ]
    if search and lists:
        method = {"type": "string", "enum": ["bm25"]}
        fields = {"memory_type": {"type": "string", "enum": lists}, "query": text, "search_method": method}
        made.append(Tool("search_memory", "Find items by words.", schema(fields, ["memory_type", "query"])))
    return tuple(made)


def schema(properties: Mapping[str, Any], required: Sequence[str]) -> dict[str, Any]:
    """The JSON Schema of a tool's arguments."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
    }


@dataclass
class ToolMemory:
    """One memory: a paragraph of core, and items of the two lists by id, oldest first.

    `edits` are the changes in their order. `locked` says of an id (or "core") why it may not be changed.
    """

    core: str = ""
    items: dict[Kind, dict[str, str]] = field(default_factory=lambda: {kind: {} for kind in LISTS})
    kinds: Sequence[Kind] = KINDS
    edits: list[Edit] = field(default_factory=list)
    locked: Callable[[str], str | None] = lambda id: None
    counts: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(LISTS, 0))

    def call(self, call: ToolCall) -> Result:
        """Do what a model asked for; whatever it wrote, the answer is a Result."""
        arguments = self.arguments(call)
        return arguments if isinstance(arguments, Result) else self.do(call.name, arguments)

    def arguments(self, call: ToolCall) -> dict[str, Any] | Result:
        """What a model wrote as arguments, or what is wrong with it."""
        try:
            arguments = json.loads(call.arguments)
        except (ValueError, RecursionError):
            return Result("the arguments are not JSON")
        return arguments if isinstance(arguments, dict) else Result("the arguments are not an object")

    def do(self, name: str, arguments: Mapping[str, Any]) -> Result:
        """A tool by name. Arguments that its schema does not have, or that are no texts, are refused."""
        known = {tool.name: tool.parameters for tool in tools(self.kinds, search=True)}
        if name not in known:
            return Result(f"there is no tool {clean(str(name), 60)!r}; use one of {', '.join(known)}")
        odd = sorted(clean(str(one), 60) for one in arguments.keys() - known[name]["properties"].keys())
        missing = [one for one in known[name]["required"] if one not in arguments]
        if odd or missing:
            return Result(f"{name} has no argument {odd[0]}" if odd else f"{name} needs {missing[0]}")
        for argument, value in arguments.items():
            allowed = known[name]["properties"][argument].get("enum")
            if not isinstance(value, str) or (allowed and value not in allowed):
                return Result(f"{argument} must be " + (f"one of {', '.join(allowed)}" if allowed else "a text"))
        acts: dict[str, Callable[..., Result]] = {
            "new_memory_insert": self.insert,
            "memory_update": self.update,
            "memory_delete": self.delete,
            "search_memory": self.search,
        }
        return acts[name](**arguments)

    def insert(self, memory_type: Kind, content: str) -> Result:
        """A new item, unless one of the list says the same in the same words."""
        text = clean(content, LONGEST_ITEM)
        if not text:
            return Result("content is empty")
        for id, known in self.items[memory_type].items():
            if known == text:
                return Result("skipped", id)
        self.counts[memory_type] += 1
        id = f"{memory_type[0]}{self.counts[memory_type]}"
        self.items[memory_type][id] = text
        self.edits.append(Edit("insert", memory_type, id, text))
        return Result("ok", id)

    def update(self, memory_type: Kind, new_content: str, memory_id: str = "") -> Result:
        """Another text for an item, or for the core."""
        text = clean(new_content, LONGEST_ITEM)
        if not text:
            return Result("new_content is empty; to drop a memory use memory_delete")
        problem = self._problem(memory_type, memory_id)
        if problem:
            return Result(problem)
        if memory_type == CORE:
            text = cut(text)
            if text == self.core:
                return Result("skipped", "core")
            self.core = text
        elif self.items[memory_type][memory_id] == text:
            return Result("skipped", memory_id)
        else:
            self.items[memory_type][memory_id] = text
        id = "core" if memory_type == CORE else memory_id
        self.edits.append(Edit("update", memory_type, id, text))
        return Result("ok", id)

    def delete(self, memory_type: Kind, memory_id: str = "") -> Result:
        """Drop an item, or clear the core. What is not there cannot be dropped: that would be a success for nothing."""
        problem = self._problem(memory_type, memory_id)
        if problem:
            return Result(problem)
        if memory_type == CORE:
            if not self.core:
                return Result("core memory is empty already")
            self.core = ""
        else:
            del self.items[memory_type][memory_id]
        id = "core" if memory_type == CORE else memory_id
        self.edits.append(Edit("delete", memory_type, id, ""))
        return Result("ok", id)

    def search(self, memory_type: Kind, query: str, search_method: str = "bm25") -> Result:
        """The best FOUND items by BM25."""
        found = ranked(query, self.items[memory_type])
        return Result("ok", None, tuple((id, self.items[memory_type][id]) for id in found[:FOUND]))

    def tokens(self) -> int:
        """What all of it costs when shown."""
        texts = [self.core, *(text for items in self.items.values() for text in items.values())]
        return sum(count_tokens([text for text in texts if text] or [""]))

    def _problem(self, memory_type: Kind, memory_id: str) -> str | None:
        """Why an item cannot be changed."""
        if memory_type == CORE:
            return "core memory is one paragraph; leave memory_id out" if memory_id else self.locked("core")
        if memory_id not in self.items[memory_type]:
            return f"{memory_type} has no item {clean(memory_id, 40)!r}" if memory_id else "memory_id is needed"
        return self.locked(memory_id)


def cut(text: str) -> str:
    """A text that fits the core."""
    if count_tokens([text])[0] <= CORE_TOKENS:
        return text
    parts = text.split(" ")
    low, high = 0, len(parts)
    while low < high:  # the most words that fit together with the mark
        middle = (low + high + 1) // 2
        fits = count_tokens([" ".join(parts[:middle]) + CUT])[0] <= CORE_TOKENS
        low, high = (middle, high) if fits else (low, middle - 1)
    return " ".join(parts[:low]) + CUT


def ranked(query: str, items: Mapping[str, str]) -> list[str]:
    """The ids of the items that share a word with the query, best by BM25 first. The weights are never negative, so a
    word that most items have does no harm."""
    counted = {id: [term_of(stem) for stem in stems(text)] for id, text in items.items()}
    terms = query_terms(query).tolist()
    frequency = np.array([sum(term in found for found in counted.values()) for term in terms], np.float32)
    weights = idf(len(items), frequency)
    mean = sum(map(len, counted.values())) / max(len(items), 1)
    scores = {}
    for id, found in counted.items():
        counts = np.array([found.count(term) for term in terms], np.float32)
        gained = saturation(counts, np.full(len(terms), len(found), np.float32), mean)
        scores[id] = float(np.dot(weights, gained))
    return sorted((id for id in items if scores[id] > 0), key=lambda id: -scores[id])


def applied(memory: ToolMemory, calls: Sequence[ToolCall]) -> list[Result]:
    """All calls of a reply, in order; one that fails does not keep the next from being done."""
    return [memory.call(call) for call in calls]


def sections(memory: ToolMemory, chunk: str, recent: int) -> Iterator[tuple[Kind, list[tuple[str, str]], int]]:
    """What a writer is shown of each list: the `recent` newest items and as many that have words in common with the
    chunk (so that it can update what it knows of), oldest first; and how many there are."""
    for kind in LISTS:
        if kind in memory.kinds:
            items = memory.items[kind]
            newest = list(items)[len(items) - recent :] if recent else []
            wanted = {*newest, *ranked(chunk, items)[:recent]}
            yield kind, [(id, text) for id, text in items.items() if id in wanted], len(items)
