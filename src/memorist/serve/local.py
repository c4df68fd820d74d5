"""Requests without a key: from this machine's own programs and page, never from a page of somebody else's.

A browser sends what any web page tells it to, also to 127.0.0.1. Where no key is asked for, nothing else would tell
such a request from the owner's.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from memorist.errors import MemoristError
from memorist.serve.problems import of_error, problem

OWN = ("none", "same-origin")
"""What `Sec-Fetch-Site` says of a request that no other page caused."""


class Local:
    """An ASGI middleware over every path: as long as `is_open` says that no key is needed, a request that another
    site's page caused, or that came by a foreign name, is answered 403."""

    def __init__(self, app: ASGIApp, is_open: Callable[[], bool]) -> None:
        self._app = app
        self._is_open = is_open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. The store is asked for its keys only about a request that looks foreign."""
        told = foreign(Headers(scope=scope), str(scope["path"])) if scope["type"] == "http" else None
        if told is not None:
            try:
                is_open = await run_in_threadpool(self._is_open)
            except MemoristError as error:
                await of_error(error)(scope, receive, send)
                return
            if is_open:
                await problem(403, *told)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def foreign(headers: Headers, path: str) -> tuple[str, str] | None:
    """Kind and words of what is wrong with where a request comes from; None when it is from here."""
    host = headers.get("host", "")
    if not is_loopback(host):  # a name that somebody pointed at this machine (DNS rebinding)
        return "wrong-host", "without keys this server answers to localhost alone; make one: memorist keys create"
    origin = headers.get("origin")
    elsewhere = origin is not None and urlsplit(origin).netloc != host
    if elsewhere or (headers.get("sec-fetch-site", "none") not in OWN and not opens_page(headers, path)):
        return "other-site", "another site's page may not use this server without a key"
    return None


def opens_page(headers: Headers, path: str) -> bool:
    """Whether somebody followed a link to the page: it opens as a page of its own, which the other one cannot read."""
    return path == "/" and headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"


def is_loopback(host: str) -> bool:
    """Whether a Host header names this machine by its own name or address."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
