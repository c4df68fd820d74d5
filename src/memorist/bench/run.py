"""One run: every suite, every system, every limit, every question; what stands in the journal is not asked again."""

from __future__ import annotations

import atexit
import hashlib
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

import memorist
from memorist.bench import filling
from memorist.bench.audit import Audit, audit
from memorist.bench.filling import Filled
from memorist.bench.judges import judge_named
from memorist.bench.peers.known import PREFIX
from memorist.bench.peers.system import open_peer
from memorist.bench.readers import READERS, NoReader, Reader, Reading, check_reader, reader_named
from memorist.bench.records import Adding, Journal, Record, Setting
from memorist.bench.rows import ALL, FAILED, Row, added_rows, rows_of
from memorist.bench.suite import Corpus, Dataset, Outcome, Source, Suite, Task
from memorist.bench.system import CannotRun, Found, RecipeSystem, System, extracts, kept_by
from memorist.bench.vectors import Remembering
from memorist.errors import InputError
from memorist.models.known import DEFAULT, embedder_named
from memorist.recall.pool import Limits
from memorist.results import Hits

CHUNK = 25
"""Questions that a worker takes at a time."""

FEW = 400
"""Questions that take milliseconds each, up to which it is faster to ask them here than to start workers."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure. Without `limits` or `reader` each suite has its own; `judge` names a model that judges answers
    beside the deterministic measures; `make` opens a system over a folder; `openie` is a ready-made extraction for
    recipes with a fact graph. A system is a recipe, or a peer behind its prefix. `lacking` are suites that were asked
    for and cannot run, with the reason."""

    suites: Sequence[tuple[Suite, Source]]
    systems: Sequence[str]
    limits: Sequence[Limits] | None = None
    reader: str | None = None
    judge: str | None = None
    embedder: str = DEFAULT
    workers: int = 1
    openie: Path | None = None
    make: Callable[[str, Path, str], System] | None = None
    lacking: Mapping[str, str] = field(default_factory=dict)

    @property
    def opening(self) -> Callable[[str, Path, str], System]:
        """How a system is opened over a folder."""
        return self.make or partial(open_system, openie=self.openie)

    def keeps(self, system: str) -> object:
        """What a system keeps of a corpus: those that keep the same are asked over one store, filled once."""
        return system if self.make or system.startswith(PREFIX) else kept_by(system)


def open_system(name: str, folder: Path, embedder: str, openie: Path | None) -> System:
    """The system of a name over a folder. Raises CannotRun."""
    if name.startswith(PREFIX):
        return open_peer(name, folder, embedder)
    return RecipeSystem(name, folder, embedder, openie)


@dataclass(frozen=True, slots=True)
class Measured:
    """One suite: its data, the records in the order of systems, limits and tasks, the rows made of them, and why a
    system has none."""

    suite: Suite
    dataset: Dataset
    records: tuple[Record, ...]
    rows: tuple[Row, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)


def run(plan: Plan, journal: Journal, console: Console) -> list[Measured]:
    """Measure everything that the plan names."""
    if plan.reader is not None:
        check_reader(plan.reader)
    judge = judge_named(plan.judge)
    if judge is not None:
        console.print(f"judge: {judge.about}", highlight=False)
    with bars(console) as progress:
        return [measure(plan, suite, source, journal, progress) for suite, source in plan.suites]


def measure(plan: Plan, suite: Suite, source: Source, journal: Journal, progress: Progress) -> Measured:
    """One suite with every system."""
    dataset = suite.load(source)
    if not dataset.tasks:
        raise InputError(f"{', '.join(map(str, source.files))} holds no question that {suite.name} can score")
    records: list[Record] = []
    rows: list[Row] = []
    failed: dict[str, str] = {}
    settings = {system: settings_of(plan, suite, system, source.seed, dataset.digest) for system in plan.systems}
    asking = [system for system, some in settings.items() if missing(dataset, some, journal)]
    with stores(plan, suite, dataset, asking, progress) as filled:
        for system, some in settings.items():
            try:
                if system in asking:
                    ask(plan, suite, dataset, some, filled(system), journal, progress)
            except CannotRun as error:
                failed[system] = str(error)
                rows.append(Row(suite.name, system, FAILED, 0, ALL, 1.0, len(dataset.tasks)))
                continue
            adding = journal.adding(some[0].key())
            rows += added_rows(suite.name, system, adding, dataset.items) if adding else []
            records += [found for one in some for task in dataset.tasks if (found := journal.get(one.key(task.id)))]
    records += references(suite, dataset, source.seed)
    results = rows_of(records)
    return Measured(suite, dataset, tuple(records), (*results, *suite.totals(results), *rows), failed)


