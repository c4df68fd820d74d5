"""The store contract, for SQLite."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from memorist.store.sqlite import SQLiteStore

pytest.register_assert_rewrite("memorist.testing.contract")

from memorist.testing.contract import StoreContract  # noqa: E402


class TestSQLiteStore(StoreContract):
    @pytest.fixture
    def make_store(self, tmp_path: Path) -> Callable[..., SQLiteStore]:
        def make(name: str = "one") -> SQLiteStore:
            return SQLiteStore(tmp_path / f"{name}.db")

        return make


def test_memorist_needs_no_pytest():
    program = "import sys, memorist, memorist.testing; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
