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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from memorist.bench.data import located
from memorist.bench.suite import Item, Source, Task, records_of
from memorist.bench.suites.locomo import CATEGORIES, load, name_of
from memorist.cube import Cube, Observation
from memorist.errors import InputError
from memorist.memory import Memory, ScopedMemory
from memorist.models.chat import Request
from memorist.organise.notes import NOTES
from memorist.recall.score import fused
from memorist.store.protocol import Floats
from memorist.store.terms import query_terms
from memorist.store.texts import Found, Texts
from memorist.testing import ScriptedModel
from memorist.text import shown

TOP = 10
INDEXES = ("content", "content + context")
EVERY = 100_000
UNANSWERABLE = "5"
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


def run(data: Sequence[str | Path], out: Path | None, console: Console) -> list[Row]:
    """Index the same turns with and without their contexts, and compare."""
    rows = [row for index in INDEXES for row in measure([located(path) for path in data], index)]
    show(rows, console)
    if out is not None:
        out.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")
    return rows


def measure(paths: Sequence[Path], index: str) -> list[Row]:
    """Write the notes of one kind, and rank them for every question."""
    recalls: dict[tuple[str, str], list[float]] = defaultdict(list)
    for path in paths:
        dataset = load(Source(files=(path,)))
        samples = {f"{path.stem}/{name_of(number, one)}": one for number, one in enumerate(records_of(path), 1)}
        for name, corpus in dataset.corpora.items():
            tasks = [task for task in dataset.tasks if task.corpus == name and task.evidence]
            with (
                tempfile.TemporaryDirectory(prefix="memorist-bench-") as folder,
                Memory.open(Path(folder) / "notes.db", recipe="a-mem") as memory,
            ):
                scope = memory.scope(user=name)
                scope.add([observed(item) for item in corpus.items])
                ranked(scope, tasks, samples[name] if index != INDEXES[0] else {}, recalls)
    return [
        Row(index, rank, category, float(np.mean(values)), len(values))
        for rank in RANKS
        for category, values in grouped(recalls, rank).items()
        if values
    ]


def observed(item: Item) -> Observation:
    """A turn of the corpus, with its id."""
    return Observation(
        item.text, item.speaker, item.role, item.at, item.session, source="locomo", meta={"turn": item.key}
    )


def ranked(
    scope: ScopedMemory, tasks: Sequence[Task], sample: Mapping[str, Any], recalls: dict[tuple[str, str], list[float]]
) -> None:
    """Have the notes of one conversation written, and ask its questions."""
    turns = scope.list(limit=EVERY)
    run = scope.organise(model=replaying(contexts(sample, turns)))
    if run.problems:
        raise InputError(f"the replay failed: {run.problems[0]}")
    view = scope._memory._views.of(scope.scope, NOTES, Texts)
    names = {cube.id: str(cube.meta["turn"]) for cube in turns}
    evidence = {cube.id: names[cube.episodes[0]] for cube in scope.list(limit=EVERY, origin=NOTES)}
    for task in tasks:
        for rank, hits in best(scope, view, task.question).items():
            hit = task.evidence & {evidence[id] for id in hits}
            recalls[rank, task.category].append(len(hit) / len(task.evidence))


def contexts(sample: Mapping[str, Any], turns: Sequence[Cube]) -> Mapping[str, str]:
    """The observations of each turn, by how the turn is shown."""
    of_turn: dict[str, list[str]] = defaultdict(list)
    for session in sample.get("observation", {}).values():
        for lines in session.values():
            for text, named in lines:
                for turn in re.findall(r"D\d+:\d+", json.dumps(named)):
                    of_turn[turn].append(text)
    return {shown(cube.speaker, cube.text): " ".join(of_turn[str(cube.meta["turn"])]) for cube in turns}


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
    answerable = [value for category in CATEGORIES if category != UNANSWERABLE for value in own.get(category, [])]
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
