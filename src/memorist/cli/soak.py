"""The command that looks for what requests leave behind in a server's memory."""

from __future__ import annotations

from memorist.cli import NEGATIVE, OK
from memorist.cli.bench import Told
from memorist.cli.render import console
from memorist.errors import InputError


def soak(*, store: str = "", requests: int = 200_000, users: int = 500, clients: int = 2, told: Told = Told()) -> int:
    """Measure whether a server's memory stays what it is over very many requests of every kind.

    Exit code 1 when a request failed.

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
    """
    if requests < 1 or users < 1 or clients < 1:
        raise InputError("--requests, --users and --clients are numbers above 0")
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from memorist.bench.soak import Soak, run

    with TemporaryDirectory() as folder:
        place = store or str(Path(folder) / "memory.db")
        result = run(place, Soak(requests, users, clients), told.outputs(), console())
    return NEGATIVE if any(status >= 500 for status in result.statuses) else OK