def references(suite: Suite, dataset: Dataset, seed: int) -> Iterator[Record]:
    """What is reached without a memory, scored like the rest."""
    for name, answer in suite.references(dataset).items():
        setting = Setting(suite.name, name, "none", None, "none", None, None, seed, dataset.digest, code())
        for task in dataset.tasks:
            outcome = answer(task)
            reading = Reading(outcome.answer, outcome.known)
            found = Found((), "", Hits([], task.question), 0.0)
            checked = Audit(0, outcome.ranked, outcome.whole, None)
            yield record_of(setting, task, found, checked, reading, dict(suite.score(task, outcome)))


def settings_of(plan: Plan, suite: Suite, system: str, seed: int, data: str) -> list[Setting]:
    """A setting for each limit."""
    reader, limits = plan.reader or suite.reader, plan.limits or suite.limits
    if plan.openie is not None:
        data = f"{data}:{hashlib.sha256(plan.openie.read_bytes()).hexdigest()[:16]}"
    return [
        Setting(suite.name, system, reader, plan.judge, plan.embedder, one.k, one.budget, seed, data, code())
        for one in limits
    ]


def missing(dataset: Dataset, settings: Sequence[Setting], journal: Journal) -> list[tuple[Setting, Task]]:
    """The questions that the journal does not hold yet."""
    return [(one, task) for one in settings for task in dataset.tasks if journal.get(one.key(task.id)) is None]


@contextmanager
def stores(
    plan: Plan, suite: Suite, dataset: Dataset, systems: Sequence[str], progress: Progress
) -> Iterator[Callable[[str], Filled]]:
    """Filled stores, by the systems that are asked over them; a call raises CannotRun where there is none."""
    openings: dict[object, filling.Opening] = {}
    for system in sorted(systems, key=partial(begun, systems)):
        openings.setdefault(plan.keeps(system), partial(open_at, plan.opening, system, plan.embedder))
    corpora = list(dataset.corpora.values())
    with (
        task_of(progress, f"{suite.name}: adding", dataset.items) as bar,
        filling.filled(openings, corpora, plan.workers, counted(progress, bar, dataset.items)) as made,
    ):

        def of(system: str) -> Filled:
            found = made[plan.keeps(system)]
            if isinstance(found, CannotRun):
                raise found
            return found

        yield of


def begun(systems: Sequence[str], system: str) -> tuple[bool, bool]:
    """Where a system stands in the order of filling: the first stays there, then those that take long."""
    return system != systems[0], not extracts(system)


def open_at(opening: Callable[[str, Path, str], System], system: str, embedder: str, folder: Path) -> System:
    """A system over a folder, which comes last here, so that the rest can be bound."""
    return opening(system, folder, embedder)


def ask(
    plan: Plan,
    suite: Suite,
    dataset: Dataset,
    settings: Sequence[Setting],
    filled: Filled,
    journal: Journal,
    progress: Progress,
) -> None:
    """Ask a system what the journal does not hold yet."""
    first, added = settings[0], filled.added
    journal.add([Adding(first.key(), added.seconds, added.embedding, added.bytes)])
    make = partial(plan.opening, first.system, filled.folder, plan.embedder)
    jobs = missing(dataset, settings, journal)
    open_asker = partial(Asker, make, suite.score, first.reader, plan.judge, plan.embedder)
    chunk = CHUNK if first.reader in READERS and plan.judge is None else 1  # a model's words are on disk at once
    with task_of(progress, f"{suite.name}: {first.system} answers", len(jobs)) as bar:
        workers = 1 if len(jobs) <= FEW and quick(first.reader, dataset.tasks) else plan.workers
        for records in spread(open_asker, parts_of_jobs(dataset.corpora, jobs, chunk), workers):
            journal.add(records)
            progress.advance(bar, len(records))


def quick(reader: str, tasks: Sequence[Task]) -> bool:
    """Whether what is returned is an answer as good as it is, without reading."""
    return reader == NoReader.name or all(task.kind in ("label", "rank") for task in tasks)


@contextmanager
def task_of(progress: Progress, about: str, total: int) -> Iterator[TaskID]:
    """A bar for as long as its work lasts, however that ends."""
    bar = progress.add_task(about, total=total)
    try:
        yield bar
    finally:
        progress.remove_task(bar)


def counted(progress: Progress, bar: TaskID, items: int) -> Callable[[int], None]:
    """Moves the bar over several corpora, each of which counts from nothing."""
    state = {"before": 0, "last": 0}

    def told(done: int) -> None:
        if done < state["last"]:
            state["before"] += state["last"]
        state["last"] = done
        progress.update(bar, completed=min(state["before"] + done, items))

    return told


