"""Running the server: where it listens, and when it refuses to."""

from __future__ import annotations

import ipaddress
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from memorist.arguments import DEFAULT_BUDGET
from memorist.errors import InputError
from memorist.memory import Memory
from memorist.serve.app import build
from memorist.serve.chat.upstream import Door, upstream_named
from memorist.serve.telemetry import log_to
from memorist.serve.tracing import export_to

GRACE = 20
"""Seconds that running requests have when the server is told to stop."""


@dataclass(frozen=True, slots=True)
class Chat:
    """The model behind the door of OpenAI's protocol: an address or a name (none: no such door), how long it may say
    nothing, and the tokens of memories that are added by default."""

    upstream: str | None = None
    seconds: float = 600.0
    budget: int = DEFAULT_BUDGET


def run(
    memory: Memory,
    host: str,
    port: int,
    *,
    largest: int,
    chat: Chat = Chat(),
    folder: Path | None = None,
    traces: str | None = None,
) -> None:
    """Serve until told to stop. `folder` holds reports to show, `traces` is the address of a collector of traces.

    Raises InputError for an address that is public while the store has no key, or for an upstream that is none, and
    ModelMissing for one that is not here.
    """
    local = is_local(host)
    if not local and not any(key.revoked_at is None for key in memory._store.all_keys()):
        raise InputError(
            f"{host} can be reached by others, and the store has no key; make one first: memorist keys create"
            " --tenant NAME (or serve on 127.0.0.1)"
        )
    log_to(sys.stderr)
    door = Door(upstream_named(chat.upstream, chat.seconds), chat.budget) if chat.upstream else None
    closing = export_to(traces) if traces else lambda: None
    app = build(memory, open_without_keys=local, largest=largest, door=door, closing=closing, folder=folder)
    config = uvicorn.Config(
        app, host, port, log_config=None, access_log=False, timeout_graceful_shutdown=GRACE, server_header=False
    )
    uvicorn.Server(config).run()


def is_local(host: str) -> bool:
    """Whether an address can be reached from this machine alone. Raises InputError for one that there is not."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise InputError(f"there is no address {host!r:.100} on this machine ({error.strerror})") from None
    return all(ipaddress.ip_address(str(place[4][0]).partition("%")[0]).is_loopback for place in found)
