"""Memory as a continual learner: a suite delivered in parts, and after each part asked about all of them.

A task belongs to the part that completes its evidence; without evidence, to that of its label, labels being dealt out
to the parts in the order of their names. So `R[t][i]`, the headline metric on part i after parts 0 … t, has its upper
triangle too: what is asked before it was told. A fresh memory of each part alone serves the second forward transfer.
Another one, whose owner had our own conversations before, serves TRACE's delta: what a stream does to what lies beside.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from memorist.bench.data import SHIPPED, located
from memorist.bench.metrics import continual
from memorist.bench.records import Journal, Record, Setting
from memorist.bench.report import told
from memorist.bench.rows import ALL, FAILED, Row, mean
from memorist.bench.run import Asker, Plan, bars, parts_of_jobs, settings_of, task_of
from memorist.bench.suite import Corpus, Dataset, Source, Suite, Task
from memorist.bench.suites.locomo import LOCOMO
from memorist.bench.system import CannotRun
from memorist.errors import InputError

BEFORE = "before"
"""The step at which nothing was told yet."""

ABILITY_QUESTIONS, ABILITY_TOKENS = 40, 1_500
"""What is asked of each of our own conversations, and the budget of its answer."""


@dataclass(frozen=True, slots=True)
class Stream:
    """What each part tells, and asks."""

    corpora: tuple[tuple[Corpus, ...], ...]
    tasks: tuple[tuple[Task, ...], ...]


@dataclass(frozen=True, slots=True)
class Learned:
    """What a system did on a stream: scores after each part on each, before the first, and of each part alone; what it
    recalled of our own conversations, known before, at the `first` and at the `last`. Or why there are none."""

    suite: Suite
    system: str
    matrix: tuple[tuple[float, ...], ...] = ()
    before: tuple[float, ...] = ()
    alone: tuple[float, ...] = ()
    first: tuple[float, ...] = ()
    last: tuple[float, ...] = ()
    failed: str | None = None

    @property
    def rows(self) -> list[Row]:
        """The measures; those that are not defined are left out."""
        name = f"{self.suite.name} stream"
        if self.failed is not None:
            return [Row(name, self.system, FAILED, 0, ALL, 1.0, 1)]
        R = self.matrix
        found = {
            "average_accuracy": continual.average_accuracy(R),
            "average_over_time": continual.average_over_time(R),
            "backward_transfer": continual.backward_transfer(R),
            "backward_transfer_trace": continual.backward_transfer(R, "t"),
            "forgetting": continual.forgetting(R),
            "forward_transfer_zero_shot": continual.forward_transfer_zero_shot(R, self.before),
            "forward_transfer_learning": continual.forward_transfer_learning(R, self.alone),
            "delta_beside": continual.delta(self.last, self.first),
        }
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
            found += [
                learn(Asking(plan, suite, source, dataset, name, journal), stream, progress) for name in plan.systems
            ]
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


def learn(asking: Asking, stream: Stream, progress: Progress) -> Learned:
    """One system on one stream; one that cannot run, or breaks, says why."""
    suite, system = asking.suite, asking.system
    with task_of(progress, f"{suite.name} stream: {system}", 2 * len(stream.tasks) + 1) as bar:
        try:
            return taught(asking, stream, lambda: progress.advance(bar))
        except CannotRun as error:
            return Learned(suite, system, failed=str(error))


def taught(asking: Asking, stream: Stream, advance: Callable[[], None]) -> Learned:
    """Part after part, each part alone, and what lay beside the stream. Raises CannotRun."""
    steps = len(stream.tasks)
    matrix = []
    with folder() as place:
        before = asking.scores(place, f"{BEFORE}/{steps}", (), stream.tasks)
        for step in range(steps):
            asking.add(place, stream.corpora[step])
            told = stream.corpora[: step + 1]
            matrix.append(asking.scores(place, f"{step + 1}/{steps}", told, stream.tasks))
            advance()
    alone: list[float] = []
    for part in range(steps):
        with folder() as place:
            asking.add(place, stream.corpora[part])
            told = stream.corpora[part : part + 1]
            alone += asking.scores(place, f"only {part + 1}/{steps}", told, stream.tasks[part : part + 1])
        advance()
    with folder() as place:
        first, last = asking.abilities(place, stream)
    return Learned(asking.suite, asking.system, tuple(matrix), before, tuple(alone), first, last)


@contextmanager
def folder() -> Iterator[Path]:
    """A folder for as long as it is needed."""
    with tempfile.TemporaryDirectory(prefix="memorist-bench-") as place:
        yield Path(place)


class Asking:
    """Tells a system parts of a suite, and asks what the journal does not hold yet."""

    def __init__(
        self, plan: Plan, suite: Suite, source: Source, dataset: Dataset, system: str, journal: Journal
    ) -> None:
        # A stream asks at one limit: the largest.
        self._setting = settings_of(plan, suite, system, source.seed, dataset.digest)[-1]
        self.suite, self.system = suite, system
        self._plan, self._dataset, self._journal = plan, dataset, journal

    def add(self, folder: Path, corpora: Sequence[Corpus]) -> None:
        """Tell corpora."""
        with closing(self._plan.opening(self._setting.system, folder, self._plan.embedder)) as system:
            system.add(corpora, lambda done: None)

    def scores(
        self, place: Path, step: str, told: Sequence[Sequence[Corpus]], tasks: Sequence[Sequence[Task]]
    ) -> tuple[float, ...]:
        """The headline metric on each part of the tasks; what has no score, such as an invalid answer, is a 0."""
        return self._scores(self.suite, self._setting, place, step, gathered(told, self._dataset), tasks)

    def abilities(self, place: Path, stream: Stream) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Of a memory that had our own conversations before the stream began, what it recalls of each then, and after
        the stream."""
        owner = max(self._dataset.corpora.values(), key=lambda corpus: len(corpus.items)).name
        had = abilities_of(owner)
        setting = replace(self._setting, reader=LOCOMO.reader, k=None, budget=ABILITY_TOKENS)
        steps = len(stream.tasks)
        self.add(place, [corpus for part in had.corpora for corpus in part])
        told = gathered(had.corpora, self._dataset)
        first = self._scores(LOCOMO, setting, place, f"beside {BEFORE}/{steps}", told, had.tasks)
        for corpora in stream.corpora:
            self.add(place, [corpus for corpus in corpora if corpus.name == owner])
        told = gathered([*had.corpora, *stream.corpora], self._dataset)
        return first, self._scores(LOCOMO, setting, place, f"beside after/{steps}", told, had.tasks)

    def _scores(
        self,
        suite: Suite,
        setting: Setting,
        place: Path,
        step: str,
        known: Mapping[str, Corpus],
        tasks: Sequence[Sequence[Task]],
    ) -> tuple[float, ...]:
        setting = replace(setting, suite=f"{self.suite.name} stream {step}")
        jobs = [(setting, one) for some in tasks for one in some if self._journal.get(setting.key(one.id)) is None]
        if jobs:
            make = partial(self._plan.opening, setting.system, place, self._plan.embedder)
            with closing(Asker(make, suite.score, setting.reader, None, setting.embedder)) as asker:
                for part in parts_of_jobs(known, jobs, len(jobs)):
                    self._journal.add(asker.ask(part))
        return tuple(
            mean([score_in(self._journal.get(setting.key(one.id)), suite.headline) for one in some]) for some in tasks
        )


