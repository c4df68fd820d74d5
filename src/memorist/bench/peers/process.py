"""A peer's process, and the outer side of the protocol that `adapters/serve.py` describes."""

from __future__ import annotations

import base64
import json
import os
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memorist.bench.system import CannotRun
from memorist.models.embedder import Vectors

PATIENCE: Mapping[str, float] = {"start": 180, "open": 300, "add": 900, "settle": 900, "search": 60}
"""Seconds for a peer to answer a kind of question. Making vectors, which is our work, is not in them."""

QUIET: Mapping[str, str] = {
    "ANONYMIZED_TELEMETRY": "False",
    "MEM0_TELEMETRY": "False",
    "LANGSMITH_TRACING": "false",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}
"""What a peer's environment says beside its paths: no telemetry, no downloads."""

KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "TEMP", "SYSTEMROOT", "LD_LIBRARY_PATH")
"""What it has of ours: no key, no token, no proxy."""

TOLD = 400
"""Characters of a peer's last words that a reason quotes."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a peer answered, in how many seconds of its own, and its most memory so far in bytes."""

    done: Any
    seconds: float
    peak: int


class Process:
    """A peer, started over a folder. Whatever goes wrong is a CannotRun, and the process is ended then."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        folder: Path,
        embed: Callable[[Sequence[str]], Vectors],
        patience: Mapping[str, float] = PATIENCE,
        paths: Sequence[Path] = (),
    ) -> None:
        self.name = name
        self._embed = embed
        self._patience = patience
        self._said = folder / "stderr.txt"
        home = folder / "home"
        home.mkdir(parents=True, exist_ok=True)
        with self._said.open("wb") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=home,
                env=environment(home, paths),
                text=True,
                encoding="utf-8",
            )
        self._lines: queue.Queue[str] = queue.Queue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        told = self._hear("start")
        self.version = str(told.get("version"))
        self.durable = bool(told.get("durable", True))

    def call(self, do: str, **what: object) -> Reply:
        """Ask, serve the vectors that it wants, and wait for the answer."""
        self._say({"do": do, **what})
        while True:
            told = self._hear(do)
            if "embed" not in told:
                try:
                    return Reply(told["done"], float(told["seconds"]), int(told["peak"]))
                except (KeyError, TypeError, ValueError) as error:
                    raise self._broken(f"it answered {do} with something else ({error!r})") from error
            vectors = self._embed(told["embed"])
            self._say({"vectors": base64.b64encode(vectors.tobytes()).decode("ascii")})

    def close(self) -> None:
        """Hang up; it has a moment to end by itself."""
        self._end(grace=5)

    def _end(self, grace: float) -> None:
        if self._process.stdin is not None:
            with suppress(OSError):  # what was still to be told has no listener
                self._process.stdin.close()
        try:
            self._process.wait(grace)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.join()

    def _listen(self) -> None:
        out = self._process.stdout
        assert out is not None
        with out:
            for line in out:
                self._lines.put(line)
        self._lines.put("")

    def _say(self, message: Mapping[str, object]) -> None:
        into = self._process.stdin
        assert into is not None
        try:
            into.write(json.dumps(message) + "\n")
            into.flush()
        except (OSError, ValueError) as error:
            raise self._broken("it has ended") from error

    def _hear(self, do: str) -> dict[str, Any]:
        """A message. Raises CannotRun for one that is late, is none, or tells of a failure."""
        begin = time.perf_counter()
        try:
            line = self._lines.get(timeout=self._patience[do])
        except queue.Empty:
            raise self._broken(f"no answer to {do} in {time.perf_counter() - begin:,.0f} seconds") from None
        if not line:
            raise self._broken(f"it ended during {do}")
        try:
            told = json.loads(line)
        except ValueError:
            raise self._broken(f"it answered {do} with what is not JSON: {line.strip()!r:.100}") from None
        if not isinstance(told, dict):
            raise self._broken(f"it answered {do} with {line.strip()!r:.100}")
        if "failed" in told:
            raise self._broken(f"{do}: {told['failed']}")
        return told

    def _broken(self, why: str) -> CannotRun:
        """The error to raise, with the peer's last words; it is ended."""
        self._end(grace=0)
        last = self._said.read_text(encoding="utf-8", errors="replace").strip()[-TOLD:]
        said = last.splitlines()[-1] if last and "ended" in why else ""
        return CannotRun(f"{why}{f' ({said})' if said else ''}")


def environment(home: Path, paths: Sequence[Path]) -> dict[str, str]:
    """What a peer finds in its environment variables: adapters, and `paths`, are where it imports from."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    path = os.pathsep.join(map(str, (Path(__file__).parent, *paths)))
    return {**kept, **QUIET, "HOME": str(home), "USERPROFILE": str(home), "PYTHONPATH": path}
