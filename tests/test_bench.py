"""The harness: what it counts, whom it believes, and that a run is the same however it is made."""

import json
import re
import sys
from contextlib import closing
from dataclasses import replace
from html import unescape
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console

from memorist.bench.audit import audit
from memorist.bench.data import sources
from memorist.bench.html import page
from memorist.bench.judges import ModelJudge
from memorist.bench.plots import bars, heat, lines
from memorist.bench.records import Journal, journal_beside
from memorist.bench.report import document, show, write_json
from memorist.bench.run import Plan, run
from memorist.bench.suite import Item, Outcome, Source, Task
from memorist.bench.suites.locomo import LOCOMO
from memorist.bench.suites.passages import HOTPOTQA, MUSIQUE, TWO_WIKI, key_of
from memorist.bench.system import Found, RecipeSystem, Returned
from memorist.bench.told import Outputs
from memorist.bench.vectors import Remembering
from memorist.errors import InputError
from memorist.models.minilm import MiniLM
from memorist.models.wordpiece import count_tokens
from memorist.recall.pool import Limits
from memorist.recipes import RECIPES
from memorist.results import Hits
from memorist.testing.chat import ScriptedModel

QUIET = Console(quiet=True)
QUALITY = ("recall@2", "recall@5", "evidence_recall", "em", "f1", "contains", "refused", "answered", "set_f1")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MEMORIST_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def musique(tmp_path):
    """Three questions of two hops over seven paragraphs, one of which stands under two questions."""
    towns = {
        "Porto": "Porto is a city on the river Douro.",
        "Douro": "The Douro rises in Spain and flows to the ocean.",
        "Bergen": "Bergen is a city by the fjord Byfjorden.",
        "Byfjorden": "The Byfjorden is a fjord of Norway, 20 kilometres long.",
        "Lviv": "Lviv is a city on the Poltva.",
        "Poltva": "The Poltva runs through pipes under the streets.",
        "Tea": "Tea is a drink.",
    }

    def paragraphs(*gold):
        names = [*gold, "Tea"]
        return [
            {"idx": n, "title": name, "paragraph_text": towns[name], "is_supporting": name in gold}
            for n, name in enumerate(names)
        ]

    records = [
        {
            "id": "2hop__1_1",
            "question": "Where does the river of Porto rise?",
            "answer": "Spain",
            "answer_aliases": ["the kingdom of Spain"],
            "paragraphs": paragraphs("Porto", "Douro"),
        },
        {
            "id": "2hop__2_2",
            "question": "How long is the fjord of Bergen?",
            "answer": "20 kilometres",
            "paragraphs": paragraphs("Bergen", "Byfjorden"),
        },
        {
            "id": "3hop1__3_3",
            "question": "Where does the river of Lviv run?",
            "answer": "pipes",
            "paragraphs": paragraphs("Lviv", "Poltva"),
        },
    ]
    path = tmp_path / "musique.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def plan_of(path, suite=MUSIQUE, recipes=("default", "lexical"), **options):
    return Plan(sources([suite], [str(path)], Source()), recipes, **options)


def quality(measured):
    return [row for one in measured for row in one.rows if row.metric in QUALITY]


