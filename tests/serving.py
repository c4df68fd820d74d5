"""A real server in a process of its own, for the tests that go through its port."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from memorist import Memory
from memorist.cube import Scope
from memorist.serve import keys
from memorist.testing import HashEmbedder

PROGRAM = """
import json, sys
from memorist import Memory
from memorist.serve.run import Chat, run
from memorist.testing import HashEmbedder
asked = json.loads(sys.argv[3])
with Memory.open(sys.argv[1], embedder=HashEmbedder(), model=asked["model"]) as memory:
    chat = Chat(**asked["chat"])
    run(memory, "127.0.0.1", int(sys.argv[2]), largest=200_000, chat=chat, traces=asked["traces"])
"""


@dataclass
class Server:
    """A running server, its store and its log."""

    store: Path
    port: int
    log: Path
    process: subprocess.Popen[bytes] | None = None
    clients: list[Any] = field(default_factory=list)
    chat: dict[str, object] = field(default_factory=dict)
    model: str | None = None
    traces: str | None = None
    environment: dict[str, str] = field(default_factory=dict)

    def start(self) -> None:
        with self.log.open("ab") as log:
            asked = {"chat": self.chat, "model": self.model, "traces": self.traces}
            command = [sys.executable, "-c", PROGRAM, str(self.store), str(self.port), json.dumps(asked)]
            self.process = subprocess.Popen(command, stderr=log, env={**os.environ, **self.environment})
        wait_until_ready(self.port, self.process, self.log)

    def stop(self, how: int = signal.SIGTERM) -> int:
        assert self.process is not None
        while self.clients:
            self.clients.pop().close()
        self.process.send_signal(how)
        return self.process.wait(20)

    def client(self, secret: str | None = None) -> httpx2.Client:
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        made = httpx2.Client(base_url=f"http://127.0.0.1:{self.port}", headers=headers, timeout=20)
        self.clients.append(made)
        return made

    def key(self, scope: Scope, **more: object) -> str:
        with Memory.open(self.store, embedder=HashEmbedder()) as memory:
            return keys.create(memory._store, scope, memory.now(), **more)[1]  # type: ignore[arg-type]


def wait_until_ready(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when the server answers; one that ended, or says nothing for two minutes, fails with its log."""
    end = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < end:
        with suppress(httpx2.TransportError):
            if httpx2.get(f"http://127.0.0.1:{port}/health/ready", timeout=30).status_code == 200:
                return
        time.sleep(0.05)
    raise AssertionError(log.read_text())


def free_port() -> int:
    """A port for a server that starts later: below those that the system gives to whoever asks meanwhile."""
    while True:
        port = random.SystemRandom().randrange(15_000, 32_000)
        with socket.socket() as sock, suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port
