"""A model behind the log: the same again costs nothing, failures are kept, a kill loses nothing, erasing is whole."""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass, replace
from datetime import datetime, timezone

import pytest

from memorist import Memory
from memorist.cli import main
from memorist.errors import BadReply, ModelUnreachable
from memorist.lifecycle.logged import Logged, key_of
from memorist.models.chat import Message, Reply, Request, Tool, ToolCall, Usage
from memorist.models.structured import structured
from memorist.testing import ScriptedModel
from worker import Workers, log_replies, open_memory

ASKED = Request((Message("user", "Where does Ana live?"),), prompt="test/1")
NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
SECRET = "the vault opens with heliotrope seven"


@dataclass
class Place:
    city: str


@pytest.fixture
def memory(tmp_path):
    with open_memory(tmp_path / "memory.db") as opened:
        opened.scope(user="ana").add([{"role": "user", "content": text} for text in ("I live in Lisbon.", SECRET)])
        yield opened


def logged(memory, model, rows=(1,), user="ana", purpose="ask"):
    return Logged(model, memory._store, memory.scope(user=user).scope, purpose, rows, lambda: NOW)


def test_the_same_request_is_answered_by_the_log(memory):
    model = ScriptedModel("Lisbon.", "Porto.")
    first = logged(memory, model).reply(ASKED)
    again = logged(memory, model, purpose="another").reply(ASKED)
    assert (first.text, first.recorded, again.text, again.recorded) == ("Lisbon.", False, "Lisbon.", True)
    assert again.usage == Usage()
    assert list(logged(memory, model).stream(ASKED)) == ["Lisbon.", again]
    assert len(model.requests) == 1


def test_what_makes_a_request_another_one():
    model = ScriptedModel("x")
    tool = Tool("t", "d", {})
    others = [
        ASKED,
        replace(ASKED, prompt="test/2"),
        replace(ASKED, temperature=0.5),
        replace(ASKED, seed=1),
        replace(ASKED, max_tokens=1),
        replace(ASKED, stop=("x",)),
        replace(ASKED, schema={"type": "object"}),
        replace(ASKED, tools=(tool,)),
        replace(ASKED, messages=(Message("system", "Where does Ana live?"),)),
        replace(ASKED, messages=(*ASKED.messages, Message("assistant", "", (ToolCall("1", "t", "{}"),)))),
    ]
    keys = [key_of(model, request) for request in others]
    assert len(set(keys)) == len(keys)
    assert key_of(ScriptedModel("x", name="other"), ASKED) not in keys
    call = Message("assistant", "", (ToolCall("another id", "t", "{}"),))
    assert key_of(model, replace(ASKED, messages=(*ASKED.messages, call))) == keys[-1]


def test_a_stream_is_recorded_when_it_was_read_to_its_end(memory):
    model = ScriptedModel("one two three")
    stream = logged(memory, model).stream(ASKED)
    assert next(stream) == "one "
    stream.close()
    assert memory.costs() == []
    *pieces, last = logged(memory, model).stream(ASKED)
    assert (pieces, last.text) == (["one ", "two ", "three"], "one two three")
    assert logged(memory, model).reply(ASKED).recorded


def test_failures_are_kept_and_the_model_is_asked_again(memory):
    model = ScriptedModel(ModelUnreachable("down"), BadReply("odd", raw="\x00\ud800<html>"), "Lisbon.")
    for error in (ModelUnreachable, BadReply):
        with pytest.raises(error):
            logged(memory, model).reply(ASKED)
    assert logged(memory, model).reply(ASKED).text == "Lisbon."
    (line,) = memory.costs()
    assert (line.failed, line.used.calls) == (2, 3)
    kept = [record for record in memory._store.dump() if record["record"] == "reply"]
    assert [record["error"] for record in kept] == ["BadReply: odd", None]
    assert kept[0]["text"] == "\ufffd?<html>"


def test_a_structure_that_failed_for_good_is_asked_anew(memory):
    model = ScriptedModel("no", "still no", '{"city": "Lisbon"}')
    with pytest.raises(BadReply):
        structured(logged(memory, model), ASKED, Place)
    assert structured(logged(memory, model), ASKED, Place).value == Place("Lisbon")
    assert structured(logged(memory, model), ASKED, Place).replies[0].recorded
    assert memory.costs()[0].failed == 2


def test_a_repaired_structure_is_replayed_with_its_repair(memory):
    model = ScriptedModel("no", '{"city": "Lisbon"}')
    for recorded in (False, True):
        made = structured(logged(memory, model), ASKED, Place)
        assert [reply.recorded for reply in made.replies] == [recorded] * 2
    assert len(model.requests) == 2


