"""A language model whose replies are written down beforehand, for error paths and exact protocols."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from threading import Event

from memorist.errors import ModelError
from memorist.models.chat import DEFAULT_SECONDS, Reply, Request, Usage
from memorist.models.wordpiece import count_tokens

Script = str | Reply | ModelError | Callable[[Request], str | Reply]


class ScriptedModel:
    """Answers with each line of its script in turn, and with the last one ever after.

    A line is a text, a whole Reply, an error to raise, or a function of the request. `requests` are those it was asked.
    """

    context = 0

    def __init__(self, *script: Script, name: str = "scripted") -> None:
        self.name = self.identity = name
        self.script = list(script)
        self.requests: list[Request] = []

    def reply(self, request: Request, *, seconds: float = DEFAULT_SECONDS, cancel: Event | None = None) -> Reply:
        """The next line."""
        begin = time.perf_counter()
        self.requests.append(request)
        line = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(line, ModelError):
            raise line
        made = line(request) if callable(line) else line
        if isinstance(made, Reply):
            return made
        prompt_tokens = sum(self.count([message.content for message in request.messages]))
        took = time.perf_counter() - begin
        usage = Usage(prompt_tokens, self.count([made])[0], 0.0, took, 1)
        return Reply(made, self.name, usage)

    def stream(
        self, request: Request, *, seconds: float = DEFAULT_SECONDS, cancel: Event | None = None
    ) -> Iterator[str | Reply]:
        """The next line word by word."""
        whole = self.reply(request, seconds=seconds, cancel=cancel)
        yield from whole.text.splitlines(keepends=True) if "\n" in whole.text else words(whole.text)
        yield replace(whole)

    def count(self, texts: Sequence[str]) -> list[int]:
        """Word pieces."""
        return count_tokens(texts)


def words(text: str) -> list[str]:
    """A text cut after its spaces."""
    parts = text.split(" ")
    return [part + " " for part in parts[:-1]] + parts[-1:]
