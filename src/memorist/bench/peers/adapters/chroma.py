"""Chroma's persistent client, a collection for each owner, cosine distance; otherwise as it comes."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import chromadb
from chromadb.config import Settings

from .serve import Embed, Hits, serve

AT_ONCE = 5_000
"""Chroma refuses larger batches."""


class Collections:
    """A collection for each owner."""

    def __init__(self, folder: Path, embed: Embed) -> None:
        self._client = chromadb.PersistentClient(str(folder), settings=Settings(anonymized_telemetry=False))
        self._embed = embed
        self._known: dict[str, Any] = {}

    def _of(self, owner: str) -> Any:
        if owner not in self._known:
            name = "owner-" + hashlib.sha256(owner.encode()).hexdigest()[:16]
            self._known[owner] = self._client.get_or_create_collection(
                name, embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
            )
        return self._known[owner]

    def add(self, owner: str, items: list[tuple[str, str]]) -> None:
        """With the harness's vectors."""
        for start in range(0, len(items), AT_ONCE):
            keys, texts = (list(some) for some in zip(*items[start : start + AT_ONCE]))
            self._of(owner).add(ids=keys, documents=texts, embeddings=self._embed(texts))

    def settle(self) -> None:
        """Chroma writes as it goes."""

    def search(self, owner: str, question: str, k: int) -> Hits:
        """The nearest."""
        found = self._of(owner).query(query_embeddings=self._embed([question]), n_results=k, include=["documents"])
        return zip(found["ids"][0], found["documents"][0])


if __name__ == "__main__":
    serve("chroma", "chromadb", Collections)
