"""The part of the stores' contract that is about the reply log; `StoreContract` includes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from memorist.cube import Scope
from memorist.errors import InputError
from memorist.models.chat import ToolCall, Usage
from memorist.store.protocol import Store
from memorist.store.reply_log import Exchange
from memorist.testing.conversation import ANA, BOB, DAY, KIND, OTHER, START, MakeStore, conversation, draft, filled
from memorist.testing.derived import note, rows_of, write

SECRET = "the combination of the vault is heliotrope seven"


def exchange(key: str = "k", text: str = "Lisbon.", **fields: Any) -> Exchange:
    """A call; `fields` override."""
    made = Exchange(
        key=key,
        purpose="notes",
        prompt="note/1",
        model="scripted",
        parameters={"temperature": 0.0},
        text=text,
        finish="tools",
        calls=(ToolCall("c", "look", '{"a": "é"}'),),
        usage=Usage(10, 5, 0.25, 1.5, 1),
        at=START,
    )
    return replace(made, **fields)


def failure(**fields: Any) -> Exchange:
    """A call that brought nothing."""
    return exchange(text="", error="ModelUnreachable: down", usage=Usage(seconds=0.5, calls=1), calls=(), **fields)


class ReplyLogContract:
    """What every store must do about the reply log."""

    # ruff: noqa: D102 - the name of a test says what it is about

    def test_a_reply_is_there_again_as_it_was(self, store: Store, stores: MakeStore) -> None:
        ids = filled(store, ANA, [draft("I moved to Lisbon.")])
        rows = rows_of(store, ids)
        assert store.reply_to(ANA, "k", rows) is None
        assert store.keep_reply(ANA, exchange(), rows)
        assert stores().reply_to(ANA, "k", rows) == exchange()
        assert store.reply_to(ANA, "other", rows) is None

    def test_the_first_reply_to_a_key_stays(self, store: Store) -> None:
        rows = rows_of(store, filled(store, ANA, [draft("a")]))
        store.keep_reply(ANA, exchange(text="first"), rows)
        store.keep_reply(ANA, exchange(text="second"), rows)
        found = store.reply_to(ANA, "k", rows)
        assert found is not None
        assert found.text == "first"
        assert store.spent(ANA)[0].used.calls == 1

    def test_replies_have_owners(self, store: Store) -> None:
        rows = rows_of(store, filled(store, ANA, [draft("a")]))
        store.keep_reply(ANA, exchange(), rows)
        for stranger in (BOB, OTHER, Scope()):
            theirs = rows_of(store, filled(store, stranger, [draft("b")]), stranger)
            assert store.reply_to(stranger, "k", theirs) is None
            assert store.reply_to(stranger, "k", rows) is None
            assert not store.keep_reply(stranger, exchange("mine"), rows)
            assert store.reply_to(stranger, "mine", theirs) is None
            store.reject_reply(stranger, "k", "not yours")
            assert [line.model for line in store.spent(stranger)] == ["scripted"]
        assert store.reply_to(ANA, "k", rows) == exchange()

    def test_failures_are_kept_and_not_replayed(self, store: Store) -> None:
        rows = rows_of(store, filled(store, ANA, [draft("a")]))
        for _ in range(3):
            assert store.keep_reply(ANA, failure(), rows)
        assert store.reply_to(ANA, "k", rows) is None
        store.keep_reply(ANA, exchange(), rows)
        assert store.reply_to(ANA, "k", rows) == exchange()
        (line,) = store.spent(ANA)
        assert (line.failed, line.used) == (3, Usage(10, 5, 0.25, 3.0, 4))
        assert sum(record["record"] == "reply" for record in store.dump()) == 2

    def test_a_rejected_reply_is_kept_and_not_replayed(self, store: Store) -> None:
        rows = rows_of(store, filled(store, ANA, [draft("a")]))
        store.keep_reply(ANA, exchange(text="nonsense"), rows)
        store.reject_reply(ANA, "k", "no JSON")
        assert store.reply_to(ANA, "k", rows) is None
        store.keep_reply(ANA, exchange(text="sense"), rows)
        found = store.reply_to(ANA, "k", rows)
        assert found is not None
        assert found.text == "sense"
        kept = {record["text"]: record["error"] for record in store.dump() if record["record"] == "reply"}
        assert kept == {"nonsense": "no JSON", "sense": None}
        assert store.spent(ANA)[0].failed == 1

    def test_what_was_news_to_the_same_call(self, store: Store) -> None:
        rows = rows_of(store, filled(store, ANA, [draft(text) for text in "abcde"]))
        assert store.together(ANA, "notes", rows) == []
        store.keep_reply(ANA, exchange("one"), rows[:2])
        store.keep_reply(ANA, exchange("two"), rows[1:3])
        store.keep_reply(ANA, exchange("of another purpose", purpose="ask"), rows)
        store.keep_reply(ANA, failure(key="failed"), rows)
        store.keep_reply(ANA, exchange("three"), rows[2:])
        together = [tuple(rows[:2]), tuple(rows[2:3]), tuple(rows[3:])]
        assert store.together(ANA, "notes", rows) == together
        assert store.together(ANA, "notes", rows[1:2] + rows[4:]) == [together[0], together[2]]
        assert store.together(BOB, "notes", rows) == []

    def test_what_was_spent_and_saved(self, store: Store) -> None:
        rows = rows_of(store, filled(store, ANA, [draft("a")]))
        store.keep_reply(ANA, exchange("one"), rows)
        store.keep_reply(ANA, exchange("two"), rows)
        store.keep_reply(ANA, exchange("free", purpose="ask", usage=Usage(1, 1, None, 0.1, 1)), rows)
        store.keep_reply(ANA, exchange("later", at=START + DAY), rows)
        for _ in range(2):
            store.reply_to(ANA, "one", rows)
        lines = {(line.purpose, line.day.day): line for line in store.spent(ANA)}
        assert set(lines) == {("notes", 1), ("ask", 1), ("notes", 2)}
        assert lines["notes", 1].used == Usage(20, 10, 0.5, 3.0, 2)
        assert lines["notes", 1].saved == Usage(20, 10, 0.5, 3.0, 2)
        assert lines["notes", 2].saved == Usage(0, 0, 0.0, 0.0, 0)
        assert lines["ask", 1].used.cost is None
        assert [line.day.day for line in store.spent(ANA, START + DAY)] == [2]

    def test_a_reply_goes_with_any_episode_it_saw(self, store: Store) -> None:
        ids = filled(store, ANA, conversation(["a", "b", "c"]))
        rows = rows_of(store, ids)
        store.keep_reply(ANA, exchange("first", SECRET), rows[:2])
        store.keep_reply(ANA, failure(key="first"), rows[:2])
        store.keep_reply(ANA, exchange("last", "unharmed"), rows[2:])
        erased = store.erase(ANA, [ids[1]], (KIND,))
        assert erased.counts["replies"] == 2
        assert SECRET in erased.texts
        assert store.compact(erased.texts) == 0
        assert store.reply_to(ANA, "first", [rows[0]]) is None
        assert store.reply_to(ANA, "last", rows[2:]) is not None
        assert SECRET not in json.dumps(list(store.dump()))

    def test_a_reply_that_saw_a_derived_cube_rests_on_its_episodes(self, store: Store) -> None:
        ids = filled(store, ANA, conversation(["a", "b"]))
        rows = rows_of(store, ids)
        write(store, note("both", rows))
        (derived,) = [cube.row for cube in store.derived(ANA, "notes", 0).kept]
        store.keep_reply(ANA, exchange(), [derived])
        write(store, withdrawn=["no-both"])
        assert store.reply_to(ANA, "k", rows[:1]) is not None
        assert store.erase(ANA, ids[1:], (KIND,)).counts["replies"] == 1

    def test_replayed_for_other_episodes_it_rests_on_them_too(self, store: Store) -> None:
        ids = filled(store, ANA, conversation(["same words", "same words"]))
        rows = rows_of(store, ids)
        store.keep_reply(ANA, exchange(), rows[:1])
        assert store.reply_to(ANA, "k", rows[1:]) is not None
        assert store.erase(ANA, ids[1:], (KIND,)).counts["replies"] == 1
        assert store.reply_to(ANA, "k", rows[:1]) is None

    def test_a_reply_comes_too_late_for_what_was_erased(self, store: Store) -> None:
        ids = filled(store, ANA, conversation(["a", "b"]))
        rows = rows_of(store, ids)
        store.erase(ANA, ids[:1], (KIND,))
        for key, seen in (("late", rows), ("blind", [])):
            assert not store.keep_reply(ANA, exchange(key, SECRET), seen)
            assert store.reply_to(ANA, key, rows[1:]) is None
        assert SECRET not in json.dumps(list(store.dump()))
        assert store.spent(ANA)[0].used.calls == 2

    def test_the_log_is_dumped_and_restored(self, store: Store, bound: MakeStore) -> None:
        rows = rows_of(store, filled(store, ANA, conversation(["a", "b"])))
        filled(store, OTHER, [draft("e")])
        store.keep_reply(ANA, exchange("one", "日本 'text'"), rows)
        store.keep_reply(ANA, failure(key="two"), rows[1:])
        store.keep_reply(ANA, exchange("three"), [])
        store.reply_to(ANA, "one", rows)
        records = list(store.dump())
        other = bound("two")
        other.restore(records, (KIND,))
        other.restore(records, (KIND,))
        assert list(other.dump()) == records
        assert other.spent(ANA) == store.spent(ANA)
        again = rows_of(other, [record["id"] for record in records if record["record"] == "episode"][:2])
        assert other.reply_to(ANA, "one", again) == exchange("one", "日本 'text'")

    def test_a_forged_reply_does_not_reach_into_another_scope(self, store: Store) -> None:
        ids = filled(store, BOB, [draft("secret")])
        rows = rows_of(store, filled(store, ANA, [draft("a")]))
        store.keep_reply(ANA, exchange(), rows)
        record = list(store.dump())[-1]
        before = list(store.dump())
        store.restore([{**record, "key": "forged", "episodes": ids}], (KIND,))
        store.restore([{**record, "key": "forged", "episodes": []}], (KIND,))
        store.restore([{**record, "key": "forged", "tenant": "nobody"}], (KIND,))
        assert list(store.dump()) == before

    @pytest.mark.parametrize(
        "wrong",
        [
            {"key": None}, {"text": 5}, {"text": "\ud800"}, {"finish": "never"}, {"calls": [["a"]]}, {"calls": [5]},
            {"prompt_tokens": -1}, {"reply_tokens": "5"}, {"cost": "x"}, {"cost": float("nan")}, {"seconds": None},
            {"uses": 2**70}, {"at": 10**30}, {"at": None}, {"parameters": []}, {"episodes": "ep"}, {"episodes": [5]},
            {"tenant": 5}, {"error": 5}, {"purpose": "\x00"},
        ],
        ids=str,
    )  # fmt: skip
    def test_a_broken_reply_restores_nothing(self, store: Store, wrong: Mapping[str, Any]) -> None:
        rows = rows_of(store, filled(store, ANA, [draft("a")]))
        store.keep_reply(ANA, exchange(), rows)
        record = list(store.dump())[-1]
        fresh = {**record, "key": "fresh"}
        before = list(store.dump())
        with pytest.raises(InputError, match="record 2"):
            store.restore([fresh, {**fresh, "key": "other", **wrong}], (KIND,))
        assert list(store.dump()) == before
