"""The part of the stores' contract that is about looking through a memory; `StoreContract` includes it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from memorist.cube import Scope
from memorist.store.browsing import DERIVED, REPLACED, Day, Relation, Share
from memorist.store.protocol import Link, Selection, Store
from memorist.testing.conversation import ANA, BOB, DAY, KIND, START, conversation, draft, filled, texts_of
from memorist.testing.derived import NOTES, note, rows_of, write


class BrowsingContract:
    """What every store must tell whoever looks through it."""

    # ruff: noqa: D102 - the name of a test says what it is about

    def test_a_page_begins_anywhere(self, store: Store) -> None:
        filled(store, ANA, conversation(["a", "b", "c", "d", "e"]))
        assert texts_of(store.newest(ANA, Selection(), 2, "source", skip=2)) == ["c", "b"]
        assert store.newest(ANA, Selection(), 2, "source", skip=5) == []

    def test_days_count_what_is_listed(self, store: Store) -> None:
        midnight = START.replace(hour=0, minute=0, second=0, microsecond=0)
        drafts = [
            draft(text, at=at)
            for text, at in zip("abcd", (midnight, midnight + DAY / 2, midnight - DAY / 4, START + 9 * DAY))
        ]
        old = draft("before 1970", at=midnight.replace(year=1969, hour=23))
        store.add(ANA, [*drafts, old], START, (KIND,))
        store.move(ANA, [drafts[0].id], "forget", START, (KIND,))
        assert store.days(ANA, Selection(), "source") == [
            Day(midnight + 9 * DAY, 1),
            Day(midnight, 1),
            Day(midnight - DAY, 1),
            Day(midnight.replace(year=1969), 1),
        ]
        some = Selection(where={"at": {"gte": START + timedelta(days=5)}})
        assert [day.count for day in store.days(ANA, some, "source")] == [1]
        assert store.days(BOB, Selection(), "source") == []

    def test_a_census_counts_everything(self, store: Store) -> None:
        first, second, third = conversation(["one", "two", "three"])
        store.add(ANA, [first, second, third], START, (KIND,))
        store.replace(ANA, first.id, draft("one, but newer", at=START + DAY), START + DAY, (KIND,))
        store.move(ANA, [second.id], "forget", START, (KIND,))
        assert store.census(ANA) == [
            Share("source", "text", "deleted", 1),
            Share("source", "text", "generated", 2),
            Share("source", "text", "superseded", 1),
        ]
        assert len(store.ids(ANA, "source")) == 4
        assert store.ids(ANA, "source")[:2] == [first.id, second.id]
        assert store.ids(ANA, "source", "deleted") == [second.id]
        assert (store.ids(BOB, "source"), store.ids(ANA, NOTES)) == ([], [])
        assert store.census(replace(ANA, session="elsewhere")) == []
        assert store.census(BOB) == []

    def test_relations_follow_lineage_versions_and_links(self, store: Store) -> None:
        first, second = conversation(["one", "two"])
        store.add(ANA, [first, second], START, (KIND,))
        one, two = rows_of(store, [first.id, second.id])
        assert write(store, note("a", [one]))
        assert write(store, note("b", [two], Link("no-a", "see", 0.5)))
        newer = draft("one, but newer", at=START + DAY)
        store.replace(ANA, first.id, newer, START + DAY, (KIND,))
        found = store.relations(ANA, [first.id], 10)
        assert set(found) == {
            Relation(first.id, "no-a", DERIVED, 1.0),
            Relation(first.id, newer.id, REPLACED, 1.0),
        }
        assert Relation("no-b", "no-a", "see", 0.5) in store.relations(ANA, ["no-a"], 10)
        assert {one.kind for one in store.relations(ANA, ["no-b"], 10)} == {"see", DERIVED}
        assert store.relations(BOB, [first.id, "no-a"], 10) == []
        assert store.relations(Scope(ANA.tenant, ANA.user, session="elsewhere"), ["no-a"], 10) == []
        assert store.relations(ANA, ["unknown"], 10) == []

    def test_relations_are_bounded(self, store: Store) -> None:
        drafts = conversation(["one", "two", "three", "four"])
        store.add(ANA, drafts, START, (KIND,))
        rows = rows_of(store, [one.id for one in drafts])
        assert write(store, note("of all", rows))
        assert len(store.relations(ANA, ["no-of all"], 3)) == 3
        assert len(store.newest(ANA, Selection(), 9, NOTES)) == 1
