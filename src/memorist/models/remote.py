"""Language models behind an endpoint: OpenAI and all that speak its protocol, Azure, Anthropic, Gemini.

The vendors' protocols are pydantic-ai's work (its direct model requests, without agents); this is what it takes to call
them without harm: one deadline for everything, retries that heed Retry-After within it, bounds, no key in anything that
can be shown, and errors that mean the same for every vendor.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from threading import Event
from typing import TYPE_CHECKING, Any, Literal

from memorist.errors import ModelBusy, ModelError, ModelMissing, ModelUnreachable
from memorist.models.chat import DEFAULT_SECONDS, Reply, Request
from memorist.models.waiting import arriving
from memorist.models.wordpiece import count_tokens

if TYPE_CHECKING:
    from pydantic_ai.models import Model

Vendor = Literal["openai", "azure", "anthropic", "gemini"]

ATTEMPTS = 4
FIRST_WAIT = 0.5
"""Seconds before the second attempt when the endpoint does not say; then twice as long each time."""

CAREFUL = 1.2
"""Tokens are estimated by another tokenizer's: this much more, so that a budget is kept."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a model is and how to get in. Without a `url` it is the vendor's own; `context` 0 is unknown."""

    vendor: Vendor
    model: str
    url: str | None = None
    key: str | None = field(default=None, repr=False)
    context: int = 0


class RemoteModel:
    """A model behind an endpoint. `name` is how it was asked for."""

    def __init__(self, name: str, endpoint: Endpoint) -> None:
        self.name = name
        self.context = endpoint.context
        self._endpoint = endpoint
        self._vendor_model: Model[Any] | None = None
        self._making = threading.Lock()

    @property
    def identity(self) -> str:
        """The model at its endpoint: what serves it may change without telling."""
        place = f" at {self._endpoint.url}" if self._endpoint.url else ""
        return f"{self._endpoint.vendor}:{self._endpoint.model}{place}"

    def __repr__(self) -> str:
        return f"RemoteModel({self.name!r})"

    def count(self, texts: Sequence[str]) -> list[int]:
        """An estimate that is rather too high than too low."""
        return [round(tokens * CAREFUL) for tokens in count_tokens(texts)]

    def reply(self, request: Request, *, seconds: float = DEFAULT_SECONDS, cancel: Event | None = None) -> Reply:
        """The whole reply, in one piece from the endpoint."""
        *_, last = self._calling(request, seconds, cancel, streamed=False)
        assert isinstance(last, Reply)
        return last

    def stream(
        self, request: Request, *, seconds: float = DEFAULT_SECONDS, cancel: Event | None = None
    ) -> Iterator[str | Reply]:
        """The text as it comes, then the Reply."""
        return self._calling(request, seconds, cancel, streamed=True)

    def _calling(self, request: Request, seconds: float, cancel: Event | None, streamed: bool) -> Iterator[str | Reply]:
        """What arrives from the call that runs on the loop; it is cancelled when nobody waits any more."""
        begin = time.monotonic()
        model = self._model()
        items: queue.SimpleQueue[Any] = queue.SimpleQueue()
        work = self._work(model, request, begin + seconds, streamed, items)
        running = asyncio.run_coroutine_threadsafe(work, loop())
        try:
            yield from arriving(items, self.name, begin, seconds, cancel)
        finally:
            running.cancel()

    async def _work(
        self, model: Model[Any], request: Request, deadline: float, streamed: bool, items: queue.SimpleQueue[Any]
    ) -> None:
        """One call with its retries, its outcome put into the queue."""
        from memorist.models.vendors import Call

        call = Call(self.name, self._endpoint, model, request, items)
        try:
            items.put(await self._attempts(call, deadline, streamed))
            items.put(None)
        except ModelError as error:
            items.put(error)

    async def _attempts(self, call: Any, deadline: float, streamed: bool) -> Reply:
        """Try until it works, may not be tried again, or would be too late."""
        for attempt in range(ATTEMPTS):
            outcome = await call.attempt(streamed)
            if isinstance(outcome, Reply):
                return outcome
            wait = outcome.retry_after if isinstance(outcome, ModelBusy) else None
            wait = FIRST_WAIT * 2**attempt if wait is None else wait
            again = isinstance(outcome, (ModelBusy, ModelUnreachable)) and not call.begun and attempt + 1 < ATTEMPTS
            if not again or time.monotonic() + wait >= deadline:
                raise outcome
            await asyncio.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    def _model(self) -> Model[Any]:
        """The client, made at the first call. Raises ModelMissing."""
        with self._making:
            if self._vendor_model is None:
                try:
                    from memorist.models.vendors import client
                except ImportError as error:
                    raise ModelMissing(
                        f"{self.name} needs a client library ({error.name} is missing); run:"
                        " pip install 'memorist[remote]' (with Python 3.11 or newer)",
                        self.name,
                    ) from None
                self._vendor_model, http = client(self._endpoint)
                weakref.finalize(self, close, http)
            return self._vendor_model


@cache
def loop() -> asyncio.AbstractEventLoop:
    """The loop that all calls of this process run on, in a thread of its own: connections are kept between calls."""
    made = asyncio.new_event_loop()
    threading.Thread(target=made.run_forever, name="memorist models", daemon=True).start()
    return made


def close(http: Any) -> None:
    """Let go of a client's connections, without waiting: this may run on the loop itself."""
    asyncio.run_coroutine_threadsafe(http.aclose(), loop())
