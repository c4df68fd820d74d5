"""`memorist bench speed`: adding, opening, searching and what it takes, ours and others', in the same run.

Every system, ours too, is a process behind the protocol of peers, and its times are its own clock's without making
vectors. Questions go to all systems in turn, in another order each time, so that a busy machine is busy for all; what
counts are ratios within a round, and how far they lie apart over the rounds.

Texts of a made-up language and vectors that cost nothing measure all but the embedder, at each size. How far adding is
from the embedder's own speed is measured with the real one on our own conversations.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from rich.console import Console
from rich.table import Table

import memorist
from memorist import __version__
from memorist.bench.data import SHIPPED, located
from memorist.bench.peers.environment import python_of, version_of, why_not
from memorist.bench.peers.known import Peer
from memorist.bench.peers.process import PATIENCE, Process, Reply
from memorist.bench.report import machine, shown, told
from memorist.bench.rows import ALL, FAILED, Row, percentile
from memorist.bench.run import code
from memorist.bench.synthetic import WordSum, texts
from memorist.bench.system import CannotRun, bytes_of
from memorist.models.embedder import Vectors
from memorist.models.minilm import MiniLM
from memorist.sources import read

Named = TypeVar("Named")

OWNER = "bench"
BATCH = 500
K = 10
QUESTIONS = 40
"""Searches of each system in a round."""

FEWEST, SEARCHING = 3, 8.0
"""A system that has searched for SEARCHING seconds of its own in a round is asked no more in it, after FEWEST
questions."""

GLANCE = 30.0
"""Seconds of adding after which a system is given up whose pace does not do, or a tenth of the patience if less."""

LARGEST = 100_000
"""Texts up to which others run beside ours."""

WORDS = 8
"""Words of a question, the first of a text."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What to measure: ours by recipe, others, at which numbers of texts, how often, and how many seconds of its own
    a system may take to add one size."""

    recipes: Sequence[str]
    peers: Sequence[Peer]
    sizes: Sequence[int]
    rounds: int = 3
    patience: float = 300


@dataclass(frozen=True, slots=True)
class System:
    """A name, and how its process is started (None: `reason` says why it is not)."""

    name: str
    command: Sequence[str] | None
    reason: str = ""
    paths: Sequence[Path] = ()

    def start(self, place: Path, embed: Callable[[Sequence[str]], Vectors]) -> Started:
        """The process over a folder, open. Raises CannotRun."""
        if self.command is None:
            raise CannotRun(self.reason)
        data = place / "data"
        data.mkdir(exist_ok=True)
        process = Process(self.name, self.command, place, embed, PATIENCE, self.paths)
        return Started(process, process.call("open", folder=str(data)).seconds)


@dataclass(slots=True)
class Started:
    """A process, the seconds that opening took, and the most memory it had so far in bytes."""

    process: Process
    opening: float
    peak: int = 0

    @property
    def durable(self) -> bool:
        """Whether it keeps anything on disk."""
        return self.process.durable

    def call(self, do: str, **what: object) -> Reply:
        """Ask. Raises CannotRun."""
        reply = self.process.call(do, **what)
        self.peak = reply.peak
        return reply

    def close(self) -> None:
        """End it."""
        self.process.close()


@dataclass(slots=True)
class Measured:
    """Rows, and by size and system why one is missing."""

    rows: list[Row] = field(default_factory=list)
    failed: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, suite: str, system: str, n: int, **values: float) -> None:
        """Some numbers of a system."""
        self.rows += [Row(suite, system, metric, 0, ALL, value, n) for metric, value in values.items()]

    def fail(self, suite: str, system: str, reason: str) -> None:
        """A system that is left out."""
        self.failed.setdefault(suite, {})[system] = reason
        self.add(suite, system, 1, **{FAILED: 1.0})


def run(asked: Asked, console: Console) -> Measured:
    """Measure, and print tables."""
    systems = [*map(ours, asked.recipes), *map(theirs, asked.peers)]
    found = Measured()
    console.print("adding with the real embedder …", highlight=False)
    adding(systems, asked, found)
    for size in asked.sizes:
        console.print(f"{size:,} texts …", highlight=False)
        at_size(systems, size, asked, found, console)
    show(found, console)
    return found


def ours(recipe: str) -> System:
    """A recipe in a process of its own, from the sources that run now."""
    source = Path(memorist.__file__).parents[1]
    return System(recipe, [sys.executable, "-m", "adapters.ours", recipe], paths=(source,))


def theirs(peer: Peer) -> System:
    """A peer, or why it cannot run."""
    reason = why_not(peer)
    command = [str(python_of(peer)), "-m", f"adapters.{peer.adapter}"]
    return System(peer.system, None if reason else command, reason or "")


def adding(systems: Sequence[System], asked: Asked, found: Measured) -> None:
    """Texts a second with the real embedder, over those of the embedder alone on the same texts, round by round."""
    embedder = MiniLM()
    embedder.embed(["warm up"])
    lines = [f"{turn.speaker}: {turn.text}" for name in SHIPPED for turn in read(located(name), format="locomo")]
    items = [(str(place), line) for place, line in enumerate(lines)]
    ratios: dict[str, list[float]] = {}
    for number in range(asked.rounds):
        begin = time.perf_counter()
        embedder.embed(lines)
        alone = time.perf_counter() - begin
        ratios.setdefault("(embedder alone)", []).append(1.0)
        for system in rotated(systems, number):
            if system.name in found.failed.get("speed-add", {}):
                continue
            spent = Spent(embedder.embed)
            try:
                with folder() as place, closing(system.start(place, spent)) as process:
                    spent.seconds = 0.0
                    seconds = told_in(process, items, asked.patience)
            except CannotRun as error:
                found.fail("speed-add", system.name, str(error))
                continue
            ratios.setdefault(system.name, []).append(alone / (seconds + spent.seconds))
    for name, values in ratios.items():
        if name not in found.failed.get("speed-add", {}):
            found.add("speed-add", name, len(items), **spread("add_share_of_embedder", values))


class Spent:
    """An embedder's method, and the seconds spent in it."""

    def __init__(self, embed: Callable[[Sequence[str]], Vectors]) -> None:
        self._embed = embed
        self.seconds = 0.0

    def __call__(self, texts: Sequence[str]) -> Vectors:
        """float32 [len(texts), dimension]."""
        begin = time.perf_counter()
        vectors = self._embed(texts)
        self.seconds += time.perf_counter() - begin
        return vectors


