"""LoCoMo: conversations of two people over months, and questions with the turns that answer them.

Each conversation is an owner. Evidence recall is the share of a question's annotated turns that stand in the context
whole. Questions of category 5 cannot be answered from the conversation: there a refusal is right, and only that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from memorist.bench.metrics.texts import best, exact, set_f1, states, token_f1
from memorist.bench.readers import refuses
from memorist.bench.suite import Corpus, Dataset, Item, Outcome, Source, Suite, Task, drawn, records_of, shaped
from memorist.cube import Observation
from memorist.errors import InputError
from memorist.recall.pool import Limits
from memorist.sources import read

DIALOG_ID = re.compile(r"D(\d+):(\d+)")
ANSWERABLE = ("1", "2", "3", "4")
INFERENCE = "3"
CATEGORIES = {"1": "multi-hop", "2": "temporal", "3": "inference", "4": "single fact", "5": "unanswerable"}
BUDGETS = (500, 1_500, 3_000)


def load(source: Source) -> Dataset:
    """All conversations of the files, and their questions. A question that names no turn as evidence, though it can be
    answered, is left out."""
    corpora: dict[str, Corpus] = {}
    tasks: list[Task] = []
    for path in source.files:
        turns = conversations(path)
        samples = shaped(path, "LoCoMo", records_of(path), lambda number, one: (name_of(number, one), one["qa"]))
        for sample, questions in samples:
            corpus = Corpus(f"{path.stem}/{sample}", turns.get(sample, ()))
            corpora[corpus.name] = corpus
            found = shaped(path, "LoCoMo", questions, partial(task_of, corpus))
            tasks += [task for task in found if task.evidence or task.refusal]
    turns_in_all = sum(len(corpus.items) for corpus in corpora.values())
    notes = (f"{len(corpora)} conversations", f"{turns_in_all:,} turns")
    return Dataset(corpora, tuple(drawn(tasks, source)), notes)


def name_of(number: int, sample: Mapping[str, Any]) -> str:
    """A sample's name, as the product's own loader has it."""
    return str(sample.get("sample_id") or f"sample-{number}")


def conversations(path: Path) -> dict[str, tuple[Item, ...]]:
    """The turns of each sample, through the product's own loader; the parts of a long turn in one again."""
    try:
        turns = list(read(path, format="locomo"))
    except InputError as error:
        raise InputError(f"{path} is not in LoCoMo's format ({error})") from error
    whole = groupby(turns, key=lambda turn: (str(turn.meta["sample"]), str(turn.meta["dia_id"])))
    found: dict[str, list[Item]] = {}
    for (sample, key), parts in whole:
        found.setdefault(sample, []).append(item_of(key, list(parts)))
    return {sample: tuple(items) for sample, items in found.items()}


def item_of(key: str, parts: Iterable[Observation]) -> Item:
    """A turn."""
    first, *_ = parts = list(parts)
    text = "".join(part.text for part in parts)
    return Item(key, text, first.speaker, first.role, first.at, first.session)


def task_of(corpus: Corpus, number: int, entry: Mapping[str, Any]) -> Task:
    """A question. Evidence that names no turn is dropped."""
    named = (f"D{int(a)}:{int(b)}" for text in entry.get("evidence", []) for a, b in DIALOG_ID.findall(str(text)))
    spoken = {item.key for item in corpus.items}
    category = str(entry["category"])
    answer = str(entry.get("answer", ""))
    # An inference carries its reasons behind a semicolon.
    answer = answer.split(";")[0] if category == INFERENCE else answer
    return Task(
        f"{corpus.name}/{number}",
        corpus.name,
        entry["question"],
        () if category not in ANSWERABLE else (answer,),
        frozenset(named) & spoken,
        category,
        refusal=category not in ANSWERABLE,
    )


def score(task: Task, outcome: Outcome) -> Mapping[str, float]:
    """Evidence recall of what can be answered; of answers F1 both ways; of refusals whether they are right."""
    if task.refusal:
        return {} if outcome.answer is None else {"refused": refusal(outcome)}
    found = {"evidence_recall": len(task.evidence & outcome.whole) / len(task.evidence)}
    if outcome.answer is not None:
        found["answered"] = 1 - refusal(outcome)
        for name, metric in (("f1", token_f1), ("set_f1", set_f1), ("em", exact), ("contains", states)):
            found[name] = best(metric, outcome.answer, task.answers)
    return found


def refusal(outcome: Outcome) -> float:
    """Whether the answer says that there is none."""
    return float(not outcome.known or refuses(outcome.answer or ""))


LOCOMO = Suite(
    name="locomo",
    about="LoCoMo",
    file="locomo/locomo.json",
    load=load,
    score=score,
    limits=tuple(Limits(None, budget) for budget in BUDGETS),
    headline="evidence_recall",
    reader="none",
    categories=CATEGORIES,
)