class TestSame:
    def test_twice_and_with_two_workers_to_the_last_digit(self, musique):
        plan = plan_of(musique, recipes=("default", "lexical", "memgas", "facts"), reader="extractive")
        first = quality(run(plan, Journal(None), QUIET))
        assert len(first) > 10
        assert quality(run(plan, Journal(None), QUIET)) == first
        assert quality(run(replace(plan, workers=2), Journal(None), QUIET)) == first

    @pytest.mark.slow
    def test_every_recipe_on_a_conversation_too(self):
        every = [name for name, recipe in RECIPES.items() if recipe.organisers or not recipe.writers]
        plan = plan_of("dev_colleagues", LOCOMO, every, reader="extractive")
        first = quality(run(plan, Journal(None), QUIET))
        assert {row.recipe for row in first} == set(every)
        assert quality(run(replace(plan, workers=2), Journal(None), QUIET)) == first

    def test_vectors_do_not_depend_on_the_cache(self, tmp_path):
        texts = ["The river Douro.", "A fjord.", "The river Douro.", "word " * 300]
        with closing(Remembering(MiniLM(), tmp_path / "one")) as embedder:
            fresh = embedder.embed(texts)
            assert (embedder.saved, embedder.spent > 0) == (0, True)
        with closing(Remembering(MiniLM(), tmp_path / "one")) as embedder:
            assert (embedder.embed(texts[::-1])[::-1] == fresh).all()
            assert embedder.spent == 0 < embedder.saved
        with closing(Remembering(MiniLM(), tmp_path / "two")) as embedder:
            assert (embedder.embed(texts[2:])[0] == fresh[0]).all()
        assert abs(fresh - MiniLM().embed(texts)).max() < 1e-5

    def test_a_killed_run_goes_on(self, musique, tmp_path):
        path = journal_beside(tmp_path / "out.json")
        plan = plan_of(musique, recipes=("lexical",))
        (whole,) = run(plan, Journal(path), QUIET)
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        assert len(lines) == 4  # what adding took, and three questions
        path.write_text("".join(lines[:2]) + lines[2][:40], encoding="utf-8")  # killed within a line
        asked = []

        class Counting(RecipeSystem):
            def search(self, corpus, question, limits, at):
                asked.append(question)
                return super().search(corpus, question, limits, at)

        (again,) = run(replace(plan, make=Counting), Journal(path), QUIET)
        assert len(asked) == 2
        assert quality([again]) == quality([whole])
        assert len(Journal(path)._records) == 3
        run(replace(plan, make=Counting), Journal(path), QUIET)
        assert len(asked) == 2

    def test_other_data_are_not_taken_for_these(self, musique, tmp_path):
        path = journal_beside(tmp_path / "out.json")
        run(plan_of(musique, recipes=("lexical",)), Journal(path), QUIET)
        musique.write_text(musique.read_text().replace("Tea is a drink", "Tea is a hot drink"))
        run(plan_of(musique, recipes=("lexical",)), Journal(path), QUIET)
        assert len(Journal(path)._records) == 6

    def test_a_journal_of_something_else(self, musique, tmp_path):
        path = tmp_path / "out.records.jsonl"
        path.write_text('{"no": "record"}\n')
        with pytest.raises(InputError, match="not a journal"):
            Journal(path)


class Everything(RecipeSystem):
    """Returns all there is."""

    def search(self, corpus, question, limits, at):
        found = super().search(corpus, question, Limits(10_000, None), at)
        items = [(cube.text, str(cube.meta["item"])) for cube in self.scope(corpus).list(limit=1000)]
        context = "\n".join(text for text, _ in items)
        return replace(found, returned=tuple(Returned(text, (key,)) for text, key in items), context=context)


class Oracle(RecipeSystem):
    """Knows the ids of the gold, and returns them without their words."""

    def search(self, corpus, question, limits, at):
        gold = tuple(Returned("", (key_of((name, text)),)) for name, text in GOLD[question])
        return Found(gold, "", Hits([], question), 0.0)


class Renamer(RecipeSystem):
    """Returns a short text under every key."""

    def search(self, corpus, question, limits, at):
        (tea,) = (one for one in self.scope(corpus).list(limit=1000) if one.text.startswith("Tea"))
        gold = tuple(Returned(tea.text, (key_of(passage),)) for passage in GOLD[question])
        return Found(gold, tea.text, Hits([], question), 0.0)


class Spendthrift(RecipeSystem):
    """Ignores the budget."""

    def search(self, corpus, question, limits, at):
        return super().search(corpus, question, Limits(None, 3_000), at)


class Hider(RecipeSystem):
    """Shows less than it returns, to look cheap."""

    def search(self, corpus, question, limits, at):
        return replace(super().search(corpus, question, Limits(5, None), at), context="nothing to see")


GOLD = {
    "Where does the river of Porto rise?": [
        ("Porto", "Porto is a city on the river Douro."),
        ("Douro", "The Douro rises in Spain and flows to the ocean."),
    ],
    "How long is the fjord of Bergen?": [("Bergen", "Bergen is a city by the fjord Byfjorden.")],
    "Where does the river of Lviv run?": [("Lviv", "Lviv is a city on the Poltva.")],
}


