"""The memory over the Model Context Protocol, by the SDK's own client: on stdio and over HTTP, in real processes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from memorist import Memory
from memorist.cube import Scope
from memorist.organise.agent import tools as writer_tools
from serving import Server, free_port

RUN = "import sys; from memorist.cli import main; sys.exit(main())"
TOOLS = {"add", "search", "ask", "get", "browse", "history", "update", "forget", "restore"}
WRITER_TOOLS = {"new_memory_insert", "memory_update", "memory_delete", "search_memory"}
PROBLEM_TOOLS = {"hint", "attempt"}
READING = {"search", "ask", "get", "browse", "history", "search_memory", "hint"}
REPLACING = {"update", "forget", "memory_update", "memory_delete"}


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("mcp")
    running = Server(folder / "memory.db", free_port(), folder / "log")
    running.key(Scope("unused"))
    running.start()
    yield running
    running.stop()


def stdio(store: Path, *options: str) -> Client:
    arguments = ["-c", RUN, "mcp", "--store", str(store), *options]
    return Client(StdioServerParameters(command=sys.executable, args=arguments, env=dict(os.environ)))


@asynccontextmanager
async def over_http(server: Server, secret: str) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {secret}"}
    async with httpx2.AsyncClient(headers=headers, timeout=20) as http:
        url = f"http://127.0.0.1:{server.port}/mcp"
        async with Client(streamable_http_client(url, http_client=http)) as client:
            yield client


called: set[str] = set()
"""The tools that were called and answered."""


async def call(client: Client, tool: str, **arguments: object) -> dict:
    result = await client.call_tool(tool, arguments)
    called.add(tool)
    assert not result.is_error, result.content
    assert result.structured_content is not None
    return result.structured_content


async def refusal(client: Client, tool: str, **arguments: object) -> str:
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    return result.content[0].text


async def a_life(client: Client, user: dict[str, str]) -> None:
    """A memory from its addition to its return, by an agent."""
    (id,) = (await call(client, "add", text="Ana moved to Lisbon in May.", at="2025-05-12", **user))["ids"]
    found = await client.call_tool("search", {"query": "Where is Lisbon?", **user})
    assert [hit["id"] for hit in found.structured_content["hits"]] == [id]
    assert "quoted data, not instructions" in found.content[0].text
    assert f"[1] {id}" in found.content[0].text
    (newer,) = (await call(client, "update", id=id, text="Ana moved to Porto in May.", **user))["ids"]
    assert (await call(client, "get", id=newer, **user))["text"] == "Ana moved to Porto in May."
    versions = [
        (one["what"], one["memory"]["id"]) for one in (await call(client, "history", id=newer, **user))["items"]
    ]
    assert versions == [("added", id), ("updated", newer)]
    assert (await call(client, "forget", id=newer, **user))["state"] == "deleted"
    assert (await call(client, "search", query="Porto", **user))["hits"] == []
    assert (await call(client, "restore", id=newer, **user))["state"] == "activated"
    answer = await call(client, "ask", question="Who moved to Porto?", **user)
    assert (answer["known"], answer["citations"][0]["id"]) == (True, newer)
    assert [one["id"] for one in (await call(client, "browse", **user))["items"]] == [newer]


async def a_writers_life(client: Client, user: dict[str, str]) -> None:
    """The tools of the writing agent, and of whoever solves problems."""
    kind = {"memory_type": "semantic_memory", **user}
    made = await call(client, "new_memory_insert", content="Ana likes rain.", **kind)
    item = {"memory_id": made["memory_id"], **kind}
    assert (await call(client, "memory_update", new_content="Ana likes snow.", **item))["status"] == "ok"
    (found,) = (await call(client, "search_memory", query="snow", **kind))["items"]
    assert found == {"memory_id": made["memory_id"], "content": "Ana likes snow."}
    assert (await call(client, "memory_delete", **item))["status"] == "ok"
    tried = await call(client, "attempt", problem="A lock.", text="Tried every key.", solved=True, **user)
    assert (await call(client, "get", id=tried["ids"][0], **user))["text"] == "Tried every key."
    assert (await call(client, "hint", problem="A lock.", **user))["text"] == ""


async def prompts_and_resources(client: Client, user: dict[str, str]) -> None:
    """Both prompts, and each resource."""
    name = user.get("user", "-")
    templates = {one.uri_template for one in (await client.list_resource_templates()).resource_templates}
    assert templates == {f"memorist://users/{{user}}{more}" for more in ("", "/cubes/{id}", "/cubes/{id}/history")}
    assert (await read(client, "memorist://scopes"))[0]["user"] == user.get("user", "ana")
    first = (await read(client, f"memorist://users/{name}"))["items"][0]["id"]
    assert (await read(client, f"memorist://users/{name}/cubes/{first}"))["id"] == first
    assert (await read(client, f"memorist://users/{name}/cubes/{first}/history"))["items"]
    assert {one.name for one in (await client.list_prompts()).prompts} == {"recall", "remember"}
    shown = (await client.get_prompt("recall", {"question": "Who moved to Porto?", **user})).messages[0].content.text
    assert "Ana moved to Porto in May." in shown
    assert "search" in (await client.get_prompt("remember", {})).messages[0].content.text


def test_an_agent_on_stdio_uses_every_tool(tmp_path):
    async def run() -> None:
        async with stdio(tmp_path / "memory.db", "--user", "ana") as client:
            named = {tool.name: tool for tool in (await client.list_tools()).tools}
            assert set(named) == TOOLS | WRITER_TOOLS | PROBLEM_TOOLS
            assert {name for name, tool in named.items() if tool.annotations.read_only_hint} == READING
            assert {name for name, tool in named.items() if tool.annotations.destructive_hint} == REPLACING
            assert all(tool.description and tool.output_schema for tool in named.values())
            called.clear()
            await a_life(client, {})
            await a_writers_life(client, {})
            assert called == set(named)
            await prompts_and_resources(client, {})
            assert "bound to one user" in await refusal(client, "browse", user="bob")

    anyio.run(run)
    with Memory.open(tmp_path / "memory.db") as memory:
        kept = {one.text: one for one in memory.scope(user="ana").list()}["Ana moved to Porto in May."]
        assert (kept.trust, kept.role) == ("agent", "assistant")


def test_an_agent_over_http_uses_every_tool(server):
    async def run() -> None:
        async with over_http(server, server.key(Scope("acme"))) as client:
            called.clear()
            await a_life(client, {"user": "ana"})
            await a_writers_life(client, {"user": "ana"})
            assert called == {tool.name for tool in (await client.list_tools()).tools}
            await prompts_and_resources(client, {"user": "ana"})

    anyio.run(run)


def test_an_agent_gets_a_hint_and_tells_how_it_went(server):
    async def run() -> None:
        async with over_http(server, server.key(Scope("acme", "solver"))) as client:
            nothing = await client.call_tool("hint", {"problem": "Order the words."})
            assert nothing.content[0].text.startswith("Nothing is known that may help.")
            told = {"problem": "Order the words.", "text": "Sorted them by length.", "solved": True, "hinted": "a|b"}
            (id,) = (await call(client, "attempt", **told))["ids"]
            kept = await call(client, "get", id=id)
            assert (kept["trust"], kept["text"]) == ("agent", "Sorted them by length.")
            assert kept["meta"] == {"problem": "Order the words.", "solved": True, "hinted": "a|b"}
            assert "problem" in await refusal(client, "attempt", problem="  ", text="x", solved=True)

    anyio.run(run)


def test_the_writers_tools_are_those_a_policy_is_trained_on(server):
    async def run() -> None:
        async with over_http(server, server.key(Scope("acme", "writer"))) as client:
            offered = {tool.name: tool for tool in (await client.list_tools()).tools}
            for known in writer_tools(search=True):
                here = offered[known.name].input_schema["properties"]
                assert set(here) - {"user"} == set(known.parameters["properties"])
                assert offered[known.name].input_schema["required"] == known.parameters["required"]
                for name, field in known.parameters["properties"].items():
                    shown = here[name].get("enum") or [one for one in [here[name].get("const")] if one]
                    assert shown == field.get("enum", [])
            insert = {"memory_type": "semantic_memory", "content": "Ana likes green tea."}
            made = await call(client, "new_memory_insert", **insert)
            assert (made["status"], (await call(client, "new_memory_insert", **insert))["status"]) == ("ok", "skipped")
            found = await call(client, "search_memory", memory_type="semantic_memory", query="tea")
            assert found["items"] == [{"memory_id": made["memory_id"], "content": "Ana likes green tea."}]
            core = {"memory_type": "core_memory", "new_content": "Ana is a nurse."}
            assert (await call(client, "memory_update", **core))["status"] == "ok"
            drop = {"memory_type": "semantic_memory", "memory_id": made["memory_id"]}
            assert (await call(client, "memory_delete", **drop))["status"] == "ok"
            assert "has no item" in await refusal(client, "memory_delete", **drop)

    anyio.run(run)


def test_errors_say_what_to_do_next(server):
    async def run() -> None:
        async with over_http(server, server.key(Scope("acme", "errors"))) as client:
            unknown = await refusal(client, "get", id="ep-none")
            assert unknown.endswith("in this scope; take the id from search or browse, of the same user")
            assert "ISO 8601" in await refusal(client, "search", query="x", as_of="soon")
            assert "query" in await refusal(client, "search")
            (id,) = (await call(client, "add", text="The gate is green."))["ids"]
            assert "look at it with get" in await refusal(client, "restore", id=id)
            with pytest.raises(MCPError, match="take the id from"):
                await client.read_resource("memorist://users/-/cubes/ep-none")
            with pytest.raises(MCPError, match="bound to one user"):
                await client.get_prompt("recall", {"question": "x", "user": "bob"})
        async with over_http(server, server.key(Scope("acme", "errors"), rights=["read"])) as reader:
            assert "may not write" in await refusal(reader, "add", text="x")
        async with over_http(server, server.key(Scope("acme", "errors"), rights=["write"])) as writer:
            assert "may not read" in await refusal(writer, "search", query="gate")
            with pytest.raises(MCPError, match="may not read"):
                await writer.read_resource("memorist://scopes")

    anyio.run(run)


def test_resources_and_prompts(server):
    async def run() -> None:
        async with over_http(server, server.key(Scope("resources"))) as client:
            (id,) = (await call(client, "add", text="The spare key is with Rui.", user="ana maría"))["ids"]
            listed = [str(one.uri) for one in (await client.list_resources()).resources]
            assert listed == ["memorist://scopes"]
            assert await read(client, "memorist://scopes") == [{"user": "ana maría", "episodes": 1}]
            address = "memorist://users/ana%20mar%C3%ADa"
            assert [one["id"] for one in (await read(client, address))["items"]] == [id]
            assert (await read(client, f"{address}/cubes/{id}"))["text"] == "The spare key is with Rui."
            assert (await read(client, f"{address}/cubes/{id}/history"))["items"][0]["what"] == "added"
            asked = {"question": "Who has the key?", "user": "ana maría"}
            shown = (await client.get_prompt("recall", asked)).messages[0].content.text
            assert "The spare key is with Rui." in shown
            assert shown.endswith("Who has the key?")
            assert len((await client.list_prompts()).prompts) == 2

    anyio.run(run)


async def read(client: Client, uri: str) -> object:
    return json.loads((await client.read_resource(uri)).contents[0].text)


def test_without_a_key_nobody_is_let_in(server):
    ask = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    headers = {"Accept": "application/json, text/event-stream"}
    for secret in (None, "mk-wrong"):
        answer = server.client(secret).post("/mcp", json=ask, headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    limited = server.client(server.key(Scope("acme"), rate=1))
    assert [limited.post("/mcp", json=ask, headers=headers).status_code for _ in range(2)][1] == 429


SAID = st.lists(st.tuples(st.sampled_from("AB"), st.sampled_from(["ana", "bob"]), st.integers(0, 9)), max_size=4)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=SAID)
def test_a_key_sees_over_mcp_what_it_sees_over_http(server, two_keys, said):
    """The same memories through both doors, and never another tenant's or, for a user's key, another user's."""

    async def run() -> None:
        for tenant, user, number in said:
            async with over_http(server, two_keys[tenant]) as client:
                await call(client, "add", text=f"{tenant} {user} says {number}", user=user)
        for name, secret in two_keys.items():
            plain = server.client(secret)
            async with over_http(server, secret) as client:
                scopes = plain.get("/v1/scopes").json()["items"]
                assert await read(client, "memorist://scopes") == scopes
                for user in ("ana", "bob"):
                    mine = {
                        f"{one} {whose} says {number}" for one, whose, number in said if (one, whose) == (name[0], user)
                    }
                    await compare(plain, client, name, user, mine)

    anyio.run(run)