def told_in(process: Started, items: Sequence[tuple[str, str]], patience: float) -> float:
    """Tell a system texts, and the seconds of its own that it took. Raises CannotRun when these will be more than the
    patience at the pace so far."""
    seconds = 0.0
    rest, done = iter(items), 0
    while batch := list(islice(rest, BATCH)):
        seconds += process.call("add", owner=OWNER, items=batch).seconds
        done += len(batch)
        whole = seconds * len(items) / done
        if seconds > min(GLANCE, patience / 10) and whole > patience:
            raise CannotRun(
                f"given up after adding {done:,} of {len(items):,} in {seconds:,.0f} s: at this pace all take"
                f" {whole:,.0f} s or more, and the patience is {patience:,.0f} s"
            )
    return seconds + process.call("settle").seconds


def at_size(systems: Sequence[System], size: int, asked: Asked, found: Measured, console: Console) -> None:
    """All numbers of one size: each system is filled by itself, then all are asked in turn."""
    suite = f"speed-{size}"
    items = [(str(place), text) for place, text in enumerate(texts(size, 2))]
    embed = WordSum().embed
    with ExitStack() as held:
        running: dict[str, Started] = {}
        for system in systems:
            place = held.enter_context(folder())
            try:
                if size > LARGEST and system.name not in asked.recipes:
                    raise CannotRun(f"others are measured up to {LARGEST:,} texts; this size is ours alone")
                with closing(system.start(place, embed)) as process:
                    seconds = told_in(process, items, asked.patience)
                    peak = process.peak
                kept = bytes_of(place / "data") if process.durable else 0
                process = system.start(place, embed)
                held.callback(process.close)
                first = process.call("search", owner=OWNER, question="warm up", k=K).seconds
            except CannotRun as error:
                found.fail(suite, system.name, str(error))
                console.print(f"  {system.name}: {error}", highlight=False, markup=False)
                continue
            running[system.name] = process
            found.add(suite, system.name, size, add_per_second=size / seconds, add_peak_bytes=peak, store_bytes=kept)
            if process.durable:
                found.add(suite, system.name, size, open_ms=1000 * process.opening, first_search_ms=1000 * first)
        searching(running, suite, asked, found)


