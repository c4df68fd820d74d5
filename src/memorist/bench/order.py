"""`memorist bench order`: hard negatives, what they do to a reader, and what the order of passages does.

curve   the first k passages of each retriever go to the reader
stop    the recipe that stops where scores fall, beside fixed numbers of passages: tokens, recall, accuracy
probe   the annotated passage and k - 1 that do not hold the answer, by each retriever or at random: recall is 1 at
        every k, so what is lost is lost to distraction
order   with a language model: the annotated passage among negatives, at different places of the context

The reader without a model takes the best sentence of all passages, and does not see their order. Passages that hold a
right answer are never negatives, annotated or not.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from memorist.answer.extractive import rank
from memorist.arguments import model_named
from memorist.bench.metrics.texts import best, states
from memorist.bench.retrievers import RETRIEVERS, Asked, Passages, passages_of, ranked
from memorist.bench.system import WHEN
from memorist.bench.told import Outputs, tell
from memorist.bench.vectors import Remembering
from memorist.models.chat import ChatModel, Message, Request
from memorist.models.known import DEFAULT, embedder_named
from memorist.models.wordpiece import count_tokens
from memorist.results import Hit, at_edges

KS = (1, 2, 3, 5, 10, 20)
RANKS = (1, 2, 5, 10, 20)
DEPTH = 40
RANDOM, FRUGAL = "random", "frugal"
CONTEXT = 5
"""Passages that a language model reads."""

MODEL_SECONDS = 600.0
REPLY_TOKENS = 24

INSTRUCTION = (
    "Answer the question from the passages, with as few words as possible: a name, a number or a date. Do not explain."
)


@dataclass(frozen=True, slots=True)
class Row:
    """One number over `n` questions, at k passages or at rank k."""

    part: str
    name: str
    metric: str
    k: int
    value: float
    n: int


@dataclass(frozen=True, slots=True)
class Ranking:
    """What the parts work on: the passages, each retriever's lists, its negatives, and the reader."""

    passages: Passages
    lists: Mapping[str, list[list[int]]]
    negatives: Mapping[str, list[list[int]]]
    reader: SentenceReader


def run(
    data: Path, limit: int | None, seed: int, model: str | None, asked_of_model: int, out: Outputs, console: Console
) -> list[Row]:
    """Measure, print tables, and tell `out`."""
    passages = passages_of(data, limit, seed)
    with (
        tempfile.TemporaryDirectory(prefix="memorist-bench-") as folder,
        closing(Remembering(embedder_named(DEFAULT))) as embedder,
    ):
        lists = ranked(passages, RETRIEVERS, DEPTH, Path(folder))
        reader = SentenceReader(passages, embedder)
        ranking = Ranking(passages, lists, negatives_of(passages, lists, seed), reader)
        rows = [*hardness(ranking, embedder), *curves(ranking, console), *probes(ranking, console)]
        rows += stops(ranking, ranked(passages, (FRUGAL,), DEPTH, Path(folder))[FRUGAL])
        reading = model_named(model)
        if reading is not None:
            rows += orders(ranking, reading, asked_of_model, console)
    show(rows, console)
    tell(out, "order", rows, data=[data], seed=seed, model=model)
    return rows


class SentenceReader:
    """Reads by the best sentence, as answers without a language model do; what it made of a passage is kept."""

    def __init__(self, passages: Passages, embedder: Remembering) -> None:
        self._passages = passages
        self._embedder = embedder
        self._vectors = embedder.embed([one.question for one in passages.asked])
        self._read: dict[tuple[int, int], tuple[float, bool]] = {}

    def right(self, number: int, places: Sequence[int]) -> bool:
        """Whether the best sentence of these passages states an answer to the question of this number."""
        return max((self._best(number, place) for place in places), default=(0.0, False), key=lambda one: one[0])[1]

    def _best(self, number: int, place: int) -> tuple[float, bool]:
        """The score of a passage's best sentence for a question, and whether it states an answer."""
        if (number, place) not in self._read:
            asked = self._passages.asked[number]
            title, _, text = self._passages.texts[place].partition("\n")
            found = rank(asked.question, self._vectors[number], [passage_hit(place, title, text)], self._embedder)
            said = (found[0].score, bool(best(states, found[0].text, asked.answers))) if found else (-1.0, False)
            self._read[number, place] = said
        return self._read[number, place]


