"""The inner side of the protocol: JSON, one object a line, over standard input and output.

    →  {"do": "open", "folder": "/tmp/x"}                                  ←  {"done": null, "seconds": 0.2, "peak": 1}
    →  {"do": "add", "owner": "a", "items": [["key", "text"], …]}          ←  …
    →  {"do": "settle"}                                                    ←  …
    →  {"do": "search", "owner": "a", "question": "…", "k": 10}            ←  {"done": [["key", "text"], …], …}

At any point the peer may ask for vectors, and waits: ← {"embed": ["text", …]} → {"vectors": "base64 of float32 rows"}.
`seconds` leave out that waiting, `peak` is the most memory of the process so far in bytes. What fails is answered with
{"failed": "why"}. The first line, before any question, is {"peer": name, "version": "1.2"}, or {"failed": "why"}.

Standard output is the harness's alone: what a library prints goes to standard error. Connections to other machines
are refused.
"""

from __future__ import annotations

import base64
import importlib.metadata
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Embed = Callable[[list[str]], Vectors]
Hits = Iterable[tuple[str, str]]
"""Keys and texts, best first."""


class Peer(Protocol):
    """A memory as its adapter shows it."""

    def add(self, owner: str, items: list[tuple[str, str]]) -> None:
        """Remember texts by key, for an owner whom no other sees."""
        ...

    def settle(self) -> None:
        """Finish what a search or a reopening needs: indexes, files."""
        ...

    def search(self, owner: str, question: str, k: int) -> Hits:
        """At most `k` of the owner's texts."""
        ...


class Line:
    """The harness's end of the line, and the seconds that were spent waiting for vectors."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        self.waited = 0.0

    def say(self, message: dict[str, Any]) -> None:
        """One line out."""
        self._out.write(json.dumps(message) + "\n")
        self._out.flush()

    def embed(self, texts: list[str]) -> Vectors:
        """float32 [len(texts), dimension], by the harness's embedder."""
        begin = time.perf_counter()
        self.say({"embed": [str(text) for text in texts]})
        reply = json.loads(sys.stdin.readline())
        flat = np.frombuffer(base64.b64decode(reply["vectors"]), np.float32)
        self.waited += time.perf_counter() - begin
        return flat.reshape(len(texts), -1)


def serve(name: str, package: str, make: Callable[[Path, Embed], Peer], *, durable: bool = True) -> None:
    """Answer the harness until it hangs up. A peer that keeps nothing on disk (not `durable`) is told again, when it is
    opened, what it was told before."""
    line = Line()
    stay_home()
    line.say({"peer": name, "version": importlib.metadata.version(package), "durable": durable})
    peer: Any = None
    for asked in map(json.loads, sys.stdin):
        begin, line.waited = time.perf_counter(), 0.0
        try:
            if asked["do"] == "open":
                peer = make(Path(asked["folder"]), line.embed)
                if not durable:
                    peer = Retold(peer, Path(asked["folder"]) / "told.jsonl")
                done = None
            else:
                done = answer(peer, asked)
        except Exception as error:  # a peer's failure is the harness's to report, whatever it is
            line.say({"failed": f"{type(error).__name__}: {error}"})
            continue
        line.say({"done": done, "seconds": time.perf_counter() - begin - line.waited, "peak": peak()})


def answer(peer: Peer, asked: dict[str, Any]) -> list[tuple[str, str]] | None:
    """What a question to an open peer comes to."""
    if asked["do"] == "add":
        peer.add(asked["owner"], [(key, text) for key, text in asked["items"]])
    elif asked["do"] == "settle":
        peer.settle()
    else:
        return list(peer.search(asked["owner"], asked["question"], asked["k"]))
    return None


class Retold:
    """A peer in memory alone, and a file of what it was told."""

    def __init__(self, peer: Peer, told: Path) -> None:
        self._peer, self._told = peer, told
        if told.exists():
            for owner, items in map(json.loads, told.read_text(encoding="utf-8").splitlines()):
                peer.add(owner, [(key, text) for key, text in items])
            peer.settle()

    def add(self, owner: str, items: list[tuple[str, str]]) -> None:
        """Tell the peer, and note it."""
        self._peer.add(owner, items)
        with self._told.open("a", encoding="utf-8") as file:
            file.write(json.dumps([owner, items]) + "\n")

    def settle(self) -> None:
        """As the peer does."""
        self._peer.settle()

    def search(self, owner: str, question: str, k: int) -> Hits:
        """As the peer does."""
        return self._peer.search(owner, question, k)


def peak() -> int:
    """The most memory of this process so far, in bytes. On Linux that of this program alone: what `getrusage` says
    begins with the size of the process that started it."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return 1024 * int(status.split("VmHWM:")[1].split()[0])
    except (OSError, IndexError):
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def stay_home() -> None:
    """Refuse connections to other machines, whatever a library tries."""
    real = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not str(address[0]).startswith(("127.", "::1")):
            raise OSError(f"a peer may not connect to {address[0]}")
        real(self, address)

    socket.socket.connect = connect  # type: ignore[method-assign, assignment]
