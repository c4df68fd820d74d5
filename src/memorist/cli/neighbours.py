"""The command that measures an index of the database beside ours in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from memorist.cli import OK
from memorist.cli.bench import Told
from memorist.cli.render import console
from memorist.errors import InputError


def neighbours(
    store: str,
    /,
    *,
    size: int = 50_000,
    queries: int = 200,
    lines: Annotated[tuple[Path, ...], Parameter(consume_multiple=True, negative=())] = (),
    embedder: str = "static",
    seed: int = 0,
    told: Told = Told(),
) -> int:
    """Measure pgvector's HNSW beside our index in memory: the nearest ten of one owner's memories.

    It fills the database with that owner's memories, which stay.

    For example:

        memorist bench neighbours postgresql://localhost/bench --size 10000

    Parameters
    ----------
    store
        The address of an empty database of a PostgreSQL with pgvector.
    size
        How many memories (default: 50000).
    queries
        How many questions (default: 200).
    lines
        Text files of any format whose lines are the memories and the questions (default: made-up sentences).
    embedder
        minilm, or static (default: static).
    seed
        For what is drawn.
    """
    if size < 1 or queries < 1:
        raise InputError("--size and --queries are numbers above 0")
    from memorist.bench.neighbours import Asked, run

    run(store, Asked(size, queries, lines, embedder, seed), told.outputs(), console())
    return OK
