"""Answers that stream, and traces that reach a collector, from a real server process."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx2
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from endpoint import served, status, well
from memorist.cube import Scope
from serving import Server, free_port

FACT = "My sister Vera keeps the spare key of the boat."
ASKED = "Who keeps the spare key of the boat?"


def told(answer: httpx2.Response) -> list[tuple[str, dict]]:
    """The events of a stream."""
    blocks = [dict(line.split(": ", 1) for line in block.splitlines()) for block in answer.text.strip().split("\n\n")]
    return [(block["event"], json.loads(block["data"])) for block in blocks]


class Collector(HTTPServer):
    """Takes traces."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        super().__init__(("127.0.0.1", 0), Taking)

    def spans(self) -> list:
        requests = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        return [
            span
            for request in requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


class Taking(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    taking = Collector()
    thread = threading.Thread(target=taking.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield taking
    taking.shutdown()
    thread.join()
    taking.server_close()


def test_an_answer_streams_and_a_request_is_traced_through_the_model(tmp_path, collector):
    with served({"well": well}) as behind:
        server = Server(tmp_path / "memory.db", free_port(), tmp_path / "log")
        server.chat = {"upstream": behind.url("well")}
        server.traces = f"http://127.0.0.1:{collector.server_port}/v1/traces"
        client = server.client(server.key(Scope("acme")))
        server.start()
        client.post("/v1/memories", json={"content": FACT, "user": "canary-user"})
        events = told(client.post("/v1/ask/stream", json={"question": ASKED, "user": "canary-user"}))
        wrong = told(client.post("/v1/ask/stream", json={"question": " ", "user": "canary-user"}))
        caller = "4bf92f3577b34da6a3ce929d0e0e4736"
        client.post(
            "/v1/chat/completions",
            json={"model": "canary", "messages": [{"role": "user", "content": "canary " + ASKED}]},
            headers={"traceparent": f"00-{caller}-00f067aa0ba902b7-01"},
        )
        server.stop()
    assert [name for name, _ in events] == ["text", "answer"]
    assert (events[1][1]["known"], events[1][1]["citations"][0]["text"]) == (True, FACT)
    assert [(name, data["type"]) for name, data in wrong] == [("problem", "urn:memorist:input-error")]
    spans = {span.name: span for span in collector.spans()}
    assert {"POST /v1/memories", "POST /v1/ask/stream", "POST /v1/chat/completions"} <= set(spans)
    chat = spans["POST /v1/chat/completions"]
    assert chat.trace_id.hex() == caller
    for step in ("recall", "upstream", "remember"):
        assert (spans[step].trace_id, spans[step].parent_span_id) == (chat.trace_id, chat.span_id)
    _, headers, _ = behind.seen[-1]
    assert headers["traceparent"] == f"00-{caller}-{spans['upstream'].span_id.hex()}-01"
    assert collector.bodies and not any(b"canary" in body or b"Vera" in body for body in collector.bodies)


def test_a_model_of_the_server_that_fails_leaves_a_quoted_answer(tmp_path):
    with served({"refuses": status(400)}) as behind:
        server = Server(tmp_path / "memory.db", free_port(), tmp_path / "log")
        server.model = f"{behind.url('refuses')}#m"
        client = server.client(server.key(Scope("acme")))
        server.start()
        client.post("/v1/memories", json={"content": FACT})
        events = told(client.post("/v1/ask/stream", json={"question": ASKED}, timeout=120))
        whole = client.post("/v1/ask", json={"question": ASKED}, timeout=120).json()
        server.stop()
    assert events[-1][0] == "answer"
    for answer in (events[-1][1], whole):
        assert (answer["method"], answer["model"], answer["known"]) == ("extractive", None, True)
        assert "400" in answer["problem"]
    assert len(behind.seen) == 2


def test_a_real_models_words_come_as_it_writes_them(tmp_path):
    from memorist.models.weights import KNOWN, installed

    if not installed(KNOWN["smollm2-135m"]):
        pytest.skip("the weights of smollm2-135m are not here: memorist models get smollm2-135m")
    server = Server(tmp_path / "memory.db", free_port(), tmp_path / "log")
    server.model = "local:smollm2-135m"
    client = server.client(server.key(Scope("acme")))
    server.start()
    try:
        assert client.post("/v1/memories", json={"content": FACT}).status_code == 201
        asked = {"json": {"question": ASKED}, "timeout": 120}
        with client.stream("POST", "/v1/ask/stream", **asked) as answer:
            assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
            came = [(time.monotonic(), line) for line in answer.iter_lines() if line]
        again = told(client.post("/v1/ask/stream", **asked))
        whole = client.post("/v1/ask", **asked).json()
    finally:
        server.stop()
    names = [line.removeprefix("event: ") for _, line in came if line.startswith("event: ")]
    data = [(at, json.loads(line.removeprefix("data: "))) for at, line in came if line.startswith("data: ")]
    assert names == ["text"] * (len(data) - 1) + ["answer"]
    assert len(data) > 3 and data[-1][0] - data[0][0] > 0.02, "it came all at once"
    written = "".join(one["text"] for _, one in data[:-1])
    last = data[-1][1]
    assert (last["method"], last["model"]) == ("model", "local:smollm2-135m")
    assert [hit["text"] for hit in last["hits"]] == [FACT]
    assert last["known"] == bool(last["citations"])  # what it writes is checked: an answer stands on what it cites
    assert [name for name, _ in again] == ["text", "answer"]  # from the log of replies, which has it whole
    assert (again[0][1]["text"].strip(), again[1][1], whole) == (written.strip(), last, last)