Job = tuple[Setting, Task]
Score = Callable[[Task, Outcome], Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Part:
    """Questions to one corpus, with what is needed to check and score them."""

    jobs: Sequence[Job]
    texts: Mapping[str, str]
    labels: Mapping[str, str]


def parts_of_jobs(corpora: Mapping[str, Corpus], missing: Sequence[Job], chunk: int) -> Iterator[Part]:
    """The jobs, by corpus and a chunk at a time."""
    by_corpus: dict[str, list[Job]] = {}
    for job in missing:
        by_corpus.setdefault(job[1].corpus, []).append(job)
    for name, jobs in by_corpus.items():
        items = corpora[name].items
        texts = {item.key: item.text for item in items}
        labels = {item.key: item.label for item in items if item.label is not None}
        for start in range(0, len(jobs), chunk):
            yield Part(jobs[start : start + chunk], texts, labels)


class Asker:
    """A system and a reader, opened in the process that asks; checks, scores and records what comes back."""

    def __init__(self, make: Callable[[], System], score: Score, reader: str, judge: str | None, embedder: str) -> None:
        self._system = make()
        self._score = score
        self._embedder = Remembering(embedder_named(embedder))
        self._reader: Reader = reader_named(reader, self._embedder)
        self._judge = judge_named(judge)

    def ask(self, part: Part) -> list[Record]:
        """The records of a part, in its order."""
        records = []
        for setting, task in part.jobs:
            found = self._system.search(task.corpus, task.question, setting.limits, task.at)
            checked = audit(found, part.texts, setting.limits)
            reading = Reading() if checked.invalid else self._reader.read(task, found, part.labels)
            outcome = Outcome(checked.ranked, checked.whole, reading.answer, reading.known)
            metrics = {} if checked.invalid else {**self._score(task, outcome), **reading.measures}
            if self._judge is not None and not checked.invalid:
                metrics |= self._judge.measures(task, reading.answer, reading.known)
            records.append(record_of(setting, task, found, checked, reading, metrics))
        return records

    def close(self) -> None:
        """Let go of files."""
        self._system.close()
        self._embedder.close()


def spread(open_asker: Callable[[], Asker], todo: Iterable[Part], workers: int) -> Iterator[list[Record]]:
    """The records of each part as it is done, here or by several processes."""
    if workers == 1:
        with closing(open_asker()) as asker:
            yield from (asker.ask(part) for part in todo)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=begin_work, initargs=(open_asker,)) as pool:
        try:
            for done in as_completed([pool.submit(work, part) for part in todo]):
                yield done.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


WORKING: dict[str, Asker] = {}
"""The asker of a worker process."""


def begin_work(open_asker: Callable[[], Asker]) -> None:
    """Open in a worker what all its parts need."""
    WORKING["asker"] = open_asker()
    atexit.register(WORKING["asker"].close)


def work(part: Part) -> list[Record]:
    """Ask a part in a worker."""
    return WORKING["asker"].ask(part)


def record_of(
    setting: Setting, task: Task, found: Found, checked: Audit, reading: Reading, metrics: Mapping[str, float]
) -> Record:
    """What is kept of a question."""
    usage = reading.usage
    return Record(
        key=setting.key(task.id),
        suite=setting.suite,
        system=setting.system,
        reader=setting.reader,
        k=setting.k,
        budget=setting.budget,
        task=task.id,
        corpus=task.corpus,
        category=task.category,
        question=task.asked,
        answers=task.answers,
        evidence=tuple(sorted(task.evidence)),
        returned=checked.ranked,
        tokens=checked.tokens,
        search_ms=round(1000 * found.seconds, 3),
        read_ms=round(1000 * reading.seconds, 3),
        calls=usage.calls,
        prompt_tokens=usage.prompt_tokens,
        reply_tokens=usage.reply_tokens,
        cost=usage.cost,
        answer=reading.answer,
        known=reading.known,
        metrics=metrics,
        invalid=checked.invalid,
    )


@lru_cache(maxsize=1)
def code() -> str:
    """A hash of this program's sources: a record of another version is not taken for one of this."""
    found = hashlib.sha256()
    for file in sorted(Path(memorist.__file__).parent.rglob("*.py")):
        found.update(file.read_bytes())
    return found.hexdigest()[:16]


@contextmanager
def bars(console: Console) -> Iterator[Progress]:
    """Progress bars that leave nothing behind."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield progress
