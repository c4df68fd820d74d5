"""The model behind the door: an endpoint that requests are forwarded to, or a model of ours."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx2
from opentelemetry.propagate import inject
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool

from memorist.errors import InputError, MemoristError
from memorist.models.chat import ChatModel
from memorist.models.naming import chat_named, checked
from memorist.models.server import answered, models_shape, problem_of, status_of
from memorist.serve.problems import Refused
from memorist.serve.tracing import span

KEY_VARIABLE = "MEMORIST_UPSTREAM_KEY"
CONNECT_SECONDS = 10
SENT = ("content-type", "accept")
SENT_BEGIN = ("openai-",)
GIVEN = ("content-type", "content-encoding", "retry-after", "x-request-id")
GIVEN_BEGIN = ("openai-", "x-ratelimit-")
"""Headers that pass the door. Not Authorization: the caller's key is the memory's, the upstream's is the server's."""


@dataclass(frozen=True, slots=True)
class Given:
    """What an upstream answers: its status, the headers that pass, and its body as it comes."""

    status: int
    headers: Mapping[str, str]
    pieces: AsyncIterator[bytes] = field(repr=False)

    @property
    def streams(self) -> bool:
        """Whether the body is a stream of events."""
        return self.headers.get("content-type", "").startswith("text/event-stream")


class Upstream(Protocol):
    """A model that is asked by OpenAI's protocol."""

    async def send(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Given:
        """Ask. `path` follows /v1. Raises Refused (502, 504) when it cannot be reached or says nothing."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


@dataclass(frozen=True, slots=True)
class Door:
    """A model with a memory: up to `budget` tokens of memories are added to what it is asked."""

    upstream: Upstream
    budget: int


class Endpoint:
    """An endpoint of OpenAI's protocol, by its address. `seconds` is how long it may say nothing."""

    def __init__(self, url: str, key: str | None, seconds: float) -> None:
        self._url = url.rstrip("/")
        self._key = key
        self._seconds = seconds
        timeout = httpx2.Timeout(seconds, connect=CONNECT_SECONDS)
        self._client = httpx2.AsyncClient(timeout=timeout, follow_redirects=False)

    async def send(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Given:
        """Forward a request."""
        sent = {name: value for name, value in headers.items() if passes(name, SENT, SENT_BEGIN)}
        if self._key:
            sent["authorization"] = f"Bearer {self._key}"
        sent["accept-encoding"] = "identity"
        try:
            with span("upstream"):
                inject(sent)
                request = self._client.build_request(method, f"{self._url}/{path}", content=body or None, headers=sent)
                response = await self._client.send(request, stream=True)
        except httpx2.TimeoutException:
            told = f"the upstream model did not answer within {self._seconds:g} s"
            raise Refused(504, "upstream-silent", told) from None
        except (httpx2.TransportError, httpx2.InvalidURL) as error:
            told = f"the upstream model cannot be reached ({type(error).__name__}); try again, or tell who runs it"
            raise Refused(502, "upstream-unreachable", told) from None
        given = {name.lower(): value for name, value in response.headers.items() if passes(name, GIVEN, GIVEN_BEGIN)}
        return Given(response.status_code, given, pieces_of(response))

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.aclose()


class OwnModel:
    """A model of ours, in this process. `seconds` is how long a reply may take."""

    def __init__(self, model: ChatModel, seconds: float) -> None:
        self._model = model
        self._seconds = seconds

    async def send(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Given:
        """Have the model answer."""
        if path == "models":
            return Given(200, JSON, once(models_shape([self._model.name])))
        try:
            made = await run_in_threadpool(answered, self._model, path, body, self._seconds)
        except MemoristError as error:
            return Given(status_of(error), JSON, once(problem_of(error)))
        if isinstance(made, Iterator):
            return Given(200, {"content-type": "text/event-stream"}, encoded(made))
        return Given(200, JSON, once(made))

    async def close(self) -> None:
        """Nothing to let go of."""


JSON: Mapping[str, str] = {"content-type": "application/json"}


def upstream_named(name: str, seconds: float) -> Upstream:
    """The upstream of an address, with the key of $MEMORIST_UPSTREAM_KEY, or a model by its name.

    Raises InputError or ModelMissing.
    """
    if not seconds > 0:
        raise InputError(f"{seconds} is not a number of seconds above 0")
    if name.startswith(("http://", "https://")):
        if "#" in name:
            raise InputError("the upstream's address names no model; requests do. Leave out the # and what follows")
        return Endpoint(checked(name), os.environ.get(KEY_VARIABLE) or None, seconds)
    return OwnModel(chat_named(name), seconds)


def passes(name: str, names: tuple[str, ...], begins: tuple[str, ...]) -> bool:
    """Whether a header passes the door."""
    return name.lower() in names or name.lower().startswith(begins)


async def pieces_of(response: httpx2.Response) -> AsyncIterator[bytes]:
    """The body as it comes. Raises Refused when it breaks off."""
    try:
        async for piece in response.aiter_raw():
            yield piece
    except httpx2.TransportError as error:
        told = f"the upstream model broke off ({type(error).__name__}); ask again"
        raise Refused(502, "upstream-broke-off", told) from None
    finally:
        await response.aclose()


async def once(value: Any) -> AsyncIterator[bytes]:
    """A whole body."""
    yield json.dumps(value).encode()


async def encoded(events: Iterator[str]) -> AsyncIterator[bytes]:
    """Events as bytes, made in a thread."""
    async for event in iterate_in_threadpool(events):
        yield event.encode()
