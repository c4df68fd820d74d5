"""SQLite's own full-text index on the same texts, for comparison with ours: why it is not what we use."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from memorist.bench.synthetic import texts

LIMIT = 150


class FullText:
    """One FTS5 table for all owners, the owner a column, as a store would have it."""

    def __init__(self, path: Path, small: int, large: int) -> None:
        self._db = sqlite3.connect(path)
        self._db.execute("CREATE VIRTUAL TABLE found USING fts5 (text, owner UNINDEXED, tokenize = 'porter unicode61')")
        for owner, size, seed in ((1, small, 1), (2, large, 2)):
            rows = ((text, owner) for text in texts(size, seed))
            self._db.executemany("INSERT INTO found (text, owner) VALUES (?, ?)", rows)
        self._db.commit()

    def search(self, owner: int, question: str) -> list[int]:
        """The best rows of the owner by FTS5's BM25."""
        terms = " OR ".join(f'"{word}"' for word in dict.fromkeys(question.split()))
        sql = "SELECT rowid FROM found WHERE found MATCH ? AND owner = ? ORDER BY rank LIMIT ?"
        return [row for (row,) in self._db.execute(sql, (terms, owner, LIMIT))]

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()
