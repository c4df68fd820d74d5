"""`memorist bench soak`: one server under very many requests of every kind; its memory has to stay what it was.

The store is filled at the beginning and then does not grow: what is added later is known already. So whatever the
process gains while the requests go on is a leak.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass

from rich.console import Console

from memorist.bench.fleet import Client, Server
from memorist.bench.synthetic import texts
from memorist.bench.told import Outputs, tell
from memorist.memory import Memory

EMBEDDER = "static"
"""A fast one: what is looked for is what requests leave behind, whoever makes the vectors."""

PORTION = 10_000
"""Requests between two looks at the memory."""

EACH = 20
"""Memories of a user."""


@dataclass(frozen=True, slots=True)
class Soak:
    """How much: `requests` of `clients` about the memories of `users`."""

    requests: int = 200_000
    users: int = 500
    clients: int = 2
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Soaked:
    """Memory of the server in MB after each so many requests, the first value before any; statuses that came."""

    soak: Soak
    every: int
    megabytes: tuple[float, ...]
    per_second: float
    statuses: dict[int, int]

    @property
    def gained(self) -> float:
        """MB a 100,000 requests in the second half of the run, when all that is kept once is there."""
        half = self.megabytes[len(self.megabytes) // 2 :]
        return (half[-1] - half[0]) / max(1, (len(half) - 1) * self.every) * 100_000


def run(place: str, soak: Soak, out: Outputs, console: Console) -> Soaked:
    """Ask, look, print what the memory is, and tell `out`."""
    fill(place, soak)
    with ExitStack() as stack:
        server = Server(place, "--embedder", EMBEDDER)
        stack.callback(server.stop)
        server.wait()
        result = soaked(server, soak, console)
    console.print(
        f"{result.per_second:.0f} requests/s; {result.gained:+.2f} MB a 100,000 requests in the second half;"
        f" statuses {result.statuses}"
    )
    tell(out, "soak", [result], gained=result.gained)
    return result


def fill(place: str, soak: Soak) -> None:
    """What the users remember."""
    said = texts(soak.users * EACH, soak.seed)
    with Memory.open(place, embedder=EMBEDDER) as memory:
        for number in range(soak.users):
            memory.scope(user=f"user {number}").add([{"role": "user", "content": next(said)} for _ in range(EACH)])


def soaked(server: Server, soak: Soak, console: Console) -> Soaked:
    """Let the clients ask, portion by portion, and tell the memory after each."""
    portions = max(1, soak.requests // PORTION)
    size = min(PORTION, soak.requests)
    asking = [Asking(server.port, number, soak) for number in range(soak.clients)]
    megabytes = [server.megabytes]
    began = time.monotonic()
    for done in range(portions):
        threads = [threading.Thread(target=one.ask, args=(size // soak.clients,)) for one in asking]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        megabytes.append(server.megabytes)
        console.print(f"{(done + 1) * size:>9,} requests {megabytes[-1]:8.1f} MB", highlight=False)
    seconds = time.monotonic() - began
    for one in asking:
        one.client.close()
    statuses = sum((one.statuses for one in asking), Counter[int]())
    return Soaked(soak, size, tuple(megabytes), sum(statuses.values()) / seconds, dict(sorted(statuses.items())))


class Asking:
    """A client that asks for something else each time."""

    def __init__(self, port: int, number: int, soak: Soak) -> None:
        self.client = Client(port)
        self.statuses: Counter[int] = Counter()
        self._chance = random.Random(soak.seed * 1_000 + number)
        self._said = texts(1_000_000_000, soak.seed * 1_000 + number + 1)
        self._users = soak.users
        self._number = number
        self._count = 0

    def ask(self, count: int) -> None:
        """So many requests, one after another."""
        for _ in range(count):
            self._count += 1
            method, path, body = self._next()
            self.statuses[self.client.ask(method, path, body)[0]] += 1

    def _next(self) -> tuple[str, str, dict[str, object] | None]:
        """Searches for the most part; additions of what is known, lists, questions, and what there is not."""
        user = f"user {self._chance.randrange(self._users)}"
        drawn = self._chance.random()
        if drawn < 0.6:
            return "POST", "/v1/search", {"query": " ".join(next(self._said).split()[:6]), "user": user, "k": 10}
        if drawn < 0.8:
            return "POST", "/v1/memories", {"content": f"A visit of {user}.", "at": "2025-05-01", "user": user}
        if drawn < 0.9:
            return "GET", f"/v1/memories?limit=10&user={user.replace(' ', '%20')}", None
        if drawn < 0.95:
            return "POST", "/v1/ask", {"question": "Who was here?", "user": user}
        return "GET", f"/v1/memories/ep-{self._number}-{self._count}?user=stranger-{self._number}-{self._count}", None