def passage_hit(place: int, title: str, text: str) -> Hit:
    """A passage as a reader takes it; its own score is left out, so that only sentences decide."""
    return Hit(str(place), text, 0.0, WHEN, title, "document", "user", str(place), (str(place),), (), {}, {})


def holds(text: str, asked: Asked) -> bool:
    """Whether a passage states one of the right answers."""
    return bool(best(states, text, asked.answers))


def negatives_of(passages: Passages, lists: Mapping[str, list[list[int]]], seed: int) -> dict[str, list[list[int]]]:
    """Each retriever's passages without the annotated one and those that hold an answer; and as many at random."""
    rng = random.Random(seed)
    drawn = [rng.sample(range(len(passages.texts)), min(DEPTH, len(passages.texts))) for _ in passages.asked]
    return {
        name: [
            [place for place in places if place != one.gold and not holds(passages.texts[place], one)]
            for one, places in zip(passages.asked, found)
        ]
        for name, found in {**lists, RANDOM: drawn}.items()
    }


def hardness(ranking: Ranking, embedder: Remembering) -> Iterator[Row]:
    """How near the negative at each rank is, less how near the annotated passage is; and how often it is nearer."""
    texts, asked = ranking.passages.texts, ranking.passages.asked
    vectors, questions = embedder.embed(texts), embedder.embed([one.question for one in asked])
    right = np.array([vectors[one.gold] @ question for one, question in zip(asked, questions)])
    for name, lists in ranking.negatives.items():
        for place in RANKS:
            there = [number for number, found in enumerate(lists) if len(found) >= place]
            if not there:
                continue
            near = np.array([vectors[lists[number][place - 1]] @ questions[number] for number in there])
            gap = near - right[there]
            yield Row("hardness", name, "gap", place, float(gap.mean()), len(there))
            yield Row("hardness", name, "nearer", place, float((gap > 0).mean()), len(there))


def curves(ranking: Ranking, console: Console) -> Iterator[Row]:
    """Recall and accuracy with the first k passages of each retriever."""
    asked = ranking.passages.asked
    for name in track(ranking.lists, "curves", console=console, transient=True):
        lists = ranking.lists[name]
        for k in KS:
            found = [one.gold in places[:k] for one, places in zip(asked, lists)]
            right = [ranking.reader.right(number, places[:k]) for number, places in enumerate(lists)]
            yield Row("curve", name, "recall", k, float(np.mean(found)), len(asked))
            yield Row("curve", name, "accuracy", k, float(np.mean(right)), len(asked))


def probes(ranking: Ranking, console: Console) -> Iterator[Row]:
    """Accuracy with the annotated passage and k - 1 negatives."""
    asked = ranking.passages.asked
    for name in track(ranking.negatives, "probes", console=console, transient=True):
        for k in KS:
            contexts = [[one.gold, *negatives[: k - 1]] for one, negatives in zip(asked, ranking.negatives[name])]
            right = [ranking.reader.right(number, context) for number, context in enumerate(contexts)]
            yield Row("probe", name, "accuracy", k, float(np.mean(right)), len(asked))


def stops(ranking: Ranking, frugal: list[list[int]]) -> Iterator[Row]:
    """Tokens, recall and accuracy of what FRUGAL keeps, and of the first k passages of the default recipe."""
    asked = ranking.passages.asked
    tokens = count_tokens(ranking.passages.texts)
    contexts = {f"first {k}": [places[:k] for places in ranking.lists["default"]] for k in KS}
    for name, lists in {**contexts, FRUGAL: frugal}.items():
        found = [one.gold in places for one, places in zip(asked, lists)]
        right = [ranking.reader.right(number, places) for number, places in enumerate(lists)]
        cost = [sum(tokens[place] for place in places) for places in lists]
        for metric, values in (("tokens", cost), ("recall", found), ("accuracy", right)):
            yield Row("stop", name, metric, DEPTH, float(np.mean(values)), len(asked))


