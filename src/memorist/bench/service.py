"""`memorist bench service`: our server beside mem0's library behind one, over HTTP, by the same embedder, in one run.

Both ask one local endpoint for their vectors. Clients add, then search, each waiting for its answer, in stretches of a
few seconds that go to the two systems in turn, so that a busy machine is busy for both. What counts are the ratios
within a round, and how far they lie apart.
"""

from __future__ import annotations

import itertools
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from memorist import __version__
from memorist.bench.fleet import SERVING, Client, Process
from memorist.bench.peers.environment import python_of, version_of, why_not
from memorist.bench.peers.known import peer_named
from memorist.bench.peers.process import environment
from memorist.bench.report import machine
from memorist.bench.synthetic import texts
from memorist.bench.told import Outputs, command, write
from memorist.errors import InputError

PEER = "mem0"
USERS = 10
K = 10
PATIENCE = 120.0
EMBEDDING = "import sys; from memorist.bench.service import embeddings; embeddings(int(sys.argv[1]))"


@dataclass(frozen=True, slots=True)
class Asked:
    """How much: memories of all users before it begins, rounds of so many seconds for each system and kind of request,
    clients at once."""

    memories: int = 1_000
    rounds: int = 4
    seconds: float = 5.0
    clients: int = 2


@dataclass(frozen=True, slots=True)
class Way:
    """How a system is asked: path and body of an addition and of a search."""

    name: str
    port: int
    add: Callable[[str, str], tuple[str, Mapping[str, Any]]]
    search: Callable[[str, str], tuple[str, Mapping[str, Any]]]


@dataclass(slots=True)
class Seen:
    """Of one system by round: additions a second, and milliseconds of each search."""

    added: list[float] = field(default_factory=list)
    searches: list[list[float]] = field(default_factory=list)


def run(asked: Asked, out: Outputs, console: Console) -> dict[str, Any]:
    """Measure, print a table and tell `out`. Raises InputError when mem0 is not installed, or something fails."""
    reason = why_not(peer_named(PEER))
    if reason is not None:
        raise InputError(f"mem0 cannot be measured: {reason}")
    load = os.getloadavg()
    with TemporaryDirectory(prefix="memorist-bench-") as folder, started(Path(folder)) as ways:
        seen = measured(ways, asked, console)
    document = document_of(seen, asked, [*load, *os.getloadavg()])
    console.print(table(document))
    write(document, out)
    return document


@contextmanager
def started(folder: Path) -> Iterator[list[Way]]:
    """The endpoint and both systems, ready."""
    embedding, ours, theirs = free_ports(3)
    url = f"http://127.0.0.1:{embedding}/v1"
    serve = ["serve", "--store", str(folder / "memory.db"), "--port", str(ours), "--embedder", f"{url}#minilm"]
    with ExitStack() as stack:
        for port, path, command in (
            (embedding, "/v1/models", [sys.executable, "-c", EMBEDDING, str(embedding)]),
            (ours, "/health/ready", [sys.executable, "-c", SERVING, *serve]),
            (theirs, "/", [*alone(folder), "-m", "adapters.mem0_http", str(theirs), str(folder / PEER), url]),
        ):
            stack.callback(Process(command).stop)
            wait_for(port, path)
        yield [
            Way(
                "memorist",
                ours,
                lambda user, text: ("/v1/memories", {"content": text, "user": user}),
                lambda user, text: ("/v1/search", {"query": text, "user": user, "k": K}),
            ),
            Way(
                PEER,
                theirs,
                lambda user, text: ("/memories", {"messages": [{"role": "user", "content": text}], "user_id": user}),
                lambda user, text: ("/search", {"query": text, "user_id": user, "top_k": K}),
            ),
        ]


def alone(folder: Path) -> list[str]:
    """A command for the peer's Python that sees nothing of our environment."""
    (folder / PEER).mkdir()
    given = environment(folder / PEER, ())
    return ["env", "-i", *(f"{name}={value}" for name, value in given.items()), str(python_of(peer_named(PEER)))]


def measured(ways: Sequence[Way], asked: Asked, console: Console) -> dict[str, Seen]:
    """Both systems filled, then asked in turn."""
    seen = {way.name: Seen() for way in ways}
    said = texts(10_000_000, 7)
    first = [next(said) for _ in range(asked.memories)]
    for way in ways:
        console.print(f"{way.name}: {asked.memories:,} memories …", highlight=False)
        with closing(Client(way.port)) as client:
            for number, text in enumerate(first):
                told(client, way.add(f"user-{number % USERS}", text))
            for user in range(USERS):
                told(client, way.search(f"user-{user}", "warm up"))
    for number in range(asked.rounds):
        for way in ways if number % 2 else reversed(ways):
            spent, seconds = stretch(way.port, asked, lambda user, text, way=way: way.add(user, text), 2 * number)
            seen[way.name].added.append(len(spent) / seconds)
            ask = lambda user, text, way=way: way.search(user, " ".join(text.split()[:8]))  # noqa: E731
            spent, _ = stretch(way.port, asked, ask, 2 * number + 1)
            seen[way.name].searches.append([1000 * one for one in spent])
    return seen


