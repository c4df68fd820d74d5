"""Test-time learning: labelled examples are remembered, and new ones are to be labelled like them.

Banking77, CLINC150, TREC, and CLUTRR's kinship stories. The reader votes: returned examples weigh by their place. At
most SHOTS examples of a label are remembered, and ASKED new ones are asked, both drawn by the seed. The reference
always says the label that is most common in memory.
"""

from __future__ import annotations

import csv
import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memorist.bench.rows import ALL
from memorist.bench.suite import Corpus, Dataset, Item, Outcome, Reference, Source, Suite, Task
from memorist.errors import InputError
from memorist.recall.pool import Limits

SHOTS, ASKED = 20, 500
RETURNED = 10
CORPUS = "examples"


@dataclass(frozen=True, slots=True)
class Example:
    """A text, its label, and the category it is reported under."""

    text: str
    label: str
    category: str = ALL


Split = tuple[list[Example], list[Example]]
"""To remember, and to ask."""


def loader(parse: Callable[[Path, int], Split]) -> Callable[[Source], Dataset]:
    """A loader of the folder (or file) that `parse` reads, given the seed."""

    def load(source: Source) -> Dataset:
        shown: list[Example] = []
        asked: list[Example] = []
        for path in source.files:
            try:
                train, test = parse(path, source.seed)
            except (KeyError, ValueError, TypeError, OSError) as error:
                raise InputError(f"{path} is not in the data set's format ({type(error).__name__}: {error})") from error
            shown, asked = shown + train, asked + test
        if not shown or not asked:
            raise InputError(f"{', '.join(map(str, source.files))} holds too few examples to show some and ask others")
        rng = random.Random(source.seed)
        kept = few_of_each(shown, rng)
        items = [Item(str(n), one.text, role="document", label=one.label) for n, one in enumerate(kept)]
        chosen = rng.sample(asked, min(source.limit or ASKED, len(asked)))
        tasks = [
            Task(str(n), CORPUS, one.text, (one.label,), category=one.category, kind="label")
            for n, one in enumerate(chosen)
        ]
        labels = {one.label for one in kept}
        notes = (f"{len(items):,} examples of {len(labels)} labels",)
        return Dataset({CORPUS: Corpus(CORPUS, tuple(items))}, tuple(tasks), notes)

    return load


def few_of_each(examples: Iterable[Example], rng: random.Random) -> list[Example]:
    """At most SHOTS of each label, in an order that tells nothing."""
    by_label: dict[str, list[Example]] = defaultdict(list)
    for one in dict.fromkeys(examples):
        by_label[one.label].append(one)
    kept = [one for label in sorted(by_label) for one in drawn_of(by_label[label], rng)]
    rng.shuffle(kept)
    return kept


def drawn_of(examples: list[Example], rng: random.Random) -> list[Example]:
    """SHOTS of them, or all."""
    return rng.sample(examples, min(SHOTS, len(examples)))


def banking(path: Path, seed: int) -> Split:
    """`train.csv` and `test.csv`, with the columns text and category."""
    first, second = (
        [Example(row["text"], row["category"]) for row in rows(path / name)] for name in ("train.csv", "test.csv")
    )
    return first, second


def clinc(path: Path, seed: int) -> Split:
    """`data_full.json`; what is out of scope is left out, as no vote can say so."""
    found = json.loads(path.read_text(encoding="utf-8"))
    first, second = ([Example(text, label) for text, label in found[split]] for split in ("train", "test"))
    return first, second


def trec(path: Path, seed: int) -> Split:
    """Lines `COARSE:fine question`, labelled finely; without the test file `TREC_10.label` beside it some are held out,
    drawn by the seed."""
    shown = list(questions(path))
    beside = path.with_name("TREC_10.label")
    if beside != path and beside.exists():
        return shown, list(questions(beside))
    random.Random(seed).shuffle(shown)
    return shown[ASKED:], shown[:ASKED]


def questions(path: Path) -> Iterator[Example]:
    """The questions of a TREC file, which is in Latin-1."""
    for line in path.read_text(encoding="latin-1").splitlines():
        label, question = line.split(" ", 1)
        if not re.fullmatch(r"[A-Z]+:\w+", label):
            raise ValueError(f"{label!r:.40} is no label such as NUM:date")
        yield Example(question.strip(), label)


def clutrr(path: Path, seed: int) -> Split:
    """A folder with `train*.csv`, and a `test*.csv` for each number of hops, which is the category."""
    shown = [story(row, ALL) for file in sorted(path.glob("train*.csv")) for row in rows(file)]
    asked = [
        story(row, f"{len(row['f_comb'].split('-'))} hops")
        for file in sorted(path.glob("test*.csv"))
        for row in rows(file)
    ]
    if not shown or not asked:
        raise FileNotFoundError(f"{path} holds no train*.csv and test*.csv")
    return shown, asked


def story(row: Mapping[str, Any], category: str) -> Example:
    """A story with its question; the label is the relation."""
    one, other = (name.strip(" '\"()") for name in row["query"].split(","))
    return Example(f"{row['story']} What is {other} to {one}?", row["target"], category)


def rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a CSV with a header."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def score(task: Task, outcome: Outcome) -> Mapping[str, float]:
    """Accuracy: the label itself, nothing near it."""
    return {} if outcome.answer is None else {"accuracy": float(outcome.answer in task.answers)}


def most_common(dataset: Dataset) -> Mapping[str, Reference]:
    """The label with most examples, whatever is asked; of equals the first by name."""
    counts = Counter(item.label for item in dataset.corpora[CORPUS].items if item.label is not None)
    label = min(counts, key=lambda one: (-counts[one], one))
    return {"(most common label)": lambda task: Outcome((), frozenset(), label, True)}


def label_suite(name: str, about: str, file: str, parse: Callable[[Path, int], Split]) -> Suite:
    """A suite of examples to learn from at test time."""
    limits = (Limits(RETURNED, None),)
    return Suite(name, about, file, loader(parse), score, limits, "accuracy", references=most_common)


BANKING77 = label_suite("banking77", "Banking77, 77 intents", "classification/banking77", banking)
CLINC150 = label_suite("clinc150", "CLINC150, 150 intents", "classification/clinc150/data_full.json", clinc)
TREC = label_suite("trec", "TREC, fine question types", "classification/trec/train_5500.label", trec)
CLUTRR = label_suite("clutrr", "CLUTRR, kinship by like stories", "clutrr", clutrr)
