"""An embedder that remembers, across runs, what it has embedded: evaluation embeds the same passages again and again.

Each text is embedded alone, so a vector depends neither on the company it came in nor on how many workers there are.
What a remembered vector took when it was made is counted in `saved`, so that times mean the same with and without.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from platformdirs import user_cache_path

from memorist.models.embedder import Embedder, Identity, Vectors

AT_ONCE = 500
"""Texts looked up in one statement."""

VARIABLE = "MEMORIST_CACHE"
"""The environment variable that names another folder for what may be made again."""


class Remembering:
    """An embedder with a file of its vectors, which several processes may share.

    `saved` and `spent` are seconds of embedding: spared by the file, and done.
    """

    def __init__(self, embedder: Embedder, folder: Path | None = None) -> None:
        self._embedder = embedder
        self.saved = 0.0
        self.spent = 0.0
        place = (folder or cache_folder()) / "vectors"
        place.mkdir(parents=True, exist_ok=True)
        name = f"{self.identity.name}-{self.identity.dimension}-{self.identity.sha256[:16]}.db"
        self._db = sqlite3.connect(place / name, timeout=60, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = OFF")  # it can be made again
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS vectors (hash BLOB PRIMARY KEY, vector BLOB, seconds REAL) WITHOUT ROWID"
        )

    @property
    def identity(self) -> Identity:
        """The embedder's own: a store cannot tell the two apart."""
        return self._embedder.identity

    def embed(self, texts: Sequence[str]) -> Vectors:
        """float32 [len(texts), dimension], remembered or made."""
        hashes = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16] for text in texts]
        known = self._known(set(hashes))
        vectors = np.empty((len(texts), self.identity.dimension), np.float32)
        for place, (hash, text) in enumerate(zip(hashes, texts)):
            if hash not in known:
                known[hash] = self._made(hash, text)
            vectors[place] = known[hash]
        return vectors

    def _known(self, hashes: set[bytes]) -> dict[bytes, Vectors]:
        """The remembered among these."""
        found: dict[bytes, Vectors] = {}
        wanted = sorted(hashes)
        for start in range(0, len(wanted), AT_ONCE):
            some = wanted[start : start + AT_ONCE]
            marks = ", ".join("?" * len(some))
            sql = f"SELECT hash, vector, seconds FROM vectors WHERE hash IN ({marks})"
            for hash, vector, seconds in self._db.execute(sql, some):
                found[hash] = np.frombuffer(vector, np.float32)
                self.saved += seconds
        return found

    def _made(self, hash: bytes, text: str) -> Vectors:
        """A new vector, kept at once: a killed run loses none."""
        begin = time.perf_counter()
        vector: Vectors = self._embedder.embed([text])[0]
        seconds = time.perf_counter() - begin
        self.spent += seconds
        self._db.execute("INSERT OR IGNORE INTO vectors VALUES (?, ?, ?)", (hash, vector.tobytes(), seconds))
        return vector

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()


def cache_folder() -> Path:
    """Where what may be made again is kept."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else user_cache_path("memorist", appauthor=False)
