"""`memorist bench notes`: does what a note says about a turn help to find it?

The contexts are replayed, not made: a LoCoMo file carries observations, which a strong model wrote with sight of the
whole session, each with the turn it comes from. They stand in for a note's context, so this is an upper estimate of
what a model's notes give, and says nothing about any model here.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from memorist.bench.conversations import ANSWERABLE, CATEGORIES, Conversation, conversations
from memorist.bench.told import Outputs, tell
from memorist.cube import Cube
from memorist.memory import Memory
from memorist.models.chat import Request
from memorist.organise.notes import NOTES
from memorist.recall.score import fused
from memorist.scoped import ScopedMemory
from memorist.store.protocol import Floats
from memorist.store.terms import query_terms
from memorist.store.texts import Found, Texts
from memorist.testing import ScriptedModel
from memorist.text import shown

TOP = 10
EVERY = 100_000
RANKS = ("cosine", "words", "both")
"""How notes are ranked: by cosine (the paper), by the share of the question's words, by both (the recipe)."""


@dataclass(frozen=True, slots=True)
class Row:
    """Mean recall of the evidence turns among the first TOP notes."""

    index: str
    rank: str
    category: str
    recall: float
    n: int


def run(data: Sequence[str | Path], out: Outputs, console: Console) -> list[Row]:
    """Index the same turns with and without their contexts, and compare."""
    found = conversations(data)
    rows: list[Row] = []
    for index in ("content", "content + context"):
        with tempfile.TemporaryDirectory(prefix="memorist-bench-") as folder:
            path = Path(folder) / "notes.db"
            add_all(path, found, console)
            rows += measure(path, found, index)
    show(rows, console)
    tell(out, "notes", rows, data=data)
    return rows


def add_all(path: Path, found: Sequence[Conversation], console: Console) -> None:
    """Add every conversation through the product's own loader."""
    turns = 0
    with Memory.open(path) as memory:
        for conversation in found:
            file = path.with_name("sample.json")
            file.write_text(json.dumps(conversation.sample), encoding="utf-8")
            turns += memory.scope(user=conversation.name).add(file).added
    console.print(f"added {turns} turns", highlight=False)


def measure(path: Path, found: Sequence[Conversation], index: str) -> list[Row]:
    """Write the notes of one kind, and rank them for every question."""
    recalls: dict[tuple[str, str], list[float]] = defaultdict(list)
    with Memory.open(path, recipe="a-mem") as memory:
        for conversation in found:
            scope = memory.scope(user=conversation.name)
            turns = scope.list(limit=EVERY)
            said = contexts(conversation, turns) if index != "content" else {}
            run = scope.organise(model=replaying(said))
            assert not run.problems, run.problems
            view = memory._views.of(scope.scope, NOTES, Texts)
            names = {cube.id: str(cube.meta["dia_id"]) for cube in turns}
            evidence = {cube.id: names[cube.episodes[0]] for cube in scope.list(limit=EVERY, origin=NOTES)}
            for question in conversation.questions:
                if question.evidence:
                    for rank, hits in best(scope, view, question.text).items():
                        shown_turns = {evidence[id] for id in hits}
                        recalls[rank, question.category].append(
                            len(question.evidence & shown_turns) / len(question.evidence)
                        )
    return [
        Row(index, rank, category, float(np.mean(values)), len(values))
        for rank in RANKS
        for category, values in grouped(recalls, rank).items()
    ]


def contexts(conversation: Conversation, turns: Sequence[Cube]) -> Mapping[str, str]:
    """The observations of each turn, by how the turn is shown."""
    of_turn: dict[str, list[str]] = defaultdict(list)
    for session in conversation.sample["observation"].values():
        for lines in session.values():
            for text, named in lines:
                for turn in re.findall(r"D\d+:\d+", json.dumps(named)):
                    of_turn[turn].append(text)
    return {shown(cube.speaker, cube.text): " ".join(of_turn[str(cube.meta["dia_id"])]) for cube in turns}


def replaying(said: Mapping[str, str]) -> ScriptedModel:
    """A model that answers with the recorded context of a turn, and links and rewrites nothing."""

    def reply(request: Request) -> str:
        text = json.loads(request.messages[-1].content.split("New message:\n", 1)[1].split("] ", 1)[1].split("\n")[0])
        note = {"context": said.get(text, ""), "keywords": [], "tags": [], "links": [], "rewrites": []}
        return json.dumps(note, ensure_ascii=False)

    return ScriptedModel(reply, name="recorded observations")


def best(scope: ScopedMemory, view: Texts, question: str) -> Mapping[str, list[str]]:
    """The ids of the first TOP notes by each rank."""
    vector: Floats = np.asarray(scope._memory._embedder.embed([question])[0], np.float32)
    found: Found = view.find(query_terms(question), vector)
    values = {"cosine": found.cosine, "words": found.coverage, "both": fused(found.cosine, found.coverage)}
    return {
        rank: [view.kept[int(found.rows[place])].id for place in np.argsort(-value, kind="stable")[:TOP]]
        for rank, value in values.items()
    }


def grouped(recalls: Mapping[tuple[str, str], list[float]], rank: str) -> Mapping[str, list[float]]:
    """The values of a rank by category, those of 1-4 together first."""
    own = {category: values for (kind, category), values in sorted(recalls.items()) if kind == rank}
    answerable = [value for category in ANSWERABLE for value in own.get(category, [])]
    return {"all": answerable, **own}


def show(rows: Sequence[Row], console: Console) -> None:
    """A line for each rank and category, both indexes side by side."""
    table = Table(box=None, pad_edge=False, title=f"evidence among the first {TOP} notes")
    for heading in ("rank", "questions", "content", "content + context", "gain"):
        table.add_column(heading, justify="left" if heading in ("rank", "questions") else "right")
    values = {(row.index, row.rank, row.category): row for row in rows}
    for (index, rank, category), plain in values.items():
        rich = values.get(("content + context", rank, category))
        if index == "content" and rich is not None:
            name = f"{CATEGORIES.get(category, 'all of 1-4')} ({plain.n})"
            gain = f"{rich.recall - plain.recall:+.3f}"
            table.add_row(rank, name, f"{plain.recall:.3f}", f"{rich.recall:.3f}", gain)
    console.print(table)
