"""Whatever is passed: success or an error of ours, and after an error the store is as it was."""

# ruff: noqa: B023, E501 - lambdas are called before their loop goes on; tables of odd values stay tables

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from memorist import Document, MemoristError, Memory, Observation
from memorist.errors import InputError, brief
from worker import message, open_memory

HUGE = 10**25
DEEP: Any = {"a": 1}
for _ in range(5_000):
    DEEP = {"a": DEEP}
LIST: Any = []
for _ in range(5_000):
    LIST = [LIST]

TEXTS = [
    "", " ", "\n\t", "\x00", "a\x00b", "\ud800", "ok\udfff", "😀" * 300, "x" * 5_000, "\u202e\u2066",
    "'; DROP TABLE cubes; --", '" OR 1=1', "NEAR(a b, 5) AND NOT c*", "col:abc ^x", "(((", "*", "%", "_", "a\\'b", "{}", "\ufeff",
    "</memories>", "yesterday, tomorrow and 99 years ago", "on 31 February 0000", "in the year 999999999999", "\r\n",
]  # fmt: skip
ODD = [
    None, True, False, 0, -1, 1, 1.5, math.nan, math.inf, -math.inf, HUGE, -HUGE, b"", b"bytes", [], [None], {}, (), set(),
    object(), object, print, DEEP, LIST, date(2025, 5, 1), datetime.min, datetime.max, datetime(1, 1, 1, tzinfo=timezone.utc),
    datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=timezone.utc), datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
    datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-12))), datetime(1950, 1, 1), timedelta(1), Path("/"), 2**63,
]  # fmt: skip
ANYTHING = [*TEXTS, *ODD]


def name_of(what: object) -> str:
    return brief(what, 30).split(" at 0x")[0]


anything = st.one_of(
    st.sampled_from(ANYTHING),
    st.text(st.characters(), max_size=30),
    st.integers(),
    st.floats(),
    st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=5), lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner), max_leaves=5),
)  # fmt: skip
tried = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is odd may still be a file name: let such files be made where nobody keeps anything."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Memory]:
    with open_memory(tmp_path_factory.mktemp("store") / "memory.db") as opened:
        opened.scope(user="ana").add([message(0, number) for number in range(6)])
        yield opened


@contextmanager
def unchanged(memory: Memory) -> Iterator[None]:
    """Assert that nothing at all is committed to the file: SQLite counts that for every onlooker."""
    with closing(sqlite3.connect(memory._store.path)) as onlooker:  # type: ignore[attr-defined]
        before = onlooker.execute("PRAGMA data_version").fetchone()
        yield
        assert onlooker.execute("PRAGMA data_version").fetchone() == before


def attempt(memory: Memory, call: Callable[[], object]) -> bool:
    """Whether it succeeded. An error must be of ours, have something to say, and leave all as it was."""
    errors: list[str] = []
    with closing(sqlite3.connect(memory._store.path)) as onlooker:  # type: ignore[attr-defined]
        before = onlooker.execute("PRAGMA data_version").fetchone()
        try:
            call()
        except MemoristError as error:
            errors.append(str(error))
            assert onlooker.execute("PRAGMA data_version").fetchone() == before, f"committed before: {error}"
    assert all(10 < len(error) < 2_000 for error in errors), "a message is to be read"
    return not errors


@pytest.mark.parametrize("what", ANYTHING, ids=name_of)
def test_add_anything(memory: Memory, what: Any) -> None:
    if isinstance(what, Path):
        pytest.skip("a folder of files is not odd")
    scope = memory.scope(user="bad")
    succeeded = attempt(memory, lambda: scope.add(what))
    if isinstance(what, str):
        assert succeeded == bool(what.strip() and storable(what))
    attempt(memory, lambda: scope.add([what]))
    assert memory.verify().problems == ()


def storable(text: str) -> bool:
    return "\x00" not in text and not any("\ud800" <= c <= "\udfff" for c in text)


@pytest.mark.parametrize("what", ANYTHING, ids=name_of)
@pytest.mark.parametrize("field", ["text", "speaker", "role", "at", "session", "source", "key", "trust", "meta"])
def test_every_field_of_an_observation(memory: Memory, field: str, what: Any) -> None:
    scope = memory.scope(user="bad")
    if attempt(memory, lambda: scope.add(Observation(**{"text": "some words", field: what}))):
        scope.search("some words", k=3)


@pytest.mark.parametrize("what", ANYTHING, ids=name_of)
def test_every_field_of_a_message(memory: Memory, what: Any) -> None:
    scope = memory.scope(user="bad")
    for field in ("role", "content", "name", "at", "session", "id", "metadata", "anything else", "tool_calls"):
        attempt(memory, lambda: scope.add([{"role": "user", "content": "some words", field: what}]))
    for field in ("text", "title", "at", "source", "trust", "meta"):
        attempt(memory, lambda: scope.add(Document(**{"text": "# Some\n\nwords", field: what})))
    for field in ("deep", "x" * 1_000):
        attempt(memory, lambda: scope.add(Observation("some words", meta={field: what})))
    attempt(memory, lambda: scope.add("some words", at=what))
    attempt(memory, lambda: scope.add("some words", source=what))


