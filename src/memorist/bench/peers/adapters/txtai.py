"""txtai's hybrid index: BM25 and vectors (Faiss), its own weights. An index for each owner, texts kept beside."""

from __future__ import annotations

import json
from pathlib import Path

from txtai import Embeddings

from .serve import Embed, Hits, serve


class Hybrid:
    """An index for each owner."""

    def __init__(self, folder: Path, embed: Embed) -> None:
        self._folder = folder
        self._embed = lambda texts: embed(texts)  # it calls only what is a function, and no method
        self._texts: dict[str, dict[str, str]] = {}
        self._indexes: dict[str, Embeddings] = {}
        self._changed: set[str] = set()
        names = folder / "owners.json"
        for place, owner in enumerate(json.loads(names.read_text()) if names.exists() else []):
            self._indexes[owner] = Embeddings().load(str(folder / str(place)), config={"transform": self._embed})
            self._texts[owner] = json.loads((folder / f"{place}.json").read_text())

    def add(self, owner: str, items: list[tuple[str, str]]) -> None:
        """The first batch makes the index, others are added to it."""
        rows = [(key, text, None) for key, text in items]
        if owner in self._indexes:
            self._indexes[owner].upsert(rows)
        else:
            self._indexes[owner] = Embeddings(method="external", transform=self._embed, hybrid=True)
            self._indexes[owner].index(rows)
        self._texts.setdefault(owner, {}).update(items)
        self._changed.add(owner)

    def settle(self) -> None:
        """Save what changed."""
        for place, owner in enumerate(self._indexes):
            if owner in self._changed:
                index = self._indexes[owner]
                index.config["transform"] = None  # a function has no file
                index.save(str(self._folder / str(place)))
                index.config["transform"] = self._embed
                (self._folder / f"{place}.json").write_text(json.dumps(self._texts[owner]))
        self._changed.clear()
        (self._folder / "owners.json").write_text(json.dumps(list(self._indexes)))

    def search(self, owner: str, question: str, k: int) -> Hits:
        """Its best by both."""
        if owner not in self._indexes:
            return []
        return [(key, self._texts[owner][key]) for key, _ in self._indexes[owner].search(question, k)]


if __name__ == "__main__":
    serve("txtai", "txtai", Hybrid)
