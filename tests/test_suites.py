"""Loaders of published formats, and metrics with a closed form."""

import json
import random
from collections import Counter

import numpy as np
import pytest

from memorist.bench.arc import reader as puzzles
from memorist.bench.arc.puzzles import Puzzle
from memorist.bench.listing import APART
from memorist.bench.rows import Row
from memorist.bench.suite import Outcome, Source, Task
from memorist.bench.suites import (
    MISSING,
    SUITES,
    agentbench,
    conflicts,
    labels,
    longmemeval,
    movielens,
    pairs,
    personamem,
    suites_named,
)
from memorist.bench.suites.passages import NQ_POOLED, STRATEGYQA
from memorist.cli import main
from memorist.cli.app import app
from memorist.errors import InputError
from memorist.models.wordpiece import count_tokens
from samples import SAMPLES


def said(answer, known=True):
    return Outcome((), frozenset(), answer, known)


@pytest.fixture(scope="module")
def facts():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conflicts, "LENGTHS", {"2k": 2_000, "8k": 8_000})
        yield conflicts.load(Source(seed=1))


def told(data, task):
    return [conflicts.parsed_fact(item) for item in data.corpora[task.corpus].items]


class TestConflicts:
    def test_the_seed_makes_it(self, facts, monkeypatch):
        monkeypatch.setattr(conflicts, "LENGTHS", {"2k": 2_000, "8k": 8_000})
        assert conflicts.load(Source(seed=1)).digest == facts.digest
        assert conflicts.load(Source(seed=2)).digest != facts.digest

    def test_lengths(self, facts):
        for name, tokens in (("2k", 2_000), ("8k", 8_000)):
            used = sum(count_tokens([item.text for item in facts.corpora[name].items]))
            assert 0.85 * tokens < used < 1.1 * tokens

    def test_an_old_version_has_the_smaller_number(self, facts):
        found = [conflicts.parsed_fact(item) for item in facts.corpora["8k"].items]
        assert [fact.serial for fact in found] == list(range(len(found)))
        versions = Counter(fact.about for fact in found)
        assert set(versions.values()) == {1, 2}
        assert 0.35 < sum(n == 2 for n in versions.values()) / len(versions) < 0.65
        for fact, item in zip(found, facts.corpora["8k"].items):
            assert fact.text == item.text

    def test_chains_hide_what_they_go_through(self, facts):
        hops = Counter()
        for task in facts.tasks:
            values = {fact.value for fact in conflicts.settled(told(facts, task)).values()}
            hops[len(task.evidence)] += 1
            assert task.answers[0] in values
            assert task.answers[0] not in task.question
            assert not set(task.meta["stale"]) & set(task.answers)
            if task.category.startswith("multi"):
                start = task.meta["start"]
                bridges = {fact.value for fact in told(facts, task) if str(fact.serial) in task.evidence} - {start}
                assert not any(bridge in task.question for bridge in bridges)
        assert set(hops) == {1, 2, 3, 4}

    def test_rules_have_the_scores_of_theory(self, facts):
        rules = conflicts.resolvers(facts)
        scores = {
            (name, sort): [
                conflicts.score(task, rule(task))["strict"] for task in facts.tasks if task.category.startswith(sort)
            ]
            for name, rule in rules.items()
            for sort in ("single", "multi")
        }
        means = {key: sum(values) / len(values) for key, values in scores.items()}
        assert means["(newest wins)", "single"] == means["(newest wins)", "multi"] == 1
        assert means["(oldest wins)", "single"] == 0
        assert means["(a coin decides)", "single"] == pytest.approx(0.5, abs=0.12)
        assert means["(oldest wins)", "multi"] < means["(a coin decides)", "multi"] < 0.75

    def test_strict_does_not_take_both(self, facts):
        task = facts.tasks[0]
        both = conflicts.score(task, said(f"{task.answers[0]}, before that {task.meta['stale'][0]}"))
        assert (both["contains"], both["strict"]) == (1, 0)
        assert conflicts.score(task, said(task.answers[0]))["strict"] == 1
        assert conflicts.score(task, said(task.meta["stale"][0])) == {
            "evidence_recall": 0,
            "contains": 0,
            "strict": 0,
        }