def score_in(record: Record | None, metric: str) -> float:
    """What a record has of a metric; 0 without."""
    return 0.0 if record is None else record.metrics.get(metric, 0.0)


def abilities_of(owner: str) -> Stream:
    """Our own conversations as something that an owner knew before: one part each, under keys of their own."""
    corpora, tasks = [], []
    for name in SHIPPED:
        dataset = LOCOMO.load(Source((located(name),), limit=ABILITY_QUESTIONS))
        (corpus,) = dataset.corpora.values()
        items = tuple(replace(item, key=f"{name}/{item.key}") for item in corpus.items)
        corpora.append(Corpus(owner, items))
        tasks.append(
            tuple(
                replace(task, corpus=owner, evidence=frozenset(f"{name}/{key}" for key in task.evidence))
                for task in dataset.tasks
                if not task.refusal
            )
        )
    return Stream(tuple((corpus,) for corpus in corpora), tuple(tasks))


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
        ran = [one for one in these if one.failed is None]
        if ran:
            console.print(measures_table(ran))
        for one in ran:
            console.print(matrix_table(one))
        for one in these:
            if one.failed is not None:
                told(f"{one.system} did not run", one.failed, console)


def measures_table(learned: Sequence[Learned]) -> Table:
    """A line for each system; what compares has its sign."""
    first = learned[0]
    names = [row.metric for row in first.rows]
    table = Table(title=f"{first.suite.about} in {len(first.matrix)} parts: {first.suite.headline}")
    table.add_column("recipe")
    for name in names:
        table.add_column(name.replace("_", " "), justify="right")
    for one in learned:
        values = {row.metric: row.value for row in one.rows}
        signs = {name: "+" if "transfer" in name or "delta" in name else "" for name in names}
        table.add_row(one.system, *(f"{values[name]:{signs[name]}.3f}" for name in names))
    return table


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