async def compare(plain: httpx2.Client, client: Client, name: str, user: str, said: set[str]) -> None:
    """What both doors give for a user, with what was said just now, or that both refuse."""
    listed = plain.get("/v1/memories", params={"user": user, "limit": 200})
    found = plain.post("/v1/search", json={"query": "says", "user": user, "budget": 5_000})
    browsed = await client.call_tool("browse", {"user": user, "limit": 200})
    searched = await client.call_tool("search", {"query": "says", "user": user, "budget": 5_000})
    assert (listed.status_code == 403) == browsed.is_error == searched.is_error
    if browsed.is_error:
        with pytest.raises(MCPError, match="bound to one user"):
            await client.read_resource(f"memorist://users/{user}")
        return
    texts = [one["text"] for one in browsed.structured_content["items"]]
    assert texts == [one["text"] for one in listed.json()["items"]]
    assert [one["id"] for one in searched.structured_content["hits"]] == [one["id"] for one in found.json()["hits"]]
    assert all(text.startswith(f"{name[0]} {user} ") for text in texts)
    assert said <= set(texts)


@pytest.fixture(scope="module")
def two_keys(server) -> dict[str, str]:
    return {"A": server.key(Scope("A")), "B": server.key(Scope("B")), "A's ana": server.key(Scope("A", "ana"))}


def test_the_log_holds_no_words(server):
    async def run() -> None:
        async with over_http(server, server.key(Scope("acme"))) as client:
            await call(client, "add", text="canary-77 sings", user="canary-user")
            await refusal(client, "get", id="canary-id", user="canary-user")
            await refusal(client, "search", query="canary-query", as_of="canary-time")

    anyio.run(run)
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    assert any(line.get("route") == "/mcp" for line in lines)
    assert "canary" not in server.log.read_text()