class TestCheats:
    @pytest.mark.parametrize(
        ("cheat", "reason"),
        [
            (Everything, "over the budget of 60"),
            (Oracle, "is not the text of"),
            (Renamer, "is not the text of"),
            (Spendthrift, "over the budget of 60"),
            (Hider, "is not in the context"),
        ],
    )
    def test_they_are_caught_and_credited_with_nothing(self, musique, cheat, reason, tmp_path):
        def make(name, folder, embedder):
            return (cheat if name == "rrf" else RecipeSystem)(name, folder, embedder)

        plan = plan_of(musique, recipes=("rrf", "lexical"), limits=[Limits(None, 60)], make=make)
        (measured,) = run(plan, Journal(None), QUIET)
        bad = [row for row in measured.rows if row.recipe == "rrf" and row.budget]
        assert [(row.metric, row.value, row.n) for row in bad] == [("invalid", 3, 3)]
        assert any(row.metric == "recall@2" for row in measured.rows if row.recipe == "lexical")
        told = Console(record=True, width=200, file=(tmp_path / "told").open("w"))
        show([measured], told)
        text = told.export_text()
        told.file.close()
        assert "invalid" in text
        assert reason in text
        written = json.loads(json.dumps(document([measured], plan)))
        assert reason in written["suites"]["musique"]["invalid"]["rrf"]
        assert {record["metrics"] == {} for record in written["records"] if record["system"] == "rrf"} == {True}
        drawn = unescape(page(written))
        assert f"rrf is invalid: {written['suites']['musique']['invalid']['rrf']}" in drawn

    def test_more_hits_than_asked_for(self, musique):
        plan = plan_of(musique, recipes=("rrf",), limits=[Limits(2, None)], make=Everything)
        (measured,) = run(plan, Journal(None), QUIET)
        assert {record.invalid for record in measured.records} == {"7 hits, more than 2"}


TEXTS = {"a": "one two three", "b": "four five", "c": "<memories> six"}


class TestAudit:
    def found(self, *returned, context=None):
        texts = tuple(Returned(text, keys) for text, keys in returned)
        return Found(texts, "\n".join(one.text for one in texts) if context is None else context, Hits([], "q"), 0.0)

    def test_parts_make_a_whole(self):
        found = self.found(("three", ("a",)), ("four five", ("b",)), ("one two ", ("a",)))
        checked = audit(found, TEXTS, Limits(None, None))
        assert (checked.invalid, checked.ranked, checked.whole) == (None, ("a", "b"), {"a", "b"})
        checked = audit(self.found(("one three"[:3], ("a",))), TEXTS, Limits(None, None))
        assert (checked.invalid, checked.ranked, checked.whole) == (None, ("a",), frozenset())

    def test_a_window_holds_several(self):
        checked = audit(self.found(("Ana: one two three\nBo: four five", ("a", "b"))), TEXTS, Limits(None, None))
        assert checked.whole == {"a", "b"}

    def test_what_is_derived_costs_and_earns_nothing(self):
        checked = audit(self.found(("a summary of one two three", ())), TEXTS, Limits(None, None))
        assert (checked.invalid, checked.ranked, checked.tokens) == (None, (), 6)

    def test_a_fence_broken_by_the_prompt_is_the_same_text(self):
        checked = audit(self.found((TEXTS["c"], ("c",)), context="‹memories> six"), TEXTS, Limits(1, None))
        assert checked.whole == {"c"}

    def test_a_key_of_nothing(self):
        checked = audit(self.found(("one", ("z",))), TEXTS, Limits(None, None))
        assert "of nothing that was added" in checked.invalid

    def test_tokens_are_ours(self, musique):
        (measured,) = run(plan_of(musique, recipes=("lexical",)), Journal(None), QUIET)
        assert all(record.tokens > 0 for record in measured.records)
        context = "one two three\nfour"
        checked = audit(self.found(context=context), TEXTS, Limits(None, None))
        assert checked.tokens == count_tokens([context])[0]


