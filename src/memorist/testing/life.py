"""The part of the stores' contract that is about the life of cubes; `StoreContract` includes it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import get_args

import pytest

from memorist.errors import InputError, NotFound, StateError
from memorist.states import LIVING, MOVES, State, Verb
from memorist.store.protocol import HeaderChange, Selection, Store
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
    windows_of,
)
from memorist.testing.derived import NOTES, active, note, rows_of, write

WAY: Mapping[State, tuple[Verb, ...]] = {
    "activated": (),
    "merged": ("fuse",),
    "archived": ("archive",),
    "expired": ("expire",),
    "frozen": ("freeze",),
    "deleted": ("forget",),
}
"""How an indexed cube comes to a state."""


class LifeContract:
    """What every store must do with the states and the header of cubes."""

    # ruff: noqa: D102 - the name of a test says what it is about

    @pytest.mark.parametrize("state", get_args(State))
    def test_every_move_is_as_the_table_says(self, store: Store, state: State) -> None:
        for place, (verb, move) in enumerate(MOVES.items()):
            sent = draft(f"word{place}")
            store.add(ANA, [sent], START, (KIND,))
            if state != "generated":
                settle(store, ANA)
                for step in WAY[state]:
                    store.move(ANA, [sent.id], step, START, (KIND,))
            assert store.get(ANA, [sent.id])[0].state == state
            if state in move.sources:
                store.move(ANA, [sent.id], verb, START + DAY, (KIND,))
            else:
                with pytest.raises(StateError, match=state):
                    store.move(ANA, [sent.id], verb, START + DAY, (KIND,))
            after = move.target if state in move.sources else state
            (cube,) = store.get(ANA, [sent.id])
            assert cube.state == after
            assert cube.updated_at == (START + DAY if state in move.sources else START)
            assert (sent.text in found(store, ANA, sent.text)) == (after in LIVING)
            events = [what for _, what, _ in store.history(ANA, sent.id)]
            way = [MOVES[step].event for step in WAY.get(state, ())]
            assert events == ["added", *way, *([move.event] if state in move.sources else [])]
        settle(store, ANA)

    def test_indexing_activates(self, store: Store) -> None:
        sent = draft("a")
        store.add(ANA, [sent], START, (KIND,))
        assert (store.get(ANA, [sent.id])[0].state, found(store, ANA, "a")) == ("generated", {"a"})
        settle(store, ANA)
        assert store.get(ANA, [sent.id])[0].state == "activated"

    def test_windows_go_with_what_leaves_and_come_back(self, store: Store) -> None:
        ids = filled(store, ANA, conversation(["a", "b", "c"]))
        whole = windows_of(store, ANA)
        ways: tuple[tuple[Verb, Verb], ...] = (("archive", "activate"), ("expire", "activate"), ("fuse", "unfuse"))
        for there, back in ways:
            store.move(ANA, [ids[1]], there, START, (KIND,))
            settle(store, ANA)
            assert windows_of(store, ANA) == {f"wi-{ids[0]}": (ids[0], ids[2])}
            store.move(ANA, [ids[1]], back, START, (KIND,))
            settle(store, ANA)
            assert windows_of(store, ANA) == whole
        (window,) = (id for id in whole if id.endswith(ids[0]))
        with pytest.raises(StateError, match="derived"):
            store.move(ANA, [window], "archive", START, (KIND,))

    def test_what_was_put_aside_is_not_written_again(self, store: Store) -> None:
        rows = rows_of(store, filled(store, ANA, conversation(["a", "b"])))
        verbs: tuple[Verb, ...] = ("archive", "fuse", "expire", "freeze")
        for verb in verbs:
            write(store, note(verb, rows))
            store.move(ANA, [f"no-{verb}"], verb, START, (KIND,))
            (before,) = store.get(ANA, [f"no-{verb}"])
            write(store, note(verb, rows[:1]))
            write(store, withdrawn=[f"no-{verb}"])
            assert store.get(ANA, [f"no-{verb}"]) == [before]
        assert active(store) == {"no-freeze"}

    def test_what_rests_on_what_is_gone_cannot_be_activated(self, store: Store) -> None:
        ids = filled(store, ANA, conversation(["a", "b"]))
        write(store, note("a", rows_of(store, ids)[:1]))
        store.move(ANA, ["no-a"], "archive", START, (KIND,))
        store.move(ANA, [ids[0]], "forget", START, (KIND,))
        with pytest.raises(StateError, match=f"rests on {ids[0]}"):
            store.move(ANA, ["no-a"], "activate", START, (KIND,))
        store.move(ANA, [ids[0]], "restore", START, (KIND,))
        store.move(ANA, ["no-a"], "activate", START, (KIND,))
        assert active(store) == {"no-a"}
        settle(store, ANA)

    def test_nothing_frozen_loses_what_it_rests_on(self, store: Store) -> None:
        ids = filled(store, ANA, conversation(["a", "b"]))
        write(store, note("a", rows_of(store, ids)[:1]))
        store.move(ANA, ["no-a"], "freeze", START, (KIND,))
        store.describe(ANA, [ids[0]], HeaderChange(expires=True, expires_at=START), START)
        for call in (
            lambda: store.move(ANA, [ids[0]], "forget", START, (KIND,)),
            lambda: store.move(ANA, [ids[0]], "archive", START, (KIND,)),
            lambda: store.replace(ANA, ids[0], draft("A"), START, (KIND,)),
            lambda: store.erase(ANA, [ids[0]], (KIND,)),
        ):
            with pytest.raises(StateError, match="no-a is frozen"):
                call()
        assert store.expire(ANA, START + DAY, (KIND,)) == 0
        assert (active(store), store.get(ANA, [ids[0]])[0].state) == ({"no-a"}, "activated")
        store.move(ANA, ["no-a"], "thaw", START, (KIND,))
        assert store.expire(ANA, START + DAY, (KIND,)) == 1
        assert (active(store), store.get(ANA, [ids[0]])[0].state) == (set(), "expired")
        settle(store, ANA)

    def test_what_has_an_end_expires_then(self, store: Store) -> None:
        ids = filled(store, ANA, conversation(["a", "b", "c"]))
        (bobs,) = filled(store, BOB, [draft("d")])
        store.describe(ANA, ids[:2], HeaderChange(expires=True, expires_at=START + DAY), START)
        store.describe(BOB, [bobs], HeaderChange(expires=True, expires_at=START + DAY), START)
        store.move(ANA, [ids[1]], "archive", START, (KIND,))
        assert store.expire(ANA, START + DAY - timedelta(seconds=1), (KIND,)) == 0
        assert store.expire(ANA, START + DAY, (KIND,)) == 2
        assert store.expire(ANA, START + DAY, (KIND,)) == 0
        assert [store.get(ANA, [id])[0].state for id in ids] == ["expired", "expired", "activated"]
        assert found(store, ANA, "a b c") == {"c"}
        assert store.get(BOB, [bobs])[0].state == "activated"
        settle(store, ANA)
        store.move(ANA, [ids[0]], "activate", START + 2 * DAY, (KIND,))
        settle(store, ANA)
        (cube,) = store.get(ANA, [ids[0]])
        assert (cube.state, cube.expires_at) == ("activated", None)

    def test_the_header_says_what_was_set(self, store: Store, stores: MakeStore) -> None:
        ids = filled(store, ANA, conversation(["a", "b"]))
        write(store, note("a", rows_of(store, ids)))
        plain = store.get(ANA, [ids[0]])[0]
        assert (plain.semantic_type, plain.expires_at, plain.priority, plain.sensitivity) == ("", None, 0, ())
        assert (plain.updated_at, plain.recalls, plain.recalled_at) == (plain.recorded_at, 0, None)
        change = HeaderChange("preference", 5, ("money", "health", "money"), True, START + DAY)
        store.describe(ANA, [ids[0], "no-a"], change, START + DAY / 2)
        store.describe(ANA, [ids[0]], HeaderChange(priority=-1), START + DAY / 2)
        for id, priority in ((ids[0], -1), ("no-a", 5)):
            (cube,) = stores().get(ANA, [id])
            assert (cube.semantic_type, cube.priority, cube.sensitivity) == (
                "preference",
                priority,
                ("health", "money"),
            )
            assert (cube.expires_at, cube.updated_at) == (START + DAY, START + DAY / 2)
        store.describe(ANA, [ids[0]], HeaderChange(expires=True), START)
        assert store.get(ANA, [ids[0]])[0].expires_at is None
        for wrong in (HeaderChange(priority=101), HeaderChange("\x00"), HeaderChange(sensitivity=("",))):
            with pytest.raises(InputError):
                store.describe(ANA, [ids[0]], wrong, START)
        with pytest.raises(NotFound):
            store.describe(BOB, [ids[0]], HeaderChange(priority=1), START)
        store.move(ANA, [ids[0]], "freeze", START, (KIND,))
        with pytest.raises(StateError, match="frozen"):
            store.describe(ANA, [ids[0]], HeaderChange(priority=1), START)

    def test_versions_are_a_chain(self, store: Store) -> None:
        (first,) = filled(store, ANA, [draft("a")])
        chain = [first]
        for text in "bcd":
            chain.append(store.replace(ANA, chain[-1], draft(text), START + len(chain) * DAY, (KIND,)))
        settle(store, ANA)
        for id in chain:
            assert [cube.id for cube in store.versions(ANA, id)] == chain
        with pytest.raises(NotFound):
            store.versions(BOB, first)
        assert [cube.id for cube in store.newest(ANA, Selection(), 9, "source")] == chain[-1:]
        assert store.newest(ANA, Selection(), 9, NOTES) == []
