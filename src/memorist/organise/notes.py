"""Notes that link and evolve (A-MEM, Xu et al. 2025, section 3).

Each episode becomes a note: its words, what it is about in a sentence, keywords and tags. All of that together is
embedded and searched. One call of the model annotates a new note, links it to earlier ones and rewrites those whose
meaning it changes; a note that is rewritten is embedded anew at once, and keeps its earlier version with its cause.

Notes are written in the order in which their episodes came, each seeing what the earlier ones have become: so a memory
that is rebuilt asks the same questions and is answered by the log.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np

from memorist.cube import Trust
from memorist.errors import BadReply, ModelError, ModelRefused
from memorist.ids import derived_id
from memorist.models.embedder import Embedder, Vectors
from memorist.models.wordpiece import count_tokens
from memorist.organise.protocol import Call, Desk, Task, Written
from memorist.organise.quoting import clean, in_quotes
from memorist.organise.windows import TRUST_ORDER
from memorist.store.protocol import SAW, Derived, Kept, Link, Organised, Stretch, Turn
from memorist.store.terms import query_terms, words
from memorist.store.terms import stems as stems_of
from memorist.store.texts import Texts
from memorist.text import shown

NOTES = "notes"
RELATED = "related"
"""The kind of a note's links."""

NEIGHBOURS = 5
"""Earlier notes that are shown with a new one, nearest first (the paper's k of linking)."""

MOST_WORDS = 12
"""Keywords or tags of a note; more are left out."""

LONGEST_CONTEXT, LONGEST_WORD = 300, 40
LEXICAL = "rule"
"""Who annotates when no usable reply came: the words that are rare in the text, and its first sentence."""


@dataclass
class Rewrite:
    """What an earlier note is about, now that the new one is known."""

    note: str
    context: str
    tags: list[str]


@dataclass
class Annotation:
    """A new note, the earlier ones it is linked to, and those that it changes."""

    context: str
    keywords: list[str]
    tags: list[str]
    links: list[str]
    rewrites: list[Rewrite]


WRITE = Task("notes", Annotation, 900)


@dataclass(frozen=True, slots=True)
class Note:
    """A note as it is worked on. `trust` is that of its episode; `cause` is the episode that made it what it is,
    `saw` the notes that the model was shown when it wrote it."""

    id: str
    content: str
    context: str
    keywords: tuple[str, ...]
    tags: tuple[str, ...]
    links: tuple[str, ...]
    saw: tuple[str, ...]
    rows: tuple[int, ...]
    trust: Trust
    by: str
    cause: str
    agent: str
    session: str
    at: datetime
    valid_from: datetime
    recorded_at: datetime
    vector: Vectors | None = None

    @property
    def text(self) -> str:
        """What is embedded, searched and shown: content, context, keywords and tags (equation 3)."""
        about = "; ".join(part for part in (self.context, ", ".join(self.keywords), ", ".join(self.tags)) if part)
        return f"{self.content}\n({about})" if about else self.content


class NoteWriter:
    """The writer of notes, one call for each."""

    name = "notes"
    origin = NOTES
    reach = 0
    batch = 16

    def write(self, stretches: Sequence[Stretch], changed: frozenset[int], desk: Desk) -> Written:
        """A note for each episode that has none, and the notes that these change."""
        board = Board(desk.view(NOTES, Texts), desk.embedder)
        turns = sorted((turn for stretch in stretches for turn in stretch.turns), key=lambda turn: turn.row)
        left: list[int] = []
        fault: ModelError | None = None
        for place, turn in enumerate(turns):
            if board.has(note_id(turn)):
                continue
            neighbours = board.near(turn)
            handles = {f"n{number}": note for number, note in enumerate(neighbours, 1)}
            (reply,) = desk.ask([call_of(turn, handles)])
            if isinstance(reply, ModelError):
                fault = reply
                if not isinstance(reply, (BadReply, ModelRefused)):
                    left += [later.row for later in turns[place:]]
                    break
                left.append(turn.row)
                board.put(lexical(turn))
            else:
                for note in evolved(turn, reply, handles, desk.model.name):
                    board.put(note)
        reason = None if fault is None else f"{type(fault).__name__}: {fault}"
        return Written(Organised(tuple(board.written)), tuple(left), reason, fault)


class Board:
    """An owner's notes while some are being written; what is put on it is found by the next."""

    def __init__(self, view: Texts, embedder: Embedder) -> None:
        self._view = view
        self._embedder = embedder
        self._stored = {cube.id: row for row, cube in view.kept.items() if cube.active}
        self._changed: dict[str, Note] = {}
        self.written: list[Derived] = []

    def has(self, id: str) -> bool:
        """Whether there is a note of this id that a model has annotated."""
        if id in self._changed:
            return self._changed[id].by != LEXICAL
        return id in self._stored and self._view.kept[self._stored[id]].meta["by"] != LEXICAL

    def near(self, turn: Turn) -> list[Note]:
        """The nearest notes of episodes that came before this one."""
        vector = turn.vector if turn.vector is not None else self._embedder.embed([turn.text])[0]
        found = self._view.find(query_terms("")[:0], vector)
        order = np.argsort(-found.cosine, kind="stable")[: NEIGHBOURS + len(self._changed)]
        stored = [(float(found.cosine[place]), self._view.kept[int(found.rows[place])]) for place in order]
        near = [(cosine, note_of(cube)) for cosine, cube in stored if cube.id not in self._changed]
        near += [
            (float(np.dot(note.vector, vector)), note) for note in self._changed.values() if note.vector is not None
        ]
        earlier = [(cosine, note) for cosine, note in near if note.rows[0] < turn.row and note.id != note_id(turn)]
        return [note for _, note in sorted(earlier, key=lambda one: (-round(one[0], 5), one[1].id))[:NEIGHBOURS]]

    def put(self, note: Note) -> None:
        """Write a note, or a new version of one."""
        (vector,) = self._embedder.embed([note.text])
        # As the store will keep it: which notes are near must not depend on where jobs began.
        dressed = replace(note, vector=np.asarray(vector, np.float16).astype(np.float32))
        self._changed[note.id] = dressed
        self.written.append(cube_of(dressed))


