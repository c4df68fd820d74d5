"""Sources: each format as the programs write it, what is recognised, and what is said about what cannot be read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from memorist import sources
from memorist.cube import Document, Observation
from memorist.errors import InputError, RecordError
from memorist.sources import FORMATS, LONGEST, from_document, from_messages, read, split_long
from memorist.sources.file import open_source
from memorist.sources.formats import recognise
from memorist.sources.moment import moment
from memorist.sources.pieces import split_text

Write = Callable[[str, object], Path]
UTC = timezone.utc


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file: text and bytes as they are, anything else as JSON."""

    def _write(name: str, content: object) -> Path:
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, indent=1)
            path.write_bytes(text.encode())
        return path

    return _write


def said(path: Path, **options: Any) -> list[tuple[str | None, str]]:
    return [(observation.speaker, observation.text) for observation in read(path, **options)]


def format_of(path: Path) -> str:
    return recognise(open_source(path)).name


def broken(path: Path, **options: Any) -> tuple[list[Observation], list[RecordError]]:
    errors: list[RecordError] = []
    return list(read(path, on_bad=errors.append, **options)), errors


# --- the surface


def test_surface_is_small_and_sorted() -> None:
    assert sources.__all__ == sorted(sources.__all__, key=lambda name: (not name.isupper(), name))
    assert FORMATS == ("chatgpt", "claude", "csv", "jsonl", "locomo", "markdown", "openai", "text", "transcript")


def test_import_is_light() -> None:
    code = "import sys, memorist.sources; print({'ijson', 'torch', 'pandas'} & set(sys.modules))"
    environment = {**os.environ, "PYTHONPATH": str(Path(sources.__file__).parents[2])}
    assert subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True).stdout.strip() == b"set()"


# --- OpenAI messages


def test_messages_in_the_shape_of_openai() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:..."}}
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Rome"}'}}
    first, second, third, fourth = from_messages(
        [
            {"role": "user", "content": "Hi", "name": "Ana", "timestamp": 1715342400, "id": 7, "session": "s"},
            {"role": "assistant", "content": None, "tool_calls": [call], "created_at": "2024-05-10T14:00:00+02:00"},
            {"role": "user", "content": [{"type": "text", "text": "See"}, image], "metadata": {"a": [1], "b": None}},
            {"role": "user", "content": "  "},
            {"role": "tool", "content": "sunny", "tool_call_id": "c1"},
        ],
        source="api",
    )
    assert first == Observation(
        "Hi", "Ana", "user", datetime(2024, 5, 10, 12, tzinfo=UTC), session="s", source="api", key="7"
    )
    assert (second.text, second.speaker, second.at) == ('[calls weather({"city":"Rome"})]', "Assistant", first.at)
    assert (third.text, third.speaker, third.meta) == ("See\n[image]", "User", {"a": "[1]", "b": None})
    assert (fourth.role, fourth.meta) == ("tool", {"tool_call_id": "c1"})


