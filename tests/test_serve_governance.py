"""Over HTTP, on either kind of store: sharing, the life of memories, going back, and proof of what was erased."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from memorist import Memory
from memorist.cube import Scope
from memorist.serve import keys
from memorist.testing import HashEmbedder
from serving import Server, free_port


@pytest.fixture
def running(place: str, tmp_path: Path) -> Iterator[Server]:
    made = Server(place, free_port(), tmp_path / "log")  # type: ignore[arg-type]
    with Memory.open(place, embedder=HashEmbedder()) as memory:
        made.secrets = {  # type: ignore[attr-defined]
            name: keys.create(memory._store, scope, memory.now(), rights=rights)[1]
            for name, scope, rights in (
                ("all", Scope("acme"), keys.RIGHTS),
                ("ana", Scope("acme", "ana"), keys.RIGHTS),
                ("bob", Scope("acme", "bob"), keys.RIGHTS),
                ("dim", Scope("acme", "ana"), ("read", "write")),
                ("far", Scope("other"), keys.RIGHTS),
            )
        }
    made.start()
    yield made
    made.stop()


def client(server: Server, name: str) -> httpx2.Client:
    return server.client(server.secrets[name])  # type: ignore[attr-defined]


def added(asking: httpx2.Client, text: str, **more: object) -> str:
    return str(asking.post("/v1/memories", json={"content": text, **more}).json()["ids"][0])


def test_sharing(running: Server) -> None:
    ana, bob, dim, far = (client(running, name) for name in ("ana", "bob", "dim", "far"))
    trip = added(ana, "The ferry leaves at nine.", session="trip")
    added(ana, "The vault code is 7741.", session="diary")
    assert bob.get("/v1/memories", params={"user": "ana"}).status_code == 403
    asked = {"session": "trip", "with_user": "bob", "rights": ["read"]}
    once = {"Idempotency-Key": "share-1"}
    grant = ana.post("/v1/grants", json=asked, headers=once).json()
    assert ana.post("/v1/grants", json=asked, headers=once).json() == grant
    seen = bob.get("/v1/memories", params={"user": "ana"}).json()["items"]
    assert [one["id"] for one in seen] == [trip]
    assert [one["number"] for one in bob.get("/v1/grants/received").json()["items"]] == [grant["number"]]
    assert far.get("/v1/grants", params={"user": "ana"}).json()["items"] == []
    assert far.delete(f"/v1/grants/{grant['number']}", params={"user": "ana"}).status_code == 404
    for right in ("administer", "reveal"):
        refused = dim.post("/v1/grants", json={"with_user": "bob", "rights": [right]})
        assert (refused.status_code, refused.json()["type"]) == (403, "urn:memorist:no-right")
    assert ana.delete(f"/v1/grants/{grant['number']}").status_code == 204
    assert bob.get("/v1/memories", params={"user": "ana"}).status_code == 403
    assert ana.get("/v1/grants").json()["items"] == []
    assert ana.get("/v1/grants", params={"ended": True}).json()["items"][0]["revoked_at"]


def test_a_key_that_may_not_reveal_sees_masked_texts(running: Server) -> None:
    ana, dim = client(running, "ana"), client(running, "dim")
    id = added(ana, "Write to ana.m@mail.example about the ferry.")
    assert dim.get(f"/v1/memories/{id}").json()["text"] == "Write to [email] about the ferry."
    found = dim.post("/v1/search", json={"query": "ferry"}).json()
    assert "mail.example" not in str(found)
    assert "[email]" in str(found)
    other = added(ana, "Call +351 912 345 678.")
    assert dim.get(f"/v1/memories/{other}").json()["text"] == "Call [phone]."
    assert ana.get(f"/v1/memories/{id}").json()["text"].startswith("Write to ana.m@")


def test_the_life_of_a_memory(running: Server) -> None:
    ana = client(running, "ana")
    first, second = added(ana, "The ferry leaves at nine."), added(ana, "The ferry is blue.")
    tag = ana.get(f"/v1/memories/{first}").headers["ETag"]
    header = {"priority": 5, "sensitivity": ["travel"], "ttl": 3600}
    changed = ana.patch(f"/v1/memories/{first}/header", json=header, headers={"If-Match": tag})
    assert changed.status_code == 200, changed.text
    assert ana.patch(f"/v1/memories/{first}/header", json=header, headers={"If-Match": tag}).status_code == 412
    assert ana.post(f"/v1/memories/{first}/freeze", headers={"If-Match": tag}).status_code == 412
    assert ana.post(f"/v1/memories/{first}/freeze").status_code == 204
    assert ana.post(f"/v1/memories/{first}/erase").status_code == 409
    assert ana.post(f"/v1/memories/{first}/thaw").status_code == 204
    assert ana.post(f"/v1/memories/{second}/archive").status_code == 204
    assert ana.post(f"/v1/memories/{second}/activate").status_code == 204
    assert ana.post("/v1/memories/none/archive").status_code == 404
    one = ana.post("/v1/memories/fuse", json={"ids": [first, second], "text": "The blue ferry leaves at nine."})
    assert (one.status_code, one.json()["text"]) == (201, "The blue ferry leaves at nine.")
    parts = ana.post(f"/v1/memories/{one.json()['id']}/split", json={"texts": ["It is blue.", "It leaves at nine."]})
    assert [part["text"] for part in parts.json()["items"]] == ["It is blue.", "It leaves at nine."]
    ids = [part["id"] for part in parts.json()["items"]]
    assert ana.post("/v1/memories/compose", json={"ids": ids}).status_code == 201
    assert len(ana.get(f"/v1/memories/{first}/versions").json()["items"]) == 1
    assert ana.get(f"/v1/memories/{first}/payload").status_code == 409


def test_going_back_and_what_is_done_by_itself(running: Server) -> None:
    ana = client(running, "ana")
    id = added(ana, "The ferry leaves at nine.")
    assert ana.post("/v1/snapshots", json={"name": "before"}).json()["episodes"] == 1
    assert ana.post("/v1/snapshots", json={"name": "before"}).status_code == 409
    ana.patch(f"/v1/memories/{id}", json={"text": "The ferry leaves at ten."})
    back = ana.post("/v1/snapshots/before/rollback")
    assert back.status_code == 200
    assert ana.get("/v1/memories").json()["items"][0]["text"] == "The ferry leaves at nine."
    assert {one["name"] for one in ana.get("/v1/snapshots").json()["items"]} == {"before", back.json()["before"]}
    assert ana.delete("/v1/snapshots/before").status_code == 204
    assert ana.delete("/v1/snapshots/before").status_code == 404
    assert ana.patch("/v1/schedule/decay", json={"enabled": True, "every": 60}).json()["every"] == 60
    assert ana.patch("/v1/schedule/flying", json={"enabled": True}).status_code == 422
    assert {one["name"]: one["enabled"] for one in ana.get("/v1/schedule").json()["items"]}["decay"]
    (ran,) = ana.post("/v1/schedule/run", json={"names": ["expiry"]}).json()["items"]
    assert ran == {"name": "expiry", "told": "0 expired", "problem": None}
    assert ana.get("/v1/costs").json() == {"items": []}


def test_what_was_erased_can_be_proven(running: Server) -> None:
    ana, bob, far, dim = (client(running, name) for name in ("ana", "bob", "far", "dim"))
    id = added(ana, "The vault opens with heliotrope-7731.", at="2025-05-01")
    erased = ana.post(f"/v1/memories/{id}/erase").json()
    document = {"certificate": erased["certificate"]}
    assert erased["certificate"]["search"] == {"texts": 1, "found": 0}
    assert "heliotrope" not in str(erased)
    assert ana.post("/v1/certificates/check", json=document).json() == {"ok": True, "problems": []}
    assert [asked.post("/v1/certificates/check", json=document).status_code for asked in (bob, far, dim)] == [403] * 3
    forged = {"certificate": {**erased["certificate"], "user": "bob"}}
    assert ana.post("/v1/certificates/check", json=forged).status_code == 422
    added(ana, "The vault opens with heliotrope-7731.", at="2025-05-01")
    assert not ana.post("/v1/certificates/check", json=document).json()["ok"]
    acts = ana.get("/v1/audit", params={"limit": 2}).json()
    assert [one["act"] for one in acts["items"]] == ["key", "key"]
    later = ana.get("/v1/audit", params={"after": acts["next"]}).json()
    assert [one["act"] for one in later["items"]] == ["add", "erase", "erased", "add"]
    assert far.get("/v1/audit", params={"user": "ana"}).json()["items"] == []
    assert "heliotrope" in ana.get("/v1/known").text
    assert dim.get("/v1/known").status_code == 403