def searching(running: dict[str, Started], suite: str, asked: Asked, found: Measured) -> None:
    """Questions to all systems in turn; percentiles over all, ratios to the first recipe by round."""
    every: dict[str, list[list[float]]] = {name: [] for name in running}
    for number in range(asked.rounds):
        times: dict[str, list[float]] = {name: [] for name in running}
        for place, question in enumerate(questions(number)):
            for name in rotated(list(running), place):
                if len(times[name]) >= FEWEST and sum(times[name]) > 1000 * SEARCHING:
                    continue
                try:
                    reply = running[name].call("search", owner=OWNER, question=question, k=K)
                    times[name].append(1000 * reply.seconds)
                except CannotRun as error:
                    del running[name], every[name]
                    found.fail(suite, name, str(error))
        for name in running:
            every[name].append(times[name])
    for name, rounds in every.items():
        flat = [value for times_ in rounds for value in times_]
        points = {f"search_ms_p{share}": percentile(flat, share) for share in (50, 95, 99)}
        found.add(suite, name, len(flat), **points, search_peak_bytes=running[name].peak)
        if asked.recipes[0] in every:
            pairs = zip(rounds, every[asked.recipes[0]])
            ratios = [float(np.median(one) / np.median(other)) for one, other in pairs]
            found.add(suite, name, len(rounds), **spread("search_ratio", ratios))


def questions(number: int) -> list[str]:
    """The questions of a round."""
    return [" ".join(text.split()[:WORDS]) for text in texts(QUESTIONS, 1_000 + number)]


@contextmanager
def folder() -> Iterator[Path]:
    """A folder for as long as it is needed."""
    with tempfile.TemporaryDirectory(prefix="memorist-bench-") as place:
        yield Path(place)


def spread(name: str, values: Sequence[float]) -> Mapping[str, float]:
    """The median over the rounds, the least and the most."""
    return {name: float(np.median(values)), f"{name}_least": min(values), f"{name}_most": max(values)}


def rotated(names: Sequence[Named], number: int) -> list[Named]:
    """The same in an order that begins elsewhere."""
    place = number % max(len(names), 1)
    return [*names[place:], *names[:place]]


def document(found: Measured, asked: Asked, command: str, load: Sequence[float]) -> dict[str, object]:
    """The run as the JSON that reports and tables are made of; `load` is that of the machine before and after."""
    suites = list(dict.fromkeys(row.suite for row in found.rows))
    return {
        "suite": "speed",
        "suites": {
            suite: {
                "about": about(suite),
                "questions": asked.rounds * QUESTIONS,
                "items": max(row.n for row in found.rows if row.suite == suite),
                "notes": [f"{asked.rounds} rounds"],
                "headline": "add_share_of_embedder" if suite == "speed-add" else "search_ratio",
                "categories": {},
                "invalid": {},
                "failed": found.failed.get(suite, {}),
            }
            for suite in suites
        },
        "data": [],
        "command": command,
        "seed": 0,
        "embedder": "word sums; minilm for speed-add",
        "peers": {peer.system: version_of(peer) for peer in asked.peers},
        "version": __version__,
        "code": code(),
        "machine": {**machine(), "load": load},
        "rows": [asdict(row) for row in found.rows],
    }


def about(suite: str) -> str:
    """A suite's name in words."""
    size = suite.removeprefix("speed-")
    return "Adding, over the embedder alone" if size == "add" else f"Speed at {int(size):,} texts"


def show(found: Measured, console: Console) -> None:
    """A table for each size."""
    for suite in dict.fromkeys(row.suite for row in found.rows):
        rows = [row for row in found.rows if row.suite == suite]
        names = list(dict.fromkeys(row.metric for row in rows if row.metric != FAILED))
        table = Table(title=about(suite))
        for column in ("system", *(name.replace("_", " ") for name in names)):
            table.add_column(column, justify="left" if column == "system" else "right")
        for system in dict.fromkeys(row.recipe for row in rows):
            values = {row.metric: row.value for row in rows if row.recipe == system}
            if FAILED not in values:
                table.add_row(system, *(shown(name, values.get(name)) for name in names))
        console.print(table)
        for system, reason in found.failed.get(suite, {}).items():
            told(f"{system} did not run", reason, console)
