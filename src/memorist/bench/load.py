"""`memorist bench load`: a service of several processes under a mixed load, over HTTP on this machine.

Clients ask one after another, four searches to an addition. What was acknowledged is counted again at the end.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field

import numpy as np
from rich.console import Console
from rich.table import Table

from memorist.bench.fleet import Client, Server, worker
from memorist.bench.synthetic import texts
from memorist.bench.told import Outputs, tell
from memorist.cube import Scope
from memorist.memory import Memory
from memorist.store.opening import open_store

SEARCHES = 0.8
USERS = 20
FIRST = 50
"""Memories of each user before the load begins."""


@dataclass(frozen=True, slots=True)
class Load:
    """How much: `seconds` of `clients` that ask `servers`, beside `workers`."""

    seconds: float = 20.0
    servers: int = 4
    workers: int = 2
    clients: int = 8
    seed: int = 0


@dataclass(slots=True)
class Told:
    """What one client saw: seconds of each kind of request, and what was acknowledged, by user."""

    search: list[float] = field(default_factory=list)
    add: list[float] = field(default_factory=list)
    failed: int = 0
    acknowledged: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """A run in numbers. Times are milliseconds, memory is MB of a server, on average, before and after."""

    store: str
    load: Load
    requests: int
    per_second: float
    search: dict[str, float]
    add: dict[str, float]
    failed: int
    acknowledged: int
    lost: int
    memory_before: float
    memory_after: float


def run(stores: Sequence[tuple[str, str]], load: Load, out: Outputs, console: Console) -> list[Result]:
    """Measure each of the stores (name, place), which must be empty; print a table, and tell `out`."""
    results = [measured(name, place, load) for name, place in stores]
    console.print(table(results))
    tell(out, "load", results, load=asdict(load))
    return results


def measured(name: str, place: str, load: Load) -> Result:
    """One store under the load."""
    fill(place, load.seed)
    with ExitStack() as stack:
        servers = [Server(place) for _ in range(load.servers)]
        for process in (*servers, *(worker(place) for _ in range(load.workers))):
            stack.callback(process.stop)
        for server in servers:
            server.wait()
        for server in servers:  # every server has every index before it counts
            warm(server)
        before = sum(server.megabytes for server in servers) / load.servers
        told, seconds = loaded(servers, load)
        after = sum(server.megabytes for server in servers) / load.servers
    search = [one for client in told for one in client.search]
    add = [one for client in told for one in client.add]
    acknowledged = {user: [id for client in told for id in client.acknowledged.get(user, ())] for user in users()}
    return Result(
        name,
        load,
        len(search) + len(add),
        (len(search) + len(add)) / seconds,
        percentiles(search),
        percentiles(add),
        sum(client.failed for client in told),
        sum(map(len, acknowledged.values())),
        lost(place, acknowledged),
        before,
        after,
    )


def users() -> list[str]:
    """Whose memories they are."""
    return [f"user {number}" for number in range(USERS)]


def fill(place: str, seed: int) -> None:
    """What is remembered before the load begins."""
    said = texts(USERS * FIRST, seed)
    with Memory.open(place) as memory:
        for user in users():
            memory.scope(user=user).add([{"role": "user", "content": next(said)} for _ in range(FIRST)])


def warm(server: Server) -> None:
    """Have a server load every user's index."""
    with closing(Client(server.port)) as client:
        for user in users():
            client.ask("POST", "/v1/search", {"query": "warm", "user": user, "k": 1})


def loaded(servers: Sequence[Server], load: Load) -> tuple[list[Told], float]:
    """Let the clients ask; returns what they saw, and how long it took."""
    told = [Told() for _ in range(load.clients)]
    begin = time.monotonic()
    threads = [
        threading.Thread(target=ask, args=(servers[number % len(servers)].port, number, load, begin, one))
        for number, one in enumerate(told)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return told, time.monotonic() - begin


def ask(port: int, number: int, load: Load, begin: float, told: Told) -> None:
    """One client: it asks, waits for the answer, and asks again."""
    chance = random.Random(load.seed * 1_000 + number)
    said = texts(1_000_000, load.seed * 1_000 + number + 1)
    client = Client(port)
    while time.monotonic() < begin + load.seconds:
        user, text = chance.choice(users()), next(said)
        searching = chance.random() < SEARCHES
        path = "/v1/search" if searching else "/v1/memories"
        body = {"query": " ".join(text.split()[:6]), "k": 10} if searching else {"content": text}
        started = time.perf_counter()
        try:
            status, answer = client.ask("POST", path, {**body, "user": user})
        except OSError:
            status, answer = 0, None
        spent = time.perf_counter() - started
        if status not in (200, 201):
            told.failed += 1
        elif searching:
            told.search.append(spent)
        else:
            told.add.append(spent)
            told.acknowledged.setdefault(user, []).extend(answer["ids"])
    client.close()


def lost(place: str, acknowledged: dict[str, list[str]]) -> int:
    """How many acknowledged memories are not in the store."""
    with closing(open_store(place)) as store:
        return sum(len(set(ids) - set(store.present(Scope(user=user), ids))) for user, ids in acknowledged.items())


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """In milliseconds."""
    found = np.percentile(np.array(seconds or [0.0]) * 1_000, (50, 95, 99))
    return dict(zip(("p50", "p95", "p99"), (round(float(one), 1) for one in found)))


def table(results: Sequence[Result]) -> Table:
    """The runs side by side."""
    shown = Table("store", "requests/s", "search p50/p95/p99 ms", "add p50/p95/p99 ms", "failed", "lost", "MB")
    for one in results:
        times = ("/".join(f"{value:.0f}" for value in each.values()) for each in (one.search, one.add))
        lost_of = f"{one.lost} of {one.acknowledged}"
        memory = f"{one.memory_before:.0f} → {one.memory_after:.0f}"
        shown.add_row(one.store, f"{one.per_second:.1f}", *times, str(one.failed), lost_of, memory)
    return shown
