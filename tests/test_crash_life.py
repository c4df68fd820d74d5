"""kill -9 during fusions, roll-backs and the schedule: the store opens, is sound, and nothing acknowledged is lost."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from memorist import Memory
from memorist.states import LIVING
from worker import Workers, live, open_memory

LONGEST_WORK = 0.6


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    warm = Workers(tmp_path_factory.mktemp("acks"))
    yield warm
    warm.close()


def sound(memory: Memory, words: list[str]) -> None:
    """Assert all that must hold after a crash."""
    assert memory.verify().problems == ()
    ana = memory.scope(user="ana")
    for entry in ("decay", "sleep", "expiry"):  # what a dead process held is taken over
        ran = ana.schedule.run([entry])
        assert entry in [one.name for one in ran]
        assert {one.problem for one in ran} == {None}
    assert ana.jobs() == []
    with memory._store._database.reading() as db:
        said = {
            text: (id, state, aside)
            for id, text, state, aside in db.execute("SELECT id, text, state, aside FROM cubes WHERE origin = 'source'")
        }
        merged = db.execute(
            "SELECT c.id FROM cubes c WHERE c.state = 'merged' AND NOT EXISTS (SELECT 1 FROM links l JOIN cubes t"
            " ON t.row = l.target WHERE l.source = c.row AND l.kind = 'merged' AND t.state IN"
            " ('activated', 'archived', 'merged', 'expired', 'frozen'))"
        ).fetchall()
        halves = db.execute(
            "SELECT t.id FROM links l JOIN cubes t ON t.row = l.target JOIN cubes s ON s.row = l.source"
            " WHERE l.kind = 'merged' AND t.state IN ('activated', 'frozen') AND s.state != 'merged'"
        ).fetchall()
    assert merged == [], "merged into nothing"
    assert halves == [], "a fusion beside what it was made of"
    for word in words:
        assert f"Here is {word}. There is {word}too." in said, f"lost {word}"
    living = {cube.text for origin in ("source", "composed") for cube in ana.list(origin=origin, limit=100_000)}
    for text, (id, state, aside) in said.items():
        assert (text in living) == (state in LIVING and aside is None), (id, state)
    assert memory.verify().problems == ()


def killed(workers: Workers, path: Path, rounds: int, chance: random.Random) -> int:
    """Kill a worker so many times; returns how many messages were acknowledged."""
    words: list[str] = []
    count = 0
    for kill in range(rounds):
        if kill % 10 == 9:  # stays small, so that looking at all of it stays quick
            for file in path.parent.glob(f"{path.name}*"):
                file.unlink()
            words = []
        child = workers.start(live, path, kill).ready()
        time.sleep(chance.uniform(0, LONGEST_WORK))
        child.kill()
        new = [ack[1] for ack in child.acks() if ack[0] == "added"]
        words += new
        count += len(new)
        with open_memory(path) as memory:
            sound(memory, words)
    return count


def test_some_kills(workers: Workers, tmp_path: Path) -> None:
    assert killed(workers, tmp_path / "memory.db", 8, random.Random(1)) > 8


@pytest.mark.slow
def test_many_kills(workers: Workers, tmp_path: Path) -> None:
    """200 kills."""
    assert killed(workers, tmp_path / "memory.db", 200, random.Random(2)) > 200
