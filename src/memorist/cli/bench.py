"""Commands that measure, and the demonstration."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Group, Parameter

from memorist.cli import NEGATIVE, OK
from memorist.cli.render import console
from memorist.errors import InputError

if TYPE_CHECKING:
    from memorist.bench.run import Plan

EVERY = "all"
"""Every recipe, or every suite whose data are there."""

Data = Annotated[tuple[Path, ...], Parameter(consume_multiple=True, negative=())]
Out = Annotated[Path | None, Parameter(name="--json")]
Debug = Annotated[bool, Parameter(help="Show the traceback of an unexpected error.")]

bench = App(name="bench", help="Measure recipes on benchmarks: quality, tokens, time and cost, in one run.")
MEASURED = Group("What is measured", sort_key=1)
TOLD = Group("How, and where it is told", sort_key=2)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class What:
    """What is measured, on which data."""

    recipe: Annotated[str, Parameter(group=MEASURED)] = "default"
    "The recipes to compare, such as default,lexical; or all."
    peer: Annotated[str | None, Parameter(group=MEASURED)] = None
    "Other memories to run beside them, such as bm25s,chroma; or all. See: memorist bench peers"
    data: Annotated[tuple[str, ...], Parameter(group=MEASURED, consume_multiple=True, negative=())] = ()
    "Files in the suite's format, SUITE=FILE with several suites, or a folder of data sets (default: $MEMORIST_DATA)."
    corpus: Annotated[Path | None, Parameter(group=MEASURED)] = None
    "For passage suites: a file of more passages to search among."
    budget: Annotated[str | None, Parameter(group=MEASURED)] = None
    "Token budgets, such as 500,1500,3000 (default: the suite's own limits)."
    limit: Annotated[int | None, Parameter(group=MEASURED)] = None
    "At most so many questions of a suite, drawn by the seed."
    seed: Annotated[int, Parameter(group=MEASURED)] = 0
    "For what is drawn or generated."
    stream: Annotated[int | None, Parameter(group=MEASURED)] = None
    "Deliver the data in so many parts, and ask after each about all: what is forgotten, what carries over."
    reader: Annotated[str | None, Parameter(group=MEASURED)] = None
    "Who answers: extractive, or none to measure retrieval alone (default: the suite's own)."
    judge: Annotated[str | None, Parameter(group=MEASURED)] = None
    "A language model that judges answers beside the deterministic measures, such as local:qwen2.5-coder-1.5b."
    embedder: Annotated[str, Parameter(group=MEASURED)] = "minilm"
    "minilm, or static."
    openie: Annotated[Path | None, Parameter(group=MEASURED)] = None
    "A ready-made extraction for the recipes with a fact graph, in the OpenIE form (default: they extract)."


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class How:
    """How it runs, and where the report goes."""

    workers: Annotated[int, Parameter(group=TOLD)] = 1
    "Processes that ask; the numbers of quality are the same with any."
    out: Annotated[Path | None, Parameter(name="--json", group=TOLD)] = None
    "Write all numbers and every question to this file; a run that was killed goes on from the journal beside it."
    html: Annotated[Path | None, Parameter(group=TOLD)] = None
    "Write a report with plots to this file."
    debug: Annotated[bool, Parameter(group=TOLD)] = False
    "Show the traceback of an unexpected error."


@bench.default
def measure(
    *suites: Annotated[str, Parameter(name="SUITE")],
    list_: Annotated[bool, Parameter(name="--list")] = False,
    what: What = What(),
    how: How = How(),
) -> int:
    """Measure recipes on suites, all in one run.

    For example:

        memorist bench --list

        memorist bench locomo --data dev_colleagues --recipe default,lexical

        memorist bench musique hotpotqa --data datasets --recipe all --peer all --json out.json

    Parameters
    ----------
    suites
        The suites to run; all stands for every one whose data are there.
    list_
        Show the suites, the recipes and the readers.
    """
    if list_ or not suites:
        from memorist.bench.listing import show_all

        show_all(console())
        return OK
    for option, path in (("--json", how.out), ("--html", how.html)):
        writable(path, option)
    plan = plan_of(suites, what, how)
    if what.stream is not None:
        return stream(plan, what.stream, how)
    from memorist.bench.records import Journal, journal_beside
    from memorist.bench.report import document, show
    from memorist.bench.run import run

    measured = run(plan, Journal(journal_beside(how.out)), console())
    show(measured, console())
    written(document(measured, plan, shlex.join(["memorist", *sys.argv[1:]])), how)
    return OK


def written(document: Mapping[str, Any], how: How) -> None:
    """The reports that were asked for."""
    from memorist.bench.html import page
    from memorist.bench.report import write_json

    if how.out is not None:
        write_json(document, how.out)
    if how.html is not None:
        how.html.write_text(page(document), encoding="utf-8")


def stream(plan: Plan, parts: int, how: How) -> int:
    """Measure the plan's suites as streams."""
    if parts < 1:
        raise InputError(f"--stream {parts} is not a whole number of at least 1")
    from memorist.bench import streams
    from memorist.bench.records import Journal, journal_beside
    from memorist.bench.report import stream_document

    learned = streams.run(plan, parts, Journal(journal_beside(how.out)), console())
    streams.show(learned, console())
    written(stream_document(learned, plan, shlex.join(["memorist", *sys.argv[1:]])), how)
    return OK


