"""What a run may spend on a language model, and a model that keeps to it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Event

from memorist.errors import BudgetSpent
from memorist.models.chat import DEFAULT_SECONDS, ChatModel, Reply, Request, Usage
from memorist.models.wrapped import Wrapped


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that a run may spend; None is no limit. `tokens` are of prompts and replies together.

    Calls and tokens are reserved before a call, so they are never exceeded. A price is known only afterwards: the call
    that reaches `dollars` is the last, and a model without a known price is not called at all.
    """

    calls: int | None = None
    tokens: int | None = None
    dollars: float | None = None


class Metered(Wrapped):
    """A model that counts what it takes, and stops at the budget. Safe to call from several threads."""

    def __init__(self, model: ChatModel, budget: Budget) -> None:
        super().__init__(model)
        self._budget = budget
        self._lock = threading.Lock()
        self._reserved_calls = self._reserved_tokens = 0
        self.usage = Usage()

    def reply(self, request: Request, *, seconds: float = DEFAULT_SECONDS, cancel: Event | None = None) -> Reply:
        """The model's reply. Raises BudgetSpent before a call that could exceed the budget."""
        tokens = sum(self.count([message.content for message in request.messages])) + request.max_tokens
        self._reserve(tokens)
        used = Usage(calls=1)  # a call that fails has been made, too
        try:
            reply = self._model.reply(request, seconds=seconds, cancel=cancel)
            used = reply.usage
        finally:
            with self._lock:
                self._reserved_calls -= 1
                self._reserved_tokens -= tokens
                self.usage += used
        return reply

    def stream(
        self, request: Request, *, seconds: float = DEFAULT_SECONDS, cancel: Event | None = None
    ) -> Iterator[str | Reply]:
        """The whole reply in one piece: what organises shows nobody its progress word by word."""
        reply = self.reply(request, seconds=seconds, cancel=cancel)
        yield reply.text
        yield reply

    def _reserve(self, tokens: int) -> None:
        """Set aside a call and its tokens. Raises BudgetSpent."""
        with self._lock:
            used, most = self.usage, self._budget
            calls = used.calls + self._reserved_calls
            if most.calls is not None and calls + 1 > most.calls:
                raise BudgetSpent(f"the run may make {most.calls} calls, and has made {calls}", self.name)
            spent = used.prompt_tokens + used.reply_tokens + self._reserved_tokens
            if most.tokens is not None and spent + tokens > most.tokens:
                raise BudgetSpent(
                    f"the run may use {most.tokens} tokens; {spent} are used, the next call may need {tokens}",
                    self.name,
                )
            if most.dollars is not None and used.cost is None:
                raise BudgetSpent(f"no price is known for {self.name}; limit its tokens instead", self.name)
            if most.dollars is not None and (used.cost or 0.0) >= most.dollars:
                raise BudgetSpent(f"the run may spend ${most.dollars:.2f}, and has spent ${used.cost:.2f}", self.name)
            self._reserved_calls += 1
            self._reserved_tokens += tokens
