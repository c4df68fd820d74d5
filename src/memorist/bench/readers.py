"""Readers: from what a system returned to an answer. The extractive ones cost no model call and never vary.

open     the sentences that carry the answer, quoted; or that the memory does not know; a model may read instead
choice   the choice nearest to what was returned
label    the label that the returned examples bear, nearer ones weighing more
rank     what was returned, as it is
puzzle   what a search makes of it that begins with the programs of returned puzzles
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from memorist.answer import extractive, reader
from memorist.arguments import model_named
from memorist.bench.arc import reader as puzzles
from memorist.bench.metrics.texts import best, exact, states, token_f1
from memorist.bench.rows import mean
from memorist.bench.suite import Task
from memorist.bench.system import WHEN, Found, embedding_of
from memorist.errors import BadReply, InputError
from memorist.models.chat import ChatModel, Usage
from memorist.models.embedder import Embedder
from memorist.results import Answer

READ = 6
"""Texts that a choice is compared with."""

READING_SECONDS = 1_200.0
"""How long a model may take for one question: on a busy machine the small ones do."""

CONTEXT_TOKENS = 1_000_000
"""A model reads all that was returned, as far as it fits the model."""


@dataclass(frozen=True, slots=True)
class Reading:
    """An answer (None: nothing was read), whether it is one, what it took, and measures of the reader's own."""

    answer: str | None = None
    known: bool = False
    seconds: float = 0.0
    usage: Usage = field(default_factory=Usage)
    measures: Mapping[str, float] = field(default_factory=dict)


class Reader(Protocol):
    """Makes an answer from a context."""

    name: str

    def read(self, task: Task, found: Found, labels: Mapping[str, str]) -> Reading:
        """The answer to a task; `labels` are those of the returned items, by key."""
        ...


class NoReader:
    """Retrieval alone is measured."""

    name = "none"

    def read(self, task: Task, found: Found, labels: Mapping[str, str]) -> Reading:
        """No answer."""
        return Reading()


class Extractive:
    """Answers without a language model."""

    name = "extractive"

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    def read(self, task: Task, found: Found, labels: Mapping[str, str]) -> Reading:
        """By the kind of task."""
        begin, before = time.perf_counter(), embedding_of(self._embedder)[0]
        measures: Mapping[str, float] = {}
        if task.kind == "open":
            made = extractive.answer(task.asked, found.hits, self._embedder)
            answer, known, measures = made.text, made.known, measures_of(made, task)
        else:
            answer, known = self._answer(task, found, labels)
        saved = embedding_of(self._embedder)[0] - before
        return Reading(answer, known, time.perf_counter() - begin + saved, measures=measures)

    def _answer(self, task: Task, found: Found, labels: Mapping[str, str]) -> tuple[str, bool]:
        if task.kind == "label":
            label = voted(found, labels)
            return label or extractive.UNKNOWN, label is not None
        if task.kind == "puzzle":
            programs = [labels[key] for one in found.returned for key in one.keys if key in labels]
            made = puzzles.answer(task.meta["puzzle"], programs)
            return made or "", made is not None
        if task.kind == "rank":
            return "\n".join(one.text for one in found.returned), bool(found.returned)
        return self._chosen(task, found), True

    def _chosen(self, task: Task, found: Found) -> str:
        """The choice with the highest cosine to any of the best texts; the first of equals."""
        context = self._embedder.embed([one.text for one in found.returned[:READ]] or [task.asked])
        near = (self._embedder.embed(list(task.choices)) @ context.T).max(axis=1)
        return task.choices[int(near.argmax())]


class ModelReader:
    """Answers with a language model, from the same hits that the others get. Its answer is the short one."""

    def __init__(self, model: ChatModel) -> None:
        self.name = model.name
        self._model = model

    def read(self, task: Task, found: Found, labels: Mapping[str, str]) -> Reading:
        """The short answer. Raises InputError for tasks that do not ask for a text, ModelError."""
        if task.kind != "open":
            raise InputError(f"a language model reads answers in words; {task.kind} tasks take --reader extractive")
        begin = time.perf_counter()
        asked = reader.Asked(task.asked, task.at or WHEN, READING_SECONDS)
        try:
            made = reader.read(asked, found.hits, self._model, CONTEXT_TOKENS)
        except BadReply as error:
            return Reading(error.raw, False, time.perf_counter() - begin, measures={"bad_reply": 1.0})
        answer = made.short if made.known else made.text
        return Reading(answer, made.known, time.perf_counter() - begin, made.usage, measures_of(made, task))


def measures_of(answer: Answer, task: Task) -> dict[str, float]:
    """Of an answer: its short form against what is right, and of a given one how much of what it cites is evidence,
    how much it says is carried, how much of that the check had to cite anew, and citations of nothing."""
    found = {}
    if task.answers:
        short = answer.short if answer.known else ""
        for name, metric in (("short_f1", token_f1), ("short_em", exact), ("short_contains", states)):
            found[name] = best(metric, short, task.answers)
    if answer.sentences:
        found["supported"] = mean([float(one.supported) for one in answer.sentences])
        found["recited"] = mean([float(one.recited) for one in answer.sentences])
        found["invented"] = float(answer.invented)
    if answer.known and task.evidence and not task.refusal:
        items = {hit.id: str(hit.meta.get("item")) for hit in answer.hits}
        cited = [items[citation.id] in task.evidence for citation in answer.citations]
        found["citation_precision"] = mean([float(one) for one in cited])
    return found


def voted(found: Found, labels: Mapping[str, str]) -> str | None:
    """The label with most votes, the example at place n having 1/n; None when none bears one."""
    votes: dict[str, float] = defaultdict(float)
    for place, one in enumerate(found.returned, 1):
        for key in one.keys:
            if key in labels:
                votes[labels[key]] += 1 / place
    return max(votes, key=lambda label: votes[label]) if votes else None


REFUSAL = re.compile(
    r"\b(?:(?:do|does|did|can) ?not|don't|doesn't|can't|cannot) (?:know|say|tell|answer)\b"
    r"|\bno (?:information|mention|answer)\b|\bnot (?:mentioned|stated|known|available)\b|\bunanswerable\b|\bunknown\b",
    re.IGNORECASE,
)


def refuses(answer: str) -> bool:
    """Whether an answer says that there is none."""
    return REFUSAL.search(answer.replace("’", "'")) is not None


READERS = (NoReader.name, Extractive.name)


def check_reader(name: str) -> None:
    """Raises InputError for what names no reader."""
    if name not in READERS and not re.fullmatch(r"\w+:.+", name):
        raise InputError(
            f"there is no reader {name!r:.50}; choose {', '.join(READERS)} or a model such as local:smollm2-135m"
        )


def reader_named(name: str, embedder: Embedder) -> Reader:
    """The reader of a name: none, extractive, or a language model's. Raises InputError or ModelMissing."""
    if name == NoReader.name:
        return NoReader()
    if name == Extractive.name:
        return Extractive(embedder)
    model = model_named(name)
    assert model is not None
    return ModelReader(model)
