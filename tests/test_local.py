"""A server without keys is for this machine's own programs: no path of it answers what another site's page sent."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest

from memorist import Memory
from memorist.cube import Scope
from memorist.serve.app import build
from memorist.serve.chat.upstream import Door, upstream_named
from memorist.serve.mcp.server import PATH as MCP
from memorist.testing import HashEmbedder
from serving import Server, free_port

FOREIGN = (
    {"Host": "evil.example"},
    {"Host": "127.0.0.1.evil.example"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost:3000"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
)
OPENING = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("local")
    running = Server(folder / "memory.db", free_port(), folder / "log")
    running.chat = {"upstream": "http://127.0.0.1:9/v1"}
    running.start()
    yield running
    running.stop()


def every_path(tmp_path) -> list[tuple[str, str]]:
    """Method and path of everything that the app answers, the door of OpenAI's protocol and the page among it."""
    with Memory.open(tmp_path / "other.db", embedder=HashEmbedder()) as memory:
        app = build(memory, door=Door(upstream_named("http://127.0.0.1:9/v1", 1.0), 100))
        found = [(method, str(route.path)) for route in routes(app) for method in route.methods or ["GET", "POST"]]
    return [(method, path.replace("{number}", "1").replace("{name}", "main.js")) for method, path in found]


def routes(app) -> Iterator:
    """The routes of an app, those of its routers too."""
    for route in app.routes:
        if hasattr(route, "path") and hasattr(route, "methods"):
            yield route
        else:
            yield from routes(route.router if hasattr(route, "router") else route.original_router)


def test_no_path_answers_another_site(server, tmp_path):
    paths = every_path(tmp_path)
    named = {path for _, path in paths}
    assert named >= {"/", "/v1/search", "/v1/chat/completions", "/v1/memories/", MCP, "/metrics", "/openapi.json"}
    client = server.client()
    for method, path in paths:
        for headers in FOREIGN:
            answer = client.request(method, path, headers=headers)
            assert answer.status_code == 403, (method, path, headers)
            if method != "HEAD":
                assert answer.json()["type"] in ("urn:memorist:wrong-host", "urn:memorist:other-site")
        assert client.request(method, path, headers=OPENING).status_code == (200 if path == "/" else 403), path


def test_the_machines_own_programs_and_page_are_answered(server):
    client = server.client()
    own = f"127.0.0.1:{server.port}"
    for headers in (
        {},
        {"Origin": f"http://{own}", "Sec-Fetch-Site": "same-origin"},
        {"Host": f"localhost:{server.port}"},
        {"Host": f"[::1]:{server.port}"},
    ):
        answer = client.post("/v1/search", json={"query": "key", "user": "ana"}, headers=headers)
        assert answer.status_code == 200, headers


def test_no_answer_lets_another_site_read_it(server):
    """Without these headers a browser keeps an answer from the page that asked."""
    asked = {"Origin": f"http://127.0.0.1:{server.port}", "Access-Control-Request-Method": "POST"}
    for path in ("/v1/search", "/v1/memories", MCP, "/"):
        for answer in (server.client().options(path, headers=asked), server.client().post(path, json={})):
            assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_a_server_with_keys_answers_by_any_name(tmp_path):
    """As behind a proxy: who has a key may come from anywhere, MCP's clients too."""
    running = Server(tmp_path / "memory.db", free_port(), tmp_path / "log")
    secret = running.key(Scope("acme"))
    running.start()
    try:
        name = {"Host": "memory.example.com", "Origin": "https://app.example.com"}
        client = running.client(secret)
        assert client.post("/v1/search", json={"query": "key"}, headers=name).status_code == 200
        hello = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        accepted = {"Accept": "application/json, text/event-stream", **name}
        listed = client.post(MCP, json=hello, headers=accepted)
        assert listed.status_code == 200 and "new_memory_insert" in listed.text
        none = httpx2.post(f"http://127.0.0.1:{running.port}{MCP}", json=hello, headers=accepted)
        assert none.status_code == 401
    finally:
        running.stop()
