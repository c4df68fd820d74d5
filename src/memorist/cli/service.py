"""The command that measures our server beside mem0's library behind one."""

from __future__ import annotations

from memorist.cli import OK
from memorist.cli.bench import Told
from memorist.cli.render import console
from memorist.errors import InputError


def service(
    *, memories: int = 1_000, rounds: int = 4, seconds: float = 5.0, clients: int = 2, told: Told = Told()
) -> int:
    """Measure our server beside mem0 behind one, over HTTP, by the same embedder: adds per second, search p95.

    First: memorist bench peers install mem0

    For example:

        memorist bench service --rounds 2 --json service.json

    Parameters
    ----------
    memories
        How many both hold before it begins (default: 1,000).
    rounds
        How often both are measured in turn (default: 4).
    seconds
        How long additions, and searches, of one system last in a round (default: 5).
    clients
        How many ask at the same time (default: 2).
    """
    if memories < 0 or rounds < 1 or seconds <= 0 or clients < 1:
        raise InputError("--rounds, --seconds and --clients are numbers above 0, --memories is not below it")
    from memorist.bench.service import Asked, run

    run(Asked(memories, rounds, seconds, clients), told.outputs(), console())
    return OK
