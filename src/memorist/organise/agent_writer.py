"""A chat model that edits an owner's core, semantic and episodic memory: one reply with tool calls for each piece of a
conversation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from memorist.cube import Trust
from memorist.errors import BadReply, ModelError, ModelRefused
from memorist.ids import derived_id
from memorist.models.chat import ChatModel, Request
from memorist.models.embedder import Embedder
from memorist.models.prompts import prompt_named
from memorist.models.wordpiece import count_tokens
from memorist.organise.agent import CORE, LISTS, Edit, Kind, ToolMemory, applied, sections, tools
from memorist.organise.protocol import Desk, Written
from memorist.organise.quoting import pieces, quoted
from memorist.organise.windows import TRUST_ORDER
from memorist.results import FULL_TRUST
from memorist.store.protocol import SAW, Derived, Kept, Link, Organised, Stretch, Turn
from memorist.store.texts import Texts
from memorist.text import shown

AGENT = "mem-alpha"
PROMPT = "mem-alpha"
PROMPT_TOKENS = 6_144
"""The most that a prompt may have: items are shown by half as many until it fits."""

SHOWN = 10
"""Newest items of each list that are shown, and as many that the piece has words in common with."""

REPLY_TOKENS = 1_024


class AgentWriter:
    """The writer that gives a model the tools."""

    name = "mem-alpha"
    origin = AGENT
    reach = 0
    batch = 32

    def write(self, stretches: Sequence[Stretch], changed: frozenset[int], desk: Desk) -> Written:
        """What the calls for each piece make of the memory. A piece whose reply failed is left for later."""
        shelf = Shelf(desk.view(AGENT, Texts), desk.embedder)
        left: list[int] = []
        fault: ModelError | None = None
        ordered = in_order([shelf.unseen(stretch.turns) for stretch in stretches], shelf, desk)
        for place, piece in enumerate(ordered):
            chunk, _ = quoted(piece)
            memory = shelf.memory(min((turn.trust for turn in piece), key=TRUST_ORDER.index))
            seen = shelf.shown(memory, chunk)
            reply = desk.chat(request_of(memory, chunk, desk.model), shelf.rows_of(memory, chunk, piece))
            if isinstance(reply, ModelError):
                fault = reply
                if not isinstance(reply, (BadReply, ModelRefused)):
                    left += [turn.row for later in ordered[place:] for turn in later]
                    break
                left += [turn.row for turn in piece]
                continue
            applied(memory, reply.calls)
            shelf.put(memory.edits, piece, desk.model.name, seen)
        reason = None if fault is None else f"{type(fault).__name__}: {fault}"
        return Written(Organised(tuple(shelf.written)), tuple(left), reason, fault)


def in_order(sessions: Sequence[Sequence[Turn]], shelf: Shelf, desk: Desk) -> list[list[Turn]]:
    """The pieces to ask about. What was asked about in one call is a piece again, and comes first in the order of the
    calls: a memory that is rebuilt, or a run that was killed, is answered by the log whatever came in between."""
    turns = {turn.row: turn for session in sessions for turn in session}
    asked: list[list[Turn]] = []
    for rows in desk.together(sorted(turns)):
        piece = shelf.unseen(sorted(desk.turns(rows), key=lambda turn: (turn.at, turn.row)))
        if {turn.row for turn in piece} == set(rows) and len(list(pieces(piece))) == 1:
            asked.append(piece)
    known = {turn.row for piece in asked for turn in piece}
    fresh = [piece for session in sessions for piece in pieces([turn for turn in session if turn.row not in known])]
    return asked + sorted(fresh, key=lambda piece: piece[0].row)


def request_of(memory: ToolMemory, chunk: str, model: ChatModel) -> Request:
    """What a model is asked about a chunk: the core, the items shown, and the tools."""
    prompt = prompt_named(PROMPT)
    recent = SHOWN
    while True:
        lists = "\n".join(
            f"{kind} (showing {len(items)} of {number}):\n"
            + ("\n".join(f"{id}: {json.dumps(text, ensure_ascii=False)}" for id, text in items) or "(none)")
            for kind, items, number in sections(memory, chunk, recent)
        )
        core = json.dumps(memory.core, ensure_ascii=False)
        messages = prompt.fill(core=core, lists=lists, chunk=chunk)
        if not recent or sum(model.count([message.content for message in messages])) <= PROMPT_TOKENS:
            return Request(messages, tools=tools(memory.kinds), max_tokens=REPLY_TOKENS, prompt=prompt.id)
        recent //= 2


@dataclass(frozen=True, slots=True)
class Entry:
    """An item as it is worked on; `trust` is that of the least trusted episode behind it."""

    cube: str
    handle: str
    kind: Kind
    text: str
    number: int
    rows: tuple[int, ...]
    trust: Trust
    at: datetime
    valid_from: datetime
    recorded_at: datetime
    saw: tuple[str, ...] = ()
    """The cubes that a model was shown when it wrote this."""


class Shelf:
    """An owner's items by their handles (s1, e1, core), while edits are written down as cubes."""

    def __init__(self, view: Texts, embedder: Embedder, *, by_id: bool = False) -> None:
        self._embedder = embedder
        self._entries: dict[str, Entry] = {}
        self._by_id = by_id
        self._counts: dict[Kind, int] = dict.fromkeys(LISTS, 0)
        self._seen: set[int] = set()
        for cube in sorted(view.kept.values(), key=lambda cube: (cube.meta["number"], cube.row)):
            self._load(cube)
        self.written: list[Derived] = []

    def _load(self, cube: Kept) -> None:
        kind: Kind = cube.meta["memory_type"]
        self._seen.update(cube.members.tolist())
        if kind != CORE:
            self._counts[kind] = max(self._counts[kind], cube.meta["number"])
        if cube.active:
            handle = cube.id if self._by_id else cube.meta["handle"]
            rows, trust = tuple(cube.members.tolist()), cube.meta["source_trust"]
            clock = cube.at, cube.valid_from, cube.recorded_at
            saw = tuple(cube.meta.get("saw", ()))
            self._entries[handle] = Entry(
                cube.id, handle, kind, cube.text, cube.meta["number"], rows, trust, *clock, saw
            )

    def unseen(self, turns: Sequence[Turn]) -> list[Turn]:
        """The turns that no item rests on yet."""
        return [turn for turn in turns if turn.row not in self._seen]

    def memory(self, trust: Trust) -> ToolMemory:
        """The memory for what is said with this trust: what rests on more trusted sources cannot be changed by it."""
        items: dict[Kind, dict[str, str]] = {
            kind: {entry.handle: entry.text for entry in self._entries.values() if entry.kind == kind} for kind in LISTS
        }
        core = next((entry for entry in self._entries.values() if entry.kind == CORE), None)
        above = {
            "core" if entry.kind == CORE else entry.handle
            for entry in self._entries.values()
            if level(entry.trust) > level(trust)
        }
        refusal = f"this rests on sources that are trusted more than {trust}; it stays"
        return ToolMemory(
            core.text if core else "",
            items,
            counts=dict(self._counts),
            locked=lambda id: refusal if id in above else None,
        )

    def rows_of(self, memory: ToolMemory, chunk: str, piece: Sequence[Turn]) -> tuple[int, ...]:
        """The cubes that a request shows: the piece, the core, and the items of both lists."""
        rows = {turn.row for turn in piece}
        for entry in self._shown(memory, chunk):
            rows.update(entry.rows)
        return tuple(sorted(rows))

    def shown(self, memory: ToolMemory, chunk: str) -> tuple[str, ...]:
        """The items that a request shows, by the ids of their cubes."""
        return tuple(sorted(entry.cube for entry in self._shown(memory, chunk)))

    def _shown(self, memory: ToolMemory, chunk: str) -> list[Entry]:
        handles = {id for _, items, _ in sections(memory, chunk, SHOWN) for id, _ in items}
        return [entry for entry in self._entries.values() if entry.kind == CORE or entry.handle in handles]

    def put(self, edits: Sequence[Edit], piece: Sequence[Turn], by: str, saw: Sequence[str] = ()) -> None:
        """The edits as cubes that rest on the piece, too; `saw` are the cubes that whoever made them was shown."""
        for edit in edits:
            core = next((entry.handle for entry in self._entries.values() if entry.kind == CORE), "core")
            handle = core if edit.kind == CORE else edit.id
            old = self._entries.get(handle)
            entry = entry_of(edit, handle, old, piece)
            entry = replace(entry, saw=tuple(sorted({*(old.saw if old else ()), *saw} - {entry.cube})))
            draft = self._draft(entry, edit, piece, by)
            self.written.append(draft)
            if edit.what == "delete":
                self._entries.pop(handle, None)
            else:
                self._entries[handle] = entry
                if edit.kind != CORE:
                    self._counts[edit.kind] = max(self._counts[edit.kind], entry.number)

    def _draft(self, entry: Entry, edit: Edit, piece: Sequence[Turn], by: str) -> Derived:
        last = max(piece, key=lambda turn: turn.at)
        known = max(turn.recorded_at for turn in piece)
        closed = edit.what == "delete"
        (vector,) = self._embedder.embed([entry.text])
        return Derived(
            id=entry.cube,
            origin=AGENT,
            text=entry.text,
            members=entry.rows,
            trust="model" if by else entry.trust,
            agent=last.agent,
            session=last.session if edit.what == "insert" else "",
            at=entry.at,
            valid_from=entry.valid_from,
            valid_to=max(entry.valid_from, last.valid_from) if closed else None,
            recorded_at=entry.recorded_at,
            superseded_at=max(entry.recorded_at, known) if closed else None,
            tokens=count_tokens([shown(None, entry.text)])[0],
            meta={
                "memory_type": entry.kind,
                "number": entry.number,
                "handle": "core" if entry.kind == CORE else f"{entry.kind[0]}{entry.number}",
                "source_trust": entry.trust,
                "by": by or "agent",
                "saw": list(entry.saw),
                **({"closed_by": piece[0].id} if closed else {"cause": piece[0].id}),
            },
            vector=np.asarray(vector, np.float32),
            links=tuple(Link(id, SAW) for id in entry.saw),
            versioned=not closed,
        )


