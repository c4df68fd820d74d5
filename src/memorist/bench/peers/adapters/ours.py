"""Memorist itself behind the same protocol, for measurements that must treat all alike: `-m adapters.ours RECIPE`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from memorist.cube import Observation
from memorist.memory import Memory
from memorist.models.embedder import Identity, Vectors

from .serve import Embed, Hits, serve


class Handed:
    """The harness's embedder."""

    def __init__(self, embed: Embed) -> None:
        self._embed = embed
        self.identity = Identity("handed", embed(["dimension"]).shape[1], "0" * 64)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """float32 [len(texts), dimension]."""
        return self._embed(list(texts))


class Ours:
    """A user for each owner, the turns of one sitting."""

    def __init__(self, folder: Path, embed: Embed) -> None:
        self._memory = Memory.open(folder / "memory.db", embedder=Handed(embed), recipe=sys.argv[1])

    def add(self, owner: str, items: list[tuple[str, str]]) -> None:
        """Through the front door."""
        self._memory.scope(user=owner).add([Observation(text, key=key) for key, text in items])

    def settle(self) -> None:
        """Memorist writes as it goes."""

    def search(self, owner: str, question: str, k: int) -> Hits:
        """The recipe's hits; the episodes of a derived one stand for it."""
        return [(hit.id, hit.text) for hit in self._memory.scope(user=owner).search(question, k=k)]


if __name__ == "__main__":
    serve(sys.argv[1], "memorist", Ours)
