"""The command that measures speed and size, ours beside others'."""

from __future__ import annotations

import os

from memorist.cli import OK
from memorist.cli.bench import Told, numbers, recipes_of
from memorist.cli.render import console
from memorist.errors import InputError


def speed(
    *,
    sizes: str = "1000,10000,100000",
    recipe: str = "default",
    peer: str | None = None,
    rounds: int = 3,
    patience: int = 300,
    told: Told = Told(),
) -> int:
    """Measure adding, opening, searching, memory and file size, beside other memories in the same run.

    Times are each system's own, without making vectors; ratios are to the first recipe, within a round.
    Others run up to 100,000 texts, ours at any size, such as 1000000.

    For example:

        memorist bench speed --sizes 1000,10000 --peer chroma,mem0

    Parameters
    ----------
    sizes
        How many texts (default: 1000,10000,100000).
    recipe
        The recipes to measure (default: default).
    peer
        Other memories to run beside them, such as bm25s,chroma; or all. See: memorist bench peers
    rounds
        Repetitions, whose spread is shown (default: 3).
    patience
        Seconds of its own that a system may take to add one size; one whose pace does not do is given up
        after 30 seconds (default: 300).
    """
    from memorist.bench.peers.known import peers_named
    from memorist.bench.speed import Asked, document, run
    from memorist.bench.told import command, write

    for option, number in (("--rounds", rounds), ("--patience", patience)):
        if number < 1:
            raise InputError(f"{option} {number} is not a whole number of at least 1")
    outputs = told.outputs()
    asked = Asked(recipes_of(recipe), peers_named(peer), numbers(sizes, "--sizes"), rounds, patience)
    before = os.getloadavg()[0]
    found = run(asked, console())
    load = (round(before, 1), round(os.getloadavg()[0], 1))
    write(document(found, asked, command(), load), outputs)
    return OK
