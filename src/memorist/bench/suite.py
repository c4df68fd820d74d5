"""What a suite is: a loader of a published format, tasks with their gold, and metrics that need no judgement.

Corpus    what one owner is to remember, in order
Task      a question to that owner, what would answer it, and which items hold the answer
Suite     how to load both from any file of the format, and how to score an outcome
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

from memorist.bench.rows import ALL, Row
from memorist.cube import Role
from memorist.errors import InputError
from memorist.recall.pool import Limits

Kind = Literal["open", "choice", "label", "rank", "puzzle"]
"""What is asked for: a text, one of `choices`, the label that like items bear, a ranking of items, or the outputs of
an ARC puzzle, whose earlier ones bear their programs as labels."""


@dataclass(frozen=True, slots=True)
class Item:
    """Something to remember. `key` is the data set's own name for it, unique in its corpus."""

    key: str
    text: str
    speaker: str | None = None
    role: Role = "user"
    at: datetime | None = None
    session: str | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Corpus:
    """What one owner remembers, in the order in which it comes."""

    name: str
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Task:
    """A question. `evidence` are keys of items; without `answers` a refusal is right when `refusal` says so.

    `question` is what memory is searched with; `prompt`, when there is one, is what a reader is asked instead.
    """

    id: str
    corpus: str
    question: str
    answers: tuple[str, ...] = ()
    evidence: frozenset[str] = frozenset()
    category: str = ALL
    kind: Kind = "open"
    choices: tuple[str, ...] = ()
    refusal: bool = False
    prompt: str | None = None
    at: datetime | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def asked(self) -> str:
        """What a reader is asked."""
        return self.prompt or self.question


@dataclass(frozen=True, slots=True)
class Dataset:
    """What a loader makes of files: corpora by name, tasks in order, and notes for the report."""

    corpora: Mapping[str, Corpus]
    tasks: tuple[Task, ...]
    notes: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """A hash of all that is added and asked: another file, another limit, another digest."""
        found = hashlib.sha256()
        for corpus in self.corpora.values():
            found.update(repr(corpus).encode("utf-8", "surrogatepass"))
        for task in self.tasks:
            found.update(repr((*astuple_sorted(task),)).encode("utf-8", "surrogatepass"))
        return found.hexdigest()[:16]

    @property
    def items(self) -> int:
        """How many items there are to remember."""
        return sum(len(corpus.items) for corpus in self.corpora.values())


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a system made of a task, for a suite to score. `ranked` are keys in the order in which their first words
    were returned, `whole` those that stand in the context whole; `answer` is None when nobody read."""

    ranked: tuple[str, ...]
    whole: frozenset[str]
    answer: str | None
    known: bool


Reference = Callable[[Task], Outcome]
"""What is possible without a memory, such as guessing what is most common."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a loader reads, how much of it, and the seed for what it draws or generates."""

    files: tuple[Path, ...] = ()
    corpus: Path | None = None
    limit: int | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Suite:
    """A benchmark. `file` is where its data stand in a folder of data sets, None when it makes its own.

    `limits` are what a system may return, and `reader` who answers, when nobody says; `headline` is the metric that a
    short table shows. `references` make baselines that need no memory; `totals` adds rows made of others.
    """

    name: str
    about: str
    file: str | None
    load: Callable[[Source], Dataset]
    score: Callable[[Task, Outcome], Mapping[str, float]]
    limits: tuple[Limits, ...]
    headline: str
    reader: str = "extractive"
    categories: Mapping[str, str] = field(default_factory=dict)
    totals: Callable[[Sequence[Row]], Sequence[Row]] = lambda rows: ()
    references: Callable[[Dataset], Mapping[str, Reference]] = lambda dataset: {}


def astuple_sorted(task: Task) -> Iterator[object]:
    """The fields of a task with the unordered one in order: the same in every process."""
    yield from (task.id, task.corpus, task.question, task.answers, sorted(task.evidence), task.category, task.kind)
    yield from (task.choices, task.refusal, task.prompt, task.at)


def records_of(path: Path) -> list[Any]:
    """The records of a JSON file (a list, or one object) or of JSON lines. Raises InputError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    try:
        loaded = json.loads(text)
    except ValueError:
        try:
            return [json.loads(line) for line in text.splitlines() if line.strip()]
        except ValueError as error:
            raise InputError(f"{path} is neither JSON nor JSON lines ({error})") from error
    return loaded if isinstance(loaded, list) else [loaded]


def shaped(path: Path, format: str, records: Sequence[Any], make: Callable[[int, Any], Any]) -> list[Any]:
    """What `make` gives for each record; a record of another shape is an InputError that names it."""
    made = []
    for number, record in enumerate(records, 1):
        try:
            made.append(make(number, record))
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise InputError(
                f"{path}, record {number} is not in {format}'s format ({type(error).__name__}: {error})"
            ) from error
    return made


Drawn = TypeVar("Drawn")


def drawn(found: Sequence[Drawn], source: Source) -> list[Drawn]:
    """All, or as many as the limit says, drawn by the seed and kept in order."""
    if source.limit is None or source.limit >= len(found):
        return list(found)
    places = random.Random(source.seed).sample(range(len(found)), source.limit)
    return [found[place] for place in sorted(places)]
