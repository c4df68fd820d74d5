"""Memory as a continual learner: a suite delivered in parts, and after each part asked about all of them.

A task belongs to the part that completes its evidence; without evidence, to that of its label, labels being dealt out
to the parts in the order of their names. So `R[t][i]`, the headline metric on part i after parts 0 … t, has its upper
triangle too: what is asked before it was told. A fresh memory of each part alone serves the second forward transfer.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from memorist.bench.metrics import continual
from memorist.bench.records import Journal, Record
from memorist.bench.rows import ALL, Row, mean
from memorist.bench.run import Asker, Plan, bars, parts_of_jobs, settings_of
from memorist.bench.suite import Corpus, Dataset, Source, Suite, Task
from memorist.errors import InputError

BEFORE = "before"
"""The step at which nothing was told yet."""


@dataclass(frozen=True, slots=True)
class Stream:
    """What each part tells, and asks."""

    corpora: tuple[tuple[Corpus, ...], ...]
    tasks: tuple[tuple[Task, ...], ...]


@dataclass(frozen=True, slots=True)
class Learned:
    """What a system did on a stream: scores after each part on each, before the first, and of each part alone."""

    suite: Suite
    system: str
    matrix: tuple[tuple[float, ...], ...]
    before: tuple[float, ...]
    alone: tuple[float, ...]

    @property
    def rows(self) -> list[Row]:
        """The measures; those that are not defined are left out."""
        R = self.matrix
        found = {
            "average_accuracy": continual.average_accuracy(R),
            "average_over_time": continual.average_over_time(R),
            "backward_transfer": continual.backward_transfer(R),
            "backward_transfer_trace": continual.backward_transfer(R, "t"),
            "forgetting": continual.forgetting(R),
            "forward_transfer_zero_shot": continual.forward_transfer_zero_shot(R, self.before),
            "forward_transfer_learning": continual.forward_transfer_learning(R, self.alone),
        }
        name = f"{self.suite.name} stream"
        return [
            Row(name, self.system, metric, 0, ALL, value, len(R))
            for metric, value in found.items()
            if value is not None
        ]


def run(plan: Plan, parts: int, journal: Journal, console: Console) -> list[Learned]:
    """Every suite and system of the plan, on a stream of so many parts."""
    found = []
    with bars(console) as progress:
        for suite, source in plan.suites:
            dataset = suite.load(source)
            stream = stream_of(dataset, parts)
            if not all(stream.tasks):
                raise InputError(f"{suite.name} has no question for each of {parts} parts; ask for fewer with --stream")
            found += [learn(plan, suite, source, dataset, stream, name, journal, progress) for name in plan.systems]
    return found


def stream_of(dataset: Dataset, parts: int) -> Stream:
    """The data in parts of about as many items."""
    place = {name: places(corpus, parts) for name, corpus in dataset.corpora.items()}
    told = [
        tuple(
            Corpus(name, items)
            for name, corpus in dataset.corpora.items()
            if (items := tuple(item for item in corpus.items if place[name][item.key] == part))
        )
        for part in range(parts)
    ]
    by_label = {
        (name, item.label): place[name][item.key] for name, corpus in dataset.corpora.items() for item in corpus.items
    }
    tasks: list[list[Task]] = [[] for _ in range(parts)]
    for task in dataset.tasks:
        if task.evidence:
            tasks[max(place[task.corpus][key] for key in task.evidence)].append(task)
        elif task.answers and (task.corpus, task.answers[0]) in by_label:
            tasks[by_label[task.corpus, task.answers[0]]].append(task)
    return Stream(tuple(told), tuple(map(tuple, tasks)))


def places(corpus: Corpus, parts: int) -> dict[str, int]:
    """The part of each item: by its label where items have one, else by its place."""
    labels = sorted({item.label for item in corpus.items if item.label is not None})
    if labels:
        rank = {label: number * parts // len(labels) for number, label in enumerate(labels)}
        return {item.key: rank[item.label] for item in corpus.items if item.label is not None}
    return {item.key: number * parts // len(corpus.items) for number, item in enumerate(corpus.items)}


def learn(
    plan: Plan,
    suite: Suite,
    source: Source,
    dataset: Dataset,
    stream: Stream,
    system: str,
    journal: Journal,
    progress: Progress,
) -> Learned:
    """One system on one stream."""
    steps = len(stream.tasks)
    bar = progress.add_task(f"{suite.name} stream: {system}", total=2 * steps + 1)
    asking = Asking(plan, suite, source, dataset, system, journal)
    with tempfile.TemporaryDirectory(prefix="memorist-bench-") as folder:
        matrix = []
        before = asking.scores(Path(folder), f"{BEFORE}/{steps}", (), stream.tasks)
        for step in range(steps):
            progress.advance(bar)
            asking.add(Path(folder), stream.corpora[step])
            told = stream.corpora[: step + 1]
            matrix.append(asking.scores(Path(folder), f"{step + 1}/{steps}", told, stream.tasks))
    alone: list[float] = []
    for part in range(steps):
        progress.advance(bar)
        with tempfile.TemporaryDirectory(prefix="memorist-bench-") as folder:
            asking.add(Path(folder), stream.corpora[part])
            told = stream.corpora[part : part + 1]
            alone += asking.scores(Path(folder), f"only {part + 1}/{steps}", told, stream.tasks[part : part + 1])
    progress.remove_task(bar)
    return Learned(suite, system, tuple(matrix), before, tuple(alone))


class Asking:
    """Tells a system parts of a suite, and asks what the journal does not hold yet."""

    def __init__(
        self, plan: Plan, suite: Suite, source: Source, dataset: Dataset, system: str, journal: Journal
    ) -> None:
        (self._setting, *others) = settings_of(plan, suite, system, source.seed, dataset.digest)
        if others:  # a stream asks at one limit: the largest
            self._setting = others[-1]
        self._plan, self._suite, self._dataset, self._journal = plan, suite, dataset, journal

    def add(self, folder: Path, corpora: Sequence[Corpus]) -> None:
        """Tell corpora."""
        with closing(self._plan.opening(self._setting.system, folder, self._plan.embedder)) as system:
            system.add(corpora, lambda done: None)

    def scores(
        self, folder: Path, step: str, told: Sequence[Sequence[Corpus]], tasks: Sequence[Sequence[Task]]
    ) -> tuple[float, ...]:
        """The headline metric on each part of the tasks; what has no score, such as an invalid answer, is a 0."""
        setting = replace(self._setting, suite=f"{self._suite.name} stream {step}")
        make = partial(self._plan.opening, setting.system, folder, self._plan.embedder)
        jobs = [(setting, one) for some in tasks for one in some if self._journal.get(setting.key(one.id)) is None]
        if jobs:
            known = gathered(told, self._dataset)
            with closing(Asker(make, self._suite.score, setting.reader, None, setting.embedder)) as asker:
                for part in parts_of_jobs(known, jobs, len(jobs)):
                    self._journal.add(asker.ask(part))
        return tuple(mean([self._score(self._journal.get(setting.key(one.id))) for one in some]) for some in tasks)

    def _score(self, record: Record | None) -> float:
        return 0.0 if record is None else record.metrics.get(self._suite.headline, 0.0)


def gathered(told: Sequence[Sequence[Corpus]], dataset: Dataset) -> Mapping[str, Corpus]:
    """What was told so far, by corpus."""
    found = {name: Corpus(name, ()) for name in dataset.corpora}
    for corpora in told:
        for corpus in corpora:
            found[corpus.name] = Corpus(corpus.name, found[corpus.name].items + corpus.items)
    return found


def show(learned: Sequence[Learned], console: Console) -> None:
    """The measures of all systems, and the matrix of each."""
    for suite in dict.fromkeys(one.suite.name for one in learned):
        these = [one for one in learned if one.suite.name == suite]
        names = [row.metric for row in these[0].rows]
        table = Table(title=f"{these[0].suite.about} in {len(these[0].matrix)} parts: {these[0].suite.headline}")
        table.add_column("recipe")
        for name in names:
            table.add_column(name.replace("_", " "), justify="right")
        for one in these:
            values = {row.metric: row.value for row in one.rows}
            table.add_row(
                one.system, *(f"{values[name]:+.3f}" if "transfer" in name else f"{values[name]:.3f}" for name in names)
            )
        console.print(table)
        for one in these:
            console.print(matrix_table(one))


def matrix_table(one: Learned) -> Table:
    """Scores on each part (columns) after each part (rows)."""
    table = Table(title=f"{one.system}: score on each part")
    table.add_column("after")
    for part in range(len(one.before)):
        table.add_column(f"part {part + 1}", justify="right")
    for name, scores in (("nothing", one.before), *((f"part {n}", row) for n, row in enumerate(one.matrix, 1))):
        table.add_row(name, *(f"{score:.3f}" for score in scores))
    table.add_row("it alone", *(f"{score:.3f}" for score in one.alone))
    return table
