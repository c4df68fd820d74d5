"""Sources under random input: whatever comes, they read it or say InputError, and say the same again."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from memorist.cube import Document, Observation, is_unicode
from memorist.errors import InputError, RecordError
from memorist.sources import FORMATS, LONGEST, from_document, from_messages, read, split_long
from memorist.sources.message import TEXT
from memorist.sources.moment import moment
from memorist.sources.pieces import split_text

SUFFIXES = ("", ".txt", ".md", ".json", ".jsonl", ".csv", ".tsv", ".srt", ".vtt", ".log", ".bin")
light = settings(max_examples=150, deadline=None)

wild_text = st.text(st.characters(), max_size=30) | st.sampled_from(
    ["\x00", "a\ud800", "\udc00", "1e999", "\u2028", ""]
)
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | wild_text | st.sampled_from([10**4000, 2**63, 1e308])
)
NAMES = (
    *TEXT, "role", "name", "speaker", "messages", "timestamp", "id", "session", "metadata", "tool_calls", "function",
    "type", "mapping", "current_node", "parent", "author", "parts", "chat_messages", "sender", "conversation",
    "session_1", "session_1_date_time", "dia_id", "blip_caption", "arguments", "create_time",
)  # fmt: skip
WORDS = (
    "user",
    "assistant",
    "tool",
    "text",
    "image_url",
    "tool_use",
    "tool_result",
    "2024-05-10",
    "a",
    "1:56 pm on 8 May, 2023",
)
names = st.sampled_from(NAMES) | wild_text
values = st.recursive(
    scalars | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=6),
    max_leaves=25,
)
messages = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "tool", "x"]), "content": values},
    optional=dict.fromkeys(("name", "timestamp", "id", "session", "metadata", "tool_calls"), values),
)


def check(observations: Iterable[Observation]) -> list[Observation]:
    """What holds for every observation, whatever it was made from."""
    gathered = list(observations)
    for each in gathered:
        assert each.text.strip() and "\x00" not in each.text and is_unicode(each.text)
        for name in (each.speaker, each.session, each.key, *each.meta):
            assert name is None or ("\x00" not in name and is_unicode(name))
        for value in each.meta.values():
            assert value is None or isinstance(value, (str, int, float, bool))
            assert not isinstance(value, float) or math.isfinite(value)
            assert not isinstance(value, str) or ("\x00" not in value and is_unicode(value))
        json.dumps(dict(each.meta))
    return gathered


def read_both(content: bytes, suffix: str, format: str | None = None) -> None:
    """Read strictly and with on_bad; each succeeds or says InputError, twice the same."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"file{suffix}"
        path.write_bytes(content)
        try:
            strict = check(read(path, format=format))
        except InputError:
            strict = None
        results: list[tuple[list[Observation], list[str]]] = []
        for _ in range(2):
            errors: list[RecordError] = []
            try:
                results.append(
                    (check(read(path, format=format, on_bad=errors.append)), [str(error) for error in errors])
                )
            except InputError as error:
                assert not isinstance(error, RecordError)  # these go to on_bad
                results.append(([], [str(error)]))
        assert results[0] == results[1]
        if strict is not None:
            assert results[0] == (strict, [])


@light
@given(st.binary(max_size=300), st.sampled_from(SUFFIXES), st.none() | st.sampled_from(FORMATS))
def test_random_bytes(content: bytes, suffix: str, format: str | None) -> None:
    read_both(content, suffix, format)


@light
@given(
    st.lists(
        st.sampled_from(
            [*'{}[],:"1a ;\t\n\\\x00\ufeffé', "\n\n", "\r\n", '"text"', "\\ud800", "NaN", "&#0;", "# ", "```", "---\n",
             "===\n", "WEBVTT", "NOTE date: ", "1\n00:00:01,000 --> 00:00:02,000\n", "<v Ana>", "text,at\n", "Ana: ",
             "[10/05/2024, 12:03] ", "31/31/2024, 25:03 - ", "12:99 Bo: "]
        ),
        max_size=40,
    ),
    st.sampled_from(SUFFIXES),
    st.none() | st.sampled_from(FORMATS),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"]),
)  # fmt: skip
def test_random_syntax(tokens: list[str], suffix: str, format: str | None, encoding: str) -> None:
    read_both("".join(tokens).encode(encoding, "replace"), suffix, format)


@light
@given(
    values | st.lists(values, max_size=3), st.sampled_from([".json", ".jsonl"]), st.none() | st.sampled_from(FORMATS)
)
def test_random_json_files(value: Any, suffix: str, format: str | None) -> None:
    read_both(json.dumps(value).encode(), suffix, format)


@light
@given(st.lists(messages | values, max_size=3))
def test_random_messages(given_messages: Any) -> None:
    try:
        check(from_messages(given_messages))
    except InputError as error:
        assert str(error).startswith("message ")


@light
@given(wild_text, st.none() | wild_text, st.dictionaries(names, values, max_size=3) | values)
def test_random_documents(text: str, title: str | None, meta: Any) -> None:
    with suppress(InputError):
        check(from_document(Document(text, title=title, meta=meta)))


@light
@given(values)
def test_random_times(value: Any) -> None:
    with suppress(InputError):
        at = moment(value)
        assert at is None or at.utcoffset() == timedelta(0)


@light
@given(st.text(st.sampled_from("ab .\n!\t\u3000。"), max_size=300), st.integers(1, 40))
def test_pieces_join_to_the_text(text: str, longest: int) -> None:
    pieces = split_text(text, longest)
    assert "".join(pieces) == text
    if text.strip():
        assert all(piece.strip() for piece in pieces)
    assert all(len(piece.strip()) <= longest for piece in pieces)


@light
@given(st.lists(st.text(st.sampled_from("word. \n"), max_size=40), max_size=40), st.integers(1, 30))
def test_long_observations_join_to_the_text(words: list[str], times: int) -> None:
    whole = Observation("x" + "".join(words) * times, key="k")
    parts = list(split_long([whole]))
    assert "".join(part.text for part in parts) == whole.text
    assert len(parts) == 1 or [part.key for part in parts] == [f"k#{i}" for i in range(1, len(parts) + 1)]
    assert list(split_long(parts)) == parts or any(len(part.text) > LONGEST for part in parts)


def test_nesting_bombs() -> None:
    for opening, closing in (("[", "]"), ('{"a":', "}"), ('[{"text":', "}]"), ('{"messages":[', "]}")):
        for depth in (150, 900, 20_000):
            for suffix in (".json", ".jsonl", ""):
                read_both((opening * depth + "1" + closing * depth).encode(), suffix)
                read_both((opening * depth).encode(), suffix)
    deep: Any = "x"
    for _ in range(100_000):
        deep = [deep]
    for field in ("content", "metadata", "timestamp", "name", "extra", "tool_calls"):
        with suppress(InputError):
            check(from_messages([{"role": "user", "content": "x", field: deep}]))