class TestPassages:
    def test_musique(self, musique):
        dataset = MUSIQUE.load(Source((musique,)))
        assert dataset.items == 7
        assert [(task.category, len(task.evidence)) for task in dataset.tasks] == [
            ("2hop", 2),
            ("2hop", 2),
            ("3hop", 2),
        ]
        assert dataset.tasks[0].answers == ("Spain", "the kingdom of Spain")
        assert dataset.corpora["passages"].items[0].text == "Porto\nPorto is a city on the river Douro."

    def test_recall_is_what_it_says(self, musique):
        (measured,) = run(plan_of(musique, recipes=("lexical",)), Journal(None), QUIET)
        for record in measured.records:
            gold = set(record.evidence)
            for k in (2, 5):
                assert record.metrics[f"recall@{k}"] == len(gold & set(record.returned[:k])) / len(gold)
        rows = {(row.metric, row.category): row for row in measured.rows}
        assert rows["recall@2", "all"].n == 3
        assert rows["recall@2", "all"].value == pytest.approx(
            (2 * rows["recall@2", "2hop"].value + rows["recall@2", "3hop"].value) / 3
        )
        assert rows["recall@5", "all"].budget == 0

    @pytest.mark.parametrize("columns", [False, True])
    @pytest.mark.parametrize("suite", [HOTPOTQA, TWO_WIKI])
    def test_hotpotqa_and_2wiki(self, tmp_path, suite, columns):
        context = [["Alû", ["Alû is a spirit.", " It is feared."]], ["Demon", ["A demon is a spirit."]]]
        facts = [["Alû", 0], ["Alû", 1]]
        if columns:
            context = {"title": [one for one, _ in context], "sentences": [some for _, some in context]}
            facts = {"title": [one for one, _ in facts], "sent_id": [place for _, place in facts]}
        record = {"question": "What is Alû?", "answer": "a spirit", "type": "bridge"}
        record |= {"id" if columns else "_id": "x", "context": context, "supporting_facts": facts}
        path = tmp_path / "some.json"
        path.write_text(json.dumps([record]), encoding="utf-8")
        dataset = suite.load(Source((path,)))
        (task,) = dataset.tasks
        assert task.evidence == {key_of(("Alû", "Alû is a spirit. It is feared."))}
        assert (task.category, dataset.items) == ("bridge", 2)

    @pytest.mark.parametrize(
        "corpus",
        [
            [{"title": "Tea", "text": "Tea is a drink."}, {"title": "Milk", "text": "Milk is white."}],
            {"Tea": ["Tea is a drink."], "Milk": ["Milk ", "is white."]},
        ],
    )
    def test_a_corpus_adds_passages(self, musique, tmp_path, corpus):
        path = tmp_path / "corpus.json"
        path.write_text(json.dumps(corpus), encoding="utf-8")
        dataset = MUSIQUE.load(Source((musique,), corpus=path))
        assert dataset.items == 8
        assert dataset.corpora["passages"].items[-1].text == "Milk\nMilk is white."

    def test_a_limit_draws_by_the_seed_and_keeps_the_order(self, musique):
        drawn = {tuple(task.id for task in MUSIQUE.load(Source((musique,), limit=2, seed=n)).tasks) for n in range(20)}
        assert len(drawn) == 3
        assert all(list(ids) == sorted(ids) for ids in drawn)

    def test_another_shape_is_told(self, tmp_path):
        path = tmp_path / "other.json"
        path.write_text('[{"id": "2hop", "question": "?"}]')
        with pytest.raises(InputError, match="record 1 is not in MuSiQue's format"):
            MUSIQUE.load(Source((path,)))
        path.write_text("no json")
        with pytest.raises(InputError, match="neither JSON nor JSON lines"):
            MUSIQUE.load(Source((path,)))


class TestLocomo:
    def test_our_conversations(self):
        dataset = LOCOMO.load(sources([LOCOMO], ["dev_colleagues"], Source())[0][1])
        (corpus,) = dataset.corpora.values()
        assert isinstance(corpus.items[0], Item)
        keys = {item.key for item in corpus.items}
        assert len(keys) == len(corpus.items)
        for task in dataset.tasks:
            assert task.evidence <= keys
            assert bool(task.answers) != task.refusal

    def test_refusals(self):
        dataset = LOCOMO.load(sources([LOCOMO], ["dev_colleagues"], Source())[0][1])
        unanswerable = next(task for task in dataset.tasks if task.refusal)

        def refused(answer, known):
            return LOCOMO.score(unanswerable, Outcome((), frozenset(), answer, known))

        assert refused("I do not know.", False) == {"refused": 1}
        assert refused("Not mentioned in the conversation.", True) == {"refused": 1}
        assert refused("A red kayak.", True) == {"refused": 0}
        assert refused(None, False) == {}


