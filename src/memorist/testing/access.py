# ruff: noqa: D102
"""What every store promises about a server's keys, and about requests that may come again. Part of the contract."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta, timezone

from memorist.store.protocol import Attempt, Key, Store

NOW = datetime(2025, 5, 10, tzinfo=timezone.utc)
LATER = NOW + timedelta(hours=1)
KEY = Key("key-1", "bot", "acme", "ana", "", ("read", "write"), 60, NOW)


class AccessContract:
    """Cases of the store's contract; the class that inherits them has a fixture `make_store`."""

    def test_a_key_is_known_by_its_hash_until_it_is_revoked(self, make_store: Callable[..., Store]) -> None:
        store = make_store()
        other = replace(KEY, id="key-2", created_at=LATER)
        store.add_key(other, "b" * 64)
        store.add_key(KEY, "a" * 64)
        assert store.all_keys() == [KEY, other]
        assert store.key_with("a" * 64) == KEY
        assert store.key_with("c" * 64) is None
        assert store.revoke_key("key-1", LATER)
        assert store.key_with("a" * 64) is None
        assert store.key_with("b" * 64) == other
        assert store.all_keys() == [replace(KEY, revoked_at=LATER), other]

    def test_a_key_is_revoked_once(self, make_store: Callable[..., Store]) -> None:
        store = make_store()
        store.add_key(KEY, "a" * 64)
        assert not store.revoke_key("key-none", NOW)
        assert store.revoke_key("key-1", NOW)
        assert not store.revoke_key("key-1", LATER)
        assert store.all_keys()[0].revoked_at == NOW

    def test_keys_are_seen_by_other_processes_at_once(self, make_store: Callable[..., Store]) -> None:
        one, two = make_store(), make_store()
        one.add_key(KEY, "a" * 64)
        assert two.key_with("a" * 64) == KEY
        two.revoke_key("key-1", NOW)
        assert one.key_with("a" * 64) is None

    def test_a_request_that_comes_again_finds_how_the_first_went(self, make_store: Callable[..., Store]) -> None:
        store = make_store()
        first = store.attempt("key-1", "order-1", "digest", NOW)
        assert (first.digest, first.at, first.status) == ("digest", NOW, None)
        again = store.attempt("key-1", "order-1", "other", LATER)
        assert (again.digest, again.at, again.status) == ("digest", NOW, None)
        store.answered("key-1", "order-1", 201, {"ids": ["ep-1"], "deep": {"é": None}})
        done = store.attempt("key-1", "order-1", "digest", LATER)
        assert (done.status, done.body) == (201, {"ids": ["ep-1"], "deep": {"é": None}})

    def test_requests_are_known_by_key_and_name(self, make_store: Callable[..., Store]) -> None:
        store = make_store()
        store.attempt("key-1", "order-1", "one", NOW)
        assert store.attempt("key-2", "order-1", "two", NOW).digest == "two"
        assert store.attempt("key-1", "order-2", "three", NOW).digest == "three"

    def test_an_abandoned_request_begins_anew(self, make_store: Callable[..., Store]) -> None:
        store = make_store()
        store.attempt("key-1", "order-1", "one", NOW)
        store.abandoned("key-1", "order-1")
        began = store.attempt("key-1", "order-1", "two", LATER)
        assert (began.digest, began.at) == ("two", LATER)

    def test_of_requests_at_once_one_is_the_first(self, make_store: Callable[..., Store]) -> None:
        stores = [make_store() for _ in range(4)]

        def begin(number: int) -> Attempt:
            return stores[number % 4].attempt("key-1", "order-1", f"digest-{number}", NOW + timedelta(seconds=number))

        with ThreadPoolExecutor(4) as pool:
            begun = list(pool.map(begin, range(12)))
        assert sum(one.first for one in begun) == 1
        assert {(one.digest, one.at) for one in begun} == {(one.digest, one.at) for one in begun if one.first}
