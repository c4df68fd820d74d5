"""Commands that make training data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from memorist.cli import OK
from memorist.cli.bench import writable
from memorist.cli.render import console
from memorist.errors import InputError

data = App(name="data", help="Make training data.")


@data.command
def reader(
    *,
    data: Path,
    out: Path,
    seed: int = 0,
    limit: int | None = None,
    passages: int = 10,
    recipe: Annotated[str, Parameter(name="--recipe")] = "lexical,dense",
    debug: Annotated[bool, Parameter(help="Show the traceback of an unexpected error.")] = False,
) -> int:
    """Make examples for a reader that is robust to passages which only look right.

    Each is a question with retrieved passages in an order drawn by the seed, its answer, and a reasoning that names
    the passages which hold it. Questions are parted into train and dev.

    For example:

        memorist data reader --data nq-open-oracle.jsonl --out reader.jsonl --seed 1

    Parameters
    ----------
    data
        A file of questions with annotated passages, in the format of nq-open-oracle.
    out
        The file to write, as JSON lines.
    seed
        For what is drawn.
    limit
        At most so many questions, drawn by the seed.
    passages
        Passages of an example (default: 10).
    recipe
        The retrievers that find them (default: lexical,dense).
    """
    writable(out, "--out")
    for name, number in (("--passages", passages), ("--limit", limit)):
        if number is not None and number < 1:
            raise InputError(f"{name} {number} is not a whole number of at least 1")
    from memorist.bench.data import located
    from memorist.bench.readerdata import make

    counts = make(located(data), out, [name.strip() for name in recipe.split(",")], passages, limit, seed)
    console().print(f"Wrote {counts['train']} examples to train and {counts['dev']} for development.", highlight=False)
    return OK
