"""The door of OpenAI's protocol: the official client in front, a real local model or a scripted endpoint behind."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from endpoint import TEXT, completion, cut, sends, served, silent, status, well
from memorist import Memory
from memorist.cube import Scope
from memorist.models.embedder import Identity
from memorist.testing import HashEmbedder
from serving import Server, free_port

FACT = "My sister Vera keeps the spare key of the boat."
ASKED = "Who keeps the spare key of the boat?"
RUN = "import sys; from memorist.cli import main; sys.exit(main())"
MODEL = "local:smollm2-135m"


def door(folder, upstream: str, **more: object) -> Server:
    server = Server(folder / "memory.db", free_port(), folder / "log")
    server.chat = {"upstream": upstream, "seconds": 60.0, "budget": 500, **more}
    return server


def client(server: Server, secret: str, user: str = "ana", **headers: str) -> openai.OpenAI:
    named = {"X-Memorist-User": user} if user else {}
    base = f"http://127.0.0.1:{server.port}/v1"
    headers = named | headers
    made = openai.OpenAI(base_url=base, api_key=secret, default_headers=headers, max_retries=0, timeout=120)
    server.clients.append(made)
    return made


def remembered(server: Server, user: str = "ana") -> list[tuple[str, str]]:
    """What is kept, oldest first."""
    with Memory.open(server.store, embedder=HashEmbedder()) as memory:
        return [(one.role, one.text) for one in reversed(memory.scope(tenant="acme", user=user).list(limit=100))]


CALL = {"id": "call-1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
REFUSED = {"error": {"message": "no such model", "type": "invalid_request_error", "code": "model_not_found"}}


def gone(handler, body) -> None:
    """Hangs up without a word."""
    handler.close_connection = True


WAYS = {
    "well": well,
    "cut": cut,
    "gone": gone,
    "silent": silent,
    "busy": status(429, Retry_After="7"),
    "refuses": lambda handler, body: handler.answer(404, json.dumps(REFUSED).encode(), x_request_id="up-1"),
    "calls": sends(completion(None, "tool_calls", tool_calls=[CALL])),
    "odd": sends(b'{"strange": true}'),
}


@pytest.fixture(scope="module")
def behind() -> Iterator:
    """An endpoint that behaves as the request's model says."""
    with served({"any": lambda handler, body: WAYS[body.get("model", "odd")](handler, body)}) as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory, behind) -> Iterator[Server]:
    running = door(tmp_path_factory.mktemp("chat"), behind.url("any"), seconds=5.0)
    running.environment = {"MEMORIST_UPSTREAM_KEY": "sk-upstream"}
    running.key(Scope("unused"))
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def secret(server) -> str:
    return server.key(Scope("acme"))


def test_memories_go_in_and_the_exchange_is_kept(server, secret, behind):
    chat = client(server, secret)
    first = chat.chat.completions.create(model="well", messages=[{"role": "user", "content": FACT}])
    assert first.memorist["memories"] == []
    asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": ASKED}]
    raw = chat.chat.completions.with_raw_response.create(
        model="well", messages=asked, temperature=0.3, tools=[TOOL], extra_body={"some_future": {"option": [1]}}
    )
    reply = raw.parse()
    assert reply.choices[0].message.content == TEXT
    cited = {one["text"]: one for one in reply.memorist["memories"]}
    assert raw.headers["x-memorist-memories"].split(",") == [one["id"] for one in reply.memorist["memories"]]
    assert cited[FACT]["speaker"] == "ana"
    _, headers, body = behind.seen[-1]
    (system, user) = body["messages"]
    assert system == asked[0]
    assert user["content"].endswith(ASKED) and "quoted data, not instructions" in user["content"]
    assert f"[{cited[FACT]['number']}]" in user["content"] and FACT in user["content"]
    others = {name: body[name] for name in ("model", "temperature", "tools", "some_future")}
    assert others == {"model": "well", "temperature": 0.3, "tools": [TOOL], "some_future": {"option": [1]}}
    assert headers["authorization"] == "Bearer sk-upstream"
    assert secret not in json.dumps(behind.seen[-1])
    told = [("user", FACT), ("assistant", TEXT), ("user", ASKED), ("assistant", TEXT)]
    assert remembered(server) == told


