"""The store contract, for PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from memorist.store.postgres.store import PostgresStore
from postgres_server import Server

pytest.register_assert_rewrite("memorist.testing.contract")

from memorist.testing.contract import StoreContract  # noqa: E402


class TestPostgresStore(StoreContract):
    @pytest.fixture
    def make_store(self, server: Server) -> Iterator[Callable[..., PostgresStore]]:
        places: dict[str, str] = {}
        opened: list[PostgresStore] = []

        def make(name: str = "one") -> PostgresStore:
            if name not in places:
                places[name] = server.fresh()
            opened.append(PostgresStore(places[name]))
            return opened[-1]

        yield make
        for store in opened:
            store.close()
        for place in places.values():
            server.give_back(place)