def plan_of(suites: Sequence[str], what: What, how: How) -> Plan:
    """What to run. Raises InputError before anything is."""
    from memorist.bench.data import available, sources
    from memorist.bench.peers.known import peers_named
    from memorist.bench.run import Plan
    from memorist.bench.suite import Source
    from memorist.bench.suites import suites_named
    from memorist.recall.pool import Limits

    for name, number in (("--workers", how.workers), ("--limit", what.limit)):
        if number is not None and number < 1:
            raise InputError(f"{name} {number} is not a whole number of at least 1")
    if what.openie is not None and not what.openie.is_file():
        raise InputError(f"--openie {what.openie} does not exist; name a JSON file with extracted triples")
    budgets = None if what.budget is None else numbers(what.budget, "--budget")
    chosen = available(what.data) if list(suites) == [EVERY] else suites_named(suites)
    return Plan(
        suites=sources(chosen, what.data, Source(corpus=what.corpus, limit=what.limit, seed=what.seed)),
        systems=[*recipes_of(what.recipe), *(peer.system for peer in peers_named(what.peer))],
        limits=None if budgets is None else [Limits(None, budget) for budget in budgets],
        reader=what.reader,
        judge=what.judge,
        embedder=what.embedder,
        workers=how.workers,
        openie=what.openie,
    )


@bench.command
def answers(*, data: Data, out: Out = None, debug: Debug = False) -> int:
    """Measure how often ask answers rightly, wrongly, and not at all.

    For example:

        memorist bench answers --data dev_colleagues --json answers.json

    Parameters
    ----------
    data
        Files in LoCoMo's format, or dev_colleagues and dev_assistant, which are ours.
    out
        Write the numbers to this file, too.
    """
    writable(out)
    from memorist.bench.answers import run

    run(data, out, console())
    return OK


@bench.command
def changes(
    *, recipes: Annotated[str, Parameter(name="--recipe")] = "default", seed: int = 0, out: Out = None,
    debug: Debug = False,
) -> int:  # fmt: skip
    """Measure what becomes of facts that change, are contradicted, or are taken back.

    For example:

        memorist bench changes --recipe default,dense

    Parameters
    ----------
    recipes
        The recipes to compare, such as default,lexical; or all (default: default).
    seed
        For the facts, which are generated.
    out
        Write the numbers to this file, too.
    """
    writable(out)
    from memorist.bench.changes import run

    run(recipes_of(recipes), seed, out, console())
    return OK