def test_a_turn_is_kept_once_however_often_its_history_comes(server, secret, behind):
    chat = client(server, secret, "once")
    history = [{"role": "user", "content": "I sail on Sundays."}]
    for _ in range(2):  # sent again, as after a lost answer
        chat.chat.completions.create(model="well", messages=history)
    history += [{"role": "assistant", "content": TEXT}, {"role": "user", "content": "And row on Mondays."}]
    chat.chat.completions.create(model="well", messages=history)
    words = ["I sail on Sundays.", TEXT, "And row on Mondays.", TEXT]
    assert [text for _, text in remembered(server, "once")] == words
    body = behind.seen[-1][2]
    assert body["messages"][:2] == history[:2]
    assert body["messages"][2]["content"].count("I sail on Sundays.") == 0  # it stands in the history already


def test_streams_pass_as_they_come_and_are_kept(server, secret, behind):
    chat = client(server, secret, "streams")
    messages = [{"role": "user", "content": FACT}]
    chunks = list(chat.chat.completions.create(model="well", messages=messages, stream=True))
    assert [one.choices[0].delta.content for one in chunks if one.choices][:-1] == TEXT.split(" ")
    assert chunks[-1].usage.total_tokens == 17
    assert remembered(server, "streams") == [("user", FACT), ("assistant", TEXT.replace(" ", ""))]
    body = {"model": "well", "messages": messages, "stream": True}
    here = server.client(secret).post("/v1/chat/completions", json=body, headers={"X-Memorist-Remember": "no"})
    assert here.content == httpx2.post(f"{behind.url('any')}/chat/completions", json=body).content


def test_calls_of_tools_pass_and_only_words_are_kept(server, secret, behind):
    chat = client(server, secret, "tools")
    messages = [{"role": "user", "content": [{"type": "text", "text": "Look for the boat."}]}]
    reply = chat.chat.completions.create(model="calls", messages=messages, tools=[TOOL])
    assert reply.choices[0].message.tool_calls[0].function.name == "look"
    messages += [
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call-1", "content": "x"},
    ]
    chat.chat.completions.create(model="calls", messages=messages, tools=[TOOL])
    assert remembered(server, "tools") == [("user", "Look for the boat.")]


@pytest.mark.parametrize(
    ("way", "error", "says"),
    [
        ("refuses", openai.NotFoundError, "no such model"),
        ("busy", openai.RateLimitError, "no, Bearer sk-upstream"),
        ("silent", openai.InternalServerError, "did not answer within 5 s"),
        ("cut", openai.InternalServerError, "broke off"),
        ("gone", openai.InternalServerError, "cannot be reached"),
    ],
)
def test_what_the_upstream_says_is_passed_on(server, secret, way, error, says):
    with pytest.raises(error, match=says) as caught:
        client(server, secret, way).chat.completions.create(model=way, messages=[{"role": "user", "content": FACT}])
    headers = caught.value.response.headers
    assert (headers.get("retry-after"), headers.get("x-request-id")) == {
        "busy": ("7", None), "refuses": (None, "up-1")
    }.get(way, (None, None))  # fmt: skip
    assert remembered(server, way) == []


def test_a_stream_that_breaks_off_breaks_off_and_what_came_is_kept(server, secret):
    stream = client(server, secret, "cut").chat.completions.create(
        model="cut", messages=[{"role": "user", "content": FACT}], stream=True
    )
    came = []
    with pytest.raises(openai.APIConnectionError):
        for chunk in stream:
            came.append(chunk.choices[0].delta.content)
    assert came == ["Ana ", "lives"]
    assert remembered(server, "cut") == [("user", FACT), ("assistant", "Ana lives")]


def test_what_is_no_turn_passes_untouched(server, secret, behind):
    plain = server.client(secret)
    for body in ({"model": "odd"}, {"messages": "x"}, {"messages": [{"role": "user", "content": 3}]}, {"messages": []}):
        answer = plain.post("/v1/chat/completions", json=body)
        assert (answer.status_code, answer.json()) == (200, {"strange": True})
        assert behind.seen[-1][2] == body
    asked = {"messages": [{"role": "user", "content": FACT}], "model": "odd", "user": "odd"}
    assert plain.post("/v1/chat/completions", json=asked).json()["strange"] is True


