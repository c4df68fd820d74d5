"""Many processes and threads on one store."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from memorist import MemoristError
from worker import Workers, add_file, add_numbers, add_singly, message, open_memory, search_and_add, text_of


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    warm = Workers(tmp_path_factory.mktemp("acks"))
    yield warm
    warm.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "memory.db"


def file_of(path: Path, count: int) -> Path:
    file = path.with_name("chat.jsonl")
    file.write_text("".join(json.dumps(message(0, number)) + "\n" for number in range(count)))
    return file


def memory_of(path: Path) -> tuple[dict[str, str], dict[str, tuple[str, ...]], list[tuple[str, float]]]:
    """Texts, windows and a search's hits with their scores."""
    with open_memory(path) as memory:
        scope = memory.scope(user="ana")
        hits = [(hit.id, hit.score) for hit in scope.search("ka lo 0.7", k=20)]
        texts = {cube.id: cube.text for cube in scope.list(limit=100_000)}
        windows = {cube.id: cube.episodes for cube in scope.list(limit=100_000, origin="windows")}
        assert memory.verify().problems == ()
        assert memory._store.jobs(scope.scope) == []
    return texts, windows, hits


def test_the_same_file_twice_at_once_is_added_once(workers: Workers, path: Path) -> None:
    file = file_of(path, 900)
    children = [workers.start(add_file, path, str(file)) for _ in range(3)]
    assert [child.end() for child in children] == [0, 0, 0]
    receipts = [child.acks()[-1] for child in children]
    assert sum(receipt["added"] for receipt in receipts) == 900
    assert all(receipt["added"] + receipt["known"] == 900 for receipt in receipts)
    assert receipts[0]["ids"] == receipts[1]["ids"] == receipts[2]["ids"]
    alone = path.with_name("alone.db")
    with open_memory(alone) as memory:
        memory.scope(user="ana").add(file)
    together, apart = memory_of(path), memory_of(alone)
    assert together[:2] == apart[:2]


def test_two_writers_in_the_same_conversations(workers: Workers, path: Path) -> None:
    """Each message's neighbours come from the other process: no window may miss one."""
    numbers = list(range(160))
    children = [workers.start(add_numbers, path, 0, numbers[part::2]) for part in range(2)]
    assert [child.end() for child in children] == [0, 0]
    alone = path.with_name("alone.db")
    with open_memory(alone) as memory:
        memory.scope(user="ana").add([message(0, number) for number in numbers])
    together, apart = memory_of(path), memory_of(alone)
    assert together[:2] == apart[:2]
    assert dict(together[2]) == pytest.approx(dict(apart[2]), abs=1e-5)


def test_readers_are_not_held_up_by_a_writer(workers: Workers, path: Path) -> None:
    with open_memory(path) as memory:
        scope = memory.scope(user="ana")
        scope.add([message(0, number) for number in range(200)])
        child = workers.start(add_singly, path, 1, 0).ready()
        counts: list[int] = []
        end = time.monotonic() + 60
        while len(counts) < 20 or (counts[-1] == counts[0] and time.monotonic() < end):
            begin = time.monotonic()
            assert scope.search("ka lo", k=5)
            counts.append(len(scope.list(limit=100_000)))
            assert time.monotonic() - begin < 20, "a reader was held up by the writer"
        child.kill()
        assert counts == sorted(counts)
        assert counts[-1] > counts[0], "the writer was held up by the readers"


def test_a_search_sees_what_another_process_added_and_erased(workers: Workers, path: Path) -> None:
    with open_memory(path) as memory:
        scope = memory.scope(user="ana")
        child = workers.start(search_and_add, path, ["the zebra crossing", "the zebra crossing", "zebra"]).ready()

        def other_sees() -> list[str]:
            seen = len(child.acks())
            Path(f"{path}.go{seen}").touch()
            end = time.monotonic() + 60
            while len(child.acks()) == seen:
                assert time.monotonic() < end, "the other process does not answer"
                time.sleep(0.002)
            texts: list[str] = child.acks()[-1]
            return texts

        assert other_sees() == []
        (id,) = scope.add("A zebra crossed the road.").ids
        assert other_sees() == ["A zebra crossed the road."]
        scope.erase(id)
        assert other_sees() == []
        assert child.end() == 0


def test_many_open_one_new_store_at_once(workers: Workers, path: Path) -> None:
    children = [workers.start(add_numbers, path, seed, [0, 1]) for seed in range(6)]
    assert [child.end() for child in children] == [0] * 6
    assert len(memory_of(path)[0]) == 12


