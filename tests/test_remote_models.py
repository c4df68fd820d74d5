"""Models behind endpoints: real HTTP, every way to fail, no key anywhere.

Anthropic, Gemini and Azure cannot be reached from where this is built: their answers here are written by hand after the
vendors' public API references, and served by a local server.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
import traceback
from datetime import datetime, timezone

import pytest

from endpoint import (
    TEXT,
    completion,
    cut,
    drip,
    event,
    events,
    hang_up,
    sends,
    served,
    silent,
    status,
    well,
)
from memorist import Memory
from memorist.errors import BadReply, MemoristError, ModelBusy, ModelMissing, ModelRefused, ModelUnreachable
from memorist.lifecycle.logged import Logged
from memorist.models.chat import Message, Reply, Request, Tool
from memorist.models.remote import Endpoint, RemoteModel
from memorist.models.structured import structured
from memorist.models.trial import Person
from worker import open_memory

KEY = "sk-canary-7f3a91c2"
ASKED = Request((Message("system", "Be short."), Message("user", "Where does Ana live?")), prompt="test/1")
NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
DONE = b"data: [DONE]\n\n"
SCHEMA = sends(completion('{"nom": "Ana"}'), events(['{"nom": ', '"Ana"}']))

BEHAVIOURS = {
    "well": well,
    "busy": status(429, Retry_After="100"),
    "broken": status(500),
    "drip": drip,
    "silent": silent,
    "cut": cut,
    "hang": hang_up,
    "utf8": sends(
        completion().replace(b"Lisbon", b"Lisb\xff\xfen"), [event({"content": "Lisbon"}).replace(b"Lis", b"\xff\xfe")]
    ),
    "big": sends(completion("x" * 10_000_000), [event({"content": "x" * 10_000})] * 1_000),
    "page": sends(b"<html>Not here</html>"),
    "odd": sends(b'{"choices": 5}'),
    "schema": SCHEMA,
    "refusal": sends(
        completion(None, refusal="I will not say."), [event({"refusal": "I will not say."}), event({}, "stop"), DONE]
    ),
    "filter": sends(completion("", "content_filter"), [event({}, "content_filter"), DONE]),
    "empty": sends(completion(""), events([""])),
    "denied": status(401),
    "unknown": status(404),
}


@pytest.fixture(scope="module")
def server():
    with served(dict(BEHAVIOURS)) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def libraries_loaded(server):
    """The first call imports the client library; deadlines below are about the endpoint."""
    remote(server, "well").reply(ASKED, seconds=30)


def remote(server, way, vendor="openai", model="m"):
    return RemoteModel(f"{vendor}:{way}", Endpoint(vendor, model, server.url(way), KEY))


FAULTS = [
    ("busy", ModelBusy, "wait 100 s"),
    ("broken", ModelUnreachable, "500"),
    ("drip", ModelUnreachable, "within 2 s"),
    ("silent", ModelUnreachable, "within 2 s"),
    ("cut", ModelUnreachable, "closed"),
    ("hang", (ModelUnreachable, BadReply), "broke off|protocol"),
    ("utf8", BadReply, "UTF-8"),
    ("big", BadReply, "2,000,000"),
    ("page", BadReply, "protocol"),
    ("odd", BadReply, "protocol"),
    ("refusal", ModelRefused, "I will not say"),
    ("filter", ModelRefused, "policy"),
    ("empty", BadReply, "empty"),
    ("denied", ModelRefused, "key"),
    ("unknown", ModelRefused, "404"),
    ("down", ModelUnreachable, "no connection"),
]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("way", "error", "told"), FAULTS, ids=[way for way, *_ in FAULTS])
def test_each_fault_is_its_error_within_its_deadline(server, tmp_path, way, error, told, streamed):
    url = server.url(way) if way != "down" else "http://127.0.0.1:9/v1"
    model = RemoteModel(f"openai:{way}", Endpoint("openai", "m", url, KEY))
    with open_memory(tmp_path / "memory.db") as memory:
        scope = memory.scope(user="ana")
        scope.add("I live in Lisbon.")
        before = [record for record in memory._store.dump() if record["record"] == "episode"]
        logged = Logged(model, memory._store, scope.scope, "test", [1], lambda: NOW)
        begin = time.monotonic()
        with pytest.raises(error, match=told) as caught:
            list(logged.stream(ASKED, seconds=2)) if streamed else logged.reply(ASKED, seconds=2)
        assert time.monotonic() - begin < 2.7
        assert caught.value.model == f"openai:{way}"
        after = list(memory._store.dump())
        assert [record for record in after if record["record"] == "episode"] == before
        (kept,) = [record for record in after if record["record"] == "reply"]
        assert kept["error"].startswith(type(caught.value).__name__)
        assert memory.verify().ok
    if isinstance(caught.value, BadReply):
        assert 0 < len(caught.value.raw) <= 20_000
        assert kept["text"] == caught.value.raw.replace("\x00", "\ufffd")
    if isinstance(caught.value, ModelBusy):
        assert caught.value.retry_after == 100


def test_a_wrong_schema_is_a_bad_reply_after_one_repair(server):
    seen = len(server.seen)
    with pytest.raises(BadReply, match="Person") as caught:
        structured(remote(server, "schema"), ASKED, Person, seconds=10)
    assert caught.value.raw == '{"nom": "Ana"}'
    assert len(server.seen) == seen + 2
    body = server.seen[-1][2]
    assert body["response_format"]["json_schema"]["schema"]["required"] == ["name", "age"]
    assert "nom" in body["messages"][-1]["content"]


def test_it_waits_as_long_as_it_is_asked_and_tries_again():
    with served({"busy": status(429, 1, Retry_After="1"), "broken": status(503, 2)}) as server:
        begin = time.monotonic()
        assert remote(server, "busy").reply(ASKED, seconds=10).text == TEXT
        assert 1 <= time.monotonic() - begin < 4
        assert remote(server, "broken").reply(ASKED, seconds=20).text == TEXT
        assert [way for way, *_ in server.seen] == ["busy", "busy", "broken", "broken", "broken"]


def test_a_whole_reply_and_a_streamed_one(server):
    model = remote(server, "well")
    whole = model.reply(ASKED)
    assert (whole.text, whole.model, whole.finish, whole.recorded) == (TEXT, "openai:well", "stop", False)
    assert (whole.usage.prompt_tokens, whole.usage.reply_tokens, whole.usage.calls) == (12, 5, 1)
    assert whole.usage.cost is None  # nobody knows the price of an endpoint of one's own
    *pieces, last = model.stream(ASKED)
    assert len(pieces) > 1
    assert "".join(pieces) == last.text
    assert (last.usage.prompt_tokens, last.usage.reply_tokens) == (12, 5)
    _, headers, body = server.seen[-1]
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["accept-encoding"] == "identity"
    assert [turn["role"] for turn in body["messages"]] == ["system", "user"]
    assert (body["temperature"], body["seed"], body["model"]) == (0.0, 0, "m")


def test_cancelling_ends_a_call_at_once(server):
    for way in ("silent", "drip"):
        cancel = threading.Event()
        threading.Timer(0.3, cancel.set).start()
        begin = time.monotonic()
        with pytest.raises(ModelUnreachable, match="cancelled"):
            list(remote(server, way).stream(ASKED, seconds=60, cancel=cancel))
        assert time.monotonic() - begin < 1.5


def test_an_abandoned_stream_ends(server):
    stream = remote(server, "drip").stream(ASKED, seconds=60)
    assert next(stream) == "a "
    stream.close()


def test_many_threads_share_a_model(server):
    model = remote(server, "well")
    replies: list[str] = []
    threads = [threading.Thread(target=lambda: replies.append(model.reply(ASKED).text)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert replies == [TEXT] * 8


TOOL = Tool("weather", "The weather.", {"type": "object", "properties": {"city": {"type": "string"}}})


def test_tool_calls_go_out_and_come_back():
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}
    with served({"tools": sends(completion(None, "tool_calls", tool_calls=[call]))}) as server:
        model = remote(server, "tools")
        reply = model.reply(Request((Message("user", "Weather?"),), tools=(TOOL,)))
        assert reply.finish == "tools"
        (made,) = reply.calls
        assert (made.id, made.name, json.loads(made.arguments)) == ("c1", "weather", {"city": "Paris"})
        back = Message("tool", "Sunny", call_id="c1")
        said = Message("assistant", "", reply.calls)
        model.reply(Request((Message("user", "Weather?"), said, back), tools=(TOOL,)))
        turns = server.seen[-1][2]["messages"]
        assert turns[1]["tool_calls"][0]["function"]["name"] == "weather"
        assert (turns[2]["role"], turns[2]["tool_call_id"], turns[2]["content"]) == ("tool", "c1", "Sunny")


# Written by hand after the vendors' references, see above.

ANTHROPIC = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-4-5",
    "content": [{"type": "text", "text": TEXT}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 12, "output_tokens": 5},
}
GEMINI = {
    "candidates": [
        {"content": {"parts": [{"text": TEXT}], "role": "model"}, "finishReason": "STOP", "index": 0},
    ],
    "usageMetadata": {"promptTokenCount": 12, "candidatesTokenCount": 5, "totalTokenCount": 17},
    "modelVersion": "gemini-2.5-flash",
    "responseId": "r",
}


def replay(answer):
    return lambda handler, body: handler.answer(200, json.dumps(answer).encode())


@pytest.mark.parametrize(
    ("vendor", "model", "answer", "header"),
    [
        ("anthropic", "claude-haiku-4-5", ANTHROPIC, "X-Api-Key"),
        ("gemini", "gemini-2.5-flash", GEMINI, "X-Goog-Api-Key"),
        ("azure", "gpt-4o", json.loads(completion()), "Api-Key"),
    ],
)
def test_the_vendors_that_cannot_be_reached(vendor, model, answer, header):
    with served({vendor: replay(answer), "busy": status(429, Retry_After="99"), "denied": status(401)}) as server:
        base = f"http://127.0.0.1:{server.server_port}"
        end = "/openai/v1/" if vendor == "azure" else ""
        reply = RemoteModel("x", Endpoint(vendor, model, f"{base}/{vendor}{end}", KEY)).reply(ASKED)
        assert reply.text == TEXT
        assert (reply.usage.prompt_tokens, reply.usage.reply_tokens) == (12, 5)
        sent = server.seen[0][1]
        assert KEY in (sent.get(header.lower()), sent.get("authorization", "").removeprefix("Bearer "))
        for way, error in (("busy", ModelBusy), ("denied", ModelRefused)):
            with pytest.raises(error):
                RemoteModel("x", Endpoint(vendor, model, f"{base}/{way}{end}", KEY)).reply(ASKED, seconds=5)


def test_a_price_that_is_known():
    from memorist.models.vendors import Call, client

    endpoint = Endpoint("openai", "gpt-4o-mini", None, KEY)
    model, http = client(endpoint)
    from pydantic_ai.messages import ModelResponse, TextPart
    from pydantic_ai.usage import RequestUsage

    response = ModelResponse(
        [TextPart("hi")], usage=RequestUsage(input_tokens=1_000_000), model_name="gpt-4o-mini", provider_name="openai"
    )
    assert Call("x", endpoint, model, ASKED, None)._cost(response) == pytest.approx(0.15)
    import asyncio

    asyncio.run(http.aclose())


@pytest.mark.parametrize("vendor", ["openai", "anthropic", "gemini", "azure"])
def test_the_key_is_nowhere(vendor, tmp_path, caplog):
    """The endpoint echoes the key in its errors and its replies."""
    caplog.set_level(logging.DEBUG)

    def echo(handler, body):
        seen = " ".join(handler.headers.values())
        handler.answer(400, json.dumps({"error": {"message": f"bad {seen}", "code": 400}, "key": KEY}).encode())

    def garbage(handler, body):
        handler.answer(200, f"not json {' '.join(handler.headers.values())}".encode())

    shown: list[str] = []
    with served({"echo": echo, "garbage": garbage, "denied": status(401)}) as server:
        with open_memory(tmp_path / "memory.db") as memory:
            scope = memory.scope(user="ana")
            scope.add("I live in Lisbon.")
            for way in ("echo", "garbage", "denied", "down"):
                port = server.server_port if way != "down" else 9
                end = "/openai/v1/" if vendor == "azure" else ""
                endpoint = Endpoint(vendor, "m", f"http://127.0.0.1:{port}/{way}{end}", KEY)
                model = RemoteModel("x", endpoint)
                logged = Logged(model, memory._store, scope.scope, "test", [1], lambda: NOW)
                with pytest.raises(MemoristError) as caught:
                    logged.reply(ASKED, seconds=3)
                shown += [repr(caught.value), *traceback.format_exception(caught.value), repr(vars(caught.value))]
                shown += [repr(model), repr(endpoint), model.name, model.identity, repr(logged)]
            assert len(memory.costs()) == 1
            memory.export(tmp_path / "export.jsonl")
            shown += [str(memory.costs()), json.dumps(list(memory._store.dump()))]
        assert [way for way, *_ in server.seen][:1] == ["echo"]
        assert KEY in str(server.seen[0][1])
    shown += [caplog.text, *(path.read_bytes().decode("latin-1") for path in tmp_path.iterdir())]
    assert all(KEY not in text for text in shown)


def test_without_the_client_library_it_says_what_to_install(monkeypatch):
    import sys

    for name in [name for name in sys.modules if name.startswith("memorist.models.vendors")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pydantic_ai", None)
    with pytest.raises(ModelMissing, match=r"memorist\[remote\]"):
        RemoteModel("openai:x", Endpoint("openai", "x", None, KEY)).reply(ASKED)


def test_recorded_calls_need_no_endpoint(server, tmp_path):
    model = remote(server, "well")
    path = tmp_path / "memory.db"
    with open_memory(path) as memory:
        scope = memory.scope(user="ana")
        scope.add("I live in Lisbon.")
        first = Logged(model, memory._store, scope.scope, "ask", [1], lambda: NOW).reply(ASKED)
        memory.export(tmp_path / "export.jsonl")
    seen = len(server.seen)
    with Memory.load(tmp_path / "export.jsonl", tmp_path / "copy.db") as memory:
        logged = Logged(model, memory._store, memory.scope(user="ana").scope, "ask", [1], lambda: NOW)
        again = logged.reply(ASKED)
        assert (again.text, again.recorded, again.usage.calls) == (first.text, True, 0)
        assert [item if isinstance(item, str) else item.recorded for item in logged.stream(ASKED)] == [TEXT, True]
        (line,) = memory.costs()
        assert (line.used.calls, line.saved.calls, line.saved.reply_tokens) == (1, 2, 10)
    assert len(server.seen) == seen
    assert isinstance(again, Reply)
    assert os.environ.get("OPENAI_API_KEY") != KEY
