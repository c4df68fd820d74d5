"""Commands that measure, and the demonstration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from memorist.cli import OK
from memorist.cli.render import console
from memorist.errors import InputError

Data = Annotated[tuple[Path, ...], Parameter(consume_multiple=True, negative=())]
Out = Annotated[Path | None, Parameter(name="--json")]
Debug = Annotated[bool, Parameter(help="Show the traceback of an unexpected error.")]

bench = App(name="bench", help="Measure recall, answers and scale.")


@bench.command
def locomo(
    *, data: Data, recipes: Annotated[str, Parameter(name="--recipe")] = "default", budget: str = "500,1500,3000",
    embedder: str | None = None, out: Out = None, debug: Debug = False,
) -> int:  # fmt: skip
    """Measure how much of the evidence for a question stands inside a token budget.

    For example:

        memorist bench locomo --data dev_colleagues --recipe default,lexical

    Parameters
    ----------
    data
        Files in LoCoMo's format, or dev_colleagues and dev_assistant, which are ours.
    recipes
        The recipes to compare, such as default,lexical (default: default).
    budget
        Token budgets (default: 500,1500,3000).
    embedder
        minilm (default), or static.
    out
        Write the numbers to this file, too.
    """
    budgets = numbers(budget, "--budget")
    writable(out)
    from memorist.bench.locomo import run

    run(data, [name.strip() for name in recipes.split(",")], budgets, out, console(), embedder)
    return OK


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


def writable(out: Path | None) -> None:
    """Refuse a place that cannot be written before the work, not after it."""
    if out is not None and (out.is_dir() or not out.parent.is_dir()):
        raise InputError(f"--json {out} cannot be written; name a file in a folder that exists")
