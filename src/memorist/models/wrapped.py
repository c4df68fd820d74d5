"""What a model that stands in front of another says of itself: all that the other says."""

from __future__ import annotations

from collections.abc import Sequence

from memorist.models.chat import ChatModel


class Wrapped:
    """The name, identity, context and counting of `model`; how it replies is up to who wraps it."""

    def __init__(self, model: ChatModel) -> None:
        self._model = model

    @property
    def name(self) -> str:
        """The model's."""
        return self._model.name

    @property
    def identity(self) -> str:
        """The model's."""
        return self._model.identity

    @property
    def context(self) -> int:
        """The model's."""
        return self._model.context

    def count(self, texts: Sequence[str]) -> list[int]:
        """The model's."""
        return self._model.count(texts)
