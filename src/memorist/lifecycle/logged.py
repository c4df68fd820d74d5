"""A model that remembers its replies: the same request again is answered from the store, and nothing is called."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from threading import Event

from memorist.cube import Scope, utc
from memorist.errors import BadReply, BudgetSpent, ModelError
from memorist.ids import digest
from memorist.models.chat import DEFAULT_SECONDS, ChatModel, Reply, Request, Usage
from memorist.models.wrapped import Wrapped
from memorist.store.reply_log import Exchange, ReplyLog

LONGEST_REASON = 500


class Logged(Wrapped):
    """`model` for one purpose (an organiser, or "ask") that sees the cubes of these rows.

    Replies are recorded in the scope and deleted with any episode that the rows rest on. Failures are recorded, too,
    and never replayed.
    """

    def __init__(
        self,
        model: ChatModel,
        store: ReplyLog,
        scope: Scope,
        purpose: str,
        rows: Sequence[int],
        clock: Callable[[], datetime],
    ) -> None:
        super().__init__(model)
        self._store = store
        self._scope = scope
        self._purpose = purpose
        self._rows = tuple(rows)
        self._clock = clock

    def reply(self, request: Request, *, seconds: float = DEFAULT_SECONDS, cancel: Event | None = None) -> Reply:
        """The recorded reply, or the model's, then recorded."""
        *_, last = self._answering(request, lambda: iter([self._model.reply(request, seconds=seconds, cancel=cancel)]))
        assert isinstance(last, Reply)
        return last

    def stream(
        self, request: Request, *, seconds: float = DEFAULT_SECONDS, cancel: Event | None = None
    ) -> Iterator[str | Reply]:
        """The recorded reply in one piece, or the model's as it comes. One that nobody reads to its end is not
        recorded."""
        return self._answering(request, lambda: self._model.stream(request, seconds=seconds, cancel=cancel))

    def reject(self, request: Request, reason: str) -> None:
        """The reply recorded for this request was of no use: it is kept with the reason, and not replayed."""
        self._store.reject_reply(self._scope, key_of(self._model, request), reason[:LONGEST_REASON])

    def _answering(self, request: Request, ask: Callable[[], Iterator[str | Reply]]) -> Iterator[str | Reply]:
        key = key_of(self._model, request)
        if known := self._store.reply_to(self._scope, key, self._rows):
            if known.text:
                yield known.text
            yield Reply(known.text, known.model, Usage(), known.finish, known.calls, recorded=True)
            return
        begin = time.perf_counter()
        try:
            for item in ask():
                if isinstance(item, Reply):
                    made = storable(item)
                    self._keep(key, request, made)
                    yield made
                else:
                    yield item
        except BudgetSpent:  # nobody was called
            raise
        except ModelError as error:
            raw = storable(Reply(error.raw if isinstance(error, BadReply) else "", self.name))
            failed = replace(raw, usage=Usage(seconds=time.perf_counter() - begin, calls=1))
            self._keep(key, request, failed, f"{type(error).__name__}: {error}"[:LONGEST_REASON])
            raise

    def _keep(self, key: str, request: Request, reply: Reply, error: str | None = None) -> None:
        exchange = Exchange(
            key=key,
            purpose=self._purpose,
            prompt=request.prompt,
            model=reply.model,
            parameters=parameters_of(request),
            text=reply.text,
            finish=reply.finish,
            calls=reply.calls,
            usage=reply.usage,
            at=utc(self._clock()),
            error=error,
        )
        self._store.keep_reply(self._scope, exchange, self._rows)


def key_of(model: ChatModel, request: Request) -> str:
    """A hash of who is asked what, by which version of which prompt."""
    messages = [
        [turn.role, turn.content, [[call.name, call.arguments] for call in turn.calls], turn.call_id is not None]
        for turn in request.messages
    ]
    tools = [[tool.name, tool.description, dict(tool.parameters)] for tool in request.tools]
    schema = None if request.schema is None else dict(request.schema)
    return digest(model.identity, request.prompt, messages, schema, tools, parameters_of(request))


def parameters_of(request: Request) -> dict[str, object]:
    """How a reply is sampled, for the key and the log."""
    return {
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "seed": request.seed,
        "stop": list(request.stop),
    }


def storable(reply: Reply) -> Reply:
    """The reply without what no store can keep (NUL, lone surrogates): what is replayed is what was first given."""
    text = reply.text.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
    return reply if text == reply.text else replace(reply, text=text)
