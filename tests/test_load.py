"""A service of several processes: it answers under load, and loses nothing that it acknowledged."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
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
    chance = random.Random(0)
    place = str(tmp_path / "memory.db") if kind == "sqlite" else safe.fresh()
    acknowledged: dict[str, list[str]] = {}
    ended = threading.Event()
    with ExitStack() as stack:
        apis = [Api(place), Api(place)]
        processes = [*apis, worker(place)]
        for process in processes:
            stack.callback(process.stop)
        for api in apis:
            api.wait()
        writers = [threading.Thread(target=write, args=(apis[n % 2].port, n, acknowledged, ended)) for n in range(4)]
        for writer in writers:
            writer.start()
        killed = {"api": 0, "worker": 0, "database": 0}
        for _ in range(ROUNDS):
            before = sum(map(len, acknowledged.values()))
            deadline = time.monotonic() + 120
            while sum(map(len, acknowledged.values())) < before + 2:
                assert time.monotonic() < deadline, "nothing is acknowledged any more"
                time.sleep(0.05)
            victim = chance.choice(("api", "worker", "database") if kind == "postgresql" else ("api", "worker"))
            killed[victim] += 1
            if victim == "database":
                safe.kill()
                safe.start()
            else:
                chance.choice(apis if victim == "api" else processes[2:]).kill()
        ended.set()
        for writer in writers:
            writer.join(120)
    print(kind, killed, sum(map(len, acknowledged.values())), "acknowledged")
    with closing(open_store(place)) as store:
        for user, ids in acknowledged.items():
            assert set(store.present(Scope(user=user), ids)) == set(ids)
        assert store.check() == []


def write(port: int, number: int, acknowledged: dict[str, list[str]], ended: threading.Event) -> None:
    """Add without pause, and note what was acknowledged."""
    user = f"user {number}"
    acknowledged[user] = []
    client = Client(port, 30)
    count = 0
    while not ended.is_set():
        count += 1
        try:
            status, answer = client.ask("POST", "/v1/memories", {"content": f"thing {count} of {user}", "user": user})
        except OSError:
            time.sleep(0.1)
            continue
        if status == 201:
            acknowledged[user] += answer["ids"]
    client.close()
