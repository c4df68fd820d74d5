"""A real HTTP server that speaks OpenAI's chat protocol, well or badly: the first part of the path says how."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TEXT = "Ana lives in Lisbon."


def completion(text: str | None = TEXT, finish: str = "stop", **message: Any) -> bytes:
    """A chat completion as an endpoint sends it."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": finish}
    usage = {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
    return json.dumps(body).encode()


def event(delta: dict[str, Any], finish: str | None = None) -> bytes:
    """One event of a stream."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    body = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def events(pieces: Sequence[str]) -> list[bytes]:
    """A whole stream."""
    spoken = [event({"role": "assistant", "content": piece}) for piece in pieces]
    counted = {**json.loads(event({})[6:]), "choices": [], "usage": json.loads(completion())["usage"]}
    return [*spoken, event({}, "stop"), b"data: " + json.dumps(counted).encode() + b"\n\n", b"data: [DONE]\n\n"]


class Endpoint(BaseHTTPRequestHandler):
    """Behaves as the path says; `server.seen` are the requests, `server.behaviours` the ways to behave."""

    protocol_version = "HTTP/1.1"
    server: Served

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        way = self.path.split("/")[1]
        self.server.seen.append((way, dict(self.headers), body))
        self.server.behaviours[way](self, body)

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        """A whole answer."""
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def begin(self) -> None:
        """The head of a stream that ends when the connection does."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Quiet."""


class Served(ThreadingHTTPServer):
    """The server, with what it saw."""

    daemon_threads = True

    def __init__(self, behaviours: dict[str, Callable[[Endpoint, Any], None]]) -> None:
        super().__init__(("127.0.0.1", 0), Endpoint)
        self.behaviours = behaviours
        self.seen: list[tuple[str, dict[str, str], Any]] = []

    def url(self, way: str) -> str:
        """The base of an endpoint that behaves this way."""
        return f"http://127.0.0.1:{self.server_port}/{way}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that hangs up is part of the tests."""


@contextmanager
def served(behaviours: dict[str, Callable[[Endpoint, Any], None]]) -> Iterator[Served]:
    """The server, running."""
    server = Served(behaviours)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def well(handler: Endpoint, body: Any) -> None:
    """An endpoint that works, streaming or not."""
    if body.get("stream"):
        handler.begin()
        for piece in events(TEXT.split(" ")):
            handler.wfile.write(piece)
    else:
        handler.answer(200, completion())


def status(code: int, times: int = 10**9, **headers: str) -> Callable[[Endpoint, Any], None]:
    """Fails with this status so many times, then works."""
    left = [times]

    def behave(handler: Endpoint, body: Any) -> None:
        if left[0] > 0:
            left[0] -= 1
            said = {"error": {"message": f"no, {handler.headers.get('Authorization')}", "code": "x"}}
            handler.answer(code, json.dumps(said).encode(), **headers)
        else:
            well(handler, body)

    return behave


def drip(handler: Endpoint, body: Any) -> None:
    """Sends a little, for ever."""
    handler.begin()
    for _ in range(600):
        handler.wfile.write(event({"content": "a "}) if body.get("stream") else b" ")
        handler.wfile.flush()
        time.sleep(0.1)


def silent(handler: Endpoint, body: Any) -> None:
    """Takes the request and says nothing."""
    time.sleep(60)


def cut(handler: Endpoint, body: Any) -> None:
    """Breaks off in the middle."""
    whole = b"".join(events(["Ana ", "lives"])[:2]) if body.get("stream") else completion()
    handler.send_response(200)
    handler.send_header("Content-Type", "text/event-stream" if body.get("stream") else "application/json")
    handler.send_header("Content-Length", str(len(whole) + 500))
    handler.end_headers()
    handler.wfile.write(whole)
    handler.close_connection = True


def hang_up(handler: Endpoint, body: Any) -> None:
    """Ends a stream without its end, politely."""
    handler.begin()
    if body.get("stream"):
        for piece in events(["Ana ", "lives"])[:2]:
            handler.wfile.write(piece)
    else:
        handler.wfile.write(completion()[:40])


def sends(body: bytes, stream: Sequence[bytes] | None = None) -> Callable[[Endpoint, Any], None]:
    """Always answers this."""

    def behave(handler: Endpoint, asked: Any) -> None:
        if asked.get("stream"):
            handler.begin()
            for piece in [b"data: " + body + b"\n\n"] if stream is None else stream:
                handler.wfile.write(piece)
        else:
            handler.answer(200, body)

    return behave