def test_notes_for_parts_that_are_no_text() -> None:
    kinds = ["input_audio", "file", "document", "video", "tool_use", "tool_result", "thinking", "odd"]
    parts: list[dict[str, Any]] = [{"type": kind} for kind in kinds]
    parts[4] |= {"name": "f", "input": {"x": 1}}
    parts[5] |= {"content": [{"type": "text", "text": "42"}]}
    (observation,) = from_messages([{"role": "user", "content": parts}])
    assert observation.text.split("\n") == [
        "[audio]",
        "[file]",
        "[file]",
        "[video]",
        '[calls f({"x": 1})]',
        "42",
        "[odd]",
    ]


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ("hello", "is str, not an object"),
        ({"content": "x"}, "role=None is not one of user"),
        ({"role": "wizard", "content": "x"}, "role='wizard'"),
        ({"role": "user"}, "no text; give it as one of content"),
        ({"role": "user", "content": 5}, "content is int"),
        ({"role": "user", "content": [5]}, "content part 1 is int"),
        ({"role": "user", "content": "a\x00b"}, "NUL character at position 2"),
        ({"role": "user", "content": "ab\ud800"}, "lone surrogate U+D800 at position 3"),
        ({"role": "user", "content": "x", "name": "\udfff"}, "speaker has the lone surrogate"),
        ({"role": "user", "content": "x", "metadata": {"a": float("nan")}}, "metadata 'a' is nan"),
        ({"role": "user", "content": "x", "metadata": {"a": [float("inf")]}}, "metadata 'a' is list"),
        ({"role": "user", "content": "x", "metadata": {"a": "\x00"}}, "metadata 'a' has a NUL"),
        ({"role": "user", "content": "x", "metadata": {1: 2}}, "a name that is int"),
        ({"role": "user", "content": "x", "metadata": [1]}, "metadata is list"),
        ({"role": "user", "content": "x", "timestamp": "yesterday"}, "time='yesterday' is not a time"),
        ({"role": "user", "content": "x", "timestamp": 10**5000}, "time is out of range"),
        ({"role": "user", "content": "x", "timestamp": True}, "time is bool"),
        ({"role": "user", "content": "x", "id": 10**5000}, "id is a number too long"),
        ({"role": "user", "content": "x", "session": "s" * 501}, "session has 501 characters"),
    ],
)
def test_a_bad_message_is_named(message: Any, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        list(from_messages([{"role": "user", "content": "fine"}, message]))
    assert str(caught.value).startswith("message 1: ") and problem in str(caught.value)


def test_messages_that_refer_to_themselves() -> None:
    loop: list[Any] = []
    loop.append({"type": "tool_result", "content": loop})
    assert [o.text for o in from_messages([{"role": "user", "content": loop}])] == ["[tool_result]"]
    with pytest.raises(InputError, match="Circular"):
        list(from_messages([{"role": "user", "content": "x", "metadata": {"loop": loop}}]))


@pytest.mark.parametrize("messages", ["text", {"role": "user"}, None, 3])
def test_messages_must_be_a_list(messages: Any) -> None:
    with pytest.raises(InputError, match="pass a list"):
        from_messages(messages)


# --- times


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2024-05-10T12:00:00Z", (12, 0, 0)),
        ("2024-05-10T12:00:00.1234567Z", (12, 0, 0, 123456)),
        ("2024-05-10 14:00 +0200", (12, 0, 0)),
        ("2024-05-10 12:00:00 UTC", (12, 0, 0)),
        ("20240510T120000", (12, 0, 0)),
        ("20240510", (0, 0, 0)),
        ("2024/05/10", (0, 0, 0)),
        ("1:56 pm on 10 May, 2024", (13, 56, 0)),
        ("12:05 am on 10 May, 2024", (0, 5, 0)),
        (1715342400, (12, 0, 0)),
        (1715342400000, (12, 0, 0)),
        ("1715342400.5", (12, 0, 0, 500000)),
    ],
)
def test_times_as_programs_write_them(value: object, expected: tuple[int, ...]) -> None:
    assert moment(value) == datetime(2024, 5, 10, *expected[:3], *expected[3:], tzinfo=UTC)


@pytest.mark.parametrize(
    "value", ["13", "2024-13-01", "99:99 pm on 1 May, 2024", "1:00 pm on 1 Foo, 2024", 1e20, [], "٢"]
)
def test_what_is_no_time(value: object) -> None:
    with pytest.raises(InputError):
        moment(value)


# --- documents and long texts


def test_a_document_is_split_by_headings() -> None:
    text = (
        "Preface.\n\n# Guide\n\n## Install ##\n\nRun it.\n\n```\n# not a heading\n```\n\nUse\n---\nWell.\n\n## Empty\n"
    )
    observations = list(from_document(Document(text, source="d", trust="web", meta={"a": {"b": 1}})))
    assert [o.text for o in observations] == [
        "Preface.",
        "Guide > Install\n\nRun it.\n\n```\n# not a heading\n```",
        "Guide > Use\n\nWell.",
        "Guide > Empty",
    ]
    assert {(o.role, o.trust, o.source, o.meta["a"]) for o in observations} == {("document", "web", "d", '{"b": 1}')}


def test_the_title_leads_the_path_once() -> None:
    assert [o.text for o in from_document(Document("# Rome\nHot.\n# Oslo\nCold.", title="Rome"))] == [
        "Rome\n\nHot.",
        "Rome > Oslo\n\nCold.",
    ]
    assert [o.text for o in from_document(Document("Hot.", title="Rome"))] == ["Rome\n\nHot."]


