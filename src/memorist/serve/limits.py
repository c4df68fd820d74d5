"""Requests end when they are too large, before anything is made of them."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from memorist.serve.problems import problem

LARGEST = 10_000_000
"""Bytes of a request's body, unless the server is told otherwise."""


class TooLarge(Exception):
    """The body went beyond the limit while it was read."""


class SizeLimit:
    """An ASGI middleware that answers 413 to a body over `largest` bytes, said or sent."""

    def __init__(self, app: ASGIApp, largest: int = LARGEST) -> None:
        self._app = app
        self._largest = largest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        said = dict(scope["headers"]).get(b"content-length", b"0")
        if not said.isdigit() or int(said[:20]) > self._largest:
            await self._refuse(scope, receive, send)
            return
        await self._counted(scope, receive, send)

    async def _counted(self, scope: Scope, receive: Receive, send: Send) -> None:
        read, answering = 0, False

        async def counting() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._largest:
                raise TooLarge
            return message

        async def noting(message: Message) -> None:
            nonlocal answering
            answering = True
            await send(message)

        try:
            await self._app(scope, counting, noting)
        except TooLarge:
            if not answering:
                await self._refuse(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        told = f"the body is over {self._largest:,} bytes; send it in parts"
        await problem(413, "too-large", told)(scope, receive, send)
