"""One batch or ten, in any order of sessions, from one process or two, live or restored: the same memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memorist import Memory
from worker import Workers, add_numbers, message, open_memory

QUERIES = ("ka lo mi", "0.7", "日本 so", "what did I say yesterday?", "kaka meeting on 3 May", "zzz nothing")
START = datetime(2025, 5, 1, 9, tzinfo=timezone.utc)
PLACES = ("Lisbon", "the office", "a café", "home", "the station", "Kyoto 京都")


def talk(session: int, number: int) -> dict[str, Any]:
    """A message; sessions have silences, shared times, and words that come again."""
    minutes = 7 * (number // 2) + (900 if number > 6 else 0)
    place = PLACES[(session * 5 + number) % 6]
    return {
        "role": "user" if number % 2 else "assistant",
        "name": ("Ana", "Bo")[number % 2],
        "content": f"I was at {place} on {1 + number % 28} May, visit {number // 3}; kaka lo {number} "
        + "mi " * (number % 5),
        "timestamp": (START + timedelta(days=session, minutes=minutes)).isoformat(),
        "session": f"session {session}",
        "id": f"{session}-{number}" if session % 2 else None,
        "metadata": {"session": session, "number": number},
    }


CONVERSATION = [talk(session, number) for session in range(4) for number in range(12)]


def memory_of(memory: Memory) -> dict[str, Any]:
    """All that must be equal; what the clock says about the adding is left out."""
    scope = memory.scope(user="ana")
    hits = {query: {hit.id: hit.score for hit in scope.search(query, k=20)} for query in QUERIES}
    prompts = [scope.search(query, budget=400).prompt() for query in QUERIES[:2]]
    episodes = {
        cube.id: (cube.text, cube.speaker, cube.role, cube.at, cube.scope, cube.times, cube.valid_from, dict(cube.meta))
        for cube in scope.list(limit=10_000)
    }
    windows = {
        cube.id: (cube.text, cube.episodes, cube.at, cube.valid_from, cube.trust, cube.scope)
        for cube in scope.list(limit=10_000, origin="windows")
    }
    assert memory.verify().problems == ()
    return {"hits": hits, "prompts": prompts, "episodes": episodes, "windows": windows}


def assert_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one["episodes"] == other["episodes"]
    assert one["windows"] == other["windows"]
    for query, hits in one["hits"].items():
        assert hits == pytest.approx(other["hits"][query], abs=1e-5), query
    assert one["prompts"] == other["prompts"]


def open_at_noon(path: Path) -> Memory:
    """A store whose questions are all asked at one moment."""
    memory = open_memory(path)
    memory._clock = lambda: START + timedelta(days=30)
    return memory


@pytest.fixture(scope="module")
def once() -> Iterator[dict[str, Any]]:
    """The conversation added in one batch."""
    with TemporaryDirectory() as folder, open_at_noon(Path(folder) / "once.db") as memory:
        assert memory.scope(user="ana").add(CONVERSATION).added == len(CONVERSATION)
        found = memory_of(memory)
        assert len(found["windows"]) == 4 * (12 - 2)
        assert all(found["hits"].values())
        yield found


def in_parts(parts: Sequence[Sequence[dict[str, Any]]]) -> dict[str, Any]:
    """The memory after adding one part after the other."""
    with TemporaryDirectory() as folder, open_at_noon(Path(folder) / "parts.db") as memory:
        for part in parts:
            memory.scope(user="ana").add(part)
        return memory_of(memory)


def test_one_at_a_time(once: dict[str, Any]) -> None:
    assert_same(in_parts([[one] for one in CONVERSATION]), once)


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(st.integers(1, len(CONVERSATION) - 1)))
def test_any_split(once: dict[str, Any], cuts: set[int]) -> None:
    edges = [0, *sorted(cuts), len(CONVERSATION)]
    assert_same(in_parts([CONVERSATION[a:b] for a, b in pairwise(edges)]), once)


@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(range(4)), st.integers(1, 20))
def test_sessions_in_any_order(once: dict[str, Any], order: list[int], size: int) -> None:
    turned = [one for session in order for one in CONVERSATION if one["metadata"]["session"] == session]
    assert_same(in_parts([turned[start : start + size] for start in range(0, len(turned), size)]), once)


@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(range(24)), st.integers(1, 9))
def test_moments_in_any_order(once: dict[str, Any], order: list[int], size: int) -> None:
    """Turns of the same moment keep the order of arrival, all else is told by time."""
    turned = [one for place in order for one in CONVERSATION[2 * place : 2 * place + 2]]
    assert_same(in_parts([turned[start : start + size] for start in range(0, len(turned), size)]), once)


def test_adding_again_changes_nothing(once: dict[str, Any], tmp_path: Path) -> None:
    with open_at_noon(tmp_path / "again.db") as memory:
        scope = memory.scope(user="ana")
        scope.add(CONVERSATION[:20])
        assert scope.add(CONVERSATION).known == 20
        assert scope.add(CONVERSATION[::-1]).added == 0
        assert_same(memory_of(memory), once)


@pytest.mark.parametrize("name", ["archive.jsonl", "archive.jsonl.gz"])
def test_exported_and_imported(once: dict[str, Any], tmp_path: Path, name: str) -> None:
    with open_at_noon(tmp_path / "one.db") as memory:
        memory.scope(user="ana").add(CONVERSATION)
        memory.export(tmp_path / name)
    with open_at_noon(tmp_path / "two.db") as memory:
        memory.scope(user="ana").add(CONVERSATION[10:30])
        assert memory.restore(tmp_path / name) == len(CONVERSATION) - 20
        assert_same(memory_of(memory), once)
    with open_at_noon(tmp_path / "three.db") as memory:
        assert memory.restore(tmp_path / name) == len(CONVERSATION)
        assert_same(memory_of(memory), once)


def test_in_two_processes(tmp_path: Path) -> None:
    """Each adds half of the sessions; `message(seed, n)` talks in four sessions, by n modulo 4."""
    numbers = list(range(400))
    with open_at_noon(tmp_path / "one.db") as memory:
        memory.scope(user="ana").add([message(0, number) for number in numbers])
        alone = memory_of(memory)
    workers = Workers(tmp_path)
    path = tmp_path / "two.db"
    halves = [[number for number in numbers if number % 4 in part] for part in ((0, 1), (2, 3))]
    children = [workers.start(add_numbers, path, 0, half, 16) for half in halves]
    assert [child.end() for child in children] == [0, 0]
    workers.close()
    with open_at_noon(path) as memory:
        assert_same(memory_of(memory), alone)


def test_changes_and_undone_changes(once: dict[str, Any], tmp_path: Path) -> None:
    """Forgetting and restoring, or adding and erasing, leaves the memory as if nothing had been."""
    with open_at_noon(tmp_path / "changed.db") as memory:
        scope = memory.scope(user="ana")
        ids = scope.add(CONVERSATION).ids
        forgotten = list(ids[3:30:4])
        scope.forget(forgotten)
        passing = scope.add([{**talk(0, 3), "content": "only in passing", "id": "passing"}]).ids
        scope.restore(forgotten[:3])
        scope.erase(passing)
        scope.restore(forgotten[3:])
        assert_same(memory_of(memory), once)
        erased = scope.erase(ids[5]).ids
        assert ids[5] in erased
        scope.add(CONVERSATION[5])
        assert set(memory_of(memory)["episodes"]) == set(once["episodes"])
