"""Readers: from what a system returned to an answer. The extractive ones cost no model call and never vary.

open     the sentences that carry the answer, quoted; or that the memory does not know
choice   the choice nearest to what was returned
label    the label that the returned examples bear, nearer ones weighing more
rank     what was returned, as it is
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from memorist.answer import extractive
from memorist.bench.suite import Task
from memorist.bench.system import Found, embedding_of
from memorist.models.chat import Usage
from memorist.models.embedder import Embedder

READ = 6
"""Texts that a choice is compared with."""


@dataclass(frozen=True, slots=True)
class Reading:
    """An answer (None: nothing was read), whether it is one, and what it took."""

    answer: str | None = None
    known: bool = False
    seconds: float = 0.0
    usage: Usage = field(default_factory=Usage)


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
        answer, known = self._answer(task, found, labels)
        saved = embedding_of(self._embedder)[0] - before
        return Reading(answer, known, time.perf_counter() - begin + saved)

    def _answer(self, task: Task, found: Found, labels: Mapping[str, str]) -> tuple[str, bool]:
        if task.kind == "label":
            label = voted(found, labels)
            return label or extractive.UNKNOWN, label is not None
        if task.kind == "choice":
            return self._chosen(task, found), True
        if task.kind == "rank":
            return "\n".join(one.text for one in found.returned), bool(found.returned)
        answer = extractive.answer(task.asked, found.hits, self._embedder)
        return answer.text, answer.known

    def _chosen(self, task: Task, found: Found) -> str:
        """The choice with the highest cosine to any of the best texts; the first of equals."""
        context = self._embedder.embed([one.text for one in found.returned[:READ]] or [task.asked])
        near = (self._embedder.embed(list(task.choices)) @ context.T).max(axis=1)
        return task.choices[int(near.argmax())]


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