@bench.command
def sessions(*, data: Data, out: Out = None, debug: Debug = False) -> int:
    """Measure MemGAS and its parts by the sessions that hold the evidence.

    For example:

        memorist bench sessions --data dev_colleagues

    Parameters
    ----------
    data
        Files in LoCoMo's format, or dev_colleagues and dev_assistant, which are ours.
    out
        Write the numbers to this file, too.
    """
    writable(out)
    from memorist.bench.sessions import run

    run(data, out, console())
    return OK


@bench.command
def order(
    *,
    data: Path,
    limit: int | None = None,
    seed: int = 0,
    model: str | None = None,
    model_limit: int = 20,
    out: Out = None,
    debug: Debug = False,
) -> int:
    """Measure hard negatives, what they do to a reader, and the order of passages.

    For example:

        memorist bench order --data nq-open-oracle.jsonl --limit 400

    Parameters
    ----------
    data
        A file of questions with annotated passages, in the format of nq-open-oracle.
    limit
        At most so many questions, drawn by the seed.
    seed
        For what is drawn.
    model
        A language model that reads, too, such as local:smollm2-135m.
    model_limit
        Questions that it is asked (default: 20).
    out
        Write the numbers to this file, too.
    """
    writable(out)
    from memorist.bench.data import located
    from memorist.bench.order import run

    run(located(data), limit, seed, model, model_limit, out, console())
    return OK


@bench.command
def scale(*, sizes: str = "10000,100000", out: Out = None, debug: Debug = False) -> int:
    """Measure where a search's time goes in stores of these sizes, and our indexes against others.

    For example:

        memorist bench scale --sizes 1000,10000

    Parameters
    ----------
    sizes
        How many memories (default: 10000,100000).
    out
        Write the numbers to this file, too.
    """
    counts = numbers(sizes, "--sizes")
    writable(out)
    from memorist.bench.scale import run

    run(counts, out, console())
    return OK


@bench.command
def reference(*, data: Path, openie: Path, python: Path, parts: int = 5, out: Out = None, debug: Debug = False) -> int:
    """Measure HippoRAG's own implementation beside ours: adding, searching, recall.

    For example:

        memorist bench reference --data musique.json --openie openie.json --python hipporag/bin/python

    Parameters
    ----------
    data
        Questions in MuSiQue's format.
    openie
        The triples of their passages, in the OpenIE form.
    python
        A Python that has hipporag: pip install hipporag, in an environment of its own. Its models are not needed.
    parts
        Passages come in so many parts, each measured (default: 5).
    out
        Write the numbers to this file, too.
    """
    if parts < 1:
        raise InputError(f"--parts {parts} is not a whole number of at least 1")
    for name, path in (("--data", data), ("--openie", openie), ("--python", python)):
        if not path.is_file():
            raise InputError(f"{name} {path} does not exist")
    writable(out)
    from memorist.bench.reference import run

    run(data, openie, python, parts, out, console())
    return OK


@bench.command
def load(
    *, store: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative=())] = (), seconds: float = 20.0,
    servers: int = 4, workers: int = 2, clients: int = 8, out: Out = None, debug: Debug = False,
) -> int:  # fmt: skip
    """Measure a service of several processes under a mixed load: four searches to an addition, over HTTP.

    For example:

        memorist bench load --seconds 30

    Parameters
    ----------
    store
        Empty stores to measure, files or addresses (default: a file that is deleted afterwards).
    seconds
        How long the clients ask (default: 20).
    servers
        Processes that answer (default: 4).
    workers
        Processes that do jobs (default: 2).
    clients
        How many ask at the same time (default: 8).
    out
        Write the numbers to this file, too.
    """
    if seconds <= 0 or servers < 1 or workers < 0 or clients < 1:
        raise InputError("--seconds, --servers and --clients are numbers above 0, --workers is not below it")
    writable(out)
    from tempfile import TemporaryDirectory

    from memorist.bench.load import Load, run
    from memorist.store.postgres.connection import place_of

    with TemporaryDirectory() as folder:
        places = store or (str(Path(folder) / "memory.db"),)
        run([(place_of(place), place) for place in places], Load(seconds, servers, workers, clients), out, console())
    return OK