def level(trust: Trust) -> int:
    """How far a source is trusted with changing items: users and their agents, who speak with each other, alike."""
    return TRUST_ORDER.index("agent" if trust in FULL_TRUST else trust)


def entry_of(edit: Edit, handle: str, old: Entry | None, piece: Sequence[Turn]) -> Entry:
    """The item after an edit."""
    least = min((turn.trust for turn in piece), key=TRUST_ORDER.index)
    rows = {turn.row for turn in piece}
    last = max(piece, key=lambda turn: turn.at)
    known = max(turn.recorded_at for turn in piece)
    if old is not None:
        every = tuple(sorted({*old.rows, *rows}))
        if edit.what == "delete":
            return replace(old, rows=every)
        trust = min(old.trust, least, key=TRUST_ORDER.index)
        clock = last.at, max(old.valid_from, last.valid_from), max(old.recorded_at, known)
        return Entry(old.cube, handle, edit.kind, edit.text, old.number, every, trust, *clock)
    number = 0 if edit.kind == CORE else int(edit.id[1:])
    cube = derived_id(AGENT, piece[0].id, edit.kind, str(number))
    clock = last.at, last.valid_from, known
    return Entry(cube, handle, edit.kind, edit.text, number, tuple(sorted(rows)), least, *clock)
