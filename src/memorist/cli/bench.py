"""Commands that measure, and the demonstration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Group, Parameter

from memorist.cli import OK
from memorist.cli.render import console
from memorist.errors import InputError

if TYPE_CHECKING:
    from memorist.bench.run import Plan
    from memorist.bench.told import Outputs

EVERY = "all"
"""Every recipe, or every suite whose data are there."""

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
    limit: Annotated[tuple[str, ...], Parameter(group=MEASURED, negative=())] = ()
    "At most so many questions of a suite, drawn by the seed; SUITE=NUMBER for one of several."
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
class Told:
    """Where the numbers go, beside the terminal."""

    out: Annotated[Path | None, Parameter(name="--json", group=TOLD)] = None
    "Write the numbers to this file. A suite's questions stand in it, and in a journal beside it: a killed run goes on."
    html: Annotated[Path | None, Parameter(group=TOLD)] = None
    "Write a page to this file, with plots; it needs no network."
    debug: Annotated[bool, Parameter(group=TOLD)] = False
    "Show the traceback of an unexpected error."

    def outputs(self) -> Outputs:
        """The files. Raises InputError for what cannot be written, before the work and not after it."""
        from memorist.bench.told import Outputs

        for option, path in (("--json", self.out), ("--html", self.html)):
            writable(path, option)
        return Outputs(self.out, self.html)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class How(Told):
    """How it runs."""

    workers: Annotated[int, Parameter(group=TOLD)] = 1
    "Processes that ask; the numbers of quality are the same with any."


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
    outputs = how.outputs()
    plan = plan_of(suites, what, how)
    if what.stream is not None:
        return stream(plan, what.stream, outputs)
    from memorist.bench.records import Journal, journal_beside
    from memorist.bench.report import document, show
    from memorist.bench.run import run
    from memorist.bench.told import command, write

    measured = run(plan, Journal(journal_beside(outputs.json)), console())
    show(measured, console(), plan.lacking)
    write(document(measured, plan, command()), outputs)
    return OK


def stream(plan: Plan, parts: int, outputs: Outputs) -> int:
    """Measure the plan's suites as streams."""
    if parts < 1:
        raise InputError(f"--stream {parts} is not a whole number of at least 1")
    from memorist.bench import streams
    from memorist.bench.records import Journal, journal_beside
    from memorist.bench.report import stream_document
    from memorist.bench.told import command, write

    learned = streams.run(plan, parts, Journal(journal_beside(outputs.json)), console())
    streams.show(learned, console())
    write(stream_document(learned, plan, command()), outputs)
    return OK


def plan_of(suites: Sequence[str], what: What, how: How) -> Plan:
    """What to run. Raises InputError before anything is."""
    from memorist.bench.data import available, sources
    from memorist.bench.peers.known import peers_named
    from memorist.bench.run import Plan
    from memorist.bench.suite import Source
    from memorist.bench.suites import suites_named
    from memorist.recall.pool import Limits

    if how.workers < 1:
        raise InputError(f"--workers {how.workers} is not a whole number of at least 1")
    if what.openie is not None and not what.openie.is_file():
        raise InputError(f"--openie {what.openie} does not exist; name a JSON file with extracted triples")
    budgets = None if what.budget is None else numbers(what.budget, "--budget")
    chosen, lacking = available(what.data) if list(suites) == [EVERY] else (suites_named(suites), {})
    limits = limits_of(what.limit)
    common = Source(corpus=what.corpus, limit=limits.get(EVERY), seed=what.seed)
    return Plan(
        suites=[
            (suite, replace(source, limit=limits.get(suite.name, source.limit)))
            for suite, source in sources(chosen, what.data, common)
        ],
        systems=[*recipes_of(what.recipe), *(peer.system for peer in peers_named(what.peer))],
        limits=None if budgets is None else [Limits(None, budget) for budget in budgets],
        reader=what.reader,
        judge=what.judge,
        embedder=what.embedder,
        workers=how.workers,
        openie=what.openie,
        lacking=lacking,
    )


def limits_of(given: Sequence[str]) -> dict[str, int]:
    """`40` and `trec=100` as most questions by suite, EVERY standing for those that are not named."""
    from memorist.bench.suites import suites_named

    found: dict[str, int] = {}
    for one in given:
        name, equals, text = one.partition("=")
        if equals:
            suites_named([name])
        most, *others = numbers(text if equals else one, "--limit")
        if others:
            raise InputError(f"--limit {one!r:.100} is several numbers; give one, or SUITE=NUMBER for each suite")
        found[name if equals else EVERY] = most
    return found


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
