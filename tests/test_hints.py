"""Hints and attempts through every door: Python, asyncio, the command line and HTTP."""

from __future__ import annotations

import asyncio
import json

import pytest
from fastapi.testclient import TestClient

from memorist import AsyncMemory, Memory
from memorist.cli import main
from memorist.cube import Scope
from memorist.errors import InputError
from memorist.organise.attempts import IDLE
from memorist.serve import keys
from memorist.serve.app import build
from memorist.testing import HashEmbedder, ScriptedModel

LESSON = {"situation": "the result has the same parts in another order", "suggestion": "look for what rises along it"}


def learned(request):
    if request.prompt.startswith("lessons"):
        return json.dumps({"thoughts": [], "lessons": [LESSON]})
    concept = {
        "concept": "sort by key",
        "kind": "routine",
        "description": "put parts in order",
        "parameters": [{"name": "key", "typing": "Callable"}],
        "cues": ["same parts in another order"],
    }
    return json.dumps({"pseudocode": "", "summary": "", "concepts": [concept]})


@pytest.fixture
def memory(tmp_path):
    with Memory.open(tmp_path / "a.db", embedder=HashEmbedder(), recipe="arcmemo") as opened:
        yield opened


@pytest.fixture
def client(memory):
    with TestClient(build(memory)) as one:
        yield one


def key(memory, scope, rights=("read", "write")):
    return {"Authorization": f"Bearer {keys.create(memory._store, scope, memory.now(), rights=rights)[1]}"}


def test_over_http_a_hint_follows_from_attempts_and_stops_when_it_never_helps(memory, client):
    ana = key(memory, Scope("acme", "ana"))
    tried = {"problem": "order the words", "text": "Sorted them by their last letter."}
    made = client.post("/v1/attempts", json=tried, headers=ana)
    assert (made.status_code, made.json()["added"]) == (201, 1)
    memory.scope(tenant="acme", user="ana").organise(model=ScriptedModel(learned))
    asked = {"problem": "the names of the result stand in another order", "k": 1}
    hint = client.post("/v1/hint", json=asked, headers=ana).json()
    assert hint["lessons"][0]["suggestion"] == LESSON["suggestion"]
    assert hint["concepts"][0]["parameters"] == [{"name": "key", "typing": "Callable", "description": ""}]
    assert "sort by key" in hint["text"] and hint["hinted"].count("|") == 1
    bob = client.post("/v1/hint", json=asked, headers=key(memory, Scope("acme", "bob"))).json()
    assert (bob["lessons"], bob["concepts"], bob["text"]) == ([], [], "")
    for number in range(IDLE):
        failed = {"problem": "p", "text": f"No luck {number}.", "solved": False, "hinted": hint["hinted"]}
        assert client.post("/v1/attempts", json=failed, headers=ana).status_code == 201
    assert client.post("/v1/hint", json=asked, headers=ana).json()["text"] == ""


def test_over_http_an_attempt_that_is_sent_twice_is_one(memory, client):
    ana = key(memory, Scope("acme", "ana"))
    tried = {"problem": "p", "text": "Sorted."}
    answers = [client.post("/v1/attempts", json=tried, headers={**ana, "Idempotency-Key": "one"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert len(memory.scope(tenant="acme", user="ana").list()) == 1


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("/v1/hint", {"problem": ""}),
        ("/v1/hint", {"problem": "p", "k": 0}),
        ("/v1/hint", {"problem": "p", "model": "openai:x"}),
        ("/v1/attempts", {"problem": "p"}),
        ("/v1/attempts", {"problem": " ", "text": "x"}),
        ("/v1/attempts", {"problem": "p", "text": "x", "solved": "perhaps"}),
        ("/v1/attempts", {"problem": "p", "text": "x", "at": "then"}),
    ],
)
def test_over_http_what_is_wrong_is_told(memory, client, route, body):
    answer = client.post(route, json=body, headers=key(memory, Scope("acme", "ana")))
    assert 400 <= answer.status_code < 500 and answer.headers["content-type"] == "application/problem+json"
    assert memory.scope(tenant="acme", user="ana").list() == []


def test_over_http_a_key_that_reads_may_not_tell(memory, client):
    reading = key(memory, Scope("acme", "ana"), rights=("read",))
    assert client.post("/v1/hint", json={"problem": "p"}, headers=reading).status_code == 200
    assert client.post("/v1/attempts", json={"problem": "p", "text": "x"}, headers=reading).status_code == 403
    assert client.post("/v1/hint", json={"problem": "p"}).status_code == 401


def test_the_description_names_both(client):
    paths = client.get("/openapi.json").json()["paths"]
    for route in ("/v1/hint", "/v1/attempts"):
        assert paths[route]["post"]["description"]
        assert "401" in paths[route]["post"]["responses"]


@pytest.mark.parametrize(
    ("problem", "text", "more"),
    [("", "x", {}), ("p", " ", {}), ("p", "x", {"solved": 1}), ("p", "x", {"hinted": None})],
)
def test_an_attempt_has_a_problem_and_a_text(memory, problem, text, more):
    with pytest.raises(InputError):
        memory.scope(user="ana").attempt(problem, text, **more)
    assert memory.scope(user="ana").list() == []


def test_with_asyncio(tmp_path):
    async def run():
        memory = await AsyncMemory.open(tmp_path / "b.db", embedder=HashEmbedder(), recipe="arcmemo")
        ana = memory.scope(user="ana")
        await ana.attempt("order the words", "Sorted them.")
        await ana.organise(model=ScriptedModel(learned))
        made = await ana.hint("the parts stand in another order")
        await memory.close()
        return made

    assert [one.suggestion for one in asyncio.run(run()).lessons] == [LESSON["suggestion"]]


def test_on_the_command_line(tmp_path, capsys):
    store = ["--user", "ana", "--store", str(tmp_path / "c.db")]
    assert main(["attempt", "order the words", "--text", "Sorted them.", "--failed", "--json", *store]) == 0
    (id,) = json.loads(capsys.readouterr().out)["ids"]
    with Memory.open(tmp_path / "c.db") as memory:
        assert memory.scope(user="ana").get(id).meta == {"problem": "order the words", "solved": False}
    assert main(["hint", "order the names", "--json", *store]) == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["text"], made["hinted"], made["lessons"]) == ("", "", [])
    assert main(["attempt", " ", "--text", "x", *store]) == 2
    assert "name the problem" in capsys.readouterr().err
