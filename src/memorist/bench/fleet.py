"""Processes of a service over one store: servers that answer over HTTP, and workers that do the jobs."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

SERVING = "import sys; from memorist.cli import main; sys.exit(main(sys.argv[1:]))"
WORKING = """
import sys, time
from memorist.memory import Memory
with Memory.open(sys.argv[1]) as memory:
    while True:
        for scope, _ in memory.scopes():
            memory.settle(scope)
        time.sleep(float(sys.argv[2]))
"""
PATIENCE = 120.0
LOOK = 1.0
"""Seconds between a worker's looks at the store."""


class Process:
    """One process, which can be ended by force and started again."""

    def __init__(self, command: list[str]) -> None:
        self.command = command
        self.running = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        """End it as a crash does, and start another."""
        self.running.send_signal(signal.SIGKILL)
        self.running.wait()
        self.running = self._started()

    def stop(self) -> None:
        """End it."""
        self.running.terminate()
        try:
            self.running.wait(30)
        except subprocess.TimeoutExpired:
            self.running.kill()
            self.running.wait()

    @property
    def megabytes(self) -> float:
        """Its memory that is in use, where Linux tells; else 0."""
        status = Path(f"/proc/{self.running.pid}/status")
        if not status.exists():
            return 0.0
        told = next((line for line in status.read_text().splitlines() if line.startswith("VmRSS")), "VmRSS: 0 kB")
        return int(told.split()[1]) / 1024


class Server(Process):
    """`memorist serve` on a port of this machine, with more of its options."""

    def __init__(self, store: str, *options: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        super().__init__([sys.executable, "-c", SERVING, "serve", "--store", store, "--port", str(self.port), *options])

    def wait(self) -> None:
        """Return when it answers. Raises TimeoutError when it does not."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self.running.poll() is None:
            try:
                with closing(Client(self.port, 5)) as client:
                    if client.ask("GET", "/health/ready")[0] == 200:
                        return
            except OSError:
                pass
            time.sleep(0.1)
        raise TimeoutError(f"the server on port {self.port} did not answer within {PATIENCE:.0f} s")


class Client:
    """A connection to a server that is kept, and made anew when it broke."""

    def __init__(self, port: int, timeout: float = 60) -> None:
        self.port = port
        self.timeout = timeout
        self._open: http.client.HTTPConnection | None = None

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
        """Status and body of an answer, None where it is no JSON. Raises OSError when there is none."""
        self._open = self._open or http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout)
        try:
            said = None if body is None else json.dumps(body)
            self._open.request(method, path, said, {"Content-Type": "application/json"})
            answer = self._open.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise OSError(str(error)) from error
        told = "json" in answer.headers.get("Content-Type", "")
        return answer.status, json.loads(content) if content and told else None

    def close(self) -> None:
        """Let go of the connection."""
        if self._open is not None:
            self._open.close()
            self._open = None


def worker(store: str) -> Process:
    """A process that does the jobs of all owners."""
    return Process([sys.executable, "-c", WORKING, store, str(LOOK)])
