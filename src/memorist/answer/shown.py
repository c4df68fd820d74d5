"""A model for one reading: its schema knows which handles there are, and its text is shown while it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from threading import Event
from typing import Any

from memorist.answer.pieces import Pieces
from memorist.errors import ModelUnreachable
from memorist.models.chat import DEFAULT_SECONDS, ChatModel, Reply, Request
from memorist.models.structured import Rejecting

OnText = Callable[[str], None]


class Shown:
    """A ChatModel around another one.

    `schema` goes out in place of a request's own: a narrower one that a grammar can hold a small model to, while what
    comes back from any model is still parsed by the wider shape. `on_text` gets the values named `name` of the first
    reply as they come; a repair is not shown.
    """

    def __init__(self, model: ChatModel, schema: Mapping[str, Any], name: str, on_text: OnText | None) -> None:
        self.model, self.schema = model, schema
        self._name, self._on_text = name, on_text

    @property
    def name(self) -> str:
        """The model's."""
        return self.model.name

    @property
    def identity(self) -> str:
        """The model's."""
        return self.model.identity

    @property
    def context(self) -> int:
        """The model's."""
        return self.model.context

    def reply(self, request: Request, *, seconds: float = DEFAULT_SECONDS, cancel: Event | None = None) -> Reply:
        """The whole reply, shown on its way when someone wants to see it."""
        if self._on_text is None:
            return self.model.reply(self.narrowed(request), seconds=seconds, cancel=cancel)
        show, self._on_text = self._on_text, None
        pieces = Pieces(self._name)
        for piece in self.stream(request, seconds=seconds, cancel=cancel):
            if isinstance(piece, Reply):
                return piece
            if text := pieces.feed(piece):
                show(text)
        raise ModelUnreachable(f"{self.name} ended without a reply; ask again", self.name)

    def stream(
        self, request: Request, *, seconds: float = DEFAULT_SECONDS, cancel: Event | None = None
    ) -> Iterator[str | Reply]:
        """The reply in pieces."""
        return self.model.stream(self.narrowed(request), seconds=seconds, cancel=cancel)

    def count(self, texts: Sequence[str]) -> list[int]:
        """As the model counts."""
        return self.model.count(texts)

    def reject(self, request: Request, reason: str) -> None:
        """Pass on that a recorded reply was of no use."""
        if isinstance(self.model, Rejecting):
            self.model.reject(self.narrowed(request), reason)

    def narrowed(self, request: Request) -> Request:
        """The request with the narrower schema."""
        return replace(request, schema=self.schema)
