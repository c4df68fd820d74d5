"""mem0 without a language model (`infer=False`), its vectors in Qdrant's local files: what works without a key.

Its keyword half needs weights from a model hub; without them mem0 searches by vectors alone, as it does here. The
threshold on scores (0.1 by default) is lifted, so that a budget can be filled.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ["MEM0_TELEMETRY"] = "False"
os.environ["MEM0_DIR"] = str(Path.cwd())

from mem0 import Memory
from mem0.embeddings.base import EmbeddingBase

from .serve import Embed, Hits, serve

UNUSED = {"api_key": "none is used"}
"""mem0 makes a client of OpenAI's before it knows whether it needs one."""


class HarnessEmbedding(EmbeddingBase):  # type: ignore[misc]  # mem0 is not there when types are checked
    """mem0's seam for embedders."""

    def __init__(self, embed: Embed) -> None:
        super().__init__()
        self._embed = embed

    def embed(self, text: str, memory_action: Any = None) -> list[float]:
        """A vector."""
        return [float(value) for value in self._embed([text])[0]]


class Mem0:
    """A user for each owner."""

    def __init__(self, folder: Path, embed: Embed) -> None:
        dimension = embed(["dimension"]).shape[1]
        place = {"path": str(folder / "qdrant"), "on_disk": True, "embedding_model_dims": dimension}
        self._memory = Memory.from_config(
            {
                "vector_store": {"provider": "qdrant", "config": {**place, "collection_name": "memories"}},
                "llm": {"provider": "openai", "config": UNUSED},
                "embedder": {"provider": "openai", "config": UNUSED},
                "history_db_path": str(folder / "history.db"),
            }
        )
        self._memory.embedding_model = HarnessEmbedding(embed)

    def add(self, owner: str, items: list[tuple[str, str]]) -> None:
        """One by one, as its interface has it."""
        for key, text in items:
            self._memory.add(text, user_id=owner, metadata={"key": key}, infer=False)

    def settle(self) -> None:
        """mem0 writes as it goes."""

    def search(self, owner: str, question: str, k: int) -> Hits:
        """Its best."""
        found = self._memory.search(question, filters={"user_id": owner}, top_k=k, threshold=0.0)
        return [(one["metadata"]["key"], one["memory"]) for one in found["results"]]


if __name__ == "__main__":
    serve("mem0", "mem0ai", Mem0)
