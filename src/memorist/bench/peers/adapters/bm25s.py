"""bm25s as its README has it: Lucene's BM25, English stop words, Snowball stems. An index for each owner."""

from __future__ import annotations

import json
from pathlib import Path

import bm25s
import Stemmer

from .serve import Embed, Hits, serve


class Words:
    """Texts by owner; an index is built when it is first needed, as bm25s cannot add to one."""

    def __init__(self, folder: Path, embed: Embed) -> None:
        self._folder = folder
        self._stemmer = Stemmer.Stemmer("english")
        self._texts: dict[str, list[tuple[str, str]]] = {}
        self._indexes: dict[str, bm25s.BM25] = {}
        names = folder / "owners.json"
        for place, owner in enumerate(json.loads(names.read_text()) if names.exists() else []):
            self._indexes[owner] = bm25s.BM25.load(folder / str(place))
            self._texts[owner] = [(key, text) for key, text in json.loads((folder / f"{place}.json").read_text())]

    def add(self, owner: str, items: list[tuple[str, str]]) -> None:
        """Keep them for the index."""
        self._texts.setdefault(owner, []).extend(items)
        self._indexes.pop(owner, None)

    def settle(self) -> None:
        """Build and save what changed."""
        for place, (owner, items) in enumerate(self._texts.items()):
            if owner not in self._indexes:
                self._indexes[owner] = self._built([text for _, text in items])
                self._indexes[owner].save(self._folder / str(place), show_progress=False)
                (self._folder / f"{place}.json").write_text(json.dumps(items))
        (self._folder / "owners.json").write_text(json.dumps(list(self._texts)))

    def _built(self, texts: list[str]) -> bm25s.BM25:
        index = bm25s.BM25()
        tokens = bm25s.tokenize(texts, stopwords="en", stemmer=self._stemmer, show_progress=False)
        index.index(tokens, show_progress=False)
        return index

    def search(self, owner: str, question: str, k: int) -> Hits:
        """Those that share a word with the question."""
        items = self._texts.get(owner, [])
        if not items:
            return []
        tokens = bm25s.tokenize(question, stopwords="en", stemmer=self._stemmer, show_progress=False)
        places, scores = self._indexes[owner].retrieve(tokens, k=min(k, len(items)), show_progress=False)
        return [items[place] for place, score in zip(places[0].tolist(), scores[0].tolist()) if score > 0]


if __name__ == "__main__":
    serve("bm25s", "bm25s", Words)
