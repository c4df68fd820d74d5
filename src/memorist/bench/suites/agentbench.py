"""MemoryAgentBench: four competences over long contexts that arrive in chunks, in its published record format.

A record is `{context, questions, answers, metadata: {source, …}}`. The context is cut into chunks of whole lines or
sentences and remembered one after another; questions come after the last chunk. Labelled examples (test-time learning)
and numbered facts are never cut apart.

| source begins with | competence | measure |
|---|---|---|
| ruler_qa, longmemeval, eventqa | accurate retrieval | answer contained; for EventQA all of its elements |
| icl_ | test-time learning | the label exactly |
| infbench_sum, detective_qa | long-range understanding | ROUGE-L; exact match |
| factconsolidation | conflict resolution | answer contained |

Recommendation (recsys_) needs the catalogue of films that is not part of the record, and is left out. A competence is
the mean of its data sets, with the five classification sets as one, and the overall score the mean of the competences.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from memorist.bench.metrics.texts import best, contains, exact, rouge_l
from memorist.bench.rows import ALL, Row, mean
from memorist.bench.suite import Corpus, Dataset, Item, Kind, Outcome, Source, Suite, Task, drawn, records_of, shaped
from memorist.models.wordpiece import count_tokens
from memorist.recall.pool import Limits

METRIC = "score"
BETWEEN = re.compile(r"(?<=[.!?])\s+|\n+")
EXAMPLE = re.compile(r"\n?^label: *(\S+)", re.MULTILINE | re.IGNORECASE)
SHORT, LONG = 512, 4_096
"""Tokens of a chunk."""


@dataclass(frozen=True, slots=True)
class Kindred:
    """A family of data sets: its competence, the tokens of a chunk, and what is asked for."""

    competence: str
    chunk: int
    kind: Kind = "open"


FAMILIES = {
    "ruler_qa": Kindred("accurate retrieval", SHORT),
    "longmemeval": Kindred("accurate retrieval", SHORT),
    "eventqa": Kindred("accurate retrieval", LONG),
    "icl_": Kindred("test-time learning", LONG, "label"),
    "infbench_sum": Kindred("long-range understanding", LONG),
    "detective_qa": Kindred("long-range understanding", LONG),
    "factconsolidation": Kindred("conflict resolution", SHORT),
}


def family_of(source: str) -> str | None:
    """The family a data set belongs to; None when it is not measured here."""
    return next((name for name in FAMILIES if source.startswith(name)), None)


def load(source: Source) -> Dataset:
    """A corpus for each record."""
    corpora: dict[str, Corpus] = {}
    tasks: list[Task] = []
    left: set[str] = set()
    for path in source.files:
        for number, record in enumerate(shaped(path, "MemoryAgentBench", records_of(path), checked), 1):
            name, family = record["metadata"]["source"], family_of(record["metadata"]["source"])
            if family is None:
                left.add(name)
                continue
            corpus = Corpus(f"{name}/{number}", tuple(items_of(record["context"], family)))
            corpora[corpus.name] = corpus
            tasks += tasks_of(record, corpus.name, family)
    chosen = drawn(tasks, source)
    chunks = sum(len(corpus.items) for corpus in corpora.values())
    notes = (f"{len(corpora)} contexts", f"{chunks:,} chunks", *(f"{name} left out" for name in sorted(left)))
    return Dataset(corpora, tuple(chosen), notes)


def checked(number: int, record: Mapping[str, Any]) -> Mapping[str, Any]:
    """A record of the right shape."""
    if not isinstance(record["context"], str) or len(record["questions"]) != len(record["answers"]):
        raise ValueError("context is a text, and each question has answers")
    _ = record["metadata"]["source"]
    return record


def items_of(context: str, family: str) -> Iterator[Item]:
    """The chunks in order; of labelled examples each by itself."""
    if FAMILIES[family].kind == "label":
        start = 0
        for number, mark in enumerate(EXAMPLE.finditer(context)):
            text = context[start : mark.start()].strip()
            start = mark.end()
            yield Item(f"example-{number}", f"{text}\nlabel: {mark[1]}", role="document", label=mark[1])
        return
    pieces = context.split("\n") if family == "factconsolidation" else BETWEEN.split(context)
    joint = "\n" if family == "factconsolidation" else " "
    for number, chunk in enumerate(packed(pieces, FAMILIES[family].chunk)):
        yield Item(f"chunk-{number}", joint.join(chunk), role="document", session="context")


def packed(pieces: Iterable[str], most: int) -> Iterator[list[str]]:
    """Pieces in as few chunks of at most so many tokens as come in order; a longer piece is a chunk of its own."""
    chunk: list[str] = []
    used = 0
    for piece in pieces:
        if not piece.strip():
            continue
        (tokens,) = count_tokens([piece])
        if chunk and used + tokens > most:
            yield chunk
            chunk, used = [], 0
        chunk.append(piece)
        used += tokens
    if chunk:
        yield chunk


def tasks_of(record: Mapping[str, Any], corpus: str, family: str) -> Iterator[Task]:
    """The questions of a record."""
    for number, (question, answers) in enumerate(zip(record["questions"], record["answers"])):
        listed = tuple(map(str, answers)) if isinstance(answers, list) else (str(answers),)
        yield Task(
            f"{corpus}/{number}",
            corpus,
            question,
            listed,
            category=record["metadata"]["source"],
            kind=FAMILIES[family].kind,
        )


def score(task: Task, outcome: Outcome) -> Mapping[str, float]:
    """The measure of the task's data set."""
    if outcome.answer is None:
        return {}
    family = family_of(task.category)
    said = spoken(outcome.answer)
    if family == "icl_":
        label = re.sub(r"^label: *", "", said.strip(), flags=re.IGNORECASE)
        return {METRIC: best(exact, label, task.answers)}
    if family == "eventqa":
        return {METRIC: min(contains(outcome.answer, gold) for gold in task.answers)}
    if family == "infbench_sum":
        return {METRIC: best(rouge_l, outcome.answer, task.answers)}
    metric = exact if family == "detective_qa" else contains
    return {METRIC: max(best(metric, one, task.answers) for one in (outcome.answer, said))}


def spoken(answer: str) -> str:
    """What stands after "Answer:", or the first line."""
    _, mark, after = answer.partition("Answer:")
    return after.strip() if mark else (answer.strip().splitlines() or [""])[0]


def competences(rows: Sequence[Row]) -> list[Row]:
    """The published totals: of each competence, and overall."""
    sets: dict[tuple[str, int], dict[str, dict[str, list[float]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(list))
    )
    for row in rows:
        family = family_of(row.category)
        if row.metric == METRIC and family is not None:
            name = family if family == "icl_" else row.category
            sets[row.recipe, row.budget][FAMILIES[family].competence][name].append(row.value)
    found = []
    for (recipe, budget), by_competence in sets.items():
        totals = {name: mean([mean(values) for values in data.values()]) for name, data in by_competence.items()}
        for name, value in totals.items():
            found.append(Row(AGENT_BENCH.name, recipe, METRIC, budget, name, value, len(by_competence[name])))
        found.append(Row(AGENT_BENCH.name, recipe, "overall", budget, ALL, mean(list(totals.values())), len(totals)))
    return found


AGENT_BENCH = Suite(
    name="agentbench",
    about="MemoryAgentBench",
    file="memoryagentbench/data.jsonl",
    load=load,
    score=score,
    limits=(Limits(10, None),),
    headline=METRIC,
    totals=competences,
)
