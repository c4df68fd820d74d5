"""Requests without a key: from this machine's own programs and page, never from a page of somebody else's.

A browser sends what any web page tells it to, also to 127.0.0.1. Where no key is asked for, nothing else would tell
such a request from the owner's.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from memorist.serve.problems import Refused


def check_local(headers: Headers) -> None:
    """Raises Refused (403) for a request that another site's page caused, or that came by a foreign name."""
    host = headers.get("host", "")
    if not is_loopback(host):  # a name that somebody pointed at this machine (DNS rebinding)
        raise Refused(403, "wrong-host", "without keys this server answers to localhost alone; make one: memorist keys")
    origin = headers.get("origin")
    foreign = origin is not None and urlsplit(origin).netloc != host
    if foreign or headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise Refused(403, "other-site", "another site's page may not use this server without a key")


def is_loopback(host: str) -> bool:
    """Whether a Host header names this machine by its own name or address."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
