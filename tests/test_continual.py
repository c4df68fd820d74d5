"""Measures of continual learning against matrices worked out by hand, and streams over suites."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from memorist.bench import changes, streams
from memorist.bench.html import page
from memorist.bench.metrics.continual import (
    average_accuracy,
    average_over_time,
    backward_transfer,
    delta,
    forgetting,
    forward_transfer_learning,
    forward_transfer_zero_shot,
    fuar,
    intransigence,
)
from memorist.bench.records import Journal
from memorist.bench.report import stream_document
from memorist.bench.run import Plan
from memorist.bench.suite import Corpus, Dataset, Item, Source, Task
from memorist.bench.suites.labels import BANKING77, CORPUS
from memorist.bench.system import CannotRun, Found, RecipeSystem
from memorist.bench.told import Outputs
from memorist.results import Hits

QUIET = Console(quiet=True)
R = [[0.9, 0.0, 0.1], [0.6, 0.8, 0.2], [0.5, 0.7, 0.9]]


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEMORIST_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


class TestByHand:
    def test_a_matrix_of_three(self):
        assert average_accuracy(R) == pytest.approx(0.7)
        assert average_accuracy(R, 1) == pytest.approx(0.7)
        assert average_over_time(R) == pytest.approx((0.9 + 0.7 + 0.7) / 3)
        assert backward_transfer(R) == pytest.approx(-0.25)
        assert backward_transfer(R, "t") == pytest.approx(-1 / 6)
        assert forgetting(R) == pytest.approx(0.25)
        assert forward_transfer_zero_shot(R, [0.3, 0.1, 0.0]) == pytest.approx(((0.0 - 0.1) + (0.2 - 0.0)) / 2)
        assert forward_transfer_learning(R, [0.9, 0.7, 0.95]) == pytest.approx(((0.8 - 0.7) + (0.9 - 0.95)) / 2)
        assert intransigence(R, 0.95) == pytest.approx(0.05)

    def test_a_best_in_between_is_what_was_forgotten(self):
        found = [[0.5, 0, 0], [0.9, 0.5, 0], [0.6, 0.8, 0.5]]
        assert forgetting(found) == pytest.approx(((0.9 - 0.6) + (0.5 - 0.8)) / 2)
        assert backward_transfer(found) == pytest.approx((0.1 + 0.3) / 2)

    def test_one_part_compares_with_nothing(self):
        assert average_accuracy([[0.4]]) == 0.4
        one = [[0.4]]
        assert backward_transfer(one) is forgetting(one) is None
        assert forward_transfer_zero_shot(one, [0]) is forward_transfer_learning(one, [0]) is None

    def test_fuar(self):
        assert fuar([0.3], 0.2, 0.4) == pytest.approx(0.5)
        assert fuar([0.3, -0.2, 0.1], 0.4, None) == pytest.approx(1.0)
        assert fuar([0.3], 0.0, -0.1) is None
        assert fuar([0.0], 0.9, 1.0) == 0

    def test_trace_s_delta(self):
        assert delta([0.2, 0.5], [0.3, 0.6]) == pytest.approx(-0.1)

    @given(
        st.integers(2, 5).flatmap(
            lambda n: st.lists(st.lists(st.floats(0, 1), min_size=n, max_size=n), min_size=n, max_size=n)
        )
    )
    def test_forgetting_is_at_least_lost_transfer(self, found):
        assert forgetting(found) >= -backward_transfer(found) - 1e-9

    @given(st.floats(0, 1), st.integers(2, 5))
    def test_a_constant_matrix(self, value, n):
        found = [[value] * n] * n
        assert average_over_time(found) == pytest.approx(value)
        assert forgetting(found) == pytest.approx(0)


class Drowned(RecipeSystem):
    """Finds nothing of a conversation any more once it was told of colours."""

    def search(self, corpus, question, limits, at):
        found = super().search(corpus, question, limits, at)
        told = self.scope(corpus).search("what about the sky", k=50)
        return found if all(hit.session for hit in told) else Found((), "", Hits([], question), 0.0)


def broken(name, folder, embedder):
    if name == "lexical":
        raise CannotRun("out of luck")
    return RecipeSystem(name, folder, embedder)


@pytest.fixture
def colours(tmp_path):
    """A folder in Banking77's format, with four labels that words tell apart."""
    things = {
        "apple": "green",
        "blood": "red",
        "canary": "yellow",
        "sky": "blue",
    }
    rows = [f"what about the {thing} number {n},{label}" for thing, label in things.items() for n in range(6)]
    asked = [f"tell me of a {thing},{label}" for thing, label in things.items()]
    for name, lines in (("train.csv", rows), ("test.csv", asked)):
        (tmp_path / name).write_text("\n".join(["text,category", *lines]) + "\n")
    return tmp_path


BESIDE = ("dev_assistant",)
"""One of the conversations that lie beside a stream: embedding both takes a while."""


