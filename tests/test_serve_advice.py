"""Over HTTP: recommendations, concepts, what a model writes on demand, a ready-made extraction, the working set."""

import json

import pytest
from starlette.testclient import TestClient

from memorist import Memory, Observation
from memorist.cube import Scope
from memorist.serve import keys
from memorist.serve.app import build
from memorist.testing import HashEmbedder

FILMS = [
    {"id": "c1", "text": "A comedy about a plane", "categories": ["Comedy"]},
    {"id": "h1", "text": "A horror in space", "categories": ["Horror"]},
]


def client(memory, scope, rights=keys.RIGHTS):
    _, secret = keys.create(memory._store, scope, memory.now(), rights=rights)
    return TestClient(build(memory), headers={"Authorization": f"Bearer {secret}"})


@pytest.fixture
def opened(tmp_path):
    def open_with(recipe="default"):
        return Memory.open(tmp_path / "a.db", embedder=HashEmbedder(), recipe=recipe)

    return open_with


def test_recommendations_cite_interactions(opened):
    with opened() as memory:
        seen = {"item": "c9", "rating": 5, "category": "Comedy", "title": "Another comedy"}
        liked = memory.scope(tenant="acme", user="ana").add([Observation("loved it", meta=seen)]).ids[0]
        memory.scope(tenant="acme").add([Observation("so so", meta={"item": "h1", "rating": 3, "person": "p"})])
        asked = {"user": "ana", "candidates": FILMS, "k": 1}
        made = client(memory, Scope("acme")).post("/v1/recommend", json=asked | {"general": True}).json()
        assert made["known"] and [one["id"] for one in made["items"]] == ["c1"]
        assert liked in [id for why in made["items"][0]["reasons"] for id in why["episodes"]]
        hers = client(memory, Scope("acme", "ana"))
        assert hers.post("/v1/recommend", json=asked).json()["items"][0]["id"] == "c1"
        assert hers.post("/v1/recommend", json=asked | {"general": True}).status_code == 403
        assert not client(memory, Scope("far")).post("/v1/recommend", json=asked).json()["known"]


def test_concepts_of_solved_problems(opened):
    with opened("arcmemo") as memory:
        for number, colour in enumerate((3, 5)):
            program = json.dumps([["turn"], ["recolour", number, colour]])
            meta = {"problem": f"p{number}", "program": program, "cues": "same size"}
            memory.scope(tenant="acme", user="s").add([Observation(f"solved {number}", meta=meta)])
        asking = client(memory, Scope("acme", "s"))
        found = asking.get("/v1/concepts", params={"cue": "same size", "k": 3}).json()["items"]
        assert (found[0]["program"], found[0]["used"]) == ("turn", 2)
        assert asking.get("/v1/concepts").status_code == 422


def test_an_extraction_and_the_graph(opened):
    with opened("hipporag2") as memory:
        asking = client(memory, Scope("acme", "ana"))
        asking.post("/v1/memories", json={"content": "Miso the cat lives with Vera."})
        triples = [["Miso", "lives with", "Vera"], ["x"]]
        docs = [{"passage": "Miso the cat lives with Vera.", "extracted_triples": triples}]
        elsewhere = {"passage": "Elsewhere.", "extracted_triples": []}
        made = asking.post("/v1/extract", json={"docs": [*docs, elsewhere]}).json()
        assert (made["episodes"], made["facts"], made["unmatched"]) == (1, 1, 1)
        assert sum(made["rejected"].values()) == 1
        graph = asking.post("/v1/graph", json={"query": "Who lives with Vera?"}).json()
        assert {"miso", "vera"} <= {node["name"].lower() for node in graph["nodes"]}
        assert (
            client(memory, Scope("acme", "ana"), ("read",)).post("/v1/extract", json={"docs": docs}).status_code == 403
        )


def test_without_a_model_writing_is_refused(opened):
    with opened("facts") as memory:
        asking = client(memory, Scope("acme", "ana"))
        assert asking.post("/v1/organise", json={}).status_code == 501
        assert asking.post("/v1/summarise", json={}).status_code == 422


def test_the_working_set_follows_the_last_searches(opened):
    with opened() as memory:
        asking = client(memory, Scope("acme", "ana"))
        assert asking.get("/v1/working-set").json() == {"items": []}
        asking.post("/v1/memories", json={"content": "The gate is green."})
        asking.post("/v1/search", json={"query": "gate"})
        assert [one["text"] for one in asking.get("/v1/working-set").json()["items"]] == ["The gate is green."]
