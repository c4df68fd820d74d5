"""Runs LangGraph's own tests of stores over ours, from a checkout: python tests/adapters/run_langgraph.py FOLDER

Where they make its store in memory, they get one of ours. Nothing of them is kept here.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import langgraph.store.memory
import pytest

from memorist import Memory
from memorist.adapters.langgraph import MemoristStore
from memorist.testing import HashEmbedder

TESTS = Path("libs", "checkpoint")


class InMemoryStore(MemoristStore):
    """Ours, made as theirs is; the embedder that they name is not used."""

    def __init__(self, *, index: dict[str, Any] | None = None) -> None:
        self.index_config = index
        memory = Memory.open(Path(tempfile.mkdtemp()) / "memory.db", embedder=HashEmbedder())
        super().__init__(memory.scope(user="ana"), fields=(index or {}).get("fields") or ("$",))


def main(checkout: str) -> int:
    langgraph.store.memory.InMemoryStore = InMemoryStore
    folder = Path(checkout, TESTS).resolve()
    sys.path.insert(0, str(folder))
    options = ["-o", "asyncio_mode=auto", "-o", "filterwarnings=default", "-p", "no:cacheprovider", "--noconftest"]
    return pytest.main([str(folder / "tests" / "test_store.py"), "-q", "--rootdir", str(folder), *options])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
