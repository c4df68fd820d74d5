"""The fact graph: the same however it came to be, in any script, whatever an extractor says; and its walk is right."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memorist import Memory
from memorist.bench.graph import WrittenFacts
from memorist.bench.synthetic import WordSum
from memorist.errors import ModelMissing, ModelUnreachable
from memorist.organise.extract.extraction import LONGEST_PART, sound
from memorist.organise.extract.phrases import NearbyPhrases
from memorist.organise.fact_cube import ORIGIN
from memorist.organise.graph import FactOrganiser
from memorist.organise.synonyms import PhraseIndex, codes_of
from memorist.recall.fact_graph import FactGraph
from memorist.recall.pagerank import Adjacency, pagerank
from memorist.recipes import RECIPES, recipe_named
from memorist.testing.chat import ScriptedModel

WORDS = (
    "ana",
    "lisbon",
    "old lisbon town",
    "old lisbon town hall",
    "porto",
    "miso the cat",
    "train of 1995",
    "train of 1996",
    "京都",
    "Ελένη",
)
TEXTS = [
    f"{WORDS[i]} | {verb} | {WORDS[(i * i + 2 * shift + 1) % len(WORDS)]}\n"
    f"{WORDS[i]} | is | {WORDS[(i + 3) % len(WORDS)]}"
    for shift, verb in enumerate(("saw", "likes"))
    for i in range(len(WORDS))
]


@pytest.fixture
def written(monkeypatch):
    recipe = replace(RECIPES["hipporag2"], name="written", organisers=(partial(FactOrganiser, WrittenFacts()),))
    monkeypatch.setitem(RECIPES, "written", recipe)


def opened(path, recipe="written"):
    return Memory.open(path, embedder=WordSum(), recipe=recipe)


def graph_of(memory, user="ana"):
    return memory._views.of(memory.scope(user=user).scope, ORIGIN, FactGraph)


def edges(memory, user="ana"):
    """The graph by names: what a node is called, its edges with their weights, its degree, the facts that hold."""
    graph = graph_of(memory, user)
    texts = dict(memory._store.texts(memory.scope(user=user).scope))
    names = [
        texts.get(int(row), "gone") if row >= 0 else name
        for name, row in zip(graph.ledger.names, graph.ledger.episodes)
    ]
    found = {}
    for kind, parts, degree in (("said", graph.said, graph.said_degree), ("alike", graph.alike, graph.alike_degree)):
        for part in parts:
            for source, target, weight in zip(*part.all()):
                key = (kind, names[source], names[target])
                found[key] = found.get(key, 0) + weight
        found |= {(kind, name): value for name, value in zip(names, degree.tolist()) if value}
    found = {key: round(float(value), 5) for key, value in found.items() if abs(value) > 1e-5}
    facts = Counter(graph.ledger.keys[: len(graph.alive)][graph.alive].tolist())
    mentions = {name: count for name, count in zip(names, graph.mentions.tolist()) if count}
    return found, facts, mentions


def ranking(memory, question="who saw lisbon?", user="ana"):
    return [(hit.text, round(hit.score, 5)) for hit in memory.scope(user=user).search(question, k=30)]


def message(text):
    return {"role": "user", "content": text, "id": text, "timestamp": "2025-05-01T09:00:00Z"}


@pytest.fixture
def once(tmp_path, written):
    with opened(tmp_path / "once.db") as memory:
        memory.scope(user="ana").add([message(text) for text in TEXTS])
        yield edges(memory), dict(ranking(memory))


def test_the_graph_has_relations_contexts_and_synonyms(once):
    (found, _, mentions), _ = once
    assert found["said", "ana", "lisbon"] == 1
    assert 0.8 <= found["alike", "old lisbon town", "old lisbon town hall"] < 1
    assert ("alike", "train of 1995", "train of 1996") not in found
    assert found["said", TEXTS[0], "ana"] == 1
    assert mentions["京都"] > 1
    assert mentions["ελένη"] > 1


@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.permutations(TEXTS), st.integers(1, 7), st.booleans(), st.data())
def test_any_order_any_batch_and_what_was_undone(once, tmp_path_factory, order, size, looking, data):
    """Added in parts, with searches between or not, some forgotten and restored, some only passing: the same graph."""
    with opened(tmp_path_factory.mktemp("graph") / "a.db") as memory:
        ana = memory.scope(user="ana")
        ids = {}
        passing = ana.add([message("ana | saw | lisbon towers"), message("lisbon towers | has | ana")]).ids
        for start in range(0, len(order), size):
            part = order[start : start + size]
            ids |= dict(zip(part, ana.add([message(text) for text in part]).ids))
            if looking:
                ana.search("lisbon", k=1)
        hidden = data.draw(st.lists(st.sampled_from(TEXTS), unique=True, max_size=6))
        for text in hidden:
            ana.forget(ids[text])
            if looking:
                graph_of(memory)
        ana.forget(passing[0])
        graph_of(memory)
        for text in hidden:
            ana.restore(ids[text])
        ana.erase(passing)
        assert edges(memory) == once[0]
        assert dict(ranking(memory)) == pytest.approx(once[1], abs=2e-4)
        assert memory.verify().ok
    with opened(tmp_path_factory.mktemp("graph") / "b.db", "dense") as plain:
        plain.scope(user="ana").add([message(text) for text in order])
        path = plain._store.path
    with opened(path) as rebuilt:
        assert dict(ranking(rebuilt)) == pytest.approx(once[1], abs=2e-4)
        assert edges(rebuilt) == once[0]


def test_erasing_everything_leaves_nothing(tmp_path, written):
    with opened(tmp_path / "a.db") as memory:
        ana = memory.scope(user="ana")
        ids = ana.add([message(text) for text in TEXTS]).ids
        ranking(memory)
        erased = ana.erase(list(ids))
        assert erased.remnants == 0
        assert edges(memory) == ({}, Counter(), {})
        assert list(ana.search("who saw lisbon?")) == []


def test_other_users_and_sessions_do_not_show(tmp_path, written):
    with opened(tmp_path / "a.db") as memory:
        one = memory.scope(user="ana", session="one")
        one.add("ana | saw | lisbon")
        memory.scope(user="ana", session="two").add("lisbon | hides | the secret")
        memory.scope(user="bob").add("lisbon | knows | bob")
        hits = one.search("who saw lisbon?", k=10)
        assert [hit.text for hit in hits] == ["ana | saw | lisbon"]
        assert "secret" not in json.dumps([dict(hit.why) for hit in hits])
        assert "bob" not in json.dumps([dict(hit.why) for hit in memory.scope(user="ana").search("lisbon knows", k=9)])


def test_a_hit_names_the_facts_that_led_to_it(tmp_path, written):
    with opened(tmp_path / "a.db") as memory:
        ana = memory.scope(user="ana")
        ana.add([message("Ana | was born in | Evora"), message("Evora | lies in | Alentejo"), message("x y | z | w v")])
        hits = {hit.text: hit.why for hit in ana.search("Where was Ana born?", k=3)}
        assert hits["Ana | was born in | Evora"]["facts"].startswith("Ana – was born in – Evora (by ")
        assert hits["Evora | lies in | Alentejo"]["facts"] == "Ana – was born in – Evora (by evora)"
        assert "facts" not in hits["x y | z | w v"]
        assert hits["Evora | lies in | Alentejo"]["graph"] > hits["x y | z | w v"]["graph"]


def test_without_facts_passages_rank_as_they_do_alone(tmp_path, written):
    with opened(tmp_path / "a.db") as memory:
        ana = memory.scope(user="ana")
        ana.add([message(text) for text in ("a train left", "the train is late", "nothing here")])
        assert [hit.text for hit in ana.search("late train", k=2)] == ["the train is late", "a train left"]


def test_broken_facts_are_rejected_one_by_one():
    triples = [
        ["a", "b", "c"], ["A", "b!", "c"], ["a", "b"], ["a", "b", "c", "d"], "abc", {"a": 1}, None,
        ["a", 1, "c"], ["", "b", "c"], ["a", "b", "…"], ["a", "b", "x" * 10_000_000], ["\ud800", "b", "c"],
        ["京都", "は", "日本"], ["x" * LONGEST_PART, "", "y"],
    ]  # fmt: skip
    found = sound(triples)
    assert [fact.subject[:3] for fact in found.facts] == ["a", "京都", "xxx"]
    assert found.rejected == {
        "said before": 1, "not three parts": 2, "not a list": 3, "a part is not a text": 1, "an empty part": 2,
        f"a part over {LONGEST_PART} characters": 1, "a part is not valid Unicode": 1,
    }  # fmt: skip
    assert sound([["a", "b", str(number)] for number in range(1_000)]).rejected == {"too many facts": 800}


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        ("田中さんは東京大学で働いています。", {"東京", "大学"}),
        ("Анна Иванова живёт в Москве.", {"Анна Иванова", "Москве"}),
        ("انتقلت ليلى إلى القاهرة في مايو", {"القاهرة"}),
        ("Η Ελένη Παππά ζει στην Αθήνα", {"Αθήνα"}),
        ("मीरा दिल्ली में रहती है", {"दिल्ली"}),
        ("ลิซ่าอยู่กรุงเทพ", {"กร"}),
        ("", set()),
        ("?!", set()),
        ("🙂" * 2_000, set()),
        ("word " * 5_000, set()),
    ],
)
def test_any_script_has_phrases(text, phrases):
    (facts,) = NearbyPhrases().extract([text])
    assert phrases <= {end for fact in facts for end in (fact.subject, fact.object)}


def test_english_grammar_finds_triples():
    pytest.importorskip("spacy", reason="needs the extra memorist[graph]")
    from memorist.organise.extract.english import EnglishGrammar

    extractor = EnglishGrammar()
    facts, other, nothing = extractor.extract(
        [
            "Erik Hort\nErik Hort was born in Montebello. He plays for Coventry City and likes chess.",
            "田中さんは東京大学で働いています。",
            "",
        ]
    )
    found = {" | ".join(fact) for fact in facts}
    assert {"Erik Hort | was born in | Montebello", "Erik Hort | plays for | Coventry City"} <= found
    assert other
    assert nothing == []


def test_a_walk_is_what_the_linear_equations_say():
    rng = np.random.default_rng(1)
    count = 40
    source, target = rng.integers(0, count - 1, 90), rng.integers(0, count - 1, 90)
    weight = rng.random(90) + 0.1
    both = (np.concatenate([source, target]), np.concatenate([target, source]), np.concatenate([weight, weight]))
    parts = (Adjacency.of(count, *(column[:100] for column in both)), Adjacency.of(count, *(c[100:] for c in both)))
    dense = np.zeros((count, count))
    np.add.at(dense, (both[0], both[1]), both[2])
    degree = dense.sum(1)
    seeds, mass = np.array([3, 7]), np.array([1.0, 3.0])
    reset = np.zeros(count)
    reset[seeds] = mass / 4
    step = np.divide(dense, degree[:, None], out=np.zeros_like(dense), where=degree[:, None] > 0)
    for follow in (0.3, 0.5, 0.85):
        exact = np.linalg.solve(np.eye(count) - follow * step.T, (1 - follow) * reset)
        found = pagerank(parts, degree, seeds, mass, follow=follow, tolerance=1e-12).at(np.arange(count))
        assert found == pytest.approx(exact, abs=1e-8)
        assert found.sum() == pytest.approx(1)
        rough = pagerank(parts, degree, seeds, mass, follow=follow)
        assert rough.at(np.arange(count)) == pytest.approx(exact, abs=1e-3)


def test_three_nodes_in_a_row():
    edges_ = (np.array([0, 1, 1, 2]), np.array([1, 0, 2, 1]), np.ones(4))
    rank = pagerank(
        (Adjacency.of(3, *edges_),), np.array([1.0, 2.0, 1.0]), np.array([0]), np.array([1.0]), tolerance=1e-12
    )
    assert rank.at(np.array([2, 0, 1])) == pytest.approx([1 / 12, 7 / 12, 1 / 3])
    alone = pagerank((), np.zeros(9), np.array([0, 7]), np.array([3.0, 1.0]))
    assert alone.nodes.tolist() == [0, 7]
    assert alone.at(np.array([0, 3, 8])) == pytest.approx([0.375, 0, 0])


def test_synonyms_are_found_among_all():
    """Near phrases share a hash code nearly always, those with other numbers never."""
    rng = np.random.default_rng(5)
    one = rng.standard_normal((300, 384))
    near = one + 0.5 * rng.standard_normal((300, 384))
    one, near = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True) for vectors in (one, near))
    assert (one * near).sum(1).mean() > 0.85
    codes = [codes_of(["name"] * 300, vectors.astype(np.float16)) for vectors in (one, near)]
    assert (codes[0] == codes[1]).any(1).mean() > 0.95
    other = codes_of(["name 2"] * 300, near.astype(np.float16))
    assert (codes[0] == other).any(1).mean() < 0.05
    index = PhraseIndex()
    pairs = index.synonyms(["name"] * 0, one[:0].astype(np.float16), codes[0][:0])
    assert len(pairs) == 0


def test_the_drawing_is_safe_and_whole(tmp_path, written):
    from xml.etree import ElementTree

    from memorist.cli.drawing import page, svg

    with opened(tmp_path / "a.db") as memory:
        ana = memory.scope(user="ana")
        ana.add([message("Ana | was born in | <b>Evora</b>"), message("b Evora b | lies in | Alentejo & more")])
        found = ana.graph("Where was Ana <script>born?")
        assert {node.kind for node in found.nodes} == {"phrase", "passage"}
        drawn = svg(found)
        ElementTree.fromstring(drawn)
        assert "<script>" not in page(found)
        assert "<b>" not in drawn
        assert "http" not in page(found).replace("http://www.w3.org/2000/svg", "")


def test_a_ready_made_extraction_is_matched_kept_and_counted(tmp_path, written):
    file = tmp_path / "openie.json"
    docs = [
        {"title": "Ana", "text": "She was born.", "extracted_triples": [["Ana", "born in", "Evora"], ["x"], "y"]},
        {"passage": "not here", "extracted_triples": [["a", "b", "c"]]},
        {"passage": "broken", "extracted_triples": 7},
    ]
    file.write_text(json.dumps({"docs": docs}), encoding="utf-8")
    with opened(tmp_path / "a.db") as memory:
        ana = memory.scope(user="ana")
        (id,) = ana.add([message("Ana\nShe was born.")]).ids
        seen = []
        found = ana.extract(file, progress=lambda *done: seen.append(done))
        assert (found.episodes, found.facts, found.passages, found.unmatched) == (1, 1, 3, 2)
        assert seen[-1] == (1, 1)
        assert found.rejected == {"not three parts": 1, "not a list": 2}
        assert [cube.text for cube in ana.list(origin=ORIGIN)] == ["Ana – born in – Evora"]
        assert ana.extract(file).episodes == 0
        ana.update(id, meta={"seen": True})
        ana.search("Ana", k=1)
        assert [cube.text for cube in ana.list(origin=ORIGIN)] == ["Ana – born in – Evora"]
        file.write_text("[]", encoding="utf-8")
        with pytest.raises(ValueError, match="not an OpenIE file"):
            ana.extract(file)


def reply(*triples):
    return json.dumps({"entities": ["Ana"], "triples": triples})


def test_a_model_reads_each_text_once_and_broken_facts_go_one_by_one(tmp_path, written):
    model = ScriptedModel(reply(["Ana", "born in", "Evora"], ["x"], ["a", 7, "b"]), reply(["Ana", "has", "Miso"]))
    with opened(tmp_path / "a.db") as memory:
        ana = memory.scope(user="ana")
        ana.add([message("She was born."), message("She has a cat.")])
        assert not model.requests
        seen = []
        found = ana.extract(model=model, progress=lambda *done: seen.append(done))
        assert (found.episodes, found.facts, found.passages, found.left, found.calls) == (2, 2, 2, 0, 2)
        assert found.rejected == {"not three parts": 1, "a part is not a text": 1}
        assert seen == [(1, 2), (2, 2)]
        said = {cube.text for cube in ana.list(origin=ORIGIN)}
        assert said == {"Ana – born in – Evora", "Ana – has – Miso"}
        again = ana.extract(model=model)
        assert (again.passages, again.calls, len(model.requests)) == (0, 0, 2)
    with opened(tmp_path / "a.db") as memory:
        assert {cube.text for cube in memory.scope(user="ana").list(origin=ORIGIN)} == said
        with pytest.raises(ValueError, match="either a file or a language model"):
            memory.scope(user="ana").extract()


def test_a_failing_model_keeps_what_was_done_and_goes_on_there(tmp_path, written):
    good = reply(["Ana", "born in", "Evora"])
    model = ScriptedModel(good, ModelUnreachable("no answer", "scripted"), "nonsense", "nonsense", good)
    with opened(tmp_path / "a.db") as memory:
        ana = memory.scope(user="ana")
        ana.add([message("one"), message("two"), message("three")])
        first = ana.extract(model=model)
        assert (first.episodes, first.left) == (1, 2)
        assert first.problem is not None
        assert "no answer" in first.problem
        second = ana.extract(model=model, calls=2)
        assert (second.failed, second.left, second.calls) == (1, 1, 2)
        assert second.problem == "the budget of 2 calls is used up"
        third = ana.extract(model=model, tokens=1)
        assert (third.episodes, third.left, third.problem) == (1, 1, "the budget of 1 tokens is used up")
        assert ana.extract(model=model).left == 0
        assert len(model.requests) == 6


FACTS = ["Ana | was born in | Evora", "Ana | has | a cat", "Evora | lies in | Alentejo", "x y | z | w v"]
QUESTION = "Where was Ana born?"


@pytest.fixture
def choosing(tmp_path, monkeypatch):
    """Opens a memory of FACTS whose model chooses facts."""
    variant = replace(recipe_named("hipporag2:model"), organisers=(partial(FactOrganiser, WrittenFacts()),))
    monkeypatch.setitem(RECIPES, "choosing", replace(variant, name="choosing"))

    def open_(model=None):
        memory = Memory.open(tmp_path / "a.db", embedder=WordSum(), recipe="choosing", model=model)
        memory.scope(user="ana").add([message(text) for text in FACTS])
        return memory

    return open_


def chosen(text):
    """Keeps the first fact in which a text stands."""

    def reply(request):
        lines = [line for line in request.messages[-1].content.splitlines() if line.startswith("[")]
        return json.dumps({"keep": [number for number, line in enumerate(lines, 1) if text in line] + [99, 0]})

    return reply


def test_a_model_chooses_the_facts_and_is_asked_once(choosing):
    model = ScriptedModel(chosen("has"))
    with choosing(model) as memory:
        ana = memory.scope(user="ana")
        hits = {hit.text: hit.why.get("facts") for hit in ana.search(QUESTION, k=4)}
        assert hits["Ana | has | a cat"] == "Ana – has – a cat (by ana)"
        assert not any("born" in (fact or "") for fact in hits.values())
        assert [hit.text for hit in ana.search(QUESTION, k=4)] == list(hits)
        assert len(model.requests) == 1
        assert {line.purpose for line in ana.costs()} == {"recall"}


def test_when_a_model_keeps_no_fact_passages_rank_as_they_do_alone(choosing):
    with choosing(ScriptedModel('{"keep": []}')) as memory:
        hits = memory.scope(user="ana").search(QUESTION, k=4)
        assert all("graph" not in hit.why for hit in hits)
        assert hits[0].text == "Ana | was born in | Evora"


@pytest.mark.parametrize("script", [("nonsense",), (ModelUnreachable("no answer", "scripted"),), ('{"keep": ["1"]}',)])
def test_when_a_model_fails_facts_are_chosen_by_the_rule(choosing, script):
    with choosing(ScriptedModel(*script)) as memory:
        hits = memory.scope(user="ana").search(QUESTION, k=2)
        assert str(hits[0].why["recognised"]).startswith("not by the model: ")
        assert "facts" in hits[0].why


def test_the_variant_that_asks_a_model_needs_one(choosing):
    with choosing() as memory, pytest.raises(ModelMissing, match="open the memory with model="):
        memory.scope(user="ana").search(QUESTION)


@pytest.mark.slow
def test_a_small_local_model_chooses_facts(choosing):
    with choosing("local:smollm2-135m") as memory:
        hits = memory.scope(user="ana").search(QUESTION, k=2)
        assert len(hits) == 2
        assert all("recognised" not in hit.why for hit in hits)


def test_a_rebuild_elsewhere_asks_no_model(tmp_path, written):
    model = ScriptedModel(reply(["Ana", "born in", "Evora"]), reply(["Ana", "has", "Miso"]))
    with opened(tmp_path / "a.db") as memory:
        ana = memory.scope(user="ana")
        ana.add([message("She was born."), message("She has a cat.")])
        ana.extract(model=model)
        said = {cube.text for cube in ana.list(origin=ORIGIN)}
        memory.export(tmp_path / "a.jsonl")
    with opened(tmp_path / "b.db") as memory:
        memory.restore(tmp_path / "a.jsonl")
        ana = memory.scope(user="ana")
        assert {cube.text for cube in ana.list(origin=ORIGIN)} == said == {"Ana – born in – Evora", "Ana – has – Miso"}
        assert ana.extract(model=model).calls == 0
        assert len(model.requests) == 2
