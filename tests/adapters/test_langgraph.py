"""LangGraph's store over a memory. Upstream's own tests run with `make test-langgraph`."""

from __future__ import annotations

import asyncio

import pytest

pytest.importorskip("langgraph.store.base", reason="needs make test-adapters")

from langgraph.store.base import SearchOp

from memorist import Memory
from memorist.adapters.langgraph import MemoristStore
from memorist.testing import HashEmbedder


@pytest.fixture
def store(scoped):
    return MemoristStore(scoped)


def test_values_come_back_as_they_were(store):
    value = {"text": "Ana sails.", "deep": {"list": [1, None, {"é": "ü"}], "empty": ""}, "n": 1.5}
    store.put(("users", "ana"), "one", value)
    item = store.get(("users", "ana"), "one")
    assert (item.value, item.key, item.namespace) == (value, "one", ("users", "ana"))
    store.put(("users", "ana"), "one", {"text": "Ana rows."})
    again = store.get(("users", "ana"), "one")
    assert again.value == {"text": "Ana rows."}
    assert again.created_at == item.created_at < again.updated_at
    store.delete(("users", "ana"), "one")
    assert store.get(("users", "ana"), "one") is None
    store.put(("users", "ana"), "one", value)
    assert store.get(("users", "ana"), "one").value == value


def test_a_prefix_is_whole_names(store):
    for namespace in (("a",), ("a", "b"), ("ab",), ("b", "a")):
        store.put(namespace, "k", {"text": "-".join(namespace)})
    assert [one.namespace for one in store.search(("a",))] == [("a",), ("a", "b")]
    assert len(store.search(())) == 4
    assert store.list_namespaces(suffix=("a",)) == [("a",), ("b", "a")]


def test_filters(store):
    for number in range(4):
        store.put(("n",), str(number), {"n": number, "deep": {"even": number % 2 == 0}})
    assert [one.key for one in store.search(("n",), filter={"n": {"$gte": 1, "$lt": 3}})] == ["1", "2"]
    assert [one.key for one in store.search(("n",), filter={"deep": {"even": True}})] == ["0", "2"]
    assert store.search(("n",), filter={"missing": {"$gt": 1}}) == []
    assert store.search(("n",), filter={"n') OR 1=1 --": 1}) == []
    with pytest.raises(ValueError, match=r"\$regex"):
        store.search(("n",), filter={"n": {"$regex": "x"}})


def test_what_is_not_indexed_comes_last_and_without_a_score(store):
    store.put(("n",), "hidden", {"text": "the blue boat"}, index=False)
    store.put(("n",), "shown", {"text": "a red car"})
    found = store.search(("n",), query="the blue boat")
    assert [one.key for one in found] == ["shown", "hidden"]
    assert found[1].score is None


def test_async_and_time_to_live(store):
    async def run() -> list:
        await store.aput(("n",), "k", {"text": "async"})
        return await store.abatch([SearchOp(("n",), query="async")])

    assert asyncio.run(run())[0][0].value == {"text": "async"}
    with pytest.raises(NotImplementedError):
        store.put(("n",), "k", {"text": "x"}, ttl=1)


def test_another_user_and_another_process_see_what_they_should(tmp_path, store, scoped):
    store.put(("n",), "k", {"text": "Ana's"})
    assert MemoristStore(scoped._memory.scope(user="bob")).search(()) == []
    with Memory.open(tmp_path / "memory.db", embedder=HashEmbedder()) as other:
        assert MemoristStore(other.scope(user="ana")).get(("n",), "k").value == {"text": "Ana's"}