@bench.command
def soak(
    *, store: str = "", requests: int = 200_000, users: int = 500, clients: int = 2, out: Out = None,
    debug: Debug = False,
) -> int:  # fmt: skip
    """Measure whether a server's memory stays what it is over very many requests of every kind.

    For example:

        memorist bench soak --requests 20000

    Parameters
    ----------
    store
        An empty store, a file or an address (default: a file that is deleted afterwards).
    requests
        How many requests (default: 200000).
    users
        Whose memories they are about (default: 500).
    clients
        How many ask at the same time (default: 2).
    out
        Write the numbers to this file, too.
    """
    if requests < 1 or users < 1 or clients < 1:
        raise InputError("--requests, --users and --clients are numbers above 0")
    writable(out)
    from tempfile import TemporaryDirectory

    from memorist.bench.soak import Soak, run

    with TemporaryDirectory() as folder:
        place = store or str(Path(folder) / "memory.db")
        result = run(place, Soak(requests, users, clients), out, console())
    return NEGATIVE if any(status >= 500 for status in result.statuses) else OK


@bench.command
def graph(
    *, sizes: str = "1000,10000,100000", igraph: Path | None = None, out: Out = None, debug: Debug = False
) -> int:
    """Measure what the fact graph costs as it grows, and its walk beside scipy's and igraph's.

    For example:

        memorist bench graph --sizes 1000,10000

    Parameters
    ----------
    sizes
        How many passages (default: 1000,10000,100000).
    igraph
        A Python that has igraph, to compare with; it runs in a process of its own.
    out
        Write the numbers to this file, too.
    """
    counts = numbers(sizes, "--sizes")
    writable(out)
    from memorist.bench.graph import run

    run(counts, igraph, out, console())
    return OK


@bench.command
def updates(*, people: int = 200, out: Out = None, debug: Debug = False) -> int:
    """Measure whether what changed is found, and what it changed from is not.

    For example:

        memorist bench updates --people 40

    Parameters
    ----------
    people
        How many people change three times (default: 200, which is the most).
    out
        Write the numbers to this file, too.
    """
    if not 1 <= people <= 200:
        raise InputError(f"--people {people} is not between 1 and 200")
    writable(out)
    from memorist.bench.updates import run

    run(out, console(), people=people)
    return OK


@bench.command
def notes(*, data: Data, out: Out = None, debug: Debug = False) -> int:
    """Measure whether what notes say about turns helps to find these.

    The notes' contexts are the file's own observations, replayed.

    For example:

        memorist bench notes --data locomo.json

    Parameters
    ----------
    data
        Files in LoCoMo's format with observations.
    out
        Write the numbers to this file, too.
    """
    writable(out)
    from memorist.bench.notes import run

    run(data, out, console())
    return OK


@bench.command
def scheduler(*, data: Data, seed: int = 0, out: Out = None, debug: Debug = False) -> int:
    """Measure whether the working set holds what the next question needs.

    It is compared with LRU and FIFO of the same size, on questions that stay with
    a topic for a while.

    For example:

        memorist bench scheduler --data locomo.json

    Parameters
    ----------
    data
        Files in LoCoMo's format.
    seed
        For the order of the questions.
    out
        Write the numbers to this file, too.
    """
    writable(out)
    from memorist.bench.scheduler import run

    run(data, seed, out, console())
    return OK


@bench.command
def weights(
    *, models: Annotated[str, Parameter(name="--model")] = "smollm2-135m", out: Out = None, debug: Debug = False
) -> int:
    """Measure how far a model in torch is from the same model in llama.cpp.

    For example:

        memorist bench weights --model smollm2-135m,gemma-3-270m

    Parameters
    ----------
    models
        The packaged models to compare (default: smollm2-135m).
    out
        Write the numbers to this file, too.
    """
    writable(out)
    from memorist.bench.weights import run

    run([name.strip() for name in models.split(",")], out, console())
    return OK


