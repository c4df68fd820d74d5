"""Commands that measure, and the demonstration."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Group, Parameter

from memorist.cli import OK
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
    reader: Annotated[str | None, Parameter(group=MEASURED)] = None
    "Who answers: extractive, or none to measure retrieval alone (default: the suite's own)."
    embedder: Annotated[str, Parameter(group=MEASURED)] = "minilm"
    "minilm, or static."


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

        memorist bench musique hotpotqa --data datasets --recipe all --json out.json

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
    from memorist.bench.records import Journal, journal_beside
    from memorist.bench.report import document, show, write_json
    from memorist.bench.run import run

    measured = run(plan, Journal(journal_beside(how.out)), console())
    show(measured, console())
    found = document(measured, plan, shlex.join(["memorist", *sys.argv[1:]]))
    if how.out is not None:
        write_json(found, how.out)
    return OK


def plan_of(suites: Sequence[str], what: What, how: How) -> Plan:
    """What to run. Raises InputError before anything is."""
    from memorist.bench.data import available, sources
    from memorist.bench.run import Plan
    from memorist.bench.suite import Source
    from memorist.bench.suites import suites_named
    from memorist.recall.pool import Limits
    from memorist.recipes import RECIPES, recipe_named

    for name, number in (("--workers", how.workers), ("--limit", what.limit)):
        if number is not None and number < 1:
            raise InputError(f"{name} {number} is not a whole number of at least 1")
    budgets = None if what.budget is None else numbers(what.budget, "--budget")
    names = RECIPES if what.recipe == EVERY else [name.strip() for name in what.recipe.split(",")]
    chosen = available(what.data) if list(suites) == [EVERY] else suites_named(suites)
    return Plan(
        suites=sources(chosen, what.data, Source(corpus=what.corpus, limit=what.limit, seed=what.seed)),
        systems=[recipe_named(name).name for name in dict.fromkeys(names)],
        limits=None if budgets is None else [Limits(None, budget) for budget in budgets],
        reader=what.reader,
        embedder=what.embedder,
        workers=how.workers,
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
def scale(*, sizes: str = "10000,100000", out: Out = None, debug: Debug = False) -> int:
    """Measure the time to add and search in stores of these sizes.

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
def movielens(
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

        memorist bench movielens --data ml-latest-small --limit 50

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
    from memorist.bench.movielens import Options, run
    from memorist.memory import model_named

    writable(out)
    run(data, Options(part, limit, embedder=embedder, model=model_named(model)), out, console())
    return OK


@bench.command
def arc(
    *, data: Path | None = None, budget: int = 6000, orders: str = "1,2,3", limit: int | None = None, out: Out = None,
    debug: Debug = False,
) -> int:  # fmt: skip
    """Measure whether concepts from solved puzzles raise how many are solved.

    For example:

        memorist bench arc --budget 6000 --orders 1

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
