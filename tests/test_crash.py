"""kill -9 at any moment: what was acknowledged is there, nothing is half there, and what was pending gets done."""

from __future__ import annotations

import random
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from memorist import MemoristError, Memory
from memorist.organise.windows import SILENCE
from memorist.store.connection import Database
from memorist.store.moments import MICROSECOND
from memorist.store.schema import MIGRATIONS, VERSION
from worker import Child, Workers, add_in_bulk, add_singly, change, message, migrate, open_memory, text_of

LONGEST_WORK = 0.12
EXTRA = (
    "CREATE TABLE later AS SELECT row, text || text AS doubled FROM cubes;\n"
    "CREATE INDEX later_doubled ON later (doubled);\n"
    "UPDATE cubes SET meta = '{}';\n"
)


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    warm = Workers(tmp_path_factory.mktemp("acks"))
    yield warm
    warm.close()


def sound(memory: Memory, acknowledged: dict[int, set[int]]) -> int:
    """Assert all that must hold after a crash; returns the number of episodes. `acknowledged` is numbers by seed."""
    assert memory.verify().problems == ()
    seen: dict[int, set[int]] = {seed: set() for seed in acknowledged}
    for record in memory._store.dump():
        if record["record"] == "episode":
            seed, number = record["meta"]["seed"], record["meta"]["n"]
            assert record["text"] == text_of(seed, number)
            assert record["terms"]
            assert number not in seen[seed], "added twice"
            seen[seed].add(number)
    for seed, numbers in acknowledged.items():
        assert numbers <= seen[seed], f"lost {sorted(numbers - seen[seed])[:5]}"
    return sum(map(len, seen.values()))


def whole(memory: Memory) -> None:
    """Assert that a search settles what was pending: vectors and windows are all there."""
    scope = memory.scope(user="ana")
    scope.search("ka lo")
    assert memory._store.jobs(scope.scope) == []
    sessions: dict[str, list[tuple[int, str]]] = {}
    for record in memory._store.dump():
        if record["record"] == "episode":
            assert record["vector"] is not None
            sessions.setdefault(record["session"], []).append((record["at"], record["id"]))
    expected = set()
    for turns in sessions.values():
        turns.sort()
        for start in range(len(turns) - 1):
            window = [turns[start]]
            while len(window) < 3 and start + len(window) < len(turns):
                if turns[start + len(window)][0] - window[-1][0] > SILENCE // MICROSECOND:
                    break
                window.append(turns[start + len(window)])
            if len(window) > 1:
                expected.add(tuple(id for _, id in window))
    assert {cube.episodes for cube in scope.list(limit=100_000, origin="windows")} == expected
    assert memory.verify().problems == ()


def numbers_of(child: Child) -> set[int]:
    """The numbers of the messages that were acknowledged."""
    numbers: set[int] = set()
    for ack in child.acks():
        numbers |= set(range(ack["first"], ack["first"] + ack["done"])) if isinstance(ack, dict) else {ack[0]}
    return numbers


@pytest.mark.parametrize("writers", [1, 2])
@pytest.mark.parametrize(("task", "span"), [(add_singly, 10_000), (add_in_bulk, 700)])
@pytest.mark.parametrize("case", range(3))
def test_add(workers: Workers, tmp_path: Path, task: object, span: int, writers: int, case: int) -> None:
    """25 kills to a store, 300 in all."""
    chance = random.Random(f"{task} {writers} {case}")
    path = tmp_path / "memory.db"
    acknowledged: dict[int, set[int]] = {seed: set() for seed in range(writers)}
    kept = 0
    for kill in range(25):
        if kill % 9 == 8:  # stays small, so that looking at all of it stays quick
            path.unlink()
            acknowledged = {seed: set() for seed in range(writers)}
        children = [workers.start(task, path, seed, kill * span) for seed in range(writers)]
        children[0].ready()
        time.sleep(chance.uniform(0, LONGEST_WORK))
        for seed, child in enumerate(children):
            child.kill()
            acknowledged[seed] |= numbers_of(child)
        with open_memory(path) as memory:
            kept += sound(memory, acknowledged)
            if kill % 3 == 0:
                whole(memory)
    assert kept > 25


@pytest.mark.parametrize("case", range(2))
def test_update_forget_erase(workers: Workers, tmp_path: Path, case: int) -> None:
    """An announced change has happened wholly or not at all; an acknowledged one has happened."""
    chance = random.Random(case)
    path = tmp_path / "memory.db"
    for _ in range(10):
        for leftover in tmp_path.iterdir():
            leftover.unlink()
        with open_memory(path) as memory:
            ids = list(memory.scope(user="ana").add([message(0, number) for number in range(60)]).ids)
        chance.shuffle(ids)
        child = workers.start(change, path, 0, ids).ready()
        time.sleep(chance.uniform(0, LONGEST_WORK))
        child.kill()
        acks = child.acks()
        done = {ack[1]: ack for ack in acks if not ack[0].startswith("will")}
        open_end = {ack[1] for ack in acks} - set(done)
        with open_memory(path) as memory:
            assert memory.verify().problems == ()
            scope = memory.scope(user="ana")
            scope.search("ka")
            assert memory._store.jobs(scope.scope) == []
            assert memory.verify().problems == ()
            for id in ids:
                try:
                    cube = scope.get(id)
                except MemoristError:
                    cube = None
                what = done[id][0] if id in done else ""
                if what == "updated":
                    assert scope.get(done[id][2]).text == f"new {id}"
                    assert cube is not None
                    assert cube.superseded_at is not None
                elif what == "did forget":
                    assert cube is not None
                    assert cube.state == "deleted"
                elif what == "did erase":
                    assert cube is None
                elif id not in open_end:
                    assert cube is not None
                    assert (cube.state, cube.superseded_at) == ("activated", None)
            shown = {id for cube in scope.list(limit=1_000, origin="windows") for id in cube.episodes}
            assert shown <= {cube.id for cube in scope.list(limit=1_000)}


def test_migration(workers: Workers, tmp_path: Path) -> None:
    """A store killed while it migrates is of the old schema or of the new one, with all that was in it."""
    original = tmp_path / "original.db"
    with open_memory(original) as memory:
        memory.scope(user="ana").add([message(0, number) for number in range(3_000)])
        before = list(memory._store.dump())
    versions = set()
    for kill in range(20):
        folder = tmp_path / str(kill)
        folder.mkdir()
        path = folder / "memory.db"
        shutil.copy(original, path)
        child = workers.start(migrate, path, [EXTRA]).ready()
        time.sleep(0.6 * (kill / 20) ** 2)
        child.kill()
        connection = sqlite3.connect(path)
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        connection.close()
        versions.add(version)
        if version == VERSION:
            with open_memory(path) as memory:
                assert memory.verify().problems == ()
                assert list(memory._store.dump()) == before
        else:
            assert version == VERSION + 1
            backup = path.with_name(f"memory.db.v{VERSION}.bak")
            with open_memory(backup) as memory:
                assert list(memory._store.dump()) == before
        database = Database(path, (*MIGRATIONS, EXTRA))
        with database.reading() as db:
            assert db.execute("SELECT COUNT(*) FROM later").fetchone()[0] >= 3_000
        database.close()
        assert not list(folder.glob("*.partial"))
    assert VERSION in versions, "every kill came too late"