class TestAgentBench:
    def record(self, source, context, questions, answers):
        return {"context": context, "questions": questions, "answers": answers, "metadata": {"source": source}}

    @pytest.fixture
    def data(self, tmp_path):
        facts = "\n".join(f"{n}. The capital of Land{n} is Town{n}." for n in range(300))
        examples = "\n".join(f"How do I pay {n}?\nlabel: {n % 3}" for n in range(9))
        prose = " ".join(f"Sentence number {n} tells of a ship." for n in range(2_000))
        records = [
            self.record("factconsolidation_sh_6k", facts, ["What is the capital of Land7?"], [["Town7"]]),
            self.record("icl_banking77_5900shot_balance", examples, ["How do I pay 3?"], [["0"]]),
            self.record("eventqa_full", prose, ["Which?"], [["a ship", "sails"]]),
            self.record("recsys_redial_full", "films", ["Which film?"], [["12"]]),
        ]
        path = tmp_path / "bench.jsonl"
        path.write_text("\n".join(map(json.dumps, records)))
        return agentbench.load(Source((path,)))

    def test_chunks(self, data):
        facts, examples, prose = data.corpora.values()
        assert all(count_tokens([item.text])[0] <= agentbench.SHORT for item in facts.items)
        lines = [line for item in facts.items for line in item.text.split("\n")]
        assert len(lines) == 300  # no fact is cut from its number
        assert all(line.endswith(".") for line in lines)
        assert [item.label for item in examples.items] == [str(n % 3) for n in range(9)]
        assert examples.items[4].text == "How do I pay 4?\nlabel: 1"
        assert all(count_tokens([item.text])[0] <= agentbench.LONG for item in prose.items)
        assert " ".join(item.text for item in prose.items).count("ship") == 2_000
        assert any("recsys" in note for note in data.notes)

    def test_measures(self, data):
        fact, label, event = data.tasks
        score = agentbench.score
        assert score(fact, said("It is town7, I think.")) == {"score": 1}
        assert score(label, said("label: 0")) == score(label, said("0")) == {"score": 1}
        assert score(label, said("10")) == {"score": 0}
        assert score(event, said("A ship that sails.")) == {"score": 1}
        assert score(event, said("A ship.")) == {"score": 0}

    def test_totals_are_means_of_means(self):
        def row(category, value):
            return Row("agentbench", "default", "score", 0, category, value, 100)

        rows = [row("icl_a", 0.2), row("icl_b", 0.4), row("ruler_qa1", 0.9), row("eventqa_full", 0.5)]
        rows += [row("factconsolidation_sh_6k", 0.6), row("detective_qa", 0.1)]
        found = {one.category: one.value for one in agentbench.competences(rows) if one.metric == "score"}
        assert found["test-time learning"] == pytest.approx(0.3)
        assert found["accurate retrieval"] == pytest.approx(0.7)
        (overall,) = (one.value for one in agentbench.competences(rows) if one.metric == "overall")
        assert overall == pytest.approx((0.3 + 0.7 + 0.6 + 0.1) / 4)