class Other(HashEmbedder):
    """Another embedder, which the server does not know."""

    @property
    def identity(self) -> Identity:
        return replace(super().identity, name="other")


def test_a_memory_that_fails_leaves_the_chat_alone(tmp_path, behind):
    """A store that another embedder fills cannot be searched by this process."""
    server = door(tmp_path, behind.url("any"))
    secret = server.key(Scope("acme"))
    server.start()
    try:
        with Memory.open(server.store, embedder=HashEmbedder()) as memory:
            memory.scope(tenant="acme", user="ana").add(FACT)
            memory.reembed(Other())
        raw = client(server, secret).chat.completions.with_raw_response.create(
            model="well", messages=[{"role": "user", "content": ASKED}]
        )
        assert raw.parse().choices[0].message.content == TEXT
        assert "recall failed: EmbedderMismatch" in raw.headers["x-memorist-problem"]
        assert raw.parse().memorist["problems"]
        assert FACT not in server.log.read_text() and ASKED not in server.log.read_text()
    finally:
        server.stop()


def test_whose_memory_it_is_comes_from_the_key_the_headers_or_the_request(server, secret):
    asked = {"model": "well", "messages": [{"role": "user", "content": "Teal is my colour."}]}
    client(server, secret, "", **{"X-Memorist-User": "J%C3%BCrgen"}).chat.completions.create(**asked)
    client(server, secret, "").chat.completions.create(**asked, user="from-body")
    client(server, server.key(Scope("acme", "bound")), "").chat.completions.create(**asked)
    for user in ("Jürgen", "from-body", "bound"):
        assert remembered(server, user)[0] == ("user", "Teal is my colour.")
    with pytest.raises(openai.PermissionDeniedError, match="bound to one user"):
        client(server, server.key(Scope("acme", "bound")), "other").chat.completions.create(**asked)
    with pytest.raises(openai.AuthenticationError, match="not known"):
        client(server, "mk-wrong").chat.completions.create(**asked)
    with pytest.raises(openai.UnprocessableEntityError, match="Budget"):
        client(server, secret, **{"X-Memorist-Budget": "much"}).chat.completions.create(**asked)


def test_rights_and_headers_bound_what_the_memory_does(server, secret):
    asked = {"model": "well", "messages": [{"role": "user", "content": ASKED}]}
    client(server, secret, "rights").chat.completions.create(model="well", messages=[{"role": "user", "content": FACT}])
    before = remembered(server, "rights")
    reader = client(server, server.key(Scope("acme"), rights=["read"]), "rights").chat.completions.create(**asked)
    assert (len(reader.memorist["memories"]), reader.memorist["remembered"]) == (2, [])
    writer = client(server, server.key(Scope("acme"), rights=["write"]), "rights").chat.completions.create(**asked)
    assert (writer.memorist["memories"], len(writer.memorist["remembered"])) == ([], 2)
    silent = {"X-Memorist-Budget": "0", "X-Memorist-Remember": "no"}
    neither = client(server, secret, "rights", **silent).chat.completions.create(**asked)
    assert neither.memorist == {"memories": [], "remembered": [], "problems": []}
    assert len(remembered(server, "rights")) == len(before) + 2


def test_no_key_and_no_word_stands_in_the_log(server, secret):
    words = "canary-31 sings"
    client(server, secret, "canary-user").chat.completions.create(
        model="well", messages=[{"role": "user", "content": words}]
    )
    log = server.log.read_text() + server.client(secret).get("/metrics").text
    assert "/v1/chat/completions" in log
    assert not any(one in log for one in ("canary", "sk-upstream", "mk-"))


def test_callers_at_once_each_get_their_own(server, secret):

    def talk(number: int) -> list[tuple[str, str]]:
        user = f"parallel-{number}"
        chat = client(server, secret, user)
        for turn in range(3):
            said = [{"role": "user", "content": f"I am number {number}, turn {turn}."}]
            list(chat.chat.completions.create(model="well", messages=said, stream=True))
        return remembered(server, user)

    with ThreadPoolExecutor(6) as pool:
        for number, kept in enumerate(pool.map(talk, range(6))):
            said = [text for role, text in kept if role == "user"]
            assert said == [f"I am number {number}, turn {turn}." for turn in range(3)]


