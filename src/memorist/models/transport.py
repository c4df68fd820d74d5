"""What an endpoint may send: text of a bounded size, uncompressed. Under every client library, so it holds for all."""

from __future__ import annotations

import codecs
from collections.abc import AsyncIterator
from contextvars import ContextVar
from dataclasses import dataclass, field

import httpx2

LARGEST = 2_000_000
"""Bytes of a reply. A model's longest are a tenth of it; more is a mistake or an attack."""

KEPT = 20_000
"""Bytes of an unusable reply that its error keeps."""

PLAIN = {"accept-encoding": "identity"}
"""What is sent compressed may grow without bound; nothing of it is needed."""


@dataclass
class Heard:
    """What a call heard: the beginning of the answer, and why it was not let through."""

    raw: bytearray = field(default_factory=bytearray)
    problem: str | None = None

    @property
    def text(self) -> str:
        """The beginning of the answer as text."""
        return self.raw.decode("utf-8", "replace")


listening: ContextVar[Heard | None] = ContextVar("listening", default=None)
"""Where a call learns what was wrong: client libraries wrap what a transport raises in their own words."""


class Bounded(httpx2.AsyncHTTPTransport):
    """HTTP whose answers are bounded in size, and UTF-8 where they succeed."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """As the library's."""
        response = await super().handle_async_request(request)
        encoding = response.headers.get("content-encoding", "identity")
        heard = listening.get() or Heard()
        heard.raw.clear()
        if encoding.lower() != "identity":
            await response.aclose()
            raise refused(heard, f"it is compressed ({encoding}) though we asked for plain text")
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = Checked(response.stream, heard, text=response.is_success)
        return response


class Checked(httpx2.AsyncByteStream):
    """A body that ends with an error where it stops being acceptable."""

    def __init__(self, body: httpx2.AsyncByteStream, heard: Heard, text: bool) -> None:
        self._body = body
        self._heard = heard
        self._text = text

    async def __aiter__(self) -> AsyncIterator[bytes]:
        decoder = codecs.getincrementaldecoder("utf-8")()
        heard, size = self._heard, 0
        async for piece in self._body:
            size += len(piece)
            heard.raw += piece[: max(0, KEPT - len(heard.raw))]
            if size > LARGEST:
                raise refused(heard, f"it is larger than {LARGEST:,} bytes")
            if self._text:
                try:
                    decoder.decode(piece)
                except UnicodeDecodeError as error:
                    raise refused(heard, f"it is not UTF-8 ({error.reason})") from None
            yield piece

    async def aclose(self) -> None:
        """As the library's."""
        await self._body.aclose()


def refused(heard: Heard, problem: str) -> httpx2.RemoteProtocolError:
    """The error for the client library, with the reason left for the call that made it."""
    heard.problem = problem
    return httpx2.RemoteProtocolError(problem)
