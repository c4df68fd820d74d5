"""Processes that work on a store and can be killed: one warm Python that forks a child for each task.

A child tells what was acknowledged by appending lines to a file: such a write survives its death.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from memorist import MemoristError, Memory
from memorist.lifecycle.logged import Logged
from memorist.models.chat import Message, Request
from memorist.store.connection import Database
from memorist.store.schema import MIGRATIONS
from memorist.testing import HashEmbedder, ScriptedModel

Ack = Callable[[Any], None]
SYLLABLES = ("ka", "lo", "mi", "ru", "té", "日本", "so", "ne", "😀", "pa")


def text_of(seed: int, number: int) -> str:
    """The text of a message: of 2 to 200 words, known from its number."""
    state = seed * 1_000_003 + number
    length = 2 + (state * 2_654_435_761 % 97) * (state % 3)
    words = [SYLLABLES[(state * (i + 7)) % 10] + SYLLABLES[(state // (i + 1)) % 10] for i in range(length)]
    return f"{seed}.{number} " + " ".join(words)


def message(seed: int, number: int) -> dict[str, Any]:
    """A message in one of four sessions."""
    return {
        "role": "user",
        "content": text_of(seed, number),
        "at": 1_700_000_000 + 60 * number,
        "session": f"{seed}-{number % 4}",
        "id": f"{seed}.{number}",
        "metadata": {"seed": seed, "n": number},
    }


def open_memory(path: str | Path) -> Memory:
    """A store with the tests' embedder."""
    return Memory.open(path, embedder=HashEmbedder())


def add_singly(path: str, ack: Ack, seed: int, first: int, count: int = 10_000) -> None:
    """Add one message at a time."""
    scope = open_memory(path).scope(user="ana")
    ack("ready")
    for number in range(first, first + count):
        receipt = scope.add([message(seed, number)])
        ack([number, *receipt.ids])


def log_replies(path: str, ack: Ack, first: int, count: int = 10_000) -> None:
    """Ask a scripted model one thing after the other, through the log."""
    memory = open_memory(path)
    scope = memory.scope(user="ana")
    model = ScriptedModel(lambda request: f"reply to {request.messages[0].content}")
    logged = Logged(model, memory._store, scope.scope, "test", [1], memory._clock)
    ack("ready")
    for number in range(first, first + count):
        logged.reply(Request((Message("user", str(number)),)))
        ack(number)


def add_in_bulk(path: str, ack: Ack, seed: int, first: int, count: int = 700) -> None:
    """Add many messages at once; what `progress` was told is acknowledged too."""
    scope = open_memory(path).scope(user="ana")
    sent = [message(seed, number) for number in range(first, first + count)]
    ack("ready")
    receipt = scope.add(sent, progress=lambda done: ack({"first": first, "done": done}))
    ack({"first": first, "done": len(receipt.ids)})


def change(path: str, ack: Ack, seed: int, ids: list[str]) -> None:
    """Update, forget and erase in turn; each is announced before and acknowledged after."""
    scope = open_memory(path).scope(user="ana")
    ack("ready")
    for number, id in enumerate(ids):
        act = ("update", "forget", "erase")[number % 3]
        ack([f"will {act}", id])
        if act == "update":
            ack(["updated", id, scope.update(id, text=f"new {id}").ids[0]])
        else:
            getattr(scope, act)(id)
            ack([f"did {act}", id])


def erase_singly(path: str, ack: Ack, ids: list[str], canaries: list[str]) -> None:
    """Erase one memory after the other; each is announced before and acknowledged after."""
    scope = open_memory(path).scope(user="ana")
    ack("ready")
    for id, canary in zip(ids, canaries):
        ack(["will", id, canary])
        ack(["did", id, canary, scope.erase(id).certificate])


def migrate(path: str, ack: Ack, extra: list[str]) -> None:
    """Open a store with more migrations than it has seen."""
    ack("ready")
    Database(Path(path), (*MIGRATIONS, *extra))
    ack("migrated")


def add_file(path: str, ack: Ack, file: str, user: str = "ana") -> None:
    """Add a file."""
    memory = open_memory(path)
    ack("ready")
    receipt = memory.scope(user=user).add(Path(file))
    ack({"added": receipt.added, "known": receipt.known, "ids": list(receipt.ids)})


def add_numbers(path: str, ack: Ack, seed: int, numbers: list[int], step: int = 1) -> None:
    """Add certain messages, `step` at a time."""
    memory = open_memory(path)
    scope = memory.scope(user="ana")
    ack("ready")
    for start in range(0, len(numbers), step):
        scope.add([message(seed, number) for number in numbers[start : start + step]])
    memory.close()
    ack("done")


def hold(path: str, ack: Ack, seconds: float) -> None:
    """Read and write a little, then keep the store open without a transaction."""
    memory = open_memory(path)
    memory.scope(user="ana").search("anything")
    ack("ready")
    time.sleep(seconds)
    memory.scope(user="ana").search("anything")
    ack("done")