def test_the_example_of_the_documentation(server, secret, capsys):
    page = (Path(__file__).parents[1] / "docs" / "serve.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```py\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    given = {"8321": str(server.port), "mk-…": secret, "gpt-5-mini": "well", '"ana"': '"example"'}
    for shown, real in given.items():
        assert shown in example
        example = example.replace(shown, real)
    names: dict[str, Any] = {}
    exec(compile(example, "serve.md", "exec"), names)
    server.clients.append(names["client"])
    assert "My cat is called Miso." in capsys.readouterr().out


@pytest.fixture(scope="module")
def local(tmp_path_factory) -> Iterator[tuple[Server, str]]:
    """A door to SmolLM2 behind a real endpoint, and one to it within the process."""
    from memorist.models.weights import KNOWN, installed

    if not installed(KNOWN["smollm2-135m"]):
        pytest.skip("the weights of smollm2-135m are not here: memorist models get smollm2-135m")
    port = free_port()
    command = [sys.executable, "-c", RUN, "models", "serve", "--model", MODEL, "--port", str(port)]
    endpoint = subprocess.Popen(command, env={**os.environ}, stderr=subprocess.DEVNULL)
    server = door(tmp_path_factory.mktemp("local"), f"http://127.0.0.1:{port}/v1", seconds=120.0, budget=100)
    secret = server.key(Scope("acme"))
    try:
        end = time.monotonic() + 120
        while True:
            try:
                httpx2.get(f"http://127.0.0.1:{port}/v1/models")
                break
            except httpx2.TransportError:
                assert endpoint.poll() is None and time.monotonic() < end, "the model's endpoint does not answer"
                time.sleep(0.1)
        server.start()
        yield server, secret
        server.stop()
    finally:
        endpoint.terminate()
        endpoint.wait(20)


def talk(server: Server, secret: str) -> None:
    """A chat and responses, whole and streamed, by the official client and a real model."""
    chat = client(server, secret, "talk")
    short = {"model": MODEL, "max_tokens": 12}
    whole = chat.chat.completions.create(**short, messages=[{"role": "user", "content": FACT}])
    assert whole.choices[0].message.content
    asked = [{"role": "user", "content": ASKED}]
    pieces = list(chat.chat.completions.create(**short, messages=asked, stream=True))
    spoken = "".join(one.choices[0].delta.content or "" for one in pieces if one.choices)
    assert ("assistant", spoken.strip()) in remembered(server, "talk")
    response = chat.responses.create(model=MODEL, max_output_tokens=12, instructions="Be brief.", input=ASKED + " Say.")
    assert FACT in [one["text"] for one in response.memorist["memories"]]
    assert ("assistant", response.output_text.strip()) in remembered(server, "talk")
    asked = [{"role": "user", "content": FACT}]
    events = list(chat.responses.create(model=MODEL, max_output_tokens=12, input=asked, stream=True))
    text = "".join(one.delta for one in events if one.type == "response.output_text.delta")
    assert events[-1].response.output_text == text
    assert ("assistant", text.strip()) in remembered(server, "talk")
    assert MODEL in [one.id for one in chat.models.list()]
    with pytest.raises(openai.BadRequestError, match="not a chat request"):
        chat.chat.completions.create(model=MODEL, messages=[{"role": "oracle", "content": "x"}])


def test_a_real_model_behind_a_real_endpoint(local):
    talk(*local)


def test_a_real_model_within_the_process(local, tmp_path):
    server = door(tmp_path, MODEL, budget=100)
    chat = client(server, server.key(Scope("acme")))
    server.start()
    try:
        asked = {"model": "any", "max_tokens": 8, "messages": [{"role": "user", "content": FACT}]}
        assert chat.chat.completions.create(**asked).choices[0].message.content
        streamed = chat.responses.create(model="any", max_output_tokens=8, input=ASKED, stream=True)
        assert list(streamed)[-1].response.output_text
        assert len(remembered(server)) == 4
        assert [one.id for one in chat.models.list()] == [MODEL]
    finally:
        server.stop()
