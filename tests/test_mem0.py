"""mem0's routes: a key opens its tenant's memories and no other's. Its official client runs in tests/adapters."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest

from memorist.cube import Scope
from serving import Server, free_port


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("mem0")
    running = Server(folder / "memory.db", free_port(), folder / "log")
    running.key(Scope("unused"))
    running.start()
    yield running
    running.stop()


def client(server: Server, scope: Scope, **more: object) -> httpx2.Client:
    made = server.client()
    made.headers["Authorization"] = f"Token {server.key(scope, **more)}"
    return made


def add(client: httpx2.Client, text: str, **more: object) -> str:
    answer = client.post("/v3/memories/add/", json={"messages": [{"role": "user", "content": text}], **more})
    assert answer.status_code == 200, answer.text
    return answer.json()["results"][0]["id"]


def test_older_and_newer_paths_are_the_same(server):
    acme = client(server, Scope("acme"))
    asked = {"messages": [{"role": "user", "content": "Vera keeps the key."}], "user_id": "old"}
    assert acme.post("/v1/memories/", json=asked).json()["results"][0]["event"] == "ADD"
    search = {"query": "key", "filters": {"AND": [{"user_id": "old"}]}}
    found = [acme.post(f"/{version}/memories/search/", json=search).json() for version in ("v2", "v3")]
    assert found[0] == found[1]
    assert [one["memory"] for one in found[0]["results"]] == ["Vera keeps the key."]


def test_an_id_opens_nothing_that_the_key_does_not(server):
    acme, other = client(server, Scope("acme")), client(server, Scope("other"))
    ana, bob = client(server, Scope("acme", "ana")), client(server, Scope("acme", "bob"))
    id = add(acme, "The vault code is 4711.", user_id="ana")
    assert ana.get(f"/v1/memories/{id}/").json()["memory"] == "The vault code is 4711."
    for method, path, body in (
        ("GET", f"/v1/memories/{id}/", None),
        ("GET", f"/v1/memories/{id}/history/", None),
        ("PUT", f"/v1/memories/{id}/", {"text": "x"}),
        ("DELETE", f"/v1/memories/{id}/", None),
        ("DELETE", "/v1/batch/", {"memories": [{"memory_id": id}]}),
    ):
        assert other.request(method, path, json=body).status_code == 404, (method, path)
        assert bob.request(method, path, json=body).status_code == 403, (method, path)
    search = {"query": "vault code", "filters": {"user_id": "ana"}}
    assert other.post("/v3/memories/search/", json=search).json() == {"results": []}
    assert bob.post("/v3/memories/search/", json=search).status_code == 403
    assert bob.delete("/v1/memories/", params={"user_id": "ana"}).status_code == 403
    assert [one["name"] for one in bob.get("/v1/entities/").json()["results"]] == []
    assert acme.get(f"/v1/memories/{id}/").status_code == 200
    reader = client(server, Scope("acme"), rights=["read"])
    assert reader.delete(f"/v1/memories/{id}/").status_code == 403
    assert reader.post("/v1/memories/", json={"messages": [{"content": "x"}]}).status_code == 403
    assert server.client().get("/v1/ping/").status_code == 401


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("/v3/memories/add/", {"messages": [{"role": "oracle", "content": "x"}], "user_id": "ana"}, "no role"),
        ("/v3/memories/add/", {"messages": [{"content": "x"}], "app_id": "app"}, "app_id"),
        ("/v3/memories/add/", {"messages": [{"content": "x"}], "timestamp": 1e30}, "timestamp"),
        ("/v3/memories/add/", {"messages": []}, "messages"),
        ("/v3/memories/search/", {"query": "x", "filters": {"OR": [{"user_id": "ana"}]}}, "OR"),
        ("/v3/memories/search/", {"query": "x", "filters": {"user_id": "ana", "app_id": "app"}}, "app_id"),
    ],
)
def test_what_is_not_understood_is_refused(server, path, body, says):
    answer = client(server, Scope("acme")).post(path, json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert says in answer.json()["detail"]


def test_nobody_deletes_everything_by_leaving_the_name_out(server):
    acme = client(server, Scope("acme"))
    id = add(acme, "stays", user_id="ana")
    assert acme.delete("/v1/memories/").status_code == 422
    assert acme.delete("/v1/memories/", params={"user_id": "ana", "app_id": "app"}).status_code == 422
    assert acme.get("/v1/memories/ep-none/").status_code == 404
    assert acme.get(f"/v1/memories/{id}/").status_code == 200


def test_a_write_that_comes_again_is_made_once(server):
    acme, key = client(server, Scope("acme")), {"Idempotency-Key": "mem0-1"}
    asked = {"messages": [{"role": "user", "content": "Said once."}], "user_id": "once"}
    first = acme.post("/v3/memories/add/", json=asked, headers=key)
    again = acme.post("/v1/memories/", json=asked, headers=key)
    assert (again.status_code, again.json()) == (first.status_code, first.json()) == (200, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    other = acme.post("/v3/memories/add/", json={**asked, "user_id": "other"}, headers=key)
    assert (other.status_code, other.json()["type"]) == (409, "urn:memorist:key-used-before")
    id = first.json()["results"][0]["id"]
    renewed = [acme.put(f"/v1/memories/{id}/", json={"text": "New."}, headers={"Idempotency-Key": "2"}) for _ in "ab"]
    assert [one.status_code for one in renewed] == [200, 200]
    assert renewed[0].json() == renewed[1].json()
    everything = acme.post("/v3/memories/", json={"filters": {"user_id": "once"}}).json()
    assert [one["memory"] for one in everything["results"]] == ["New."]


def test_a_batch_that_failed_half_way_goes_on_when_it_comes_again(server):
    acme, key = client(server, Scope("acme")), {"Idempotency-Key": "mem0-batch"}
    one, two = (add(acme, text, user_id="half") for text in ("first", "second"))
    good = {"memory_id": one, "text": "first, new"}
    broken = {"memories": [good, {"memory_id": two, "text": " "}]}
    assert acme.put("/v1/batch/", json=broken, headers=key).status_code == 422
    mended = {"memories": [good, {"memory_id": two, "text": "second, new"}]}
    assert acme.put("/v1/batch/", json=mended, headers=key).status_code == 200
    texts = [
        one["memory"] for one in acme.post("/v3/memories/", json={"filters": {"user_id": "half"}}).json()["results"]
    ]
    assert sorted(texts) == ["first, new", "second, new"]
    assert acme.put("/v1/batch/", json=mended).status_code == 409  # without the key it is another request
