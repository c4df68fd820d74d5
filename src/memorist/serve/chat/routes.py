"""`/v1/chat/completions`, `/v1/responses` and `/v1/models`: forwarded, with memories added and the exchange kept."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import unquote

import anyio
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from memorist.errors import InputError
from memorist.memory import Memory
from memorist.serve.access import Caller, admitted, memory_of
from memorist.serve.chat.errors import ChatRoute
from memorist.serve.chat.remembering import Kept, Memories, Wanted, kept, recalled
from memorist.serve.chat.reply import Events, text_of_reply
from memorist.serve.chat.turn import Kind, Turn, turn_of
from memorist.serve.chat.upstream import Door, Given, Upstream

MOST_TOKENS = 100_000

router = APIRouter(prefix="/v1", route_class=ChatRoute, include_in_schema=False)  # OpenAI describes these
Anyone = Annotated[Caller, Depends(admitted)]
Store = Annotated[Memory, Depends(memory_of)]


@dataclass(frozen=True, slots=True)
class Exchange:
    """A turn that is being answered."""

    memory: Memory
    wanted: Wanted
    turn: Turn
    memories: Memories

    def keep(self, reply: str) -> Kept:
        """Keep it, with the reply."""
        return kept(self.wanted, self.turn, reply, self.memory.now())


@router.post("/chat/completions")
async def chat(request: Request, caller: Anyone, memory: Store) -> Response:
    """A chat completion with memories."""
    return await answer("chat", "chat/completions", request, caller, memory)


@router.post("/responses")
async def responses(request: Request, caller: Anyone, memory: Store) -> Response:
    """A response with memories."""
    return await answer("responses", "responses", request, caller, memory)


@router.get("/models")
async def models(request: Request, caller: Anyone) -> Response:
    """The upstream's models."""
    given = await upstream_of(request).send("GET", "models", b"", request.headers)
    return Response(await whole(given), given.status, dict(given.headers))


async def answer(kind: Kind, path: str, request: Request, caller: Caller, memory: Memory) -> Response:
    """The upstream's answer to a request with memories."""
    body = await request.body()
    turn = turn_of(kind, parsed(body))
    wanted = wanted_of(request, caller, memory, turn)
    memories = Memories()
    if turn is not None:
        memories = await run_in_threadpool(recalled, wanted, turn)
        if memories.block:
            body = json.dumps(turn.with_memories(memories.block)).encode()
    given = await upstream_of(request).send("POST", path, body, request.headers)
    headers = {**given.headers, **headers_of(memories)}
    if turn is None or given.status != 200:
        return Response(await whole(given), given.status, headers)
    exchange = Exchange(memory, wanted, turn, memories)
    if given.streams:
        return StreamingResponse(streamed(given, exchange), given.status, headers)
    return await replied(given, exchange, headers)


async def replied(given: Given, exchange: Exchange, headers: dict[str, str]) -> Response:
    """A whole reply, kept, with what its numbers cite."""
    content = await whole(given)
    reply = parsed(content)
    done = await run_in_threadpool(exchange.keep, text_of_reply(exchange.turn.kind, reply))
    problems = [problem for problem in (exchange.memories.problem, done.problem) if problem]
    if problems:
        headers["x-memorist-problem"] = "; ".join(problems)
    if isinstance(reply, dict):
        told = {"memories": exchange.memories.shape(), "remembered": list(done.ids), "problems": problems}
        content = json.dumps({**reply, "memorist": told}).encode()
    return Response(content, given.status, headers)


async def streamed(given: Given, exchange: Exchange) -> AsyncIterator[bytes]:
    """A stream as it comes. The exchange is kept before the last event goes out, or when the caller hangs up."""
    events, done = Events(exchange.turn.kind), False

    async def keep() -> None:
        nonlocal done
        if not done:
            done = True
            with anyio.CancelScope(shield=True):
                await run_in_threadpool(exchange.keep, events.text)

    try:
        async for piece in given.pieces:
            for event, last in events.feed(piece):
                if last:
                    await keep()
                yield event
        if rest := events.rest():
            yield rest
    finally:
        await keep()


def wanted_of(request: Request, caller: Caller, memory: Memory, turn: Turn | None) -> Wanted:
    """What the headers ask of the memory, as far as the key allows. Without a header the request's `user` is the user.

    Raises Refused for another scope than the key's, InputError for a budget that is none.
    """
    user, agent, session = (named(request, what) for what in ("user", "agent", "session"))
    if not user and turn is not None and isinstance(turn.body.get("user"), str):
        user = turn.body["user"]
    scoped = caller.scoped(memory, user, agent, session)
    budget = budget_of(request.headers.get("x-memorist-budget"), request.app.state.door.budget)
    keep = request.headers.get("x-memorist-remember", "yes")
    if keep not in ("yes", "no"):
        raise InputError("X-Memorist-Remember must be yes or no")
    return Wanted(scoped, budget if "read" in caller.rights else 0, keep == "yes" and "write" in caller.rights)


def named(request: Request, what: str) -> str:
    """A name from a header: percent-encoded, where it has more than ASCII has."""
    return unquote(request.headers.get(f"x-memorist-{what}", ""))


def budget_of(given: str | None, default: int) -> int:
    """A number of tokens. Raises InputError."""
    if given is None:
        return default
    if not (given.isascii() and given.isdigit() and len(given) < 10 and int(given) <= MOST_TOKENS):
        raise InputError(f"X-Memorist-Budget must be a whole number from 0 (add nothing) to {MOST_TOKENS:,}")
    return int(given)


def headers_of(memories: Memories) -> dict[str, str]:
    """What is told of the memories that were added: their ids in the order of their numbers."""
    headers = {"x-memorist-memories": ",".join(memories.ids)}
    return {**headers, "x-memorist-problem": memories.problem} if memories.problem else headers


def upstream_of(request: Request) -> Upstream:
    """The model behind the door."""
    door: Door = request.app.state.door
    return door.upstream


async def whole(given: Given) -> bytes:
    """The body in one piece. Raises Refused when it breaks off."""
    return b"".join([piece async for piece in given.pieces])


def parsed(body: bytes) -> Any:
    """JSON, None for what is not."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