class TestJudge:
    TASK = Task("t", "c", "Where does it rise?", ("Spain",))

    def judged(self, answer, *script, known=True):
        model = ScriptedModel(*script)
        return ModelJudge(model).measures(self.TASK, answer, known), model.requests

    def test_agreement_stands_beside_the_score(self):
        yes, no = '{"reason": "same land", "right": true}', '{"reason": "another", "right": false}'
        found, requests = self.judged("In Spain.", yes, no, yes)
        assert found["judged"] == pytest.approx(2 / 3)
        assert found["judge_agreement"] == pytest.approx(2 / 3)
        assert found["judge_consistency"] == 0
        assert found["judge_calls"] == 3
        assert found["judge_tokens"] > 100
        assert [request.seed for request in requests] == [0, 1, 2]
        text = requests[0].messages[-1].content
        assert "Right answer: Spain" in text
        assert "Given answer: In Spain." in text

    def test_a_lenient_judge_shows(self):
        found, _ = self.judged("In some country.", '{"reason": "close", "right": true}')
        assert (found["judged"], found["judge_agreement"], found["judge_consistency"]) == (1, 0, 1)

    def test_what_needs_no_judge_is_not_asked(self):
        found, requests = self.judged("I do not know.", "unused", known=False)
        assert (found["judged"], found["judge_agreement"], requests) == (0, 1, [])
        assert self.judged(None, "unused") == ({}, [])

    def test_a_judge_that_cannot_be_understood_counts_as_none(self):
        found, _ = self.judged("In Spain.", "no JSON at all")
        assert found["judge_failed"] == 1
        assert "judged" not in found


def test_the_report_is_json_with_every_question(musique, tmp_path):
    plan = plan_of(musique, recipes=("lexical",), limits=[Limits(None, 100), Limits(None, 300)])
    measured = run(plan, Journal(None), QUIET)
    write_json(document(measured, plan, "memorist bench musique"), tmp_path / "out.json")
    found = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert found["suite"] == "musique"
    assert set(found["rows"][0]) >= {"recipe", "metric", "budget", "category", "value", "n"}
    assert {row["budget"] for row in found["rows"] if row["metric"] == "recall@5"} == {100, 300}
    assert len(found["records"]) == 6
    assert found["records"][0]["question"] == "Where does the river of Porto rise?"


def test_the_report_as_a_page(musique, tmp_path):
    plan = plan_of(musique, limits=[Limits(None, 100), Limits(None, 300)])
    found = document(run(plan, Journal(None), QUIET), plan, "memorist bench <musique>")
    text = page(json.loads(json.dumps(found)))
    assert "<code>memorist bench &lt;musique&gt;</code>" in text
    assert not re.search(r"(?:src|href)=|url\(|@import|<script", text)  # it asks nothing of the network
    drawings = [ElementTree.fromstring(one) for one in re.findall(r"<svg.*?</svg>", text, re.DOTALL)]
    assert len(drawings) == 3  # by tokens, by time, by category
    by_tokens = drawings[0]
    assert len(by_tokens.findall("polyline")) == 2
    assert len(by_tokens.findall("circle")) == 4
    value = next(row["value"] for row in found["rows"] if row["metric"] == "recall@5" and row["category"] == "all")
    assert f"<td>{value:.3f}</td>" in text


def test_rows_without_a_total_stand_on_the_page_as_they_are():
    rows = [{"suite": "answers", "recipe": "default", "metric": "answered", "budget": 0, "category": "foreign"}]
    text = page(
        {"suite": "answers", "command": "memorist bench answers", "rows": [{**rows[0], "value": 0.0654, "n": 9}]}
    )
    assert "<td>foreign</td><td>0.0654</td><td>9</td>" in text


