"""Commands for peers: other memories that a benchmark runs beside ours."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from memorist.cli import OK
from memorist.cli.bench import Debug
from memorist.cli.render import console
from memorist.errors import InputError

peers = App(name="peers", help="Other memories that a benchmark runs beside ours, each in an environment of its own.")


@peers.default
def listed(*, list_: Annotated[bool, Parameter(name="--list")] = True, debug: Debug = False) -> int:
    """Show which peers there are, which are installed, and how to install the others.

    For example:

        memorist bench peers --list

    Parameters
    ----------
    list_
        Show them, as it does without.
    """
    from rich.table import Table

    from memorist.bench.peers.environment import version_of, why_not
    from memorist.bench.peers.known import PEERS

    table = Table()
    for column in ("peer", "what it is", "installed", "why it cannot run"):
        table.add_column(column)
    for peer in PEERS.values():
        table.add_row(peer.name, peer.about, version_of(peer) or "", why_not(peer) or "")
    console().print(table)
    return OK


@peers.command
def install(*names: Annotated[str, Parameter(name="NAME")], debug: Debug = False) -> int:
    """Install peers, each into a virtual environment in your cache folder ($MEMORIST_CACHE names another).

    For example:

        memorist bench peers install bm25s chroma

    Parameters
    ----------
    names
        The peers; all stands for every one that can run.
    """
    from memorist.bench.peers.environment import install as make
    from memorist.bench.peers.known import EVERY, PEERS, peer_named

    if not names:
        raise InputError(f"name the peers to install: {', '.join(PEERS)}; or all")
    every = [peer for peer in PEERS.values() if peer.missing is None]
    failed = []
    for peer in every if list(names) == [EVERY] else [peer_named(name) for name in names]:
        try:
            version = make(peer, lambda line: console().print(line, highlight=False, markup=False))
            console().print(f"{peer.name} {version} is installed.", highlight=False)
        except InputError as error:  # the others can be installed all the same
            failed.append(str(error))
    if failed:
        raise InputError("; ".join(failed))
    return OK