def test_threads(path: Path) -> None:
    """Eight threads add, search, update, forget, erase; nothing is lost, mixed up or left behind."""
    with open_memory(path) as memory:

        def work(part: int) -> set[str]:
            chance = random.Random(part)
            scope = memory.scope(user=f"user {part % 4}")
            mine: dict[str, str] = {}
            for number in range(25):
                (id,) = scope.add([message(part, number)]).ids
                mine[id] = text_of(part, number)
                for hit in scope.search(text_of(part, number), k=3):
                    assert hit.text.startswith((f"{part % 4}.", f"{part % 4 + 4}.", "new"))
                act = chance.random()
                if act < 0.2:
                    victim = chance.choice(sorted(mine))
                    scope.erase(victim)
                    del mine[victim]
                elif act < 0.4:
                    victim = chance.choice(sorted(mine))
                    mine[scope.update(victim, text="new " + mine[victim]).ids[0]] = "new " + mine[victim]
                    del mine[victim]
            return {f"{part % 4}|{text}" for text in mine.values()}

        with ThreadPoolExecutor(8) as pool:
            expected = set().union(*pool.map(work, range(8)))
        found = {
            f"{user}|{cube.text}" for user in range(4) for cube in memory.scope(user=f"user {user}").list(limit=10_000)
        }
        assert found == expected
        assert memory.verify().problems == ()


def test_searches_while_another_thread_adds(path: Path) -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with open_memory(path) as memory, ThreadPoolExecutor(4) as pool:
            scope = memory.scope(user="ana")
            scope.add([message(0, number) for number in range(20)])
            done = threading.Event()

            def look() -> int:
                searches = 0
                while not done.is_set():
                    assert scope.search("ka lo 0.7", k=5)
                    searches += 1
                return searches

            looking = [pool.submit(look) for _ in range(3)]
            try:
                for seed in range(1, 15):
                    scope.add([message(seed, number) for number in range(40)])
            finally:
                done.set()
            assert all(future.result() > 0 for future in looking)
    finally:
        sys.setswitchinterval(interval)


def test_threads_that_end_leave_no_open_files(path: Path) -> None:
    with open_memory(path) as memory:
        scope = memory.scope(user="ana")
        scope.add("hello there")

        def look() -> None:
            assert scope.list()

        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(60):
            thread = threading.Thread(target=look)
            thread.start()
            thread.join()
        assert len(list(Path("/proc/self/fd").iterdir())) < before + 30


def test_a_fork_may_go_on_using_an_open_store(path: Path) -> None:
    """As servers that load before they fork do."""
    memory = open_memory(path)
    scope = memory.scope(user="ana")
    scope.add([message(0, 0)])
    children = []
    for part in range(1, 4):
        child = os.fork()
        if child == 0:
            try:
                scope.add([message(0, part)])
                assert len(scope.list()) >= 2
                memory.close()
                os._exit(0)
            finally:
                os._exit(1)
        children.append(child)
    scope.add([message(0, 4)])
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    scope.add([message(0, 5)])
    assert {cube.meta["n"] for cube in scope.list()} == {0, 1, 2, 3, 4, 5}
    assert memory.verify().problems == ()
    memory.close()
    assert len(memory_of(path)[0]) == 6


def test_closing_while_others_go_on_is_an_error_of_ours_at_worst(path: Path) -> None:
    memory = open_memory(path)
    scope = memory.scope(user="ana")
    scope.add("hello there")
    memory.close()
    with suppress(MemoristError):
        scope.search("hello")
    memory.close()


def test_reading_the_file_beside_sqlite_leaves_its_locks_alone(path):
    """Else another process takes itself for the last user, and deletes the log that this one goes on writing."""
    begin = "import sys; from worker import open_memory; ana = open_memory(sys.argv[1]).scope(user='ana'); "
    program, listing = begin + "ana.add(sys.argv[2])", begin + "print([cube.text for cube in ana.list()])"

    def elsewhere(code: str, *arguments: str) -> str:
        here = str(Path(__file__).parent)
        command = [sys.executable, "-c", code, str(path), *arguments]
        return subprocess.run(command, cwd=here, capture_output=True, text=True, check=True).stdout

    memory = open_memory(path)
    ana = memory.scope(user="ana")
    assert ana.erase(ana.add("a secret of twenty letters").ids[0]).remnants == 0  # it searches the file
    open_memory(path).close()  # it reads the file's header
    ana.add("before")
    elsewhere(program, "between")
    assert {cube.text for cube in ana.list()} == {"before", "between"}
    ana.add("after")
    assert all(text in elsewhere(listing) for text in ("before", "between", "after"))
    memory.close()
