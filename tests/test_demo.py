"""The tour: its conversation is well formed, and what it promises happens."""

from __future__ import annotations

import io
import json
import tempfile
import time
from dataclasses import replace
from datetime import datetime
from importlib.resources import files
from itertools import groupby
from pathlib import Path

import pytest
from rich.console import Console

from memorist import demo
from memorist.results import Verification

CONVERSATION = files("memorist") / "data" / "demo.jsonl"


def tour(*, json: bool = False, width: int = 80) -> tuple[int, str]:
    written = io.StringIO()
    return demo.run(Console(file=written, width=width), json=json), written.getvalue()


@pytest.fixture(scope="module")
def messages():
    return [json.loads(line) for line in CONVERSATION.read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def told():
    code, text = tour(json=True)
    return code, json.loads(text)


def test_every_message_has_the_shape_of_the_openai_api(messages):
    assert 110 <= len(messages) <= 140
    for message in messages:
        assert set(message) == {"role", "name", "content", "timestamp", "session"}
        assert message["content"].strip()
    assert {(one["role"], one["name"]) for one in messages} == {("user", "Nora"), ("assistant", "Assistant")}


def test_time_rises_and_sessions_are_whole(messages):
    times = [datetime.fromisoformat(one["timestamp"].replace("Z", "+00:00")) for one in messages]
    assert times == sorted(set(times))
    assert times[0].year == times[-1].year == 2025
    assert 150 <= (times[-1] - times[0]).days <= 184
    assert times[-1] < demo.TODAY
    sessions = [session for session, _ in groupby(one["session"] for one in messages)]
    assert len(sessions) == len(set(sessions)) == 12


def test_every_session_has_both_voices(messages):
    for _, said in groupby(messages, key=lambda one: one["session"]):
        assert {one["role"] for one in said} == {"user", "assistant"}


def test_all_is_added(told, messages):
    code, document = told
    assert code == 0
    assert document["ok"] is True
    assert document["remembered"]["messages"] == len(messages)
    assert document["remembered"]["sessions"] == 12
    assert document["remembered"]["state"] == "indexed"


def test_eight_answers_cite_what_was_said(told, messages):
    answers = told[1]["answers"]
    said = {one["timestamp"]: one for one in messages}
    assert len(answers) == 8
    for answer in answers:
        assert answer["milliseconds"] > 0
        assert answer["known"] == bool(answer["citations"])
        for citation in answer["citations"]:
            message = said[citation["at"]]
            assert citation["text"] in message["content"]
            assert citation["speaker"] == message["name"]


def test_only_the_unanswerable_is_not_known(told):
    unknown = [one for one in told[1]["answers"] if not one["known"]]
    assert [one["kind"] for one in unknown] == ["never mentioned"]
    assert unknown[0]["text"] == "I do not know."
    assert unknown[0]["citations"] == []


@pytest.mark.parametrize(
    "kind, words",
    [
        ("a fact", ["penicillin"]),
        ("two facts joined", ["Desmond", "looks after Pixel"]),
        ("a relative date", ["19 June 2025", "last Thursday"]),
        ("what holds now", ["Bristol"]),
        ("as of 15 April", ["Leeds"]),
        ("advice it gave", ["Assistant", "Corvid Glide"]),
        ("beyond quoting", ["£7.99", "£10.99"]),
    ],
)
def test_answers_are_right(told, kind, words):
    [answer] = [one for one in told[1]["answers"] if one["kind"] == kind]
    assert [word for word in words if word not in answer["text"]] == []


def test_an_update_keeps_the_old_version(told):
    update = told[1]["update"]
    old, new = update["history"]
    assert (old["what"], new["what"]) == ("added", "updated")
    assert old["true_to"] == new["true_from"]
    assert (update["found_before"], update["found_now"]) == (old["text"], new["text"])


def test_forgetting_is_undone(told):
    forget = told[1]["forget"]
    steps = [forget[name] for name in ("found_at_first", "found_when_forgotten", "found_when_restored")]
    assert steps == [True, False, True]


def test_erased_bytes_are_gone(told):
    erase = told[1]["erase"]
    assert "4471" in erase["text"]
    assert erase["bytes_before"] > 0
    assert (erase["bytes_after"], erase["receipt"]["remnants"], erase["gone"]) == (0, 0, True)
    assert erase["receipt"]["counts"]["episodes"] == 1
    assert erase["receipt"]["counts"]["derived"] > 0


def test_the_store_is_sound(told):
    assert told[1]["verify"] == {"ok": True, "problems": []}


@pytest.mark.parametrize("width", [80, 100])
def test_a_person_sees_it_soon_and_within_the_width(width, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    start = time.perf_counter()
    code, text = tour(width=width)
    assert time.perf_counter() - start < 15
    assert code == 0
    lines = text.splitlines()
    assert len(lines) < 70
    assert max(map(len, lines)) <= width
    for shown in ("Remember", "Ask", "Change", "Erase", "Next", "I do not know.", *demo.NEXT):
        assert shown in text
    assert list(Path(tmp_path).iterdir()) == []


def test_a_broken_promise_is_not_ok(tmp_path):
    seen = demo.take(tmp_path / "memory.db")
    assert seen.ok
    assert not replace(seen, erase=replace(seen.erase, gone=False)).ok
    assert not replace(seen, forget=replace(seen.forget, found_when_forgotten=True)).ok
    assert not replace(seen, verify=Verification(False, ("a page is torn",))).ok