LAYOUTS: Mapping[str, Callable[[list[int]], list[int]]] = {
    "first": lambda ranked: ranked,
    "middle": lambda ranked: [*ranked[1 : 1 + len(ranked) // 2], ranked[0], *ranked[1 + len(ranked) // 2 :]],
    "last": lambda ranked: [*ranked[1:], ranked[0]],
}
"""Where the annotated passage stands among negatives."""


def orders(ranking: Ranking, model: ChatModel, most: int, console: Console) -> Iterator[Row]:
    """Accuracy of a language model: with the annotated passage alone, among random and among hard negatives, at each
    place; and with the first passages of the default recipe by rank, at both ends, and reversed."""
    contexts: dict[str, Callable[[int, Asked], list[int]]] = {
        "annotated alone": lambda number, one: [one.gold],
        "among random, first": lambda number, one: [one.gold, *ranking.negatives[RANDOM][number][: CONTEXT - 1]],
    }
    for name, layout in LAYOUTS.items():
        contexts[f"among hard, {name}"] = (
            lambda number, one, layout=layout: layout(  # type: ignore[misc]
                [one.gold, *ranking.negatives["dense"][number][: CONTEXT - 1]]
            )
        )
    contexts["retrieved, by rank"] = lambda number, one: ranking.lists["default"][number][:CONTEXT]
    contexts["retrieved, edges"] = lambda number, one: at_edges(ranking.lists["default"][number][:CONTEXT])
    contexts["retrieved, reversed"] = lambda number, one: ranking.lists["default"][number][:CONTEXT][::-1]
    right: dict[str, list[bool]] = {name: [] for name in contexts}
    chosen = list(enumerate(ranking.passages.asked))[:most]
    for number, one in track(chosen, model.name, console=console, transient=True):
        for name, context in contexts.items():
            said = answered(model, one.question, [ranking.passages.texts[place] for place in context(number, one)])
            right[name].append(bool(best(states, said, one.answers)))
    for name, values in right.items():
        yield Row("order", name, model.name, CONTEXT, float(np.mean(values)), len(values))


def answered(model: ChatModel, question: str, texts: Sequence[str]) -> str:
    """What a model answers from passages in this order."""
    shown = "\n\n".join(f"Passage {number}: {text}" for number, text in enumerate(texts, 1))
    turn = Message("user", f"{INSTRUCTION}\n\n{shown}\n\nQuestion: {question}")
    return model.reply(Request((turn,), max_tokens=REPLY_TOKENS), seconds=MODEL_SECONDS).text


def show(rows: Sequence[Row], console: Console) -> None:
    """A table for each part."""
    titles = {
        ("hardness", "gap"): "how near the negative at each rank is, less the annotated passage",
        ("hardness", "nearer"): "share of questions whose negative at this rank is nearer than the annotated passage",
        ("curve", "recall"): "the first k passages: the annotated one is among them",
        ("curve", "accuracy"): "the first k passages: the reader is right",
        ("probe", "accuracy"): "the annotated passage and k - 1 negatives: the reader is right",
    }
    for (part, metric), title in titles.items():
        these = [row for row in rows if (row.part, row.metric) == (part, metric)]
        ks = list(dict.fromkeys(row.k for row in these))
        table = Table(title=title)
        for name in ("", *map(str, ks)):
            table.add_column(name, justify="right" if name else "left")
        values = {(row.name, row.k): f"{row.value:.3f}" for row in these}
        for name in dict.fromkeys(row.name for row in these):
            table.add_row(name, *(values.get((name, k), "") for k in ks))
        console.print(table)
    for name in dict.fromkeys(row.name for row in rows if row.part == "stop"):
        cost, recall, accuracy = (row.value for row in rows if (row.part, row.name) == ("stop", name))
        console.print(f"{name}: {cost:.0f} tokens, recall {recall:.3f}, right {accuracy:.3f}", highlight=False)
    for row in rows:
        if row.part == "order":
            console.print(f"{row.metric}, {row.name}: {row.value:.3f} of {row.n}", highlight=False)