def stretch(
    port: int, asked: Asked, ask: Callable[..., tuple[str, Mapping[str, Any]]], seed: int
) -> tuple[list[float], float]:
    """Some seconds of requests by all clients: the seconds of each, and how long it was. Raises InputError."""
    spent: list[float] = []
    wrong: list[str] = []
    begin = time.perf_counter()

    def client_of(number: int) -> None:
        said = texts(1_000_000, 100 + seed * asked.clients + number)
        with closing(Client(port)) as client:
            for place in itertools.count(number):
                if time.perf_counter() > begin + asked.seconds or wrong:
                    return
                before = time.perf_counter()
                try:
                    told(client, ask(f"user-{place % USERS}", next(said)))
                except (InputError, OSError) as error:
                    wrong.append(str(error))
                    return
                spent.append(time.perf_counter() - before)

    threads = [threading.Thread(target=client_of, args=(number,)) for number in range(asked.clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong or not spent:
        raise InputError(f"a system that is measured failed: {wrong[0] if wrong else 'it answered nothing in time'}")
    return spent, time.perf_counter() - begin


def told(client: Client, asked: tuple[str, Mapping[str, Any]]) -> None:
    """Send a request. Raises InputError when it is not answered well."""
    path, body = asked
    status, answer = client.ask("POST", path, body)
    if status not in (200, 201):
        raise InputError(f"{path} answered {status}: {str(answer)[:200]}")


def document_of(seen: Mapping[str, Seen], asked: Asked, load: Sequence[float]) -> dict[str, Any]:
    """The run as JSON: numbers of each system, and ratios of ours to mem0's by round."""
    rows = [
        {
            "system": name,
            "adds_per_second": float(np.median(one.added)),
            "searches": sum(map(len, one.searches)),
            **{
                f"search_ms_p{share}": float(np.percentile([*itertools.chain(*one.searches)], share))
                for share in (50, 95)
            },
        }
        for name, one in seen.items()
    ]
    ours, theirs = seen["memorist"], seen[PEER]
    return {
        "suite": "service",
        "asked": asdict(asked),
        "rows": rows,
        "data": [],
        "command": command(),
        "adds_ratio": spread([one / other for one, other in zip(ours.added, theirs.added)]),
        "search_p95_ratio": spread([p95(one) / p95(other) for one, other in zip(ours.searches, theirs.searches)]),
        "embedder": "minilm behind a local endpoint, for both",
        "peers": {PEER: version_of(peer_named(PEER))},
        "version": __version__,
        "machine": {**machine(), "load": load},
    }


def p95(values: Sequence[float]) -> float:
    """The 95th percentile."""
    return float(np.percentile(values, 95))


def spread(values: Sequence[float]) -> dict[str, float]:
    """Over the rounds."""
    return {"median": float(np.median(values)), "least": min(values), "most": max(values)}


def table(document: Mapping[str, Any]) -> Table:
    """The two side by side."""
    shown = Table("", "adds/s", "search ms p50", "search ms p95")
    for one in document["rows"]:
        shown.add_row(
            one["system"], *(f"{one[key]:.1f}" for key in ("adds_per_second", "search_ms_p50", "search_ms_p95"))
        )
    adds, searches = (
        "{median:.2f} ({least:.2f} to {most:.2f})".format(**document[name])
        for name in ("adds_ratio", "search_p95_ratio")
    )
    shown.add_row("ours over mem0's", adds, "", searches)
    return shown


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody listens on."""
    with ExitStack() as stack:
        held = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in held]


def wait_for(port: int, path: str) -> None:
    """Return when a server answers. Raises InputError when it does not."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            with closing(Client(port, 5)) as client:
                if client.ask("GET", path)[0] == 200:
                    return
        except OSError:
            time.sleep(0.2)
    raise InputError(f"a server that is to be measured did not answer on port {port} within {PATIENCE:.0f} s")


def embeddings(port: int) -> None:
    """Serve MiniLM's vectors in OpenAI's protocol until ended: what runs in the endpoint's process."""
    import uvicorn

    from memorist.models.minilm import MiniLM
    from memorist.models.server import application
    from memorist.testing import ScriptedModel

    uvicorn.run(application(ScriptedModel(), MiniLM(), 60.0), host="127.0.0.1", port=port, log_level="warning")