@pytest.mark.parametrize("what", ANYTHING, ids=name_of)
def test_every_argument_of_a_search(memory: Memory, what: Any) -> None:
    scope = memory.scope(user="ana")
    for arguments in (
        {"query": what}, {"k": what}, {"budget": what}, {"as_of": what}, {"known_at": what}, {"where": what},
        {"where": {"speaker": what}}, {"where": {"at": what}}, {"where": {"at": {"gt": what}}}, {"where": {"meta.n": what}},
        {"where": {"meta.n": {"ne": what}}}, {"where": {"meta.n": [what, 1]}}, {"where": {"meta.n": {what: 1} if hash_of(what) else what}},
        {"where": {what: 1} if hash_of(what) else what}, {"where": {f"meta.{brief(what)}": 1}},
    ):  # fmt: skip
        attempt(memory, lambda: scope.search(**({"query": "ka lo"} | arguments)))
    attempt(memory, lambda: scope.ask(what))
    attempt(memory, lambda: scope.ask("ka lo?", budget=what))
    attempt(memory, lambda: scope.list(limit=what))
    attempt(memory, lambda: scope.list(origin=what))
    attempt(memory, lambda: scope.list(where=what))


def hash_of(what: object) -> bool:
    try:
        hash(what)
    except TypeError:
        return False
    return True


@pytest.mark.parametrize("what", ANYTHING, ids=name_of)
def test_every_id_and_scope(memory: Memory, what: Any, tmp_path: Path) -> None:
    scope = memory.scope(user="ana")
    (real,) = scope.add("to be changed").ids
    for call in (scope.get, scope.history, scope.forget, scope.restore, scope.erase):
        assert not attempt(memory, lambda: call(what))
        if call not in (scope.get, scope.history):
            assert not attempt(memory, lambda: call([real, what]))
    assert not attempt(memory, lambda: scope.update(what, text="new"))
    attempt(memory, lambda: scope.update(real, meta=what))
    (passing,) = scope.add("in passing").ids
    attempt(memory, lambda: scope.erase(passing, backups=what))
    attempt(memory, lambda: scope.update(real, at=what) if what is not None else None)
    for name in ("user", "tenant", "agent", "session"):
        attempt(memory, lambda: memory.scope(**{name: what}).search("ka lo"))
        attempt(memory, lambda: memory.scope(**{name: what}).add("to be kept", at=what))
    for call in (memory.export, memory.backup, memory.restore):
        attempt(memory, lambda: call(tmp_path / what if isinstance(what, str) and what.strip(" /.") else what))
    assert memory.verify().problems == ()


@pytest.mark.parametrize("what", [text for text in TEXTS if len(text) > 2], ids=name_of)
def test_updated_text_is_kept_as_it_is(memory: Memory, what: str) -> None:
    scope = memory.scope(user="ana")
    (id,) = scope.add("the first words").ids
    if attempt(memory, lambda: scope.update(id, text=what)):
        assert scope.history(id)[-1].cube.text == what


@pytest.mark.parametrize("k", [0, -1, True, False, 1.0, "1", None, 2**70, HUGE])
@pytest.mark.parametrize("budget", [0, -5, True, 0.5, "9", None, 1, 2**70])
def test_limits(memory: Memory, k: Any, budget: Any) -> None:
    def fine(value: Any) -> bool:
        return value is None or (type(value) is int and 1 <= value < 2**63)

    assert attempt(memory, lambda: memory.scope(user="ana").search("ka", k=k, budget=budget)) == (
        fine(k) and fine(budget)
    )


def test_a_mistake_in_the_middle_adds_nothing(memory: Memory) -> None:
    good = [message(3, number) for number in range(100)]
    for wrong in (None, {"role": "user"}, {"role": "king", "content": "x"}, {"role": "user", "content": "\x00"}):
        with unchanged(memory), pytest.raises(InputError, match="message 70"):
            memory.scope(user="bad").add([*good[:70], wrong, *good[70:]])


@pytest.mark.parametrize(
    "text", ["x" * 1_000_000, "word " * 200_000, "日本" * 300_000], ids=["a word", "words", "no spaces"]
)
def test_a_huge_text(memory: Memory, text: str) -> None:
    scope = memory.scope(user="huge")
    ids = scope.add(text).ids
    assert "".join(scope.get(id).text for id in ids) == text
    assert scope.search(text, k=3)
    (id,) = scope.update(ids[0], text=text).ids
    assert scope.get(id).text == text
    scope.erase([id, *ids[1:]])
    assert scope.list() == []


@tried
@given(anything)
def test_random_input_to_add(memory: Memory, what: Any) -> None:
    scope = memory.scope(user="random")
    if not isinstance(what, Path):
        attempt(memory, lambda: scope.add(what))
    attempt(
        memory,
        lambda: scope.add(Observation("words", meta={"m": what}, at=what if isinstance(what, datetime) else None)),
    )
    attempt(memory, lambda: scope.add([{"role": "user", "content": "hello", "metadata": what}]))


@tried
@given(st.text(st.characters(), max_size=50), anything)
@example("a AND (b OR", None)
@example('"unbalanced', {"speaker": "'; --"})
def test_random_questions_and_filters(memory: Memory, query: str, where: Any) -> None:
    scope = memory.scope(user="ana")
    attempt(memory, lambda: scope.search(query, k=3))
    attempt(memory, lambda: scope.search("ka", where={"speaker": where}))
    attempt(memory, lambda: scope.search("ka", where={f"meta.{query}": where}))


@tried
@given(st.text(st.characters(), max_size=20), st.text(st.characters(), max_size=20))
def test_random_scope_names_are_walls(memory: Memory, one: str, other: str) -> None:
    try:
        mine, others = memory.scope(user=one, tenant="walls"), memory.scope(user=other, tenant="walls")
    except InputError:
        return
    mine.add("the wall is high")
    if one != other:
        assert all(cube.scope.user == other for cube in others.list(limit=1_000))
    assert {cube.scope.user for cube in mine.list(limit=1_000)} == {one}
