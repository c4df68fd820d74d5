"""Tests of adapters need libraries that `make test-adapters` installs."""

from __future__ import annotations

import os

import pytest

from memorist import Memory
from memorist.testing import HashEmbedder

os.environ["MEM0_TELEMETRY"] = "False"


@pytest.fixture
def scoped(tmp_path):
    """Ana's memory, new."""
    with Memory.open(tmp_path / "memory.db", embedder=HashEmbedder()) as memory:
        yield memory.scope(user="ana")
