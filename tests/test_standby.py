"""A second PostgreSQL server that follows the first: what can be asked of it, and that it takes the other's place."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest

from memorist import Memory
from memorist.cube import Scope
from memorist.errors import StoreReadOnly
from memorist.serve import keys
from memorist.testing import HashEmbedder
from postgres_server import SAFE, Standby
from postgres_server import Server as Postgres
from serving import Server, free_port


@pytest.fixture
def pair() -> Iterator[tuple[Postgres, Standby]]:
    first = Postgres(SAFE)
    try:
        following = first.standby()
        yield first, following
        following.stop()
    finally:
        first.stop()


def test_searches_may_go_to_a_standby_and_writes_may_not(pair, tmp_path):
    first, following = pair
    url = first.fresh()
    name = url.rpartition("/")[2]
    server = Server(f"postgresql://memorist@127.0.0.1:{following.port}/{name}", free_port(), tmp_path / "log")
    with Memory.open(url, embedder=HashEmbedder()) as memory:
        writer = memory.scope(tenant="acme", user="ana")
        first_id = writer.add("Vera keeps the key.").ids[0]
        secret = key_of(url)
        server.start()
        try:
            client = server.client(secret)
            assert searched(client, "key") == ["Vera keeps the key."]
            writer.add("The boat is blue.")  # acknowledged when the standby has it, too
            assert searched(client, "boat")[0] == "The boat is blue."
            assert client.post("/v1/ask", json={"user": "ana", "question": "Who keeps the key?"}).json()["known"]
            writer.erase(first_id)
            assert searched(client, "key") == ["The boat is blue."]
            for refused in (
                client.post("/v1/memories", json={"user": "ana", "content": "x"}),
                client.get("/v1/known", params={"user": "ana"}),
            ):
                assert (refused.status_code, refused.json()["type"]) == (503, "urn:memorist:store-read-only")
                assert "name the primary" in refused.json()["detail"]
        finally:
            server.stop()
        assert [cube.text for cube in writer.list()] == ["The boat is blue."]
    with Memory.open(server.store, embedder=HashEmbedder()) as memory, pytest.raises(StoreReadOnly):
        memory.scope(user="ana").add("x")


def key_of(url: str) -> str:
    with Memory.open(url, embedder=HashEmbedder()) as memory:
        return keys.create(memory._store, Scope("acme"), memory.now())[1]


def searched(client: httpx2.Client, query: str) -> list[str]:
    answer = client.post("/v1/search", json={"user": "ana", "query": query, "k": 2})
    assert answer.status_code == 200, answer.text
    return [hit["text"] for hit in answer.json()["hits"]]


def test_an_open_store_goes_on_with_the_standby_that_took_the_place(pair):
    first, following = pair
    name = first.fresh().rpartition("/")[2]
    both = f"127.0.0.1:{first.port},127.0.0.1:{following.port}"
    with Memory.open(
        f"postgresql://memorist@{both}/{name}?target_session_attrs=read-write", embedder=HashEmbedder()
    ) as memory:
        ana = memory.scope(user="ana")
        before = [f"number {n}" for n in range(20)]
        for text in before:
            ana.add(text)
        first.kill()
        following.promote()
        ana.add("after")
        assert {cube.text for cube in ana.list(limit=100)} == {*before, "after"}
        assert "after" in [hit.text for hit in ana.search("after", k=3)]
        assert memory.verify().ok
