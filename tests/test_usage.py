"""Recalls are counted beside the queries: soon, once, by many threads, and never at a search's expense."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta, timezone

import pytest

from memorist import Memory
from memorist.cube import Scope
from memorist.errors import StoreBusy, StoreReadOnly
from memorist.lifecycle import usage
from memorist.lifecycle.usage import Usage
from memorist.store.protocol import Recalled
from memorist.testing import HashEmbedder

START = datetime(2025, 3, 1, 9, tzinfo=timezone.utc)
ANA = Scope(user="ana")


def opened(path, clock=lambda: START):
    return Memory.open(path, embedder=HashEmbedder(), clock=clock)


def test_a_recall_is_counted_once_for_each_hit(tmp_path):
    now = [START]
    with opened(tmp_path / "memory.db", lambda: now[0]) as memory:
        ana, bob = memory.scope(user="ana"), memory.scope(user="bob")
        ids = ana.add([{"role": "user", "content": text} for text in ("Red kayak.", "Blue kayak.", "Taxes.")]).ids
        bob.add("Green kayak.")
        ana.search("red kayak", k=1)
        now[0] += timedelta(days=1)
        ana.search("kayak", k=2)
        bob.search("kayak")
        memory.flush()
        counts = [(cube.recalls, cube.recalled_at) for cube in map(ana.get, ids)]
        assert counts == [(2, now[0]), (1, now[0]), (0, None)]
        revision = memory._store.unorganised(ana.scope, "any", 1).revision
        ana.search("kayak")
        memory.flush()
        assert memory._store.unorganised(ana.scope, "any", 1).revision == revision, "no cache has to be read again"
        ana.erase(ids[0])
    with opened(tmp_path / "memory.db") as memory:
        assert memory.scope(user="ana").get(ids[1]).recalls == 2
        assert memory.verify().problems == ()


def test_it_is_written_by_itself_and_when_the_process_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(usage, "WAIT", 0.05)
    memory = opened(tmp_path / "memory.db")
    ana = memory.scope(user="ana")
    (id,) = ana.add("Red kayak.").ids
    ana.search("kayak")
    deadline = time.monotonic() + 20
    while not ana.get(id).recalls:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    memory.close()
    program = (
        "import sys; from memorist import Memory; from memorist.testing import HashEmbedder\n"
        "memory = Memory.open(sys.argv[1], embedder=HashEmbedder())\n"
        "memory.scope(user='ana').search('kayak')"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "memory.db")], check=True)
    with opened(tmp_path / "memory.db") as memory:
        assert memory.scope(user="ana").get(id).recalls == 2


def test_many_threads_lose_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(usage, "WAIT", 0.005)
    with opened(tmp_path / "memory.db") as memory:
        ana = memory.scope(user="ana")
        (id,) = ana.add("Red kayak.").ids

        def ask():
            for _ in range(40):
                ana.search("kayak")

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with opened(tmp_path / "memory.db") as memory:
        assert memory.scope(user="ana").get(id).recalls == 160


class Refusing:
    """A store that cannot count for now."""

    def __init__(self, error):
        self.error, self.counts = error, {}

    def used(self, scope, counts):
        if self.error:
            raise self.error
        self.counts = dict(counts)


def test_what_cannot_be_written_waits_and_is_not_lost_silently(caplog, monkeypatch):
    store = Refusing(StoreBusy("held by another"))
    counting = Usage(store)
    counting.record(ANA, [1, 2], START)
    counting.flush()
    assert "held by another" in counting.problem
    counting.record(ANA, [2], START + timedelta(1))
    store.error = None
    counting.flush()
    assert counting.problem is None
    assert store.counts == {1: Recalled(1, START), 2: Recalled(2, START + timedelta(1))}
    monkeypatch.setattr(usage, "MOST", 2)
    store.error = StoreBusy("held again")
    counting.record(ANA, [1, 2, 3], START)
    with caplog.at_level(logging.WARNING):
        counting.close()
    assert "the recalls of 3 memories were not counted: recalls are not counted: held again" in caplog.text


def test_a_store_that_is_read_only_counts_nothing(caplog):
    counting = Usage(Refusing(StoreReadOnly("no rights")))
    counting.record(ANA, [1], START)
    counting.close()
    assert caplog.text == ""
    assert "no rights" in counting.problem


@pytest.mark.slow
def test_counting_costs_a_search_less_than_a_hundredth(tmp_path):
    with opened(tmp_path / "memory.db") as memory:
        ana = memory.scope(user="ana")
        ana.add([{"role": "user", "content": f"Number {n} is a kayak."} for n in range(5_000)])
        begin = time.perf_counter()
        for n in range(300):
            ana.search(f"Number {n} kayak", k=20)
        searching = time.perf_counter() - begin
        begin = time.perf_counter()
        for _ in range(300):
            memory._usage.record(ana.scope, list(range(1, 21)), START)
        counting = time.perf_counter() - begin
    print(f"search {searching / 300 * 1e3:.2f} ms, counting {counting / 300 * 1e3:.4f} ms")
    assert counting < 0.01 * searching