def search_and_add(path: str, ack: Ack, queries: list[str]) -> None:
    """Each query's hits, one a line; an empty line in between waits for the other side."""
    scope = open_memory(path).scope(user="ana")
    ack("ready")
    for number, query in enumerate(queries):
        go = Path(f"{path}.go{number}")
        while not go.exists():
            time.sleep(0.002)
        ack([hit.text for hit in scope.search(query)])


def live(path: str, ack: Ack, seed: int) -> None:
    """Fuse, split, undo, snapshot, roll back and run the schedule, at random, on messages of single words."""
    memory = open_memory(path)
    scope = memory.scope(user="ana")
    scope.schedule.set("decay", enabled=True, options={"half_life_days": 0.000001, "least": 0.5})
    scope.schedule.set("sleep", options={"duplicates": 1})
    chance = random.Random(seed)
    ack("ready")
    for number in range(10_000):
        word = f"word{seed}n{number}"
        scope.add([{"role": "user", "content": f"Here is {word}. There is {word}too."}])
        ack(["added", word])
        known = [cube.id for origin in ("source", "composed") for cube in scope.list(origin=origin, limit=8)]
        chosen = chance.sample(known, min(2, len(known)))
        what = chance.choice(("fuse", "split", "undo", "compose", "snapshot", "rollback", "decay", "sleep", "expiry"))
        with suppress(MemoristError):
            if what in ("fuse", "compose"):
                getattr(scope.cubes, what)(chosen)
            elif what == "split":
                scope.cubes.split(chosen[0])
            elif what == "undo":
                scope.undo(chosen[-1])
            elif what == "snapshot":
                scope.snapshot(f"s{number}")
            elif what == "rollback":
                scope.rollback(chance.choice(scope.snapshots() or [scope.snapshot("first")]).name)
            else:
                scope.schedule.run([what])


TASKS = {
    task.__name__: task
    for task in (
        add_singly,
        add_in_bulk,
        change,
        erase_singly,
        migrate,
        add_file,
        add_numbers,
        hold,
        log_replies,
        search_and_add,
        live,
    )
}


class Child:
    """A task under way."""

    def __init__(self, workers: Workers, pid: int, acks: Path) -> None:
        self.pid = pid
        self._workers = workers
        self._acks = acks

    def acks(self) -> list[Any]:
        """What it has acknowledged so far, without "ready"."""
        lines = self._acks.read_bytes().split(b"\n")[:-1] if self._acks.exists() else []
        return [json.loads(line) for line in lines][1:]

    def ready(self) -> Child:
        """Wait until it has begun."""
        deadline = time.monotonic() + 60
        while not self._acks.exists() or self._acks.stat().st_size == 0:
            assert time.monotonic() < deadline, "the child does not begin"
            time.sleep(0.0005)
        return self

    def kill(self) -> None:
        """kill -9, and wait for its end."""
        os.kill(self.pid, 9)
        self.end()

    def end(self) -> int:
        """Wait for its end; 0 is success."""
        return int(self._workers.ask({"wait": self.pid})["status"])


class Workers:
    """The warm process."""

    def __init__(self, folder: Path, program: tuple[str, ...] = (__file__,), **options: Any) -> None:
        self._folder = folder
        self._number = 0
        environment = {**os.environ, "TOKENIZERS_PARALLELISM": "false", "OPENBLAS_NUM_THREADS": "1"}
        self._server = subprocess.Popen(
            [sys.executable, *program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
            **options,
        )

    def ask(self, command: dict[str, Any]) -> dict[str, Any]:
        """One command, one answer."""
        assert self._server.stdin
        assert self._server.stdout
        self._server.stdin.write(json.dumps(command) + "\n")
        self._server.stdin.flush()
        answer: dict[str, Any] = json.loads(self._server.stdout.readline())
        return answer

    def start(self, task: Callable[..., None], path: Path, *arguments: Any) -> Child:
        """Begin a task in a new process."""
        self._number += 1
        acks = self._folder / f"acks-{os.getpid()}-{self._number}"
        acks.unlink(missing_ok=True)
        command = {"run": task.__name__, "path": str(path), "acks": str(acks), "arguments": arguments}
        return Child(self, self.ask(command)["pid"], acks)

    def close(self) -> None:
        """End the warm process."""
        self._server.communicate()


def run(command: dict[str, Any]) -> None:
    """A task, in the child."""
    file = os.open(command["acks"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def ack(what: Any) -> None:
        os.write(file, json.dumps(what).encode() + b"\n")

    try:
        TASKS[command["run"]](command["path"], ack, *command["arguments"])
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def serve() -> None:
    """Warm up, then fork for each command."""
    with tempfile.TemporaryDirectory() as folder:
        memory = open_memory(Path(folder) / "warm.db")
        memory.scope().add([message(0, 0)])
        memory.scope().search("warm")
        memory.close()
    for line in sys.stdin:
        command = json.loads(line)
        if "wait" in command:
            answer = {"status": os.waitpid(command["wait"], 0)[1]}
        else:
            child = os.fork()
            if child == 0:
                run(command)
            answer = {"pid": child}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    serve()
