"""The part of the stores' contract that is about what organisers derive; `StoreContract` includes it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from memorist.cube import Scope
from memorist.models.embedder import Vectors
from memorist.store.protocol import Changes, Derived, Link, Organised, Selection, Store
from memorist.store.views import Views
from memorist.testing.conversation import ANA, BOB, DAY, KIND, OTHER, START, MakeStore, conversation, draft, filled
from memorist.testing.conversation import settle as settle_jobs
from memorist.testing.embedder import HashEmbedder

NOTES = "notes"


def note(text: str, members: Sequence[int], *links: Link, vector: Vectors | None = None) -> Derived:
    """A note on some episodes; its text is its name."""
    return Derived(
        id=f"no-{text}",
        origin=NOTES,
        text=f"about {text}",
        members=tuple(members),
        trust="model",
        agent="",
        session="",
        at=START,
        valid_from=START,
        meta={"topic": text},
        vector=vector,
        links=links,
    )


def write(store: Store, *cubes: Derived, scope: Scope = ANA, withdrawn: Sequence[str] = ()) -> bool:
    """Have the organiser of notes see everything, and derive this."""
    seen = store.unorganised(scope, NOTES, 1_000)
    return store.organise(scope, NOTES, seen, Organised(cubes, tuple(withdrawn)), START)


def rows_of(store: Store, ids: Sequence[str], scope: Scope = ANA) -> list[int]:
    """The rows of episodes."""
    known = {turn.id: turn.row for turn in store.turns(scope, range(1_000))}
    return [known[id] for id in ids]


def active(store: Store, scope: Scope = ANA) -> set[str]:
    """The notes that hold."""
    return {cube.id for cube in store.derived(scope, NOTES, 0).kept if cube.active}


class Gathered:
    """A view that keeps what it was told."""

    def __init__(self, told: tuple[tuple[str, ...], ...] = ()) -> None:
        self.told = told

    def take(self, kept: Sequence[object]) -> Gathered:
        """The view with these too."""
        return Gathered((*self.told, tuple(str(getattr(cube, "id", "")) for cube in kept)))


class DerivedContract:
    """What every store must do with derived cubes."""

    # ruff: noqa: D102 - the name of a test says what it is about

    def test_an_organiser_sees_each_change_once(self, store: Store) -> None:
        ids = filled(store, ANA, conversation(["a", "b", "c"]))
        seen = store.unorganised(ANA, NOTES, 2)
        assert list(seen.rows) == rows_of(store, ids)[:2]
        assert store.organise(ANA, NOTES, seen, Organised(), START)
        rest = store.unorganised(ANA, NOTES, 2)
        assert list(rest.rows) == rows_of(store, ids)[2:]
        assert store.organise(ANA, NOTES, rest, Organised(), START)
        assert store.unorganised(ANA, NOTES, 2).rows == ()
        assert len(store.unorganised(ANA, "others", 9).rows) == 3
        for stranger in (BOB, OTHER, Scope()):
            assert store.unorganised(stranger, NOTES, 9).rows == ()
        (later,) = filled(store, ANA, [draft("d", session="t")])
        assert list(store.unorganised(ANA, NOTES, 9).rows) == rows_of(store, [later])

    def test_of_two_that_organise_the_same_one_is_refused(self, bound: MakeStore) -> None:
        one, other = bound(), bound()
        rows = rows_of(one, filled(one, ANA, conversation(["a"])))
        late = other.unorganised(ANA, NOTES, 9)
        assert write(one, note("first", rows))
        assert not other.organise(ANA, NOTES, late, Organised((note("second", rows),)), START)
        assert active(one) == active(other) == {"no-first"}

    def test_a_derived_cube_is_read_as_it_was_written(self, store: Store) -> None:
        ids = filled(store, ANA, conversation(["a", "b"]))
        rows = rows_of(store, ids)
        (vector,) = HashEmbedder().embed(["about a"])
        before = store.derived(ANA, NOTES, 0)
        assert write(store, note("a", rows, Link("no-b", "like", 0.5), vector=vector), note("b", rows[:1]))
        changes = store.derived(ANA, NOTES, before.revision)
        first, second = changes.kept
        assert (first.id, first.text, first.meta, first.members.tolist()) == ("no-a", "about a", {"topic": "a"}, rows)
        assert (first.active, first.trust, first.at) == (True, "model", START)
        assert first.vector is not None
        assert np.allclose(first.vector, vector, atol=1e-3)
        assert second.vector is None
        assert store.links(ANA, "like") == [(first.row, second.row, 0.5)]
        assert store.links(ANA, "unlike") == store.links(BOB, "like") == []
        (cube,) = store.get(ANA, ["no-a"])
        assert (cube.meta, cube.origin, cube.episodes) == ({"topic": "a"}, NOTES, tuple(ids))
        assert store.derived(ANA, NOTES, changes.revision) == Changes((), changes.revision, changes.epoch)
        assert store.derived(BOB, NOTES, 0).kept == ()

    def test_writing_again_replaces(self, store: Store) -> None:
        ids = filled(store, ANA, conversation(["a", "b"]))
        rows = rows_of(store, ids)
        write(store, note("a", rows, Link("no-b", "like")), note("b", rows))
        write(store, note("a", rows[:1]), withdrawn=["no-b"])
        assert active(store) == {"no-a"}
        assert store.links(ANA, "like") == []
        assert [cube.episodes for cube in store.newest(ANA, Selection(), 9, NOTES)] == [
            (store.get(ANA, ["no-a"])[0].episodes)
        ]

    def test_what_rests_on_a_closed_episode_is_hidden_and_the_others_are_seen_anew(self, store: Store) -> None:
        ids = filled(store, ANA, conversation(["a", "b", "c"]))
        rows = rows_of(store, ids)
        write(store, note("both", rows[:2]), note("last", rows[2:]))
        write(store)
        store.set_state(ANA, [ids[0]], "forgotten", START, (KIND,))
        assert active(store) == {"no-last"}
        assert set(rows[:2]) <= set(store.unorganised(ANA, NOTES, 9).rows)
        settle_jobs(store, ANA)

    def test_what_rests_on_a_derived_cube_goes_with_it(self, store: Store) -> None:
        ids = filled(store, ANA, conversation(["a", "b"]))
        rows = rows_of(store, ids)
        write(store, note("fact", rows[:1]))
        (fact,) = store.derived(ANA, NOTES, 0).kept
        write(store, note("summary", [fact.row]))
        store.set_state(ANA, [ids[0]], "forgotten", START, (KIND,))
        assert active(store) == set()
        store.set_state(ANA, [ids[0]], "active", START, (KIND,))
        store.erase(ANA, [ids[0]], (KIND,))
        assert store.derived(ANA, NOTES, 0).kept == ()
        settle_jobs(store, ANA)

    def test_a_cube_whose_episode_was_closed_meanwhile_is_not_written(self, store: Store) -> None:
        ids = filled(store, ANA, conversation(["a", "b"]))
        rows = rows_of(store, ids)
        seen = store.unorganised(ANA, NOTES, 9)
        store.set_state(ANA, [ids[0]], "forgotten", START, (KIND,))
        assert store.organise(ANA, NOTES, seen, Organised((note("a", rows[:1]), note("b", rows[1:]))), START)
        assert active(store) == {"no-b"}
        assert rows[0] in store.unorganised(ANA, NOTES, 9).rows
        settle_jobs(store, ANA)

    def test_erased_episodes_take_along_what_was_derived(self, store: Store) -> None:
        ids = filled(store, ANA, conversation(["a", "b"]))
        rows = rows_of(store, ids)
        write(store, note("a", rows[:1], Link("no-b", "like")), note("b", rows[1:]))
        epoch = store.derived(ANA, NOTES, 0).epoch
        erased = store.erase(ANA, [ids[0]], (KIND,))
        assert "no-a" in erased.ids
        assert active(store) == {"no-b"}
        assert store.derived(ANA, NOTES, 0).epoch != epoch
        settle_jobs(store, ANA)

    def test_views_are_told_only_what_changed(self, bound: MakeStore) -> None:
        one, other = bound(), bound()
        ids = filled(one, ANA, conversation(["a", "b"]))
        rows = rows_of(one, ids)
        views = Views(other)
        write(one, note("a", rows[:1]))
        old = views.of(ANA, NOTES, Gathered)
        assert old.told == (("no-a",),)
        assert views.of(ANA, NOTES, Gathered) is old
        write(one, note("b", rows[1:]))
        assert views.of(ANA, NOTES, Gathered).told == (("no-a",), ("no-b",))
        assert old.told == (("no-a",),)
        assert views.of(BOB, NOTES, Gathered).told == ()
        one.erase(ANA, [ids[0]], (KIND,))
        assert views.of(ANA, NOTES, Gathered).told == (("no-b",),)
        settle_jobs(one, ANA)

    @pytest.mark.parametrize("agent", ["", "planner"])
    def test_a_searcher_tells_which_rows_it_may_see(self, store: Store, agent: str) -> None:
        ids = filled(store, ANA, [*conversation(["a", "b"]), draft("c", agent="planner", at=START + DAY)])
        rows = rows_of(store, ids)
        searcher = store.search(Scope(ANA.tenant, ANA.user, agent), Selection())
        wanted = np.array([rows[2], 10**9, rows[0]], np.int64)
        assert searcher.allowed(wanted).tolist() == ([rows[2]] if agent else [rows[2], rows[0]])
        nobody = store.search(BOB, Selection())
        assert nobody.allowed(wanted).tolist() == []
