"""Fixtures that several files share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from postgres_server import Server


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A running PostgreSQL server."""
    started = Server()
    yield started
    started.stop()