def test_plots():
    drawn = ElementTree.fromstring(lines("quality", "tokens", {"a": [(0, 0.0), (100, 1.0)], "<b>": [(50, 0.5)]}))
    (low, high), (middle,) = ([(float(c.get("cx")), float(c.get("cy"))) for c in some] for some in circles(drawn))
    assert low[0] < middle[0] < high[0]
    assert low[1] > middle[1] > high[1]  # up is better
    assert (low[1] + high[1]) / 2 == pytest.approx(middle[1], abs=0.1)
    drawn = ElementTree.fromstring(bars("quality", ["x", "y"], {"a": [0.5, 1.0], "b": [None, 0.25]}))
    heights = [float(one.get("height")) for one in drawn.findall("rect") if one.find("title") is not None]
    assert heights == pytest.approx([heights[1] / 2, heights[1], heights[1] / 4], abs=0.1)
    drawn = ElementTree.fromstring(heat("matrix", {"after 1": [0.5, 0.0], "after 2": [0.25, 1.0]}))
    assert [one.get("fill-opacity") for one in drawn.findall("rect")] == ["0.50", "0.00", "0.25", "1.00"]


def circles(drawing):
    """The circles of each series, by colour."""
    found = {}
    for one in drawing.findall("circle"):
        found.setdefault(one.get("fill"), []).append(one)
    return found.values()


def test_data_of_several_suites(tmp_path, musique, monkeypatch):
    monkeypatch.delenv("MEMORIST_DATA", raising=False)
    both = [MUSIQUE, HOTPOTQA]
    with pytest.raises(InputError, match="say whose it is"):
        sources(both, [str(musique)], Source())
    with pytest.raises(InputError, match="hotpotqa needs data"):
        sources(both, [f"musique={musique}"], Source())
    (tmp_path / "multihop").mkdir()
    (tmp_path / "multihop" / "hotpotqa_train.json").write_text("[]")
    found = sources(both, [f"musique={musique}", str(tmp_path)], Source())
    assert [source.files for _, source in found] == [(musique,), (tmp_path / "multihop" / "hotpotqa_train.json",)]
    (own,) = sources([HOTPOTQA], [str(tmp_path / "multihop")], Source())
    assert own[1].files == found[1][1].files
    for folder in (tmp_path, tmp_path / "multihop"):
        with pytest.raises(InputError, match=r"musique needs multihop/musique_train\.json, which is not in the folder"):
            sources([MUSIQUE], [str(folder)], Source())


def test_recipes_that_keep_the_same_share_a_store(tmp_path, musique):
    pytest.importorskip("spacy", reason="needs the extra memorist[graph]")
    openie = tmp_path / "openie.json"
    docs = [
        {"passage": f"{one['title']}\n{one['paragraph_text']}", "extracted_triples": [[one["title"], "is", "a river"]]}
        for line in musique.read_text("utf-8").splitlines()
        for one in json.loads(line)["paragraphs"]
    ]
    openie.write_text(json.dumps({"docs": docs}), encoding="utf-8")
    names = ("dense", "default", "hipporag2", "hipporag2:node")
    (measured,) = run(plan_of(musique, recipes=names, openie=openie), Journal(None), QUIET)
    bytes_ = {row.recipe: row.value for row in measured.rows if row.metric == "store_bytes"}
    assert bytes_["dense"] == bytes_["default"] < bytes_["hipporag2"] == bytes_["hipporag2:node"]
    assert {record.system for record in measured.records if record.invalid is None} >= set(names)


def test_a_reference_that_cannot_run_says_why(tmp_path, musique):
    from memorist.bench.reference import run as compare

    openie = tmp_path / "openie.json"
    first = json.loads(musique.read_text("utf-8").splitlines()[0])["paragraphs"][0]
    docs = [{"passage": f"{first['title']}\n{first['paragraph_text']}", "extracted_triples": [["a", "b", "c"]]}]
    openie.write_text(json.dumps({"docs": docs}), encoding="utf-8")
    with pytest.raises(InputError, match=r"(?s)hipporag installed.*No module named 'hipporag'"):
        compare(musique, openie, Path(sys.executable), 2, Outputs(), QUIET)