def test_a_long_section_keeps_its_heading_on_each_piece() -> None:
    body = "\n\n".join(f"Paragraph {i}. " + "word " * 60 for i in range(10))
    observations = list(from_document(Document(f"# Guide\n## Long\n{body}")))
    assert all(o.text.startswith("Guide > Long\n\n") and len(o.text) <= LONGEST for o in observations)
    assert [o.meta["part"] for o in observations] == list(range(1, len(observations) + 1))
    assert "".join(o.text.removeprefix("Guide > Long\n\n") for o in observations) == body
    assert all(o.text.removeprefix("Guide > Long\n\n").startswith("Paragraph") for o in observations)


@pytest.mark.parametrize("document", [Document("a\x00"), Document("a", title="\ud800"), Document(None)])  # type: ignore[arg-type]
def test_documents_that_cannot_be_stored(document: Document) -> None:
    with pytest.raises(InputError, match="document"):
        list(from_document(document))


def test_long_observations_are_split_at_sentences() -> None:
    text = "This is a sentence of some length. " * 100
    parts = list(split_long([Observation("short", key="a"), Observation(text, key="b", meta={"x": 1})]))
    assert parts[0] == Observation("short", key="a")
    assert "".join(part.text for part in parts[1:]) == text
    assert all(part.text.endswith(". ") and len(part.text) <= LONGEST for part in parts[1:])
    assert [part.key for part in parts[1:]] == ["b#1", "b#2", "b#3"]
    assert parts[2].meta == {"x": 1, "part": 2, "parts": 3}


def test_pieces_are_never_blank() -> None:
    for text in (" " * 5000 + "a", "a" + " " * 5000 + "b", "a" * 1300 + " " * 5000, "x" * 5000):
        pieces = split_text(text)
        assert "".join(pieces) == text and all(piece.strip() for piece in pieces)


# --- text and markdown files


def test_text_gathers_small_paragraphs(write: Write) -> None:
    path = write("notes.txt", "One\r\nline.\r\n\r\nTwo.\r\n\r\n" + "Long " * 130 + "\r\n\r\nEnd.")
    observations = list(read(path))
    assert [o.text[:15] for o in observations] == ["One\nline.\n\nTwo.", "Long Long Long ", "End."]
    assert observations[0].source == str(path) and observations[0].role == "document"


def test_markdown_file_equals_document(write: Write) -> None:
    text = "# A\ntext\n## B\nmore\n"
    assert [o.text for o in read(write("a.md", text))] == [o.text for o in from_document(Document(text))]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize(("name", "text"), [("a.txt", "žluť 😀"), ("a.json", '[{"role":"user","content":"žluť 😀"}]')])
def test_encodings(write: Write, encoding: str, name: str, text: str) -> None:
    assert [o.text for o in read(write(name, text.encode(encoding)))] == ["žluť 😀"]


# --- JSON lines and JSON


def test_jsonl_of_any_spelling(write: Write) -> None:
    lines = [
        {"role": "user", "content": "one"},
        {"speaker": "Ana", "text": "two", "timestamp": "2024-05-10T12:00:00Z", "channel": "x"},
        {"from": "human", "message": "three", "date": "2024-05-10"},
        {"author": {"id": 1, "name": "Bo"}, "body": "four", "created_at": 1715342400},
        {"messages": [{"role": "user", "content": "five"}, {"role": "assistant", "content": "six"}]},
        {"id": "s9", "messages": [{"role": "user", "content": "seven"}]},
    ]
    path = write("chat.jsonl", "\n\n".join(json.dumps(line) for line in lines))
    observations = list(read(path))
    assert [(o.speaker, o.text, o.session) for o in observations] == [
        ("User", "one", None),
        ("Ana", "two", None),
        ("human", "three", None),
        ("Bo", "four", None),
        ("User", "five", "chat.jsonl#9"),
        ("Assistant", "six", "chat.jsonl#9"),
        ("User", "seven", "s9"),
    ]
    assert observations[1].meta == {"channel": "x"} and observations[2].role == "user"


