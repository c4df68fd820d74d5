"""A model whose replies are written beside a report: a run that was killed goes on, and no question is asked twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Event
from typing import Any

from memorist.errors import InputError
from memorist.lifecycle.logged import key_of
from memorist.models.chat import DEFAULT_SECONDS, ChatModel, Reply, Request, ToolCall, Usage
from memorist.models.wrapped import Wrapped


@dataclass(frozen=True, slots=True)
class Said:
    """A reply as the model gave it, and the name and version of the prompt that asked for it."""

    key: str
    prompt: str
    reply: Reply


class Recorder(Wrapped):
    """`model`, with every reply kept by its request in a file of JSON lines; without a file in memory alone.

    A reply that is answered from the file has the usage of the call that made it, so that a run which was interrupted
    counts what one run would have. Failures are not kept: they are tried again.
    """

    def __init__(self, model: ChatModel, path: Path | None) -> None:
        super().__init__(model)
        self._path = path
        self._known = {one.key: one for one in (read(path) if path and path.exists() else ())}
        self.heard: list[Said] = []
        """What was answered in this run, in order, from the file or by the model."""

    @property
    def usage(self) -> Usage:
        """What the replies of this run took when they were made, each counted once."""
        return sum((one.reply.usage for one in {one.key: one for one in self.heard}.values()), Usage())

    def reply(self, request: Request, *, seconds: float = DEFAULT_SECONDS, cancel: Event | None = None) -> Reply:
        """The kept reply, or the model's, then kept."""
        key = key_of(self._model, request)
        known = self._known.get(key)
        if known is None:
            known = Said(key, request.prompt, self._model.reply(request, seconds=seconds, cancel=cancel))
            self._known[key] = known
            if self._path is not None:
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(known), ensure_ascii=False) + "\n")
        self.heard.append(known)
        return known.reply

    def stream(
        self, request: Request, *, seconds: float = DEFAULT_SECONDS, cancel: Event | None = None
    ) -> Iterator[str | Reply]:
        """The whole reply in one piece."""
        made = self.reply(request, seconds=seconds, cancel=cancel)
        yield made.text
        yield made


def replies_beside(out: Path | None) -> Path | None:
    """`results.json` has `results.replies.jsonl`."""
    return out.with_name(f"{out.stem}.replies.jsonl") if out else None


def read(path: Path) -> list[Said]:
    """What a file holds. A last line that a killed run left unfinished is cut off. Raises InputError."""
    whole = path.read_bytes()
    end = whole.rfind(b"\n") + 1
    if end < len(whole):
        with path.open("r+b") as file:
            file.truncate(end)
    try:
        return [said_of(json.loads(line)) for line in whole[:end].splitlines()]
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} holds no replies of this program ({error}); move it away, or name another") from error


def said_of(found: dict[str, Any]) -> Said:
    """A line as it was written."""
    made = Reply(**found["reply"])
    calls = tuple(ToolCall(**call) for call in found["reply"]["calls"])
    return Said(found["key"], found["prompt"], replace(made, usage=Usage(**found["reply"]["usage"]), calls=calls))
