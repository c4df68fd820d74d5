"""A service of several processes: it answers under load, and loses nothing that it acknowledged."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from memorist.bench import load
from memorist.bench.fleet import Client, worker
from memorist.bench.fleet import Server as Api
from memorist.cube import Scope
from memorist.store.opening import open_store
from postgres_server import SAFE, Server

ROUNDS = int(os.environ.get("MEMORIST_KILL_ROUNDS", "100"))
SEED = int(os.environ.get("MEMORIST_KILL_SEED", "0"))
"""A hundred rounds may be run in portions: each with a seed of its own."""


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_short_load(kind: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(load, "FIRST", 2)
    monkeypatch.setattr(load, "USERS", 3)
    place = str(tmp_path / "memory.db") if kind == "sqlite" else server.fresh()
    result = load.measured(kind, place, load.Load(seconds=2, servers=1, workers=1, clients=2))
    assert result.failed == result.lost == 0
    assert result.requests >= 2 and result.search["p50"] > 0
    with closing(open_store(place)) as store:
        assert store.check() == []


@pytest.fixture
def safe() -> Iterator[Server]:
    started = Server(SAFE)
    yield started
    started.stop()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_nothing_acknowledged_is_lost_whoever_is_killed(kind: str, safe: Server, tmp_path: Path):
    """A hundred times an API process, a worker or the database itself ends in the middle of what it does."""
    chance = random.Random(SEED)
    place = str(tmp_path / "memory.db") if kind == "sqlite" else safe.fresh()
    ended = threading.Event()
    with ExitStack() as stack:
        apis = [Api(place), Api(place)]
        processes = [*apis, worker(place)]
        for process in processes:
            stack.callback(process.stop)
        for api in apis:
            api.wait()
        writers = [Writer(apis[number % 2].port, number) for number in range(4)]
        threads = [threading.Thread(target=writer.write, args=(ended,), daemon=True) for writer in writers]
        for thread in threads:
            thread.start()
        stack.callback(ended.set)
        killed = {"api": 0, "worker": 0, "database": 0}
        for _ in range(ROUNDS):
            all_acknowledge(writers)
            time.sleep(chance.random())
            victim = chance.choice(("api", "worker", "database") if kind == "postgresql" else ("api", "worker"))
            killed[victim] += 1
            if victim == "database":
                safe.kill()
                safe.start()
            else:
                chance.choice(apis if victim == "api" else processes[2:]).kill()
        all_acknowledge(writers)
        ended.set()
        for thread in threads:
            thread.join(120)
    answers = sum((writer.answers for writer in writers), Counter())
    print(kind, killed, dict(answers))
    assert set(answers) <= {201, 503}
    with closing(open_store(place)) as store:
        for writer in writers:
            assert set(store.present(Scope(user=writer.user), writer.acknowledged)) == set(writer.acknowledged)
        assert store.check() == []


class Writer:
    """A client that adds without pause, and notes what was acknowledged."""

    def __init__(self, port: int, number: int) -> None:
        self.port = port
        self.user = f"user {number}"
        self.acknowledged: list[str] = []
        self.answers: Counter[int] = Counter()

    def write(self, ended: threading.Event) -> None:
        """Add until the end."""
        client = Client(self.port, 30)
        count = 0
        while not ended.is_set():
            count += 1
            asked = {"content": f"thing {count} of {self.user}", "user": self.user}
            try:
                status, answer = client.ask("POST", "/v1/memories", asked)
            except OSError:
                time.sleep(0.1)
                continue
            self.answers[status] += 1
            if status == 201:
                self.acknowledged += answer["ids"]
            else:
                time.sleep(0.1)
        client.close()


def all_acknowledge(writers: Sequence[Writer]) -> None:
    """Return when every client has been answered since, so that all processes are up again."""
    before = [len(writer.acknowledged) for writer in writers]
    deadline = time.monotonic() + 120
    while any(len(writer.acknowledged) <= count for writer, count in zip(writers, before)):
        assert time.monotonic() < deadline, "nothing is acknowledged any more"
        time.sleep(0.02)