def test_broken_lines_are_named_and_passed_over(write: Write) -> None:
    bad = ["{", '{"text": "a\\ud800"}', '{"text": "x", "n": NaN}', "[" * 100_000, '{"text": "x", "n": 1e999}', '"x"']
    raw = "\n".join(['{"text": "fine"}', *bad, '{"text": "also"}']).encode() + b'\n{"text": "\xe9"}\n{"text": "a\x00"}'
    path = write("chat.jsonl", raw)
    observations, errors = broken(path)
    assert [o.text for o in observations] == ["fine", "also"]
    assert [error.line for error in errors] == [2, 3, 4, 5, 6, 7, 9, 10]
    problems = [error.problem for error in errors]
    for problem, words in zip(
        problems, ["not valid JSON", "U+D800 at position 2", "NaN", "deep", "inf", "is str"], strict=False
    ):
        assert words in problem
    assert "iconv -f WINDOWS-1252 -t utf-8" in problems[6] and "NUL character at position" in problems[7]
    with pytest.raises(RecordError, match=r"chat.jsonl, line 2: not valid JSON"):
        list(read(path))


def test_a_bad_message_in_a_line_of_many(write: Write) -> None:
    path = write(
        "c.jsonl", json.dumps({"messages": [{"role": "user", "content": "a"}, {"role": "x"}, {"content": "b"}]})
    )
    observations, errors = broken(path)
    assert [o.text for o in observations] == ["a", "b"]
    assert [error.problem[:21] for error in errors] == ["message 2: role='x' i"]


def test_openai_json(write: Write) -> None:
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    for content in (messages, {"messages": messages}, [{"messages": messages}]):
        path = write("m.json", content)
        assert format_of(path) == "openai" and said(path) == [("User", "a"), ("Assistant", "b")]


def test_broken_json_records_are_named_and_passed_over(write: Write) -> None:
    good = '{"role": "user", "content": "%s"}'
    deep = '{"role": "user", "content": "x", "a": ' + "[" * 5000 + "]" * 5000 + "}"
    text = (
        "[\n"
        + ",\n".join([good % "a", '{"role": }', deep, good % "\\ud800", "", good % '}]\\\\\\"'])
        + ",\n"
        + good % "cut"
    )
    observations, errors = broken(write("m.json", text))
    assert [o.text for o in observations] == ["a", '}]\\"']
    assert [error.line for error in errors] == [3, 4, 5, 6, 8]
    for error, words in zip(
        errors, ["record 2: not valid JSON", "deeper than 100", "U+D800", "empty place", "cut short"], strict=True
    ):
        assert words in error.problem


