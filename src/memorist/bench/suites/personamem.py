"""PersonaMem: long chats of personas, and which of four replies fits the one who asks.

`--data` is the file of questions; the chats are in `documents.json` beside it, a text for each part of a chat with
`[USER]` and `[ASSISTANT]` before each turn. The references are what no memory gives: the first choice, and the longest.
"""

from __future__ import annotations

import random
import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from memorist.bench.suite import (
    Corpus,
    Dataset,
    Item,
    Outcome,
    Reference,
    Source,
    Suite,
    Task,
    drawn,
    records_of,
    shaped,
)
from memorist.cube import Role
from memorist.errors import InputError
from memorist.recall.pool import Limits

TURN = re.compile(r"^\[(SYSTEM|USER|ASSISTANT)\] ?", re.MULTILINE)
CHOICE = re.compile(r"^\(([a-z])\) ", re.MULTILINE)
ROLES: Mapping[str, Role] = {"SYSTEM": "system", "USER": "user", "ASSISTANT": "assistant"}


def load(source: Source) -> Dataset:
    """A corpus for each chat, and the questions about it."""
    corpora: dict[str, Corpus] = {}
    tasks: list[Task] = []
    for path in source.files:
        beside = path.with_name("documents.json")
        if not beside.exists():
            raise InputError(f"{path} needs the chats in {beside}, which does not exist")
        corpora |= chats(beside)
        tasks += shaped(path, "PersonaMem", records_of(path), task_of)
    chosen = drawn(of_few(tasks, source), source)
    asked = {task.corpus for task in chosen}
    corpora = {name: corpus for name, corpus in corpora.items() if name in asked}
    if missing := asked - corpora.keys():
        raise InputError(f"documents.json holds no chat of {min(missing)}")
    turns = sum(len(corpus.items) for corpus in corpora.values())
    return Dataset(corpora, tuple(chosen), (f"{len(corpora)} chats", f"{turns:,} turns"))


def of_few(tasks: Sequence[Task], source: Source) -> list[Task]:
    """The tasks of as few chats, drawn by the seed, as hold the limit's number: each has to be remembered whole."""
    if source.limit is None:
        return list(tasks)
    names = sorted({task.corpus for task in tasks})
    random.Random(source.seed).shuffle(names)
    held = list(accumulate(sum(task.corpus == name for task in tasks) for name in names))
    kept = names[: bisect_left(held, source.limit) + 1]
    return [task for task in tasks if task.corpus in kept]


def chats(path: Path) -> dict[str, Corpus]:
    """The turns of each chat in order, each once: parts of a chat may overlap."""
    found: dict[str, dict[str, Item]] = {}
    for user, items in shaped(path, "PersonaMem", records_of(path), document):
        turns = found.setdefault(user, {})
        turns.update((item.text, item) for item in items if item.text not in turns)
    return {user: Corpus(user, tuple(turns.values())) for user, turns in found.items()}


def document(number: int, record: Mapping[str, Any]) -> tuple[str, list[Item]]:
    """A part of a chat: whose, and its turns."""
    user, part = str(record["user_id"]), str(record["id"])
    return user, list(turns_of(record["content"], part, user))


def turns_of(content: str, part: str, session: str) -> Iterator[Item]:
    """The turns of a text."""
    marks = list(TURN.finditer(content))
    for place, mark in enumerate(marks):
        stop = marks[place + 1].start() if place + 1 < len(marks) else len(content)
        text = content[mark.end() : stop].strip()
        if text:
            yield Item(f"{part}/{place}", text, role=ROLES[mark[1]], session=session)


def task_of(number: int, record: Mapping[str, Any]) -> Task:
    """A question with its choices, which stand in its text from (a) on."""
    marks = list(CHOICE.finditer(record["query"]))
    if len(marks) < 2:
        raise ValueError("query has no choices (a), (b)")
    stops = [mark.start() for mark in marks[1:]] + [len(record["query"])]
    choices = {mark[1]: record["query"][mark.end() : stop].strip() for mark, stop in zip(marks, stops)}
    letter = next(one.strip("() ") for one in record["gold_answers"] if len(one.strip("() ")) == 1)
    meta = record["meta"]
    question = meta.get("retrieval_query") or record["query"][: marks[0].start()].strip()
    return Task(
        str(record["id"]),
        str(record["user_id"]),
        question,
        (choices[letter],),
        category=meta["question_type"].replace("_", " "),
        kind="choice",
        choices=tuple(choices.values()),
    )


def score(task: Task, outcome: Outcome) -> Mapping[str, float]:
    """Accuracy."""
    return {} if outcome.answer is None else {"accuracy": float(outcome.answer in task.answers)}


def guesses(dataset: Dataset) -> Mapping[str, Reference]:
    """What can be had without a memory."""
    return {
        "(first choice)": lambda task: Outcome((), frozenset(), task.choices[0], True),
        "(longest choice)": lambda task: Outcome((), frozenset(), max(task.choices, key=len), True),
    }


PERSONAMEM = Suite(
    name="personamem",
    about="PersonaMem, multiple choice",
    file="personamem/queries.json",
    load=load,
    score=score,
    limits=(Limits(None, 1_500),),
    headline="accuracy",
    references=guesses,
)
