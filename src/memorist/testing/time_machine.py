"""The part of the stores' contract about composing, snapshots, usage and the schedule; `StoreContract` includes it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from memorist.errors import EmbedderMismatch, InputError, NotFound, StateError
from memorist.models.embedder import Identity
from memorist.states import Verb
from memorist.store.protocol import Composition, Derived, HeaderChange, Recalled, Scheduled, Selection, Store
from memorist.testing.conversation import (
    ANA,
    BOB,
    DAY,
    KIND,
    START,
    MakeStore,
    conversation,
    draft,
    filled,
    found,
    settle,
)
from memorist.testing.derived import active, note, rows_of, write
from memorist.testing.embedder import HashEmbedder

COMPOSED = "composed"


def composition(originals: dict[str, str], *texts: str, verb: Verb | None = "fuse") -> Composition:
    """A composition of cubes, given as their ids and texts."""
    vectors = HashEmbedder().embed(list(texts))
    cubes = tuple(
        Derived(
            id=f"co-{text}", origin=COMPOSED, text=text, members=(), trust="user", agent="", session="s", at=START,
            valid_from=START, vector=vector,
        )
        for text, vector in zip(texts, vectors)
    )  # fmt: skip
    header = HeaderChange("fact", 2, ("home",))
    return Composition(tuple(originals), tuple(originals.values()), cubes, verb, "Ana", header, HashEmbedder().identity)


def composed(store: Store) -> set[str]:
    """The compositions that are current."""
    return {cube.text for cube in store.newest(ANA, Selection(), 99, COMPOSED)}


def states(store: Store, ids: list[str]) -> list[str]:
    """The states of cubes."""
    return [cube.state for cube in store.get(ANA, ids)]


class TimeMachineContract:
    """What every store must do with compositions, snapshots, usage and schedules."""

    # ruff: noqa: D102 - the name of a test says what it is about

    def test_a_fusion_takes_the_place_of_its_originals_and_is_undone(self, store: Store) -> None:
        ids = filled(store, ANA, conversation(["a", "b", "c"]))
        store.compose(ANA, composition({ids[0]: "a", ids[1]: "b"}, "ab"), START, (KIND,))
        settle(store, ANA)
        (cube,) = store.get(ANA, ["co-ab"])
        assert (cube.episodes, cube.speaker, cube.semantic_type, cube.priority) == (tuple(ids[:2]), "Ana", "fact", 2)
        assert (states(store, ids), found(store, ANA, "a b c")) == (["merged", "merged", "activated"], {"c"})
        for wrong in (
            composition({ids[0]: "a", ids[2]: "c"}, "ac"),
            composition({ids[2]: "not c"}, "x", verb=None),
        ):
            with pytest.raises(StateError):
                store.compose(ANA, wrong, START, (KIND,))
        with pytest.raises(NotFound):
            store.compose(BOB, composition({ids[2]: "c"}, "x"), START, (KIND,))
        assert composed(store) == {"ab"}
        store.undo(ANA, "co-ab", START)
        settle(store, ANA)
        assert (states(store, ["co-ab", *ids]), composed(store)) == (["archived", *["activated"] * 3], set())
        store.compose(ANA, composition({ids[0]: "a", ids[1]: "b"}, "ab"), START, (KIND,))
        settle(store, ANA)
        assert composed(store) == {"ab"}

    def test_a_composition_of_other_vectors_is_refused(self, store: Store) -> None:
        (id,) = filled(store, ANA, [draft("a")])
        wrong = composition({id: "a"}, "x", verb=None)
        other = replace(wrong, embedder=Identity("other", 64, "1" * 64))
        with pytest.raises(EmbedderMismatch):
            store.compose(ANA, other, START, (KIND,))

    @pytest.mark.parametrize("how", ["forget", "erase"])
    def test_when_a_part_goes_the_others_come_back(self, store: Store, how: str) -> None:
        ids = filled(store, ANA, conversation(["a", "b", "c"]))
        store.compose(ANA, composition({ids[0]: "a", ids[1]: "b"}, "ab"), START, (KIND,))
        store.compose(ANA, composition({ids[2]: "c"}, "c1", "c2", verb="archive"), START, (KIND,))
        assert store.composed_of(ANA, ids) == set(ids)
        if how == "forget":
            store.move(ANA, [ids[0]], "forget", START, (KIND,))
        else:
            store.erase(ANA, [ids[0]], (KIND,))
        settle(store, ANA)
        assert (states(store, ids[1:]), composed(store)) == (["activated", "archived"], {"c1", "c2"})
        store.undo(ANA, "co-c1", START)
        settle(store, ANA)
        assert (states(store, ids[1:]), composed(store)) == (["activated", "activated"], set())

    def test_a_roll_back_restores_all_but_what_was_erased(self, store: Store) -> None:
        ids = filled(store, ANA, conversation(["a", "b", "c", "d"]))
        rows = rows_of(store, ids)
        write(store, note("x", rows[:2]), note("y", rows[3:]))
        (bobs,) = filled(store, BOB, [draft("bob's")])
        before = [record for record in store.dump(ANA) if record["record"] == "episode"]
        taken = store.snapshot(ANA, "then", START)
        assert (taken, store.snapshots(ANA)) == (store.snapshots(ANA)[0], [taken])
        assert (taken.episodes, store.snapshots(BOB)) == (4, [])
        store.move(ANA, [ids[0]], "forget", START, (KIND,))
        store.replace(ANA, ids[1], draft("B"), START + DAY, (KIND,))
        later = filled(store, ANA, [draft("later")])
        write(store, note("z", rows_of(store, later)))
        done = store.rollback(ANA, "then", START + DAY, (KIND,))
        settle(store, ANA)
        assert (done.aside, done.changed) == (2, 2)
        again = [record for record in store.dump(ANA) if record["record"] == "episode"]
        assert [{**one, "events": 0} for one in again] == [{**one, "events": 0} for one in before]
        assert (found(store, ANA, "a b c d later"), active(store)) == ({"a", "b", "c", "d"}, {"no-x", "no-y"})
        assert store.get(BOB, [bobs])[0].state == "activated"
        assert [cube.id for cube in store.versions(ANA, ids[1])] == [ids[1]]
        store.erase(ANA, [ids[1]], (KIND,))
        for name in (done.before, "then"):
            store.rollback(ANA, name, START + DAY, (KIND,))
            settle(store, ANA)
            assert not {"b", "B"} & found(store, ANA, "a b c d later")
            with pytest.raises(NotFound):
                store.get(ANA, [ids[1]])
        assert (found(store, ANA, "a c d"), active(store)) == ({"a", "c", "d"}, {"no-y"})
        with pytest.raises(StateError, match="already"):
            store.snapshot(ANA, "then", START)
        store.drop_snapshot(ANA, "then")
        with pytest.raises(NotFound):
            store.rollback(ANA, "then", START, (KIND,))

    def test_what_was_put_aside_is_added_again(self, store: Store) -> None:
        filled(store, ANA, [draft("a")])
        store.snapshot(ANA, "then", START)
        sent = draft("b", session="t")
        filled(store, ANA, [sent])
        store.rollback(ANA, "then", START, (KIND,))
        with pytest.raises(StateError, match="rolled back"):
            store.move(ANA, [sent.id], "restore", START, (KIND,))
        assert filled(store, ANA, [sent]) == [sent.id]
        assert found(store, ANA, "a b") == {"a", "b"}

    def test_nothing_frozen_is_rolled_back(self, store: Store) -> None:
        ids = filled(store, ANA, conversation(["a", "b"]))
        store.snapshot(ANA, "then", START)
        store.move(ANA, [ids[0]], "freeze", START, (KIND,))
        with pytest.raises(StateError, match="frozen"):
            store.rollback(ANA, "then", START, (KIND,))
        assert [one.name for one in store.snapshots(ANA)] == ["then"]

    def test_recalls_add_up_and_change_nothing_else(self, store: Store) -> None:
        ids = filled(store, ANA, conversation(["a", "b"]))
        rows = rows_of(store, ids)
        revision = store.derived(ANA, "notes", 0).revision
        for times, day in ((2, 2), (1, 1)):
            store.used(ANA, {rows[0]: Recalled(times, START + day * DAY), 10**9: Recalled(1, START)})
        store.used(BOB, {rows[1]: Recalled(5, START)})
        used, unused = store.get(ANA, ids)
        assert (used.recalls, used.recalled_at) == (3, START + 2 * DAY)
        assert (unused.recalls, unused.recalled_at) == (0, None)
        assert store.derived(ANA, "notes", 0).revision == revision
        assert [one.id for one in store.idle(ANA, START + DAY, 9, 0)] == [ids[1]]
        assert [one.recalls for one in store.idle(ANA, START + 3 * DAY, 9, 0)] == [3, 0]
        assert [one.id for one in store.idle(ANA, START + 3 * DAY, 9, rows[0])] == [ids[1]]
        assert store.idle(BOB, START + 3 * DAY, 9, 0) == []

    def test_a_scheduled_run_is_a_job(self, store: Store) -> None:
        filled(store, ANA, [draft("a")])
        entry = Scheduled("decay", timedelta(days=1), True, {"least": 0.5})
        store.schedule(ANA, entry)
        assert (store.scheduled(ANA), store.scheduled(BOB)) == ([entry], [])
        for _ in range(2):
            store.begin_scheduled(ANA, "decay")
        job = store.claim(ANA, START, kind="schedule:decay")
        assert job is not None
        assert store.claim(ANA, START, kind="schedule:decay") is None
        store.schedule(ANA, Scheduled("decay", timedelta(days=2), False, {"least": 0.1}))
        assert store.finish_scheduled(entry, job, START + DAY, "3 archived")
        assert not store.finish_scheduled(entry, job, START + DAY, "again")
        (now,) = store.scheduled(ANA)
        assert (now.every, now.enabled, now.options) == (timedelta(days=2), False, {"least": 0.1})
        assert (now.ran_at, now.told, store.jobs(ANA)) == (START + DAY, "3 archived", [])

    def test_compositions_are_dumped_and_given_vectors(self, store: Store, stores: MakeStore) -> None:
        ids = filled(store, ANA, conversation(["a", "b"]))
        filled(store, BOB, [draft("bob's")])
        store.compose(ANA, composition(dict(zip(ids, "ab")), "ab"), START, (KIND,))
        settle(store, ANA)
        records: list[dict[str, Any]] = list(store.dump(ANA))
        assert {record.get("user", "ana") for record in records} == {"ana"}
        other = stores("two")
        other.bind(Identity("other", 64, "1" * 64))
        assert other.restore(records, (KIND,)) == 3
        settle(other, ANA)
        (kept,) = other.derived(ANA, COMPOSED, 0).kept
        assert (kept.text, kept.vector, states(other, ids)) == ("ab", None, ["merged", "merged"])
        vector = HashEmbedder().embed(["ab"])[0]
        other.give_vectors(ANA, HashEmbedder().identity, {kept.row: vector})
        assert other.derived(ANA, COMPOSED, 0).kept[0].vector is None
        other.give_vectors(ANA, Identity("other", 64, "1" * 64), {kept.row: vector})
        given = other.derived(ANA, COMPOSED, 0).kept[0].vector
        assert given is not None
        assert np.allclose(given, vector, atol=1e-3)
        broken = [{**one, "rests": ["ep-none"]} if one["record"] == "composed" else one for one in records]
        with pytest.raises(InputError):
            stores("three").restore(broken, (KIND,))