def test_what_no_store_can_keep_is_replaced_at_once(memory):
    model = ScriptedModel(Reply("a\x00b\ud800", "scripted"))
    assert logged(memory, model).reply(ASKED).text == logged(memory, model).reply(ASKED).text == "a\ufffdb?"


def test_it_is_nobody_elses(memory):
    memory.scope(user="bob").add("I live in Oslo.")
    model = ScriptedModel("Lisbon.", "Oslo.")
    logged(memory, model).reply(ASKED)
    rows = [turn.row for turn in memory._store.turns(memory.scope(user="bob").scope, range(100))]
    assert not logged(memory, model, rows, "bob").reply(ASKED).recorded
    assert [len(memory.scope(user=user).costs()) for user in ("ana", "bob", "eve")] == [1, 1, 0]
    assert memory.costs()[0].used.calls == 2


def test_erasing_an_episode_takes_what_a_model_said_of_it(memory, tmp_path):
    scope = memory.scope(user="ana")
    said = f"Ana told me that {SECRET}"
    logged(memory, ScriptedModel(said), (1, 2)).reply(ASKED)
    kept = logged(memory, ScriptedModel("Lisbon.", name="other"))
    kept.reply(ASKED)
    backup = memory.backup(tmp_path / "backup.db")
    (secret,) = [cube for cube in scope.list() if cube.text == SECRET]
    erasure = scope.erase(secret.id, backups=[backup])
    assert (erasure.counts["replies"], erasure.remnants) == (1, 0)
    for file in tmp_path.iterdir():
        assert b"heliotrope" not in file.read_bytes()
    assert kept.reply(ASKED).recorded
    assert memory.verify().ok


def test_a_forgotten_lineage_would_be_found(memory):
    """A reply that quotes an episode it is not said to have seen is counted as what is left of it."""
    scope = memory.scope(user="ana")
    logged(memory, ScriptedModel(f"Ana told me that {SECRET}"), (1,)).reply(ASKED)
    (secret,) = [cube for cube in scope.list() if cube.text == SECRET]
    assert scope.erase(secret.id).remnants == 1


def test_killed_at_any_moment(tmp_path):
    chance = random.Random(5)
    workers = Workers(tmp_path)
    path = tmp_path / "memory.db"
    with open_memory(path) as memory:
        memory.scope(user="ana").add("I live in Lisbon.")
    acknowledged: set[int] = set()
    for kill in range(12):
        child = workers.start(log_replies, path, kill * 1_000).ready()
        time.sleep(chance.uniform(0, 0.12))
        child.kill()
        acknowledged |= {ack for ack in child.acks() if ack != "ready"}
        with open_memory(path) as memory:
            assert memory.verify().ok
            texts = [record["text"] for record in memory._store.dump() if record["record"] == "reply"]
            assert len(set(texts)) == len(texts)
            assert {f"reply to {number}" for number in acknowledged} <= set(texts)
    workers.close()
    assert len(acknowledged) > 12


def test_costs_on_the_command_line(tmp_path, capsys):
    memory = Memory.open(tmp_path / "memory.db")
    memory.scope(user="ana").add("I live in Lisbon.")
    priced = Reply("Lisbon.", "openai:x", Usage(1_200, 30, 0.0125, 2.0, 1))
    logged(memory, ScriptedModel(priced)).reply(ASKED)
    logged(memory, ScriptedModel(priced)).reply(ASKED)
    unknown = Reply("Lisbon.", "http://h/v1#m", Usage(10, 3, None, 1.0, 1))
    logged(memory, ScriptedModel(unknown, name="m"), purpose="notes").reply(ASKED)
    memory.close()
    store = ("--store", str(tmp_path / "memory.db"))
    assert main(["costs", *store]) == 0
    ask, notes = capsys.readouterr().out.splitlines()
    assert ask == "2026-01-01  ask  openai:x  1 calls  1,200 + 30 tokens  2.0 s  $0.0125  saved 1 calls, $0.0125"
    assert notes.endswith("price unknown")
    assert main(["costs", "--since", "2026-01-02", *store]) == 0
    assert capsys.readouterr().out == "No language model was called.\n"
    assert main(["costs", "--json", *store]) == 0
    (line, _) = json.loads(capsys.readouterr().out)["costs"]
    assert (line["purpose"], line["day"], line["used"]["cost"], line["saved"]["calls"]) == (
        "ask",
        "2026-01-01",
        0.0125,
        1,
    )
    assert main(["costs", "--since", "yesterday-ish", *store]) == 2