@pytest.mark.parametrize(
    ("text", "words"), [('[{"text":"a"}] x', "after the end"), ('[{"text":"a"}}', "nothing opened")]
)
def test_json_with_something_after_it(write: Write, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        list(read(write("m.json", text)))


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_json_elements_do_not_depend_on_chunks(write: Write, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    values = [{"text": 'a"b\\', "x": [[], {}, "]}"]}, {"text": "\\\\"}, {"text": "é,", "y": {"z": ["\n"]}}]
    path = write("m.json", values)
    expected = list(read(path))
    monkeypatch.setattr("memorist.sources.file.CHUNK", size)
    assert list(read(path, format="openai")) == expected and len(expected) == 3


# --- exports


def node(
    name: str, parent: str | None, children: list[str], role: str = "", text: object = "", **extra: Any
) -> dict[str, Any]:
    message = {
        "id": f"m-{name}",
        "author": {"role": role, "name": None, "metadata": {}},
        "create_time": extra.pop("time", None),
        "content": extra.pop("content", {"content_type": "text", "parts": [text]}),
        "status": "finished_successfully",
        "weight": 1.0,
        "metadata": {},
        "recipient": "all",
        **extra,
    }
    return {"id": name, "message": message if role else None, "parent": parent, "children": children}


def test_chatgpt_export_follows_the_live_branch(write: Write) -> None:
    asset = {"content_type": "image_asset_pointer", "asset_pointer": "file-service://x"}
    nodes = [
        node("root", None, ["sys"]),
        node("sys", "root", ["u1"], "system", "", weight=0.0),
        node("u1", "sys", ["a1", "a2"], "user", "Trip to Rome?", time=1715342400.25),
        node("a1", "u1", [], "assistant", "Dropped answer"),
        node("a2", "u1", ["hid"], "assistant", "Go in May.", metadata={"model_slug": "gpt-4o"}),
        node("hid", "a2", ["u2"], "user", "secret", metadata={"is_visually_hidden_from_conversation": True}),
        node("u2", "hid", ["t"], "user", content={"content_type": "multimodal_text", "parts": [asset, "This one"]}),
        node("t", "u2", ["code"], "assistant", content={"content_type": "thoughts", "thoughts": [{"content": "hm"}]}),
        node("code", "t", [], "assistant", content={"content_type": "code", "language": "python", "text": "1+1"}),
    ]
    conversation = {
        "title": "Rome",
        "create_time": 1715342000.0,
        "mapping": {each["id"]: each for each in nodes},
        "current_node": "code",
        "conversation_id": "c-1",
    }
    empty = {"title": "Loop", "mapping": {"a": node("a", "a", [], "user", "x")}, "current_node": "a", "id": "c-2"}
    path = write("conversations.json", [conversation, empty])
    assert format_of(path) == "chatgpt"
    observations, errors = broken(path)
    assert [(o.speaker, o.text) for o in observations] == [
        ("User", "Trip to Rome?"),
        ("Assistant", "Go in May."),
        ("User", "[image]\nThis one"),
        ("Assistant", "1+1"),
    ]
    assert {o.session for o in observations} == {"c-1"} and observations[0].key == "m-u1"
    assert observations[0].at == datetime(2024, 5, 10, 12, 0, 0, 250000, tzinfo=UTC)
    assert observations[1].meta == {"title": "Rome", "model": "gpt-4o"}
    assert observations[1].at == datetime.fromtimestamp(1715342000, UTC)  # that of the conversation
    assert "record 2: node 'a'" in errors[0].problem


def test_claude_export(write: Write) -> None:
    messages = [
        {
            "uuid": "u1",
            "text": "old",
            "content": [{"type": "text", "text": "Hello"}],
            "sender": "human",
            "created_at": "2024-05-10T12:00:00.123456Z",
            "attachments": [{"file_name": "a.txt", "extracted_content": "inside"}],
            "files": [{"file_name": "b.png"}],
        },
        {"uuid": "u2", "text": "Hi!", "content": [], "sender": "assistant", "created_at": "2024-05-10T12:00:05Z"},
        {"uuid": "u3", "text": "?", "sender": "martian"},
        {"uuid": "u4", "text": "", "sender": "human"},
    ]
    export = [{"uuid": "c1", "name": "Greeting", "account": {"uuid": "x"}, "chat_messages": messages}, {"uuid": "c2"}]
    path = write("conversations.json", export)
    assert format_of(path) == "claude"
    observations, errors = broken(path)
    first, second = observations
    assert first.text == "Hello\n[file a.txt]\ninside\n[file b.png]"
    assert (first.speaker, first.role, first.session, first.key) == ("User", "user", "c1", "u1")
    assert (second.speaker, second.text, second.meta) == ("Assistant", "Hi!", {"title": "Greeting"})
    assert [error.problem[:19] for error in errors] == ["record 1: message 3", "record 2: is not a "]


def locomo(sample: str) -> dict[str, Any]:
    conversation = {
        "speaker_a": "Caroline",
        "speaker_b": "Melanie",
        "session_10_date_time": "12:09 am on 13 September, 2023",
        "session_10": [{"speaker": "Melanie", "dia_id": "D10:1", "text": "Later", "role": "assistant"}],
        "session_1_date_time": "1:56 pm on 8 May, 2023",
        "session_1": [
            {"speaker": "Caroline", "dia_id": "D1:1", "text": "Hey Mel!"},
            {"speaker": "Melanie", "dia_id": "D1:2", "text": "Look", "blip_caption": "a dog", "img_url": ["u"]},
        ],
    }
    return {"qa": [{"question": "?", "evidence": ["D1:1"]}] * 50, "conversation": conversation, "sample_id": sample}


def test_locomo(write: Write) -> None:
    path = write("locomo.json", [locomo("conv-26")])
    assert format_of(path) == "locomo"
    first, second, third = read(path)
    at = datetime(2023, 5, 8, 13, 56, tzinfo=UTC)
    meta = {"sample": "conv-26", "dia_id": "D1:1"}
    assert first == Observation("Hey Mel!", "Caroline", "user", at, "session_1", str(path), "conv-26/D1:1", meta=meta)
    assert second.text == "Look [shares: a dog]"
    assert (third.role, third.session) == ("assistant", "session_10")
    assert list(read(write("locomo.json", locomo("conv-26")))) == [first, second, third]
    several = list(read(write("locomo.json", [locomo("a"), locomo("b")])))
    assert [o.session for o in several[::3]] == ["a/session_1", "b/session_1"]


def test_locomo_with_broken_turns(write: Write) -> None:
    sample = locomo("a")
    sample["conversation"] |= {"session_1_date_time": "whenever", "session_11": [{"speaker": "M"}], "session_12": 3}
    observations, errors = broken(write("l.json", [sample]))
    assert [o.text for o in observations] == ["Later"]
    assert [error.problem.split(":")[0] for error in errors] == [
        "record 1, session_1",
        "record 1, session_11, turn 1",
        "record 1, session_12",
    ]


# --- transcripts


def test_srt(write: Write) -> None:
    text = (
        "1\n00:00:01,500 --> 00:00:04,000\n<i>Hello</i>\nthere\n\n2\nbroken\n\n3\n01:00:00,000 --> 01:00:01,000\nBye\n"
    )
    observations, errors = broken(write("talk.srt", text))
    assert [(o.text, o.meta, o.at) for o in observations] == [
        ("Hello\nthere", {"offset": 1.5}, None),
        ("Bye", {"offset": 3600.0}, None),
    ]
    assert [error.line for error in errors] == [6]
    dated = list(read(write("talk 2024-05-10.srt", text), on_bad=lambda error: None))
    assert dated[0].at == datetime(2024, 5, 10, 0, 0, 1, 500000, tzinfo=UTC)


def test_webvtt_with_voices(write: Write) -> None:
    text = (
        "WEBVTT - Meeting\nKind: captions\n\nNOTE date: 2024-05-10T14:00:00Z\n\nSTYLE\n::cue { color: red }\n\n"
        "intro\n00:01.000 --> 00:04.000 align:start\n<v.loud Ana Diaz>Hi &amp; <b>welcome</b></v> <v Bo>Thanks\n\n"
        "00:05.000 --> 00:06.000\nNo name\n"
    )
    path = write("meeting.vtt", text)
    assert format_of(path) == "transcript"
    at = datetime(2024, 5, 10, 14, 0, 1, tzinfo=UTC)
    assert [(o.speaker, o.text, o.at) for o in read(path)] == [
        ("Ana Diaz", "Hi & welcome", at),
        ("Bo", "Thanks", at),
        (None, "No name", at + timedelta(seconds=4)),
    ]


def test_whatsapp(write: Write) -> None:
    text = (
        "10/05/2024, 12:03 - Messages and calls are end-to-end encrypted.\n"
        "10/05/2024, 12:04 - Ana: Look:\n  two lines\n\nand three\n11/05/2024, 09:00 - Bo Li: ok\n"
    )
    path = write("WhatsApp Chat with Ana.txt", text)
    assert format_of(path) == "transcript"
    observations = list(read(path))
    assert [(o.role, o.speaker, o.text) for o in observations] == [
        ("system", None, "Messages and calls are end-to-end encrypted."),
        ("user", "Ana", "Look:\n  two lines\n\nand three"),
        ("user", "Bo Li", "ok"),
    ]
    assert observations[1].at == datetime(2024, 5, 10, 12, 4, tzinfo=UTC)  # day first, as nothing decides


@pytest.mark.parametrize(
    ("lines", "days"),
    [
        ("[5/10/24, 1:03:07\u202fPM] Ana: a\n\u200e[5/13/24, 1:03:08 AM] \u200eBo: b", [(5, 10, 13), (5, 13, 1)]),
        ("5/10/24, 13:03 - Ana: a\n31/10/24, 01:03 - Bo: b", [(10, 5, 13), (10, 31, 1)]),
        ("[2024-05-10 13:03] Ana: a\n[2024-05-13 01:03:08] Bo: b", [(5, 10, 13), (5, 13, 1)]),
    ],
)
def test_the_order_of_day_and_month_is_decided_by_the_whole_file(
    write: Write, lines: str, days: list[tuple[int, int, int]]
) -> None:
    observations = list(read(write("chat.txt", lines)))
    assert [(o.at.month, o.at.day, o.at.hour) for o in observations if o.at] == days
    assert [(o.speaker, o.text) for o in observations] == [("Ana", "a"), ("Bo", "b")]


def test_clock_times_alone(write: Write) -> None:
    lines = "23:50 Ana: late\ngo on\n00:10 Bo: later\n"
    observations = list(read(write("log.txt", lines)))
    assert [(o.speaker, o.text, o.at, o.meta) for o in observations] == [
        ("Ana", "late\ngo on", None, {"time": "23:50"}),
        ("Bo", "later", None, {"time": "00:10"}),
    ]
    dated = list(read(write("log.txt", "Meeting of 2024-05-10\n" + lines)))
    assert (dated[0].role, dated[0].text) == ("document", "Meeting of 2024-05-10")
    assert [o.at for o in dated[1:]] == [
        datetime(2024, 5, 10, 23, 50, tzinfo=UTC),
        datetime(2024, 5, 11, 0, 10, tzinfo=UTC),
    ]


def test_a_stamp_that_does_not_exist(write: Write) -> None:
    lines = "31/02/2024, 12:03 - Ana: no\nlost with it\n01/03/2024, 12:03 - Ana: yes\n"
    observations, errors = broken(write("chat.txt", lines))
    assert [o.text for o in observations] == ["yes"] and [error.line for error in errors] == [1]


# --- CSV


def test_csv_with_guessed_columns(write: Write) -> None:
    path = write("m.csv", 'From;Message;Date;Mood\nAna;"a;\n""b""";2024-05-10 12:00;glad\n\nBo;;;\nbot;c;;\n')
    first, second = read(path)
    assert first == Observation(
        'a;\n"b"', "Ana", "user", datetime(2024, 5, 10, 12, tzinfo=UTC), source=str(path), meta={"Mood": "glad"}
    )
    assert (second.role, second.text) == ("assistant", "c")


def test_csv_with_a_map(write: Write) -> None:
    path = write("m.tsv", "who\tSaid\tthread no\trole\tx\tx\nAna\thi\t7\thuman\t1\t2\n")
    columns = {"speaker": "who", "text": "said", "session": "thread no", "role": "role"}
    assert list(read(path, columns=columns)) == [
        Observation("hi", "Ana", "user", session="7", source=str(path), meta={"x": "1", "x (6)": "2"})
    ]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (None, "--columns text=HEADER. The headers are: a, b"),
        ({"text": "c"}, "no header 'c'; the file has: a, b"),
        ({"body": "a"}, "'body' is not a field; use text, speaker, role, at, session, key"),
    ],
)
def test_csv_without_the_columns_needed(write: Write, columns: dict[str, str] | None, words: str) -> None:
    with pytest.raises(InputError) as caught:
        list(read(write("m.csv", "a,b\n1,2\n"), columns=columns))
    assert words in str(caught.value)


