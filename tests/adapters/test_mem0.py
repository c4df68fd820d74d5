"""mem0's official client, pointed at our server by its `host`."""

from __future__ import annotations

import pytest

pytest.importorskip("mem0", reason="needs make test-adapters")

from mem0 import AsyncMemoryClient, MemoryClient
from mem0.exceptions import MemoryNotFoundError

from memorist.cube import Scope
from serving import Server, free_port


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mem0")
    running = Server(folder / "memory.db", free_port(), folder / "log")
    running.secret = running.key(Scope("acme"))
    running.start()
    yield running
    running.stop()


@pytest.fixture
def client(server):
    made = MemoryClient(api_key=server.secret, host=f"http://127.0.0.1:{server.port}")
    yield made
    made.client.close()


def test_a_memory_from_its_addition_to_its_end(client):
    said = [{"role": "user", "content": "I moved to Lisbon."}, {"role": "assistant", "content": "How nice!"}]
    added = client.add(said, user_id="ana", metadata={"topic": "travel"})["results"]
    assert [(one["memory"], one["event"]) for one in added] == [("I moved to Lisbon.", "ADD"), ("How nice!", "ADD")]
    id = added[0]["id"]
    found = client.search("Lisbon", filters={"user_id": "ana"}, top_k=1)["results"]
    assert [(one["id"], one["metadata"], one["user_id"]) for one in found] == [(id, {"topic": "travel"}, "ana")]
    assert client.search("Lisbon", filters={"AND": [{"user_id": "ana"}, {"metadata": {"topic": "food"}}]}) == {
        "results": []
    }
    newer = client.update(id, text="I moved to Porto.")["id"]
    assert client.get(newer)["memory"] == "I moved to Porto."
    events = [(one["event"], one["old_memory"], one["new_memory"]) for one in client.history(newer)]
    assert events == [
        ("ADD", None, "I moved to Lisbon."),
        ("UPDATE", "I moved to Lisbon.", "I moved to Porto."),
    ]
    client.delete(newer)
    with pytest.raises(MemoryNotFoundError):
        client.get(newer)
    assert [one["memory"] for one in client.get_all(filters={"user_id": "ana"})["results"]] == ["How nice!"]


def test_pages_runs_agents_and_batches(client):
    ids = [
        client.add(f"note {n}", user_id="bo", run_id=f"run-{n % 2}", agent_id="helper")["results"][0]["id"]
        for n in range(5)
    ]
    page = client.get_all(filters={"user_id": "bo"}, page=2, page_size=2)
    assert (page["count"], len(page["results"])) == (5, 2)
    assert client.get_all(filters={"user_id": "bo", "run_id": "run-1"})["count"] == 2
    assert client.get(ids[0])["agent_id"] == "helper"
    client.batch_update([{"memory_id": ids[0], "text": "changed"}])
    assert client.search("changed", filters={"user_id": "bo"})["results"][0]["memory"] == "changed"
    client.batch_delete([{"memory_id": ids[1]}, {"memory_id": ids[2]}])
    assert client.get_all(filters={"user_id": "bo"})["count"] == 3
    assert {"bo"} <= {one["name"] for one in client.users()["results"]}
    client.delete_all(user_id="bo")
    assert client.get_all(filters={"user_id": "bo"})["count"] == 0


def test_users_are_deleted(client):
    client.add("something", user_id="carl")
    client.delete_users(user_id="carl")
    assert client.get_all(filters={"user_id": "carl"})["count"] == 0


async def test_the_async_client(server):
    async with AsyncMemoryClient(api_key=server.secret, host=f"http://127.0.0.1:{server.port}") as client:
        await client.add("Teal is my colour.", user_id="async")
        found = await client.search("colour", filters={"user_id": "async"})
        assert found["results"][0]["memory"] == "Teal is my colour."


def test_a_wrong_key_is_refused(server):
    with pytest.raises(ValueError, match="not known"):
        MemoryClient(api_key="mk-wrong", host=f"http://127.0.0.1:{server.port}")
