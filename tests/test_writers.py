"""The bench of writers: its sample, how replies are judged, and that a killed run asks nothing twice."""

import json
import re

import pytest
from rich.console import Console

from memorist.bench.heard import heard_of
from memorist.bench.recorder import Recorder, Said
from memorist.bench.sample import sample, tells
from memorist.bench.told import Outputs
from memorist.bench.writers import ORGANISERS, run
from memorist.cli import main
from memorist.errors import InputError, ModelUnreachable
from memorist.models.chat import Message, Reply, Request, ToolCall, Usage
from memorist.testing import ScriptedModel

QUIET = Console(quiet=True)


def right(request):
    """A writer that copies: each message becomes a fact, a note, an item; each solution a lesson and a concept."""
    name = request.prompt.split("/")[0]
    shown = request.messages[-1].content
    if name == "facts":
        lines = re.findall(r'^(t\d+) \[(\S+)\] (\w+): "(.*)"$', shown, re.MULTILINE)
        return json.dumps({"facts": [
            {"text": f"{who}: {text}", "subject": who, "relation": f"said on {day} {handle}", "value": text[:80],
             "single": False, "ends": False, "since": "", "until": "", "messages": [handle]}
            for handle, day, who, text in lines]})  # fmt: skip
    if name == "facts-judge":
        return '{"verdicts": []}'
    if name == "notes":
        new = shown.split("New message:")[1].strip()
        return json.dumps({"context": new, "keywords": ["a"], "tags": ["b"], "links": ["n1", "n9"], "rewrites": []})
    if name == "mem-alpha":
        text = {"memory_type": "semantic_memory", "content": shown[:600]}
        calls = (ToolCall("1", "new_memory_insert", json.dumps(text)), ToolCall("2", "memory_delete", "{}"))
        return Reply("", "scripted", Usage(10, 10, 0.0, 1.0, 1), "tools", calls)
    if name == "lessons":
        lesson = {"situation": "the parts are the same", "suggestion": "sort by their length or last letter"}
        return json.dumps({"thoughts": [], "lessons": [lesson]})
    if name == "concepts":
        said = {"concept": "sort by key", "kind": "routine", "description": "sort the parts by length or last letter",
                "parameters": [{"name": "key", "typing": "Callable[[str], int]"}]}  # fmt: skip
        return json.dumps({"pseudocode": "", "summary": "", "concepts": [said]})
    if name == "preference-aspects":
        return '{"aspects": ["comedy"]}'
    return '{"profile": "a silly comedy", "used": ["M1"]}'


def checks(row):
    return {one.what: (one.got, one.of) for one in row.checks}


def test_a_model_that_writes_rightly_has_the_key(tmp_path):
    rows = {
        row.organiser: row for row in run(ScriptedModel(right), list(ORGANISERS), Outputs(tmp_path / "a.json"), QUIET)
    }
    number = len(sample().facts)
    assert checks(rows["facts"])["facts told"] == (number, number)
    assert checks(rows["facts"])["ended facts that stand"] == (3, None)  # it never says that one replaces another
    assert checks(rows["notes"])["tell what their message tells"] == (number, number)
    assert rows["notes"].written == len(sample().messages)
    assert checks(rows["mem-alpha"])["facts told"] == (number, number)
    assert rows["mem-alpha"].heard.calls_refused == {"memory_delete needs memory_type": rows["mem-alpha"].heard.first}
    assert checks(rows["lessons"]) == {
        "problems whose method is told": (2, 3),
        "lessons that name particulars": (0, None),
        "of the attempt that failed": (0, None),
    }
    assert checks(rows["typed-concepts"])["what two share is one concept"] == (1, 1)
    assert checks(rows["preferences"]) == {
        "descriptions that name what was liked": (2, 2),
        "best candidate first": (1, 2),  # the words of a request outweigh all else
        "first without the model": (1, 2),
    }
    assert all(row.heard.first and not row.heard.refused and not row.problems for row in rows.values())
    written = json.loads((tmp_path / "a.json").read_text())
    assert [row["organiser"] for row in written["rows"]] == list(ORGANISERS)


def test_a_model_that_writes_nonsense_is_refused_with_why(tmp_path):
    model = ScriptedModel("I would rather talk.")
    rows = run(model, list(ORGANISERS), Outputs(), QUIET)
    assert [row.written for row in rows] == [0] * len(rows)
    for row in rows:
        assert row.heard.first == row.heard.repaired == 0
        assert sum(row.heard.refused.values()) > 0
    assert {row.organiser for row in rows if row.problems} == set(ORGANISERS) - {"mem-alpha"}


def test_replies_are_read_as_the_organisers_read_them():
    def said(prompt, text, finish="stop"):
        return Said("", prompt, Reply(text, "m", finish=finish))

    good = '{"thoughts": [], "lessons": []}'
    heard = heard_of(
        [
            said("lessons/1", good),
            said("lessons/1", '{"lessons": []}'),
            said("lessons/1+repair/1", good),
            said("lessons/1", "{", "length"),
            said("lessons/1+repair/1", '{"thoughts": [', "length"),
        ]
    )
    assert (heard.first, heard.repaired, heard.refused) == (1, 1, {"cut at the limit": 1})


def test_a_killed_run_goes_on_from_its_replies(tmp_path):
    replies = iter(range(7))

    def dies(request):
        if next(replies, None) is None:
            raise KeyboardInterrupt
        return right(request)

    with pytest.raises(KeyboardInterrupt):
        run(ScriptedModel(dies), ["notes", "lessons"], Outputs(tmp_path / "a.json"), QUIET)
    with (tmp_path / "a.replies.jsonl").open("a") as file:
        file.write('{"key": "cut')
    model = ScriptedModel(right)
    rows = run(model, ["notes", "lessons"], Outputs(tmp_path / "a.json"), QUIET)
    assert len(model.requests) == 11 + 3 - 7
    assert [row.used.calls for row in rows] == [11, 3]
    assert (
        run(ScriptedModel(ModelUnreachable("off", "m")), ["notes", "lessons"], Outputs(tmp_path / "a.json"), QUIET)
        == rows
    )


def test_a_journal_of_something_else_is_refused(tmp_path):
    (tmp_path / "a.replies.jsonl").write_text('{"key": 1}\n')
    with pytest.raises(InputError, match="holds no replies"):
        Recorder(ScriptedModel(""), tmp_path / "a.replies.jsonl")


def test_failures_are_not_kept(tmp_path):
    request = Request((Message("user", "x"),))
    with pytest.raises(ModelUnreachable):
        Recorder(ScriptedModel(ModelUnreachable("down", "m")), tmp_path / "a.jsonl").reply(request)
    assert Recorder(ScriptedModel("yes"), tmp_path / "a.jsonl").reply(request).text == "yes"
    assert Recorder(ScriptedModel("no"), tmp_path / "a.jsonl").reply(request).text == "yes"


def test_the_key_is_told_by_the_messages_themselves():
    known = sample()
    for fact in known.facts:
        observation = known.messages[fact.message]
        assert tells(f"{observation.speaker} {observation.text}", fact.words), fact.name
    for problem in known.problems:
        assert tells(problem.text, problem.words)


def test_an_organiser_that_there_is_not(capsys):
    assert main(["bench", "writers", "--organiser", "poems", "--model", "local:smollm2-135m"]) == 2
    assert "poems" in capsys.readouterr().err