def test_csv_rows_that_are_broken(write: Write) -> None:
    text = b'id,text,date\n1,a,2024-05-10,extra\n2,b,never\n3,c,\n4\n5,"x"y,\n6,\xe9,\n7,d,\n'
    observations, errors = broken(write("m.csv", text))
    assert [(o.key, o.text) for o in observations] == [("3", "c"), ("7", "d")]
    assert [error.line for error in errors] == [2, 3, 5, 6, 7]


def test_csv_whose_header_is_broken(write: Write) -> None:
    with pytest.raises(InputError, match="header line cannot be read"):
        broken(write("m.csv", b"text,\xe9\na,b\n"))


def test_columns_are_for_csv(write: Write) -> None:
    with pytest.raises(InputError, match="columns are for CSV"):
        read(write("a.txt", "x"), columns={"text": "x"})


# --- recognition, and files that cannot be used


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.txt", "plain", "text"),
        ("a", "plain", "text"),
        ("a.dat", '[{"role": "user", "content": "x"}]', "openai"),
        ("a", '{"text": "x"}\n{"text": "y"}', "jsonl"),
        ("a.json", '{"text": "x"}\n{"text": "y"}', "jsonl"),
        ("a.jsonl", '[{"text": "x"},\n{"text": "y"}]', "openai"),
        ("a.ndjson", '{"text": "x"}', "jsonl"),
        ("a.xyz", "[1] a footnote, and no JSON", "text"),
        ("a.MD", "# x", "markdown"),
        ("a", "WEBVTT\n\n00:01.000 --> 00:02.000\nx", "transcript"),
        ("a.log", "12:03 Ana: x\n12:04 Bo: y", "transcript"),
        ("a.txt", "At 12:03 Ana: x\n\n12:04 the bus", "text"),
    ],
)
def test_recognition(write: Write, name: str, text: str, expected: str) -> None:
    assert format_of(write(name, text)) == expected


