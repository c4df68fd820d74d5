"""Training examples for a reader: deterministic, parted by question, honest about what the passages hold."""

import json
import os
from pathlib import Path

import pytest

from memorist.answer.sentences import sentences
from memorist.cli import main
from memorist.learning.readerdata import (
    ANNOTATED,
    MARK,
    UNKNOWN,
    Asked,
    Making,
    answer_in,
    examples,
    merged,
    prompt_of,
    split_of,
    target_of,
)

NQ = (
    Path(os.environ.get("MEMORIST_DATA", Path(__file__).parents[2] / "shared" / "data")) / "nq" / "nq-open-oracle.jsonl"
)
TEXTS = [(f"Town {n}", f"Town {n} lies on a river. Its mayor is Mayor{n}. It has a bridge.") for n in range(60)]
ASKED = [
    Asked(
        f"Who is the mayor of town {n}?",
        (f"Mayor{n}",),
        n,
        {"lexical": [(n + step) % 60 for step in range(8)], "dense": [(n + 2 * step + 1) % 60 for step in range(8)]},
    )
    for n in range(60)
]


def making(count=6, seed=0):
    return Making(count, seed, sentences, lambda text, answer: f"{answer}." in text)


MADE = list(examples(TEXTS, ASKED, making()))


def test_the_same_seed_gives_the_same_examples_in_any_company():
    assert list(examples(TEXTS, ASKED, making())) == MADE
    assert list(examples(TEXTS, ASKED[30:], making())) == MADE[30:]
    assert list(examples(TEXTS, ASKED, making(seed=1))) != MADE
    assert len({example.id for example in MADE}) == len(MADE)


def test_each_says_truly_whether_its_passages_hold_the_answer():
    kinds = {True: 0, False: 0}
    for number, example in enumerate(MADE):
        kinds[example.has_answer] += 1
        assert any(passage.holds_answer for passage in example.passages) == example.has_answer
        assert example.answer == (f"Mayor{number}" if example.has_answer else UNKNOWN)
        assert 0 < len(example.passages) <= 6
        assert len({passage.title for passage in example.passages}) == len(example.passages)
    assert kinds[True] > 2 * kinds[False] > 0


def test_negatives_come_from_every_retriever_and_the_order_is_drawn():
    origins = {passage.retriever for example in MADE for passage in example.passages}
    assert {"lexical", "dense"} <= origins
    places = {place for example in MADE for place, passage in enumerate(example.passages) if passage.holds_answer}
    assert len(places) == 6
    assert merged({"a": [1, 2], "b": [2, 3, 4]}) == {1: ("a", 1), 2: ("b", 1), 3: ("b", 2), 4: ("b", 3)}


def test_a_passage_that_no_retriever_found_is_put_in():
    lost = [Asked(one.question, one.answers, one.gold, {"dense": [(one.gold + 7) % 60]}) for one in ASKED]
    for example in examples(TEXTS, lost, making()):
        assert (ANNOTATED in {passage.retriever for passage in example.passages}) == example.has_answer


def test_questions_are_parted_not_examples():
    splits = [split_of(one.question, 0) for one in ASKED]
    assert {*splits} == {"train", "dev"}
    assert [example.split for example in MADE] == splits
    assert split_of("  WHO is the mayor of town 3?", 0) == split_of("Who is the mayor of  town 3?", 0)


def test_prompt_and_targets():
    example = next(one for one in MADE if one.has_answer)
    prompt = prompt_of(example)
    assert prompt.endswith(f"Question: {example.question}")
    assert f"Passage {len(example.passages)} (" in prompt
    assert target_of(example, reasoned=False) == example.answer
    reasoned = target_of(example, reasoned=True)
    number = next(place for place, passage in enumerate(example.passages, 1) if passage.holds_answer)
    assert reasoned.startswith(f"Passage {number} (")
    assert example.answer in reasoned.splitlines()[0]
    assert answer_in(reasoned) == example.answer
    without = next(one for one in MADE if not one.has_answer)
    assert target_of(without, reasoned=True) == f"No passage holds the answer.\n{MARK} {UNKNOWN}"
    assert answer_in("I think so.\nParis") == "Paris"
    assert answer_in("Answer: Paris\nand more") == "Paris"
    assert answer_in("  ") == ""


def record(number):
    title, text = TEXTS[number]
    passage = {"title": title, "text": text, "isgold": True, "hasanswer": True}
    return {"question": f"who is the mayor of town {number}", "answers": [f"Mayor{number}"], "ctxs": [passage]}


def test_the_command(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("MEMORIST_CACHE", str(tmp_path / "cache"))
    data, out = tmp_path / "nq.jsonl", tmp_path / "out.jsonl"
    data.write_text("\n".join(json.dumps(record(number)) for number in range(12)), "utf-8")
    command = ["data", "reader", "--data", str(data), "--out", str(out), "--seed", "3", "--passages", "4"]
    assert main(command) == 0
    assert "Wrote" in capsys.readouterr().out
    first = out.read_bytes()
    lines = [json.loads(line) for line in first.splitlines()]
    assert len(lines) == 12
    assert all(len(line["passages"]) == 4 for line in lines if line["has_answer"])
    assert main(command) == 0
    assert out.read_bytes() == first
    assert main([*command[:4], "--out", str(tmp_path), "--seed", "3"]) == 2
    assert main([*command, "--recipe", "nothing"]) == 2
    data.write_text("{}", "utf-8")
    assert main(command) == 2


@pytest.mark.slow
@pytest.mark.skipif(not NQ.is_file(), reason="the NQ development file is not here; set MEMORIST_DATA")
def test_natural_questions(tmp_path):
    out = tmp_path / "out.jsonl"
    assert main(["data", "reader", "--data", str(NQ), "--out", str(out), "--limit", "50"]) == 0
    lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert len(lines) == 50