class TestStream:
    @pytest.fixture(autouse=True)
    def one_beside(self, monkeypatch):
        monkeypatch.setattr(streams, "SHIPPED", BESIDE)

    def test_labels_come_a_few_at_a_time(self, colours):
        stream = streams.stream_of(BANKING77.load(Source((colours,))), 2)
        told = [{item.label for corpus in part for item in corpus.items} for part in stream.corpora]
        assert told == [{"blue", "green"}, {"red", "yellow"}]
        asked = [{task.answers[0] for task in part} for part in stream.tasks]
        assert asked == told

    def test_a_task_waits_for_the_last_of_its_evidence(self):
        items = tuple(Item(str(n), f"text {n}") for n in range(6))
        tasks = (Task("x", "c", "?", evidence=frozenset("04")), Task("y", "c", "?", evidence=frozenset("1")))
        stream = streams.stream_of(Dataset({"c": Corpus("c", items)}, tasks), 3)
        assert [len(part[0].items) for part in stream.corpora] == [2, 2, 2]
        assert [[task.id for task in part] for part in stream.tasks] == [["y"], [], ["x"]]

    def test_a_memory_learns_without_forgetting_what_is_told_apart(self, colours, tmp_path):
        plan = Plan([(BANKING77, Source((colours,)))], ["lexical"])
        path = tmp_path / "out.records.jsonl"
        (learned,) = streams.run(plan, 2, Journal(path), QUIET)
        assert learned.matrix == ((1.0, 0.0), (1.0, 1.0))
        assert (learned.before, learned.alone) == ((0.0, 0.0), (1.0, 1.0))
        found = {row.metric: row.value for row in learned.rows}
        assert found["average_accuracy"] == 1
        assert found["forgetting"] == found["backward_transfer"] == found["forward_transfer_learning"] == 0
        # A second run asks nothing again.
        assert streams.run(plan, 2, Journal(path), QUIET) == [learned]
        (had,) = streams.abilities_of(CORPUS).tasks
        assert len(path.read_text().splitlines()) == 3 * 4 + 2 * 2 + 2 * len(had)

    def test_what_lies_beside_the_stream_is_asked_before_and_after(self, colours):
        plan = Plan([(BANKING77, Source((colours,)))], ["lexical"], make=Drowned)
        (learned,) = streams.run(plan, 2, Journal(None), QUIET)
        assert len(learned.first) == len(learned.last) == 1
        assert learned.first[0] > 0.1 > learned.last[0] == 0
        found = {row.metric: row.value for row in learned.rows}
        assert found["delta_beside"] == pytest.approx(-learned.first[0])

    def test_one_that_breaks_is_a_row_with_its_reason(self, colours, tmp_path):
        plan = Plan([(BANKING77, Source((colours,)))], ["lexical", "rrf"], make=broken)
        learned = streams.run(plan, 2, Journal(None), QUIET)
        assert [one.failed for one in learned] == ["out of luck", None]
        assert [(row.metric, row.value) for row in learned[0].rows] == [("failed", 1.0)]
        told = Console(record=True, width=200, file=(tmp_path / "told").open("w"))
        streams.show(learned, told)
        assert "lexical did not run: out of luck" in told.export_text()
        told.file.close()
        written = json.loads(json.dumps(stream_document(learned, plan, "memorist bench")))
        assert written["failed"] == {"banking77": {"lexical": "out of luck"}}
        assert [one["recipe"] for one in written["matrices"]] == ["rrf"]
        assert "lexical did not run: out of luck" in page(written)
        nothing = json.loads(json.dumps(stream_document(learned[:1], plan, "memorist bench")))
        assert "lexical did not run: out of luck" in page(nothing)

    def test_another_seed_is_another_stream(self, colours):
        plan = Plan([(BANKING77, Source((colours,), seed=3))], ["lexical"])
        (learned,) = streams.run(
            replace(plan, suites=[(BANKING77, Source((colours,), seed=4))]), 2, Journal(None), QUIET
        )
        assert learned.matrix[-1] == (1.0, 1.0)
        assert CORPUS in BANKING77.load(Source((colours,), seed=3)).corpora


def test_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(changes, "OF_EACH", 12)
    monkeypatch.setattr(changes, "TOKENS", 2_000)
    rows = changes.run(["lexical"], 0, Outputs(tmp_path / "out.json", tmp_path / "out.html"), QUIET)
    found = {(row.recipe.split(", ")[1], row.metric): row.value for row in rows}
    for way in changes.WAYS:
        assert found[way, "taken_back"] == 1
        assert min(found[way, "kept"], found[way, "added"]) > 0.8  # a name may stand in more facts than are returned
        assert found[way, "fuar"] == 0
    assert found["update", "changed"] == 1
    assert found["update", "stale"] == 0  # a version that was replaced does not show
    assert found["contradict", "stale"] == 1  # what was only contradicted does
    assert json.loads((tmp_path / "out.json").read_text())["seed"] == 0
    assert "taken back" in (tmp_path / "out.html").read_text()