def test_format_can_be_forced(write: Write) -> None:
    path = write("a.md", "# A\ntext")
    assert said(path, format="text") == [(None, "# A\ntext")]
    with pytest.raises(InputError, match="format 'pdf' is not known; use one of chatgpt, claude"):
        read(path, format="pdf")
    with pytest.raises(InputError, match="not a JSON list or object"):
        list(read(path, format="chatgpt"))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.txt", "", "is empty"),
        ("a.txt", b"\xef\xbb\xbf \n\n", "is empty"),
        ("a.json", "[]", "an empty list is no JSON that is known"),
        ("a.json", '[{"foo": 1}]', "the keys 'foo'"),
        ("a.json", "[{", "cut short"),
        ("a.json", "hello", "not a JSON list or object"),
        ("a.json", "[" * 200_000, "nested deeper"),
        ("a.pdf", b"%PDF-1.7", "pdftotext"),
        ("a.zip", b"PK\x03\x04....", "unpack it"),
        ("a.bin", bytes(range(256)) * 4, "binary file, not text (control character 0x00 at byte 1"),
        ("a.txt", "words in utf-16".encode("utf-16-le"), "iconv -f UTF-16LE"),
        ("a.txt", "words".encode("utf-32"), "iconv -f UTF-32"),
        ("a.txt", "caf\xe9".encode("latin-1"), "line 1: byte 0xe9 at position 4 is not UTF-8"),
        ("a.txt", "one\ntwo\x00three, of a certain length", "line 2: the line has a NUL character at position 4"),
        ("a.txt", b"\xff\xfea\x00b", "line 1: broken UTF-16-LE"),
        ("a.txt", b"\xff\xfea\x00\x00\xd8b\x00", "line 1: broken UTF-16-LE"),
    ],
)
def test_files_that_cannot_be_used(write: Write, name: str, content: object, words: str) -> None:
    path = write(name, content)
    with pytest.raises(InputError) as caught:
        list(read(path))
    assert words in str(caught.value) and str(path) in str(caught.value)


