"""LangGraph's InMemoryStore with an index over texts, a namespace for each owner. It keeps nothing on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from langgraph.store.base import PutOp
from langgraph.store.memory import InMemoryStore

from .serve import Embed, Hits, serve


class Store:
    """Any of LangGraph's stores."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def add(self, owner: str, items: list[tuple[str, str]]) -> None:
        """A batch of puts, which embeds its texts together."""
        self._store.batch([PutOp(space(owner), key, {"text": text}) for key, text in items])

    def settle(self) -> None:
        """A store writes as it goes, or not at all."""

    def search(self, owner: str, question: str, k: int) -> Hits:
        """The nearest."""
        found = self._store.search(space(owner), query=question, limit=k)
        return [(one.key, one.value["text"]) for one in found]


def space(owner: str) -> tuple[str, ...]:
    """The namespace of an owner: dots mean something there."""
    return ("memories", owner.replace(".", "·"))


def index(embed: Embed) -> dict[str, Any]:
    """What is indexed, and how."""
    dimension = embed(["dimension"]).shape[1]
    return {"dims": dimension, "embed": lambda texts: embed(list(texts)).tolist(), "fields": ["text"]}


def make(folder: Path, embed: Embed) -> Store:
    """A store that begins empty."""
    return Store(InMemoryStore(index=index(embed)))


if __name__ == "__main__":
    serve("langgraph-memory", "langgraph-checkpoint", make, durable=False)