@bench.command
def cubes(*, model: str = "smollm2-135m", seed: int = 0, steps: int = 40, out: Out = None, debug: Debug = False) -> int:
    """Measure memories as a model's keys and values and as adapters: exactness, time, bytes, perplexity.

    For example:

        memorist bench cubes --json cubes.json

    Parameters
    ----------
    model
        A packaged model in torch, or the folder of one (default: smollm2-135m).
    seed
        Of the adapter's training (default: 0).
    steps
        At most so many steps of it (default: 40).
    out
        Write the numbers to this file, too.
    """
    writable(out)
    if steps < 1:
        raise InputError(f"--steps {steps} is not at least 1")
    from memorist.bench.cubes import Plan, run

    run(Plan(model, seed, steps), out, console())
    return OK


def demo(*, json: bool = False, debug: Debug = False) -> int:
    """See in a minute what Memorist does, in a store that is thrown away.

    For example:

        memorist demo

    Parameters
    ----------
    json
        Answer with one JSON document.
    """
    from memorist.demo import run

    show: Callable[..., int] = run
    return show(console(), json=json)


def recipes_of(text: str) -> list[str]:
    """`default,lexical` or `all` as names, each once. Raises InputError."""
    from memorist.recipes import RECIPES, recipe_named

    names = RECIPES if text == EVERY else [name.strip() for name in text.split(",")]
    return [recipe_named(name).name for name in dict.fromkeys(names)]


def numbers(text: str, what: str) -> list[int]:
    """`500,1500` as numbers."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and int(part[:18]) > 0 for part in parts):
        raise InputError(f"{what} {text!r:.100} is not a list of whole numbers of at least 1, such as 500,1500")
    return [int(part) for part in parts]


def writable(out: Path | None, option: str = "--json") -> None:
    """Refuse a place that cannot be written before the work, not after it."""
    if out is not None and (out.is_dir() or not out.parent.is_dir()):
        raise InputError(f"{option} {out} cannot be written; name a file in a folder that exists")


@bench.command
def recommend(
    *,
    data: Path,
    limit: int | None = None,
    part: Literal["test", "validation"] = "test",
    embedder: str = "static",
    model: str | None = None,
    out: Out = None,
    debug: Debug = False,
) -> int:
    """Measure what recommend ranks first against popularity and plain similarity.

    For example:

        memorist bench recommend --data ml-latest-small --limit 50

    Parameters
    ----------
    data
        A MovieLens folder, with movies.csv and ratings.csv.
    limit
        At most so many users, drawn by a seed.
    part
        test (default), or validation, which splits what is remembered and leaves the test alone.
    embedder
        static (default), or minilm.
    model
        A language model that describes what would fit; then candidates are sampled ones only.
    out
        Write the numbers to this file, too.
    """
    from memorist.arguments import model_named
    from memorist.bench.movielens import Options, run

    writable(out)
    run(data, Options(part, limit, embedder=embedder, model=model_named(model)), out, console())
    return OK


@bench.command
def concepts(
    *, data: Path | None = None, budget: int = 6000, orders: str = "1,2,3", limit: int | None = None, out: Out = None,
    debug: Debug = False,
) -> int:  # fmt: skip
    """Measure whether concepts from solved puzzles raise how many are solved.

    For example:

        memorist bench concepts --budget 6000 --orders 1

    Parameters
    ----------
    data
        A file of ARC puzzles (default: puzzles of our own).
    budget
        Expansions of the search for each puzzle (default: 6000).
    orders
        Seeds of the orders in which puzzles come (default: 1,2,3).
    limit
        At most so many puzzles of each order.
    out
        Write the numbers to this file, too.
    """
    from memorist.bench.arc.run import run

    writable(out)
    run(data, budget, numbers(orders, "--orders"), limit, out, console())
    return OK