class TestLongMemEval:
    @pytest.fixture
    def data(self, tmp_path):
        record = {
            "question_id": "q1",
            "question_type": "single-session-user",
            "question": "Where did I move?",
            "answer": "Lisbon",
            "question_date": "2023/05/30 (Tue) 23:40",
            "haystack_dates": ["2023/05/20 (Sat) 02:21", "2023/05/10 (Wed) 10:00"],
            "haystack_session_ids": ["answer_x_1", "s2"],
            "haystack_sessions": [
                [
                    {"role": "user", "content": "I moved to Lisbon.", "has_answer": True},
                    {"role": "assistant", "content": "How nice."},
                ],
                [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": " "}],
            ],
            "answer_session_ids": ["answer_x_1"],
        }
        path = tmp_path / "lme.json"
        path.write_text(json.dumps([record, {**record, "question_id": "q2_abs"}]))
        return longmemeval.load(Source((path,)))

    def test_sessions_in_the_order_of_time_and_ids_that_tell_nothing(self, data):
        items = data.corpora["q1"].items
        assert [(item.key, item.role, item.session) for item in items] == [
            ("0/0", "user", "session 0"),
            ("1/0", "user", "session 1"),
            ("1/1", "assistant", "session 1"),
        ]
        assert items[1].at.isoformat() == "2023-05-20T02:21:00+00:00"
        assert data.tasks[0].evidence == {"1/0"}
        assert data.tasks[0].meta["sessions"] == ("1",)
        assert data.tasks[0].at.isoformat() == "2023-05-30T23:40:00+00:00"

    def test_measures(self, data):
        asked, absent = data.tasks
        found = longmemeval.score(asked, Outcome(("0/0", "1/1"), frozenset(("0/0",)), "To Lisbon.", True))
        assert (found["evidence_recall"], found["session_recall@5"], found["contains"]) == (0, 1, 1)
        assert found["ndcg@10"] == pytest.approx(0.6309, abs=1e-4)
        assert longmemeval.score(absent, said("I do not know.", False)) == {"refused": 1}
        assert longmemeval.score(absent, said("Porto.")) == {"refused": 0}


class TestLabels:
    def test_trec_holds_some_out(self, tmp_path, monkeypatch):
        monkeypatch.setattr(labels, "ASKED", 5)
        path = tmp_path / "train_5500.label"
        path.write_bytes(
            "".join(f"NUM:count How many caf\xe9s are there in {n} ?\n" for n in range(20)).encode("latin-1")
        )
        data = labels.TREC.load(Source((path,)))
        told = {item.text for item in data.corpora[labels.CORPUS].items}
        assert (len(told), len(data.tasks)) == (15, 5)
        assert not told & {task.question for task in data.tasks}
        assert "café" in data.tasks[0].question
        (tmp_path / "TREC_10.label").write_text("DESC:def What is tea ?\n")
        assert [task.question for task in labels.TREC.load(Source((path,))).tasks] == ["What is tea ?"]

    def test_clutrr_asks_for_the_second_to_the_first(self, tmp_path):
        head = "id,story,query,target,f_comb\n"
        row = "1,[Ann] took her son [Bob] out.,\"('Ann', 'Bob')\",son,son-brother\n"
        (tmp_path / "train_1.csv").write_text(head + row)
        (tmp_path / "test_2.csv").write_text(head + row)
        (task,) = labels.CLUTRR.load(Source((tmp_path,))).tasks
        assert task.question.endswith("What is Bob to Ann?")
        assert (task.answers, task.category) == (("son",), "2 hops")

    def test_few_of_each_and_the_reference(self, tmp_path):
        (tmp_path / "train.csv").write_text("text,category\n" + "".join(f"a{n},x\n" for n in range(50)) + "b,y\n")
        (tmp_path / "test.csv").write_text("text,category\nc,y\nd,x\n")
        data = labels.BANKING77.load(Source((tmp_path,)))
        counts = Counter(item.label for item in data.corpora[labels.CORPUS].items)
        assert counts == {"x": labels.SHOTS, "y": 1}
        (reference,) = labels.BANKING77.references(data).values()
        assert sorted(labels.score(task, reference(task))["accuracy"] for task in data.tasks) == [0, 1]

    def test_a_folder_of_something_else(self, tmp_path):
        with pytest.raises(InputError, match="not in the data set's format"):
            labels.BANKING77.load(Source((tmp_path,)))


class TestMovieLens:
    @pytest.fixture
    def data(self, tmp_path, monkeypatch):
        monkeypatch.setattr(movielens, "LEAST", 3)
        films = [f"{n},Film {n} (1990),Comedy|Drama\n" for n in range(8)]
        (tmp_path / "movies.csv").write_text("movieId,title,genres\n" + "".join(films))
        liked = {1: [0, 1, 2], 2: [0, 1, 3], 3: [0, 4, 2]}
        ratings = [f"{user},{film},5.0,{at}\n" for user, some in liked.items() for at, film in enumerate(some)]
        ratings += ["1,5,1.0,9\n", "9,6,5.0,1\n"]
        random.Random(0).shuffle(ratings)
        (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + "".join(ratings))
        return movielens.load(Source((tmp_path,)))

    def test_the_last_liked_is_held_out(self, data):
        held = {task.id: set(task.evidence) for task in data.tasks}
        assert held == {"1": {"2"}, "2": {"3"}, "3": {"2"}}
        first = next(task for task in data.tasks if task.id == "1")
        assert first.meta["seen"] == {"0", "1", "5"}
        assert "Film 2" not in first.question

    def test_references_by_hand(self, data):
        found = movielens.recommenders(data)
        first = next(task for task in data.tasks if task.id == "1")
        # Liked before the last: 0 by three, 1 by two, 4 by one; 0 and 1 were seen.
        assert found["(popularity)"](first).ranked == ("4",)
        assert found["(liked together)"](first).ranked == ("4",)
        assert movielens.score(first, Outcome(("0", "1", "4", "2"), frozenset(), None, True)) == {
            "hit@10": 1,
            "ndcg@10": pytest.approx(0.6309, abs=1e-4),
        }


def test_key_value_pairs(tmp_path):
    path = tmp_path / "kv.jsonl"
    path.write_text(json.dumps({"ordered_kv_records": [["a1", "b1"], ["a2", "b2"]], "key": "a2", "value": "b2"}))
    data = pairs.load(Source((path,)))
    (task,) = data.tasks
    assert data.corpora[task.corpus].items[1].text == "The value of a2 is b2."
    found = pairs.score(task, Outcome(("a1", "a2"), frozenset(), "It is b2.", True))
    assert found == {"hit@1": 0, "hit@5": 1, "contains": 1}


def test_personamem(tmp_path):
    (tmp_path / "documents.json").write_text(
        json.dumps(
            [
                {
                    "id": "u_0",
                    "user_id": "u",
                    "content": "[SYSTEM] Persona.\n\n[USER] User: I paint.\n[ASSISTANT] Nice.",
                },
                {"id": "u_1", "user_id": "u", "content": "[USER] User: I paint.\n[USER] User: I sing [ALTO] too."},
            ]
        )
    )
    query = {
        "id": "q",
        "query": "User: Ideas?\n\n(a) Try clay,\nsince you paint.\n(b) Try golf.",
        "gold_answers": ["(a) Try clay,\nsince you paint.", "a"],
        "user_id": "u",
        "meta": {"question_type": "suggest_new_ideas", "retrieval_query": "User: Ideas?"},
    }
    (tmp_path / "queries.json").write_text(json.dumps([query]))
    data = personamem.load(Source((tmp_path / "queries.json",)))
    turns = [(item.role, item.text) for item in data.corpora["u"].items]
    assert turns == [
        ("system", "Persona."),
        ("user", "User: I paint."),
        ("assistant", "Nice."),
        ("user", "User: I sing [ALTO] too."),
    ]
    (task,) = data.tasks
    assert task.choices == ("Try clay,\nsince you paint.", "Try golf.")
    assert task.answers == task.choices[:1]
    assert {
        name: personamem.score(task, guess(task))["accuracy"] for name, guess in personamem.guesses(data).items()
    } == {
        "(first choice)": 1,
        "(longest choice)": 1,
    }


def test_personamem_draws_whole_chats():
    tasks = [Task(f"{chat}{n}", chat, "?") for chat in "abcdef" for n in range(10)]
    for limit, chats in ((5, 1), (10, 1), (11, 2), (60, 6), (99, 6)):
        found = personamem.of_few(tasks, Source(limit=limit, seed=3))
        assert (len(found), len({task.corpus for task in found})) == (10 * chats, chats)
    assert personamem.of_few(tasks, Source()) == tasks


def test_nq_and_strategyqa(tmp_path):
    gold = {"title": "Tea", "text": "Tea is a drink.", "isgold": True}
    other = {"title": "Milk", "text": "Milk is white.", "isgold": False}
    (tmp_path / "nq.jsonl").write_text(
        json.dumps({"question": "what is tea", "answers": ["drink"], "ctxs": [other, gold]})
    )
    data = NQ_POOLED.load(Source((tmp_path / "nq.jsonl",)))
    assert data.items == 2
    assert all(key.startswith("Tea") for key in data.tasks[0].evidence)
    (tmp_path / "s.json").write_text(
        json.dumps([{"qid": "1", "question": "?", "answer": False, "facts": ["A.", "B."]}])
    )
    (task,) = STRATEGYQA.load(Source((tmp_path / "s.json",))).tasks
    assert (task.answers, len(task.evidence)) == (("no",), 2)


def test_what_cannot_be_run_says_why():
    with pytest.raises(InputError, match="cannot be run: it needs the catalogue"):
        suites_named(["agentbench recommendation"])
    assert suites_named(["trec", "trec"]) == [SUITES["trec"]]


@pytest.mark.parametrize("name", [name for name, suite in SUITES.items() if suite.file])
@pytest.mark.parametrize("content", ['[{"another": "shape"}]', "no data at all", '{"a": [1]}', ""])
def test_a_file_of_another_format_is_named(name, content, tmp_path, capsys):
    (tmp_path / "other.json").write_text(content)
    assert main(["bench", name, "--data", str(tmp_path / "other.json")]) == 2
    error = capsys.readouterr().err
    assert "other.json" in error
    assert error.count("\n") == 1
    (tmp_path / "folder").mkdir()
    assert main(["bench", name, "--data", str(tmp_path / "folder")]) == 2
    assert "folder" in capsys.readouterr().err


def test_there_is_a_sample_of_every_format():
    assert set(SAMPLES) == {name for name, suite in SUITES.items() if suite.file}


@pytest.mark.parametrize("name", SAMPLES)
def test_a_file_in_the_published_format_runs_from_the_command_line(name, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MEMORIST_CACHE", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    data, out = SAMPLES[name](tmp_path / "data"), tmp_path / "out.json"
    assert main(["bench", name, "--data", str(data), "--recipe", "lexical", "--json", str(out)]) == 0, (
        capsys.readouterr()
    )
    found = json.loads(out.read_text())
    values = [row["value"] for row in found["rows"] if row["metric"] == SUITES[name].headline]
    assert values
    assert all(0 <= value <= 1 for value in values)
    assert found["suites"][name]["questions"] == len({record["task"] for record in found["records"]}) > 0
    assert not any(record["invalid"] for record in found["records"])


def test_no_command_has_the_name_of_a_suite():
    """A command would hide the suite."""
    commands = {name for name in app["bench"] if not name.startswith("-")}
    assert not commands & set(SUITES)
    assert set(APART) == commands - {"peers"}


def test_every_command_tells_in_the_same_way(capsys):
    for name in APART:
        assert main(["bench", name, "--help"]) == 0
        told = capsys.readouterr().out
        for option in ("--json PATH", "--html PATH", "--debug"):
            assert option in told, (name, option)
    assert main(["bench", "--list"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in APART)


def test_all_runs_what_is_there_and_says_why_the_rest_is_not(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MEMORIST_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(conflicts, "LENGTHS", {"1k": 1_000})
    (tmp_path / "data" / "nq").mkdir(parents=True)
    pair = {"ordered_kv_records": [["a1", "b1"], ["a2", "b2"]], "key": "a2", "value": "b2"}
    lines = "\n".join(json.dumps(pair) for _ in range(5))
    (tmp_path / "data" / "nq" / "kv-retrieval-75_keys_first100.jsonl").write_text(lines)
    out, html = tmp_path / "out.json", tmp_path / "out.html"
    options = ["--data", str(tmp_path / "data"), "--recipe", "lexical", "--json", str(out), "--html", str(html)]
    assert main(["bench", "all", *options, "--limit", "2", "--limit", "keyvalue=3"]) == 0
    found = json.loads(out.read_text())
    asked = {name: about["questions"] for name, about in found["suites"].items()}
    assert asked == {"keyvalue": 3, "conflicts": 4}  # two of each sort
    assert "needs multihop/2wikimultihopqa.json, which is not in the folder" in found["lacking"]["2wiki"]
    assert set(found["lacking"]) | set(found["suites"]) == {*SUITES, *MISSING}
    told = " ".join(capsys.readouterr().out.split())
    for where in (told, html.read_text()):
        assert "2wiki cannot be run" in where
        assert "agentbench recommendation cannot be run" in where
    for wrong in ("0", "keyvalue=x", "nosuch=3", "3,4"):
        assert main(["bench", "keyvalue", "--data", str(tmp_path / "data"), "--limit", wrong]) == 2


GRID, TURNED = [[1, 2], [0, 3]], [[2, 1], [3, 0]]


def puzzle(number, shift=0):
    """Sides are flipped, in colours of its own."""
    one, other = ([[(cell + shift) % 9 + 1 for cell in row] for row in grid] for grid in (GRID, TURNED))
    pair = {"input": one, "output": other}
    return {f"p{number}": {"train": [pair, {"input": [[1, 2]], "output": [[2, 1]]}], "test": [pair]}}


class TestArc:
    @pytest.fixture
    def dataset(self, tmp_path):
        found = {id: one for n in range(6) for id, one in puzzle(n, n).items()}
        found["odd"] = {"train": [{"input": [[1]], "output": [[5, 1, 7]]}], "test": [{"input": [[2]], "output": [[9]]}]}
        (tmp_path / "arc.json").write_text(json.dumps(found))
        return SUITES["arc"].load(Source((tmp_path / "arc.json",), seed=1))

    def test_what_plain_search_solved_is_remembered_and_the_rest_is_asked(self, dataset):
        items = dataset.corpora["solved puzzles"].items
        assert {item.key for item in items} | {task.id for task in dataset.tasks} <= {
            *(f"p{n}" for n in range(6)),
            "odd",
        }
        assert not {item.key for item in items} & {task.id for task in dataset.tasks}
        assert all("flip" in item.text and json.loads(item.label) for item in items)
        assert all(json.dumps(GRID) not in item.text for item in items)

    def test_the_reader_tries_what_came_back_and_then_searches(self, dataset):
        task = next(task for task in dataset.tasks if task.id != "odd")
        item = dataset.corpora["solved puzzles"].items[0]
        for returned in ([item.label], []):
            outcome = Outcome((), frozenset(), puzzles.answer(task.meta["puzzle"], returned), True)
            assert SUITES["arc"].score(task, outcome) == {"solved": 1.0, "attempted": 1.0}
        wrong = Outcome((), frozenset(), "[[[1]]]", True)
        assert SUITES["arc"].score(task, wrong)["solved"] == 0

    def test_a_program_is_tried_in_other_colours(self):
        assert puzzles.without_colours((("flip_sides",), ("recolour", 1, 2))) == (
            ("flip_sides",),
            ("recolour", "colour 1", "colour 2"),
        )

    def test_no_program(self, dataset):
        odd = Puzzle("odd", [(np.array([[1]], np.int8), np.array([[5, 1, 7]], np.int8))], [])
        assert puzzles.answer(odd, []) is None

    def test_a_file_of_something_else(self, tmp_path):
        (tmp_path / "x.json").write_text('{"a": 1}')
        with pytest.raises(InputError, match="is not a file of ARC puzzles"):
            SUITES["arc"].load(Source((tmp_path / "x.json",)))


def test_every_suite_scores_what_it_shows_first():
    for name, suite in SUITES.items():
        assert suite.name == name
        assert suite.limits
        assert suite.headline