def note_id(turn: Turn) -> str:
    """The id of an episode's note."""
    return derived_id(NOTES, turn.id)


def call_of(turn: Turn, handles: Mapping[str, Note]) -> Call[Annotation]:
    """The question about a new note."""
    earlier = "\n".join(
        f"{handle} [{note.at:%Y-%m-%d}] {in_quotes(note.content)} context: {in_quotes(note.context)}"
        f" tags: {in_quotes(', '.join(note.tags))}"
        for handle, note in handles.items()
    )
    new = f"[{turn.at:%Y-%m-%d}] {in_quotes(shown(turn.speaker, turn.text))}"
    rows = {turn.row, *(row for note in handles.values() for row in note.rows)}
    shown_as = {"links": list(handles), "note": list(handles)}
    return Call(WRITE, {"new": new, "earlier": earlier or "(none)"}, tuple(sorted(rows)), shown_as)


def evolved(turn: Turn, reply: Annotation, handles: Mapping[str, Note], by: str) -> Iterable[Note]:
    """The new note, then the earlier ones that it changes. Handles that were not given out count for nothing."""
    links = dict.fromkeys(handles[one].id for one in reply.links if one in handles)
    saw = {note.id for note in handles.values()}
    yield Note(
        id=note_id(turn),
        content=shown(turn.speaker, turn.text),
        context=clean(reply.context, LONGEST_CONTEXT),
        keywords=distinct(reply.keywords),
        tags=distinct(reply.tags),
        links=tuple(links),
        saw=tuple(sorted(saw)),
        by=by,
        rows=(turn.row,),
        trust=turn.trust,
        cause=turn.id,
        agent=turn.agent,
        session=turn.session,
        at=turn.at,
        valid_from=turn.valid_from,
        recorded_at=turn.recorded_at,
    )
    rewrites = {one.note: one for one in reply.rewrites if one.note in handles}
    for handle, rewrite in rewrites.items():
        note = handles[handle]
        context = clean(rewrite.context, LONGEST_CONTEXT)
        tags = distinct((*note.tags, *rewrite.tags))
        trusted = TRUST_ORDER.index(turn.trust) >= TRUST_ORDER.index(note.trust)
        if trusted and context and (context, tags) != (note.context, note.tags):
            yield replace(
                note,
                context=context,
                tags=tags,
                saw=tuple(sorted({*note.saw, *saw, note_id(turn)} - {note.id})),
                by=by,
                rows=(*note.rows, *({turn.row} - set(note.rows))),
                cause=turn.id,
                valid_from=max(note.valid_from, turn.valid_from),
                recorded_at=max(note.recorded_at, turn.recorded_at),
            )


def distinct(texts: Iterable[str]) -> tuple[str, ...]:
    """Words as a model gave them, each once, and not too many."""
    found = (clean(text, LONGEST_WORD) for text in texts)
    return tuple(dict.fromkeys(text for text in found if text))[:MOST_WORDS]


def lexical(turn: Turn) -> Note:
    """A note without a model: its most frequent terms, and its first sentence as its context."""
    counted = Counter(word for word in words(turn.text) if stems_of(word))
    note = next(iter(evolved(turn, Annotation(turn.text.split(". ")[0], [], [], [], []), {}, LEXICAL)))
    return replace(note, keywords=tuple(word for word, _ in counted.most_common(MOST_WORDS // 2)))


def cube_of(note: Note) -> Derived:
    """The cube of a note."""
    meta: dict[str, Any] = {
        "context": note.context,
        "keywords": list(note.keywords),
        "tags": list(note.tags),
        "links": list(note.links),
        "saw": list(note.saw),
        "by": note.by,
        "cause": note.cause,
        "content": note.content,
        "source_trust": note.trust,
    }
    return Derived(
        id=note.id,
        origin=NOTES,
        text=note.text,
        members=note.rows,
        trust=note.trust if note.by == LEXICAL else "model",
        agent=note.agent,
        session=note.session,
        at=note.at,
        valid_from=note.valid_from,
        tokens=count_tokens([shown(None, note.text)])[0],
        meta=meta,
        vector=note.vector,
        links=(*(Link(id, RELATED) for id in note.links), *(Link(id, SAW) for id in note.saw)),
        recorded_at=note.recorded_at,
        versioned=True,
    )


def note_of(cube: Kept) -> Note:
    """The inverse of `cube_of`."""
    meta = cube.meta
    return Note(
        id=cube.id,
        content=meta["content"],
        context=meta["context"],
        keywords=tuple(meta["keywords"]),
        tags=tuple(meta["tags"]),
        links=tuple(meta["links"]),
        saw=tuple(meta.get("saw", ())),  # notes of older stores do not tell
        rows=tuple(cube.members.tolist()),
        trust=meta["source_trust"],
        by=meta["by"],
        cause=meta["cause"],
        agent=cube.agent,
        session=cube.session,
        at=cube.at,
        valid_from=cube.valid_from,
        recorded_at=cube.recorded_at,
        vector=cube.vector,
    )
