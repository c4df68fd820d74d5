"""The HTTP API, through a real server process and its port."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import positive_data_acceptance

from memorist import Memory
from memorist.cube import Scope
from memorist.serve import keys
from memorist.testing import HashEmbedder
from serving import Server, free_port


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("serve")
    running = Server(folder / "memory.db", free_port(), folder / "log")
    running.key(Scope("unused"))
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def acme(server: Server) -> httpx2.Client:
    return server.client(server.key(Scope("acme")))


def add(client: httpx2.Client, text: str, user: str, **more: object) -> str:
    answer = client.post("/v1/memories", json={"content": text, "user": user, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()["ids"][0]


def search(client: httpx2.Client, query: str, user: str, **more: object) -> list[str]:
    answer = client.post("/v1/search", json={"query": query, "user": user, **more})
    assert answer.status_code == 200, answer.text
    return [hit["text"] for hit in answer.json()["hits"]]


def test_a_memory_from_its_addition_to_its_end(acme):
    text = "I moved to Lisbon in May."
    id = add(acme, text, "ana")
    assert search(acme, "Lisbon", "ana") == [text]
    found = acme.get(f"/v1/memories/{id}", params={"user": "ana"})
    assert (found.json()["text"], found.json()["user"]) == (text, "ana")
    changed = acme.patch(f"/v1/memories/{id}", json={"user": "ana", "text": "I moved to Porto in May."})
    assert changed.status_code == 201
    (newer,) = changed.json()["ids"]
    assert search(acme, "moved", "ana") == ["I moved to Porto in May."]
    history = acme.get(f"/v1/memories/{newer}/history", params={"user": "ana"}).json()["items"]
    assert [(one["what"], one["memory"]["text"]) for one in history] == [
        ("added", text),
        ("updated", "I moved to Porto in May."),
    ]
    assert acme.delete(f"/v1/memories/{newer}", params={"user": "ana"}).status_code == 204
    assert search(acme, "moved", "ana") == []
    assert acme.post(f"/v1/memories/{newer}/restore", params={"user": "ana"}).status_code == 204
    assert acme.post("/v1/ask", json={"question": "Who moved to Porto?", "user": "ana"}).status_code == 200
    erased = acme.post(f"/v1/memories/{newer}/erase", params={"user": "ana"}).json()
    assert (set(erased["ids"]), erased["remnants"]) == ({id, newer}, 0)
    assert acme.get(f"/v1/memories/{id}", params={"user": "ana"}).status_code == 404


def test_messages_batches_and_pages(acme):
    messages = [{"role": "user", "content": f"message {n}", "timestamp": f"2025-05-0{n}T09:00:00"} for n in range(1, 8)]
    assert acme.post("/v1/memories", json={"messages": messages, "user": "pages"}).json()["added"] == 7
    seen, cursor = [], None
    while True:
        page = acme.get(
            "/v1/memories", params={"user": "pages", "limit": 3} | ({"cursor": cursor} if cursor else {})
        ).json()
        seen += [one["text"] for one in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == [f"message {n}" for n in range(7, 0, -1)]
    late = acme.get("/v1/memories", params={"user": "pages", "where": '{"at": {"gte": "2025-05-06"}}'}).json()
    assert [one["text"] for one in late["items"]] == ["message 7", "message 6"]
    batch = [{"content": "good", "user": "batch"}, {"user": "batch"}, {"content": "too", "user": "batch"}]
    parts = acme.post("/v1/memories/batch", json={"items": batch}).json()["items"]
    assert [part["status"] for part in parts] == [201, 422, 201]
    found = acme.post("/v1/search/batch", json={"items": [{"query": "good", "user": "batch", "k": 1}] * 2}).json()[
        "items"
    ]
    assert [part["result"]["hits"][0]["text"] for part in found] == ["good", "good"]
    assert {"user": "pages", "episodes": 7} in acme.get("/v1/scopes").json()["items"]


def test_a_batch_that_comes_again_repeats_what_failed(acme):
    headers = {"Idempotency-Key": "batch-1"}
    items = [{"content": "once", "user": "again", "session": "s"}, {"user": "again"}]
    first = acme.post("/v1/memories/batch", json={"items": items}, headers=headers).json()["items"]
    mended = [items[0], {"content": "mended", "user": "again"}]
    second = acme.post("/v1/memories/batch", json={"items": mended}, headers=headers).json()["items"]
    assert ([one["status"] for one in first], [one["status"] for one in second]) == ([201, 422], [201, 201])
    assert second[0] == first[0]
    other = acme.post("/v1/memories/batch", json={"items": [mended[1]]}, headers=headers).json()["items"]
    assert other[0]["status"] == 409


PROBLEMS = [
    ("GET", "/v1/memories/ep-none", None, 404, "not-found"),
    ("POST", "/v1/search", {"query": ""}, 422, "input-error"),
    ("POST", "/v1/search", {"query": "x", "k": 0}, 422, "input-error"),
    ("POST", "/v1/search", {"query": "x", "where": {"colour": 1}}, 422, "input-error"),
    ("POST", "/v1/search", {"query": "x", "as_of": "soon"}, 422, "input-error"),
    ("POST", "/v1/memories", {"user": "ana"}, 422, "input-error"),
    ("POST", "/v1/memories", {"content": "a", "messages": [{"content": "b"}]}, 422, "input-error"),
    ("POST", "/v1/memories", {"content": "a", "usr": "ana"}, 422, "input-error"),
    ("POST", "/v1/memories", {"messages": [{"role": "user", "content": {"image": 1}}]}, 422, "input-error"),
    ("POST", "/v1/memories", {"content": "x" * 300_000}, 413, "too-large"),
    ("POST", "/v1/erase", {"ids": ["ep-none"]}, 404, "not-found"),
    ("GET", "/v1/nothing", None, 404, "no-such-path"),
    ("PUT", "/v1/search", {}, 405, "no-such-method"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "kind"), PROBLEMS)
def test_problems_say_what_is_wrong(acme, method, path, body, status, kind):
    answer = acme.request(method, path, json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["type"] == f"urn:memorist:{kind}"
    assert answer.json()["detail"]


def test_the_slips_of_a_first_try_are_told_with_their_remedy(acme):
    def detail(content: bytes, **headers: str) -> str:
        answer = acme.post("/v1/search", content=content, headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (422, "urn:memorist:input-error")
        return answer.json()["detail"]

    form = {"Content-Type": "application/x-www-form-urlencoded"}  # what curl -d sends by itself
    asked = "send JSON, with the header Content-Type: application/json"
    assert detail(b'{"query": "x"}', **form) == f"the body was sent as '{form['Content-Type']}'; {asked}"
    assert detail(b'{"query": "x"}') == f"the body was sent without a Content-Type; {asked}"
    assert detail(b'{"query"', **JSON).startswith("the body is not JSON (")
    assert detail(b"", **JSON) == "body: Field required"
    assert detail(b"[]", **JSON).startswith("body: ")
    for path, shown in (("memories/ep-none", "/v1/memories"), ("jobs/99", "/v1/jobs")):
        refused = acme.delete(f"/v1/{path}")
        assert (refused.status_code, refused.json()["detail"].partition("; ")[2]) == (404, f"see: GET {shown}")


JSON = {"Content-Type": "application/json"}


def test_a_key_is_needed_and_opens_no_more_than_its_scope(server, acme):
    add(acme, "the vault code is 4711", "ana")
    assert server.client().post("/v1/search", json={"query": "code", "user": "ana"}).status_code == 401
    assert server.client("mk-wrong").post("/v1/search", json={"query": "code"}).status_code == 401
    other = server.client(server.key(Scope("other")))
    assert search(other, "vault code", "ana") == []
    ana = server.client(server.key(Scope("acme", "ana")))
    assert "the vault code is 4711" in search(ana, "vault code", "")
    refused = ana.post("/v1/search", json={"query": "code", "user": "bob"})
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:memorist:wrong-scope")
    reader = server.client(server.key(Scope("acme"), rights=["read"]))
    assert reader.post("/v1/memories", json={"content": "x", "user": "ana"}).status_code == 403
    assert ana.get("/v1/scopes").json()["items"][0]["user"] == "ana"


def test_a_revoked_key_is_refused_at_once(server):
    secret = server.key(Scope("acme"))
    client = server.client(secret)
    assert client.get("/v1/scopes").status_code == 200
    with Memory.open(server.store, embedder=HashEmbedder()) as memory:
        newest = max(memory._store.all_keys(), key=lambda key: key.created_at)
        rotated = keys.rotate(memory._store, newest.id, memory.now())[1]
    assert client.get("/v1/scopes").status_code == 401
    assert server.client(rotated).get("/v1/scopes").status_code == 200


def test_a_rate_is_held(server):
    client = server.client(server.key(Scope("acme"), rate=3))
    statuses = [client.get("/v1/scopes").status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    assert int(client.get("/v1/scopes").headers["retry-after"]) >= 1


def test_the_same_request_again_writes_once(server, acme):
    headers = {"Idempotency-Key": "order-1"}
    first = acme.post("/v1/memories", json={"content": "once", "user": "idem"}, headers=headers)
    again = acme.post("/v1/memories", json={"content": "once", "user": "idem"}, headers=headers)
    assert first.json() == again.json()
    assert again.headers["idempotency-replayed"] == "true"
    other = acme.post("/v1/memories", json={"content": "twice", "user": "idem"}, headers=headers)
    assert (other.status_code, other.json()["type"]) == (409, "urn:memorist:key-used-before")
    assert search(acme, "once twice", "idem") == ["once"]
    wrong = acme.post("/v1/memories", json={"user": "idem"}, headers={"Idempotency-Key": "order-2"})
    mended = acme.post(
        "/v1/memories", json={"content": "mended", "user": "idem"}, headers={"Idempotency-Key": "order-2"}
    )
    assert (wrong.status_code, mended.status_code) == (422, 201)
    theirs = server.client(server.key(Scope("other"))).post(
        "/v1/memories", json={"content": "theirs", "user": "idem"}, headers=headers
    )
    assert theirs.status_code == 201


def test_an_update_of_what_was_changed_meanwhile_is_refused(acme):
    id = add(acme, "the gate is green", "etag")
    tag = acme.get(f"/v1/memories/{id}", params={"user": "etag"}).headers["etag"]
    assert search(acme, "gate", "etag") == ["the gate is green"]
    seen = acme.get(f"/v1/memories/{id}", params={"user": "etag"})
    end = time.monotonic() + 60
    while not seen.json()["recalls"] and time.monotonic() < end:
        time.sleep(0.2)  # recalls are counted some time after
        seen = acme.get(f"/v1/memories/{id}", params={"user": "etag"})
    assert seen.json()["recalls"] == 1
    assert seen.headers["etag"] == tag
    first = acme.patch(
        f"/v1/memories/{id}", json={"user": "etag", "text": "the gate is red"}, headers={"If-Match": tag}
    )
    late = acme.patch(
        f"/v1/memories/{id}", json={"user": "etag", "text": "the gate is blue"}, headers={"If-Match": tag}
    )
    assert (first.status_code, late.status_code) == (201, 412)
    assert search(acme, "gate", "etag") == ["the gate is red"]


def test_the_log_and_the_metrics_hold_no_words(server, acme):
    add(acme, "canary-4f1b sings", "canary-user")
    search(acme, "canary-4f1b", "canary-user")
    acme.get("/v1/memories/canary-id", params={"user": "canary-user"})
    log = server.log.read_text()
    lines = [json.loads(line) for line in log.splitlines()]
    assert {"method", "route", "status", "ms", "key"} <= set(lines[-1])
    metrics = acme.get("/metrics").text
    assert 'memorist_requests_total{method="POST",route="/v1/search",status="200"}' in metrics
    assert "canary" not in log + metrics
    assert "mk-" not in log + metrics


def write(client: httpx2.Client, text: str) -> str:
    """The text, if the server acknowledged it."""
    try:
        said = client.post("/v1/memories", json={"content": text, "user": "ana"}, headers={"Idempotency-Key": text})
    except httpx2.TransportError:
        return ""
    return text if said.is_success else ""


def test_killed_servers_lose_nothing_that_they_acknowledged(tmp_path):
    server = Server(tmp_path / "memory.db", free_port(), tmp_path / "log")
    secret = server.key(Scope("acme"))
    kept: list[str] = []
    for round in range(4):
        server.start()
        client = server.client(secret)
        with ThreadPoolExecutor(4) as pool:
            waiting = [pool.submit(write, client, f"round {round} number {number}") for number in range(60)]
            wait(waiting, timeout=20, return_when=FIRST_COMPLETED)
            time.sleep(0.02 * round)
            server.process.kill()
            kept += [text for one in waiting if (text := one.result())]
        server.stop(signal.SIGKILL)
    assert kept
    with Memory.open(server.store, embedder=HashEmbedder()) as memory:
        texts = [cube.text for cube in memory.scope(tenant="acme", user="ana").list(limit=1000)]
        assert set(kept) <= set(texts)
        assert len(texts) == len(set(texts))
        assert memory.verify().ok


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from("AB"), st.sampled_from(["ana", "bob"]), st.integers(0, 9)), min_size=1, max_size=6
    )
)
def test_tenants_never_see_each_other(server, tenants, added):
    said = {f"{tenant} {user} says {number}" for tenant, user, number in added}
    for tenant, user, number in added:
        add(tenants[tenant], f"{tenant} {user} says {number}", user, source="property")
    for tenant in "AB":
        for user in ("ana", "bob"):
            texts = search(tenants[tenant], "says", user, k=1000)
            listed = tenants[tenant].get("/v1/memories", params={"user": user, "limit": 1000}).json()["items"]
            mine = f"{tenant} {user} "
            for seen in (set(texts), {one["text"] for one in listed}):
                assert all(text.startswith(mine) for text in seen)
                assert seen >= {text for text in said if text.startswith(mine)}


@pytest.fixture(scope="module")
def tenants(server) -> dict[str, httpx2.Client]:
    return {name: server.client(server.key(Scope(name))) for name in "AB"}


def test_a_public_address_needs_a_key(tmp_path):
    program = "import sys; from memorist.cli import main; sys.exit(main())"
    command = [
        sys.executable,
        "-c",
        program,
        "serve",
        "--store",
        str(tmp_path / "m.db"),
        "--host",
        "0.0.0.0",
        "--port",
        "1",
    ]
    ended = subprocess.run(command, capture_output=True, text=True, env={**os.environ}, timeout=60)
    assert ended.returncode == 2
    assert "memorist keys create" in ended.stderr


def test_no_request_made_from_the_description_breaks_its_word(server):
    """No 5xx, and no status or shape that the OpenAPI document does not name. `pytest -m slow` has the long run."""
    assert fuzz(server, examples=12) > 100


@pytest.mark.slow
def test_no_request_made_from_the_description_breaks_its_word_in_ten_minutes(server):
    end = time.monotonic() + 600
    while time.monotonic() < end:
        fuzz(server, examples=200)


def fuzz(server: Server, examples: int) -> int:
    headers = {"Authorization": f"Bearer {server.key(Scope('fuzz'))}"}
    schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{server.port}/openapi.json")
    ran = 0
    for operation in schema.get_all_operations():
        ran += calls(operation.ok(), headers, examples)
    return ran


def calls(operation: schemathesis.APIOperation, headers: dict[str, str], examples: int) -> int:
    ran = 0

    @settings(
        max_examples=examples, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(case=operation.as_strategy())
    def call(case: schemathesis.Case) -> None:
        nonlocal ran
        ran += 1
        # JSON Schema cannot say all that is asked of a request, such as a filter's fields or the form of a time.
        case.call_and_validate(headers=headers, excluded_checks=[positive_data_acceptance])

    call()
    return ran