def test_paths_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder; pass the files"):
        read(tmp_path)
    for path in (tmp_path / "none", "\x00", "a" * 5000, os.devnull, 3, "bad\udcff.txt"):
        with pytest.raises(InputError):
            read(path)  # type: ignore[arg-type]


# --- size


@pytest.mark.parametrize(
    ("name", "line"), [("a.jsonl", '{"text": "%s"}'), ("a.json", '[{"text": "%s"},'), ("a.txt", "%s")]
)
def test_a_record_over_the_limit_is_passed_over(
    write: Write, name: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memorist.sources.file.LARGEST", 1000)
    last = '{"text": "small"}' + ("]" if name == "a.json" else "")
    observations, errors = broken(write(name, line % ("x" * 200_000) + "\n" + last))
    assert [o.text for o in observations] == [last if name == "a.txt" else "small"]
    assert len(errors) == 1 and errors[0].line == 1 and "longer than 1000 bytes" in errors[0].problem


@pytest.mark.parametrize(
    ("name", "begin", "record", "end"),
    [
        ("big.jsonl", "", '{"role": "user", "content": "%s"}\n', ""),
        ("big.json", "[", '{"role": "user", "content": "%s"},\n', '{"role": "user", "content": "last"}]'),
        ("big.txt", "", "%s\n", ""),
        ("big.md", "", "%s\n", ""),
        ("big.csv", "text,a\n", "%s,b\n", ""),
    ],
)
def test_memory_does_not_grow_with_the_file(tmp_path: Path, name: str, begin: str, record: str, end: str) -> None:
    path = tmp_path / name
    block = record % ("Some words of a message \\n" * 400)
    with path.open("w") as stream:
        stream.write(begin)
        for _ in range((30 if "json" in name else 8) * 100):
            stream.write(block)
        stream.write(end)
    tracemalloc.start()
    try:
        assert sum(len(observation.text) for observation in read(path)) > 7_000_000
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


# --- the same file, the same observations


def test_reading_again_gives_the_same(write: Write) -> None:
    for name, content in (
        ("l.json", [locomo("a"), locomo("b")]),
        ("t.md", "# A\n" + "word " * 900),
        ("c.csv", "text,id\na,1\nb,2\n"),
        ("w.txt", "10/05/2024, 12:03 - Ana: a\n11/05/2024, 12:03 - Bo: b\n"),
    ):
        path = write(name, content)
        assert list(read(path)) == list(read(str(path)))
