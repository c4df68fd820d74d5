"""Looking through a memory, in Python and over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime

import pytest
from starlette.testclient import TestClient

from memorist import Memory, Observation
from memorist.cube import Scope
from memorist.errors import NotFound
from memorist.serve import keys
from memorist.serve.app import build
from memorist.testing import HashEmbedder


@pytest.fixture
def memory(tmp_path) -> Iterator[Memory]:
    with Memory.open(tmp_path / "memory.db", embedder=HashEmbedder(), recipe="facts") as opened:
        yield opened


def client(memory: Memory, scope: Scope, folder=None, **more) -> TestClient:
    _, secret = keys.create(memory._store, scope, memory.now(), **more)
    return TestClient(build(memory, folder=folder), headers={"Authorization": f"Bearer {secret}"})


def test_what_is_around_a_memory(memory):
    ana = memory.scope(user="Ana")
    first = ana.add("I live in Oslo.", at="2023-01-01").ids[0]
    second = ana.add("I live in Rome.", at="2024-01-01").ids[0]
    around = ana.browse.related([first])
    assert {cube.text for cube in around.cubes} == {"I live in Oslo.", "Ana lives in Oslo."}
    assert [relation.kind for relation in around.relations] == ["derived"]
    assert not around.more
    wider = ana.browse.related([first, second], limit=3)
    assert (len(wider.cubes), wider.more) == (3, True)
    assert all({one.source, one.target} <= {cube.id for cube in wider.cubes} for one in wider.relations)
    assert ana.browse.related([first], limit=1).more
    with pytest.raises(NotFound):
        memory.scope(user="bob").browse.related([first])


def test_days_parts_and_pages_tell_the_same(memory):
    ana = memory.scope(user="Ana")
    ids = ana.add([Observation(f"message {n}", at=datetime(2024, 1, 1 + n // 2, 9, n)) for n in range(7)]).ids
    ana.forget(ids[0])
    assert [day.count for day in ana.browse.days()] == [1, 2, 2, 1]
    assert [cube.text for cube in ana.list(skip=2, limit=2)] == ["message 4", "message 3"]
    assert {(part.state, part.count) for part in ana.browse.parts() if part.origin == "source"} == {
        ("activated", 6),
        ("deleted", 1),
    }
    assert set(ana.browse.ids()) == set(ids)
    assert [day.count for day in ana.browse.days(where={"at": {"gte": "2024-01-03"}})] == [1, 2]


def test_the_same_over_http_with_the_rights_of_the_key(memory):
    memory.scope(tenant="acme", user="Ana").add("I live in Oslo.", at="2023-01-01")
    memory.scope(tenant="acme", user="Ana").add(
        Observation("Ana lives in Paris.", trust="web", at=datetime(2024, 1, 1))
    )
    memory.scope(tenant="other", user="Ana").add("I live in Prague.", at="2023-01-01")
    asked = client(memory, Scope("acme"))
    who = asked.get("/v1/caller").json()
    assert (who["tenant"], who["user"], who["rights"]) == ("acme", "", ["read", "write", "erase"])
    days = asked.get("/v1/days", params={"user": "Ana"}).json()
    assert (days["total"], [day["start"][:10] for day in days["items"]]) == (2, ["2024-01-01", "2023-01-01"])
    (page,) = asked.get("/v1/memories", params={"user": "Ana", "skip": 1}).json()["items"]
    assert page["text"] == "I live in Oslo."
    around = asked.get("/v1/relations", params={"user": "Ana", "id": [page["id"]]}).json()
    assert {one["text"] for one in around["items"]} == {"I live in Oslo.", "Ana lives in Oslo."}
    (conflict,) = asked.get("/v1/conflicts", params={"user": "Ana"}).json()["items"]
    wrong = next(fact["id"] for fact in conflict["facts"] if "Paris" in fact["text"])
    assert asked.post(f"/v1/memories/{wrong}/undo", params={"user": "Ana"}).status_code == 200
    assert asked.get("/v1/conflicts", params={"user": "Ana"}).json()["items"] == []
    lines = [json.loads(line) for line in asked.get("/v1/export", params={"user": "Ana"}).text.splitlines()]
    assert {line["origin"] for line in lines} == {"source", "facts"}
    assert "Prague" not in json.dumps(lines)
    jobs = asked.get("/v1/jobs", params={"user": "Ana"}).json()["items"]
    assert {job["kind"] for job in jobs} == {"facts"}
    assert asked.post(f"/v1/jobs/{jobs[0]['number']}/retry", params={"user": "Ana"}).status_code == 204
    assert asked.delete(f"/v1/jobs/{jobs[0]['number']}", params={"user": "bob"}).status_code == 404
    assert asked.delete(f"/v1/jobs/{jobs[0]['number']}", params={"user": "Ana"}).status_code == 204
    reader = client(memory, Scope("acme", "Ana"), rights=["read"])
    assert reader.post("/v1/erase/all", json={"user": "Ana", "confirm": "Ana"}).status_code == 403
    assert reader.get("/v1/days", params={"user": "bob"}).status_code == 403
    assert asked.post("/v1/erase/all", json={"user": "Ana", "confirm": "bob"}).status_code == 422
    assert asked.post("/v1/erase/all", json={"user": "Ana", "confirm": "Ana"}).json()["remnants"] == 0
    assert asked.get("/v1/parts", params={"user": "Ana"}).json()["items"] == []
    assert asked.post("/v1/erase/all", json={"user": "Ana", "confirm": "Ana"}).json()["ids"] == []
    assert len(memory.scope(tenant="other", user="Ana").list()) == 1


def test_reports_are_those_of_the_folder_and_hold_no_questions(memory, tmp_path):
    folder = tmp_path / "reports"
    folder.mkdir()
    (folder / "one.json").write_text(
        '{"suite": "locomo", "rows": [{"metric": "f1", "value": 1}], "records": ["secret"]}'
    )
    (folder / "two.json").write_text("[]")
    (folder / "page.html").write_text("<script>alert(1)</script>")
    (folder / "link.json").symlink_to(tmp_path / "memory.db")
    (folder / "notes.txt").write_text("no report")
    asked = client(memory, Scope("acme"), folder)
    assert [one["name"] for one in asked.get("/v1/reports").json()["items"]] == ["one.json", "page.html", "two.json"]
    assert asked.get("/v1/reports/one.json").json() == {"suite": "locomo", "rows": [{"metric": "f1", "value": 1}]}
    assert asked.get("/v1/reports/two.json").status_code == 422
    kept = asked.get("/v1/reports/page.html")
    assert (kept.headers["content-type"], kept.headers["content-disposition"][:10]) == (
        "application/octet-stream",
        "attachment",
    )
    for name in ("link.json", "notes.txt", "..%2Fmemory.db"):
        assert asked.get(f"/v1/reports/{name}").status_code == 404
    assert client(memory, Scope("acme")).get("/v1/reports").json()["items"] == []
