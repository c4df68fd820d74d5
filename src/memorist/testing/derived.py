"""The part of the stores' contract that is about what organisers derive; `StoreContract` includes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from memorist.cube import Scope
from memorist.errors import NotFound, StateError
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

    def test_an_organiser_that_did_not_see_what_others_derived_is_refused(self, bound: MakeStore) -> None:
        one, other = bound(), bound()
        rows = rows_of(one, filled(one, ANA, conversation(["a"])))
        write(one, note("first", rows))
        late = other.unorganised(ANA, NOTES, 0)
        assert late.rows == ()
        seen = one.unorganised(ANA, NOTES, 0)
        assert one.organise(ANA, NOTES, seen, Organised((note("second", rows),)), START)
        assert not other.organise(ANA, NOTES, late, Organised((note("third", rows),)), START)
        assert active(one) == {"no-first", "no-second"}

    # Jobs of organisers

    def test_what_changed_becomes_jobs_once(self, store: Store) -> None:
        ids = filled(store, ANA, conversation(["a", "b", "c"]))
        rows = rows_of(store, ids)
        assert (store.enqueue(ANA, NOTES, 2), store.enqueue(ANA, NOTES, 2)) == (2, 0)
        assert [job.rows for job in store.jobs(ANA)] == [tuple(rows[:2]), tuple(rows[2:])]
        assert store.claim(ANA, START) is None
        assert store.claim(BOB, START, kind=NOTES) is None
        assert store.unorganised(ANA, NOTES, 9).rows == ()

    def test_jobs_of_an_organiser_are_done_one_after_another(self, bound: MakeStore) -> None:
        one, other = bound(), bound()
        rows = rows_of(one, filled(one, ANA, conversation(["a", "b"])))
        one.enqueue(ANA, NOTES, 1)
        first = one.claim(ANA, START, kind=NOTES)
        assert first is not None
        assert other.claim(ANA, START, kind=NOTES) is None
        assert [job.running for job in other.jobs(ANA, START)] == [True, False]
        assert one.renew(first, START + DAY)
        assert other.claim(ANA, START + DAY, kind=NOTES) is None
        assert one.apply(first, Organised((note("a", rows[:1]),)), START)
        second = other.claim(ANA, START, kind=NOTES)
        assert second is not None
        assert second.rows == tuple(rows[1:])
        assert not one.renew(first, START)
        assert not one.apply(first, Organised((note("twice", rows[:1]),)), START)
        assert other.apply(second, Organised(), START)
        assert (active(one), one.jobs(ANA)) == ({"no-a"}, [])

    def test_a_job_can_be_done_in_part(self, store: Store) -> None:
        rows = rows_of(store, filled(store, ANA, conversation(["a", "b"])))
        store.enqueue(ANA, NOTES, 9)
        job = store.claim(ANA, START, kind=NOTES)
        assert job is not None
        assert store.apply(job, Organised((note("a", rows[:1]),)), START, rows[1:])
        store.fail(job, "not yet", failures=1, not_before=START + DAY)
        (left,) = store.jobs(ANA)
        assert (left.rows, left.reason, left.failures) == (tuple(rows[1:]), "not yet", 1)
        assert active(store) == {"no-a"}

    def test_what_others_derived_meanwhile_has_a_job_done_anew(self, store: Store) -> None:
        rows = rows_of(store, filled(store, ANA, conversation(["a"])))
        store.enqueue(ANA, NOTES, 9)
        job = store.claim(ANA, START, kind=NOTES)
        assert job is not None
        write(store, note("first", rows))
        assert not store.apply(job, Organised((note("second", rows),)), START)
        assert active(store) == {"no-first"}

    def test_a_failed_job_waits_and_a_dead_one_is_left_alone(self, store: Store) -> None:
        filled(store, ANA, conversation(["a"]))
        store.enqueue(ANA, NOTES, 9)
        job = store.claim(ANA, START, kind=NOTES)
        assert job is not None
        store.fail(job, "busy", failures=3, not_before=START + DAY)
        assert store.claim(ANA, START, kind=NOTES) is None
        job = store.claim(ANA, START + DAY, kind=NOTES)
        assert job is not None
        assert (job.failures, job.reason, job.attempts) == (3, "busy", 2)
        store.fail(job, "hopeless", failures=4, dead=True)
        assert store.claim(ANA, START + 9 * DAY, kind=NOTES) is None
        (dead,) = store.jobs(ANA)
        assert (dead.dead, dead.reason) == (True, "hopeless")
        with pytest.raises(NotFound):
            store.retry(BOB, dead.number)
        store.retry(ANA, dead.number)
        job = store.claim(ANA, START, kind=NOTES)
        assert job is not None
        assert (job.failures, job.dead) == (0, False)
        store.cancel(ANA, job.number)
        assert store.jobs(ANA) == []
        with pytest.raises(NotFound):
            store.cancel(ANA, job.number)

    def test_a_job_is_not_dropped_when_episodes_would_lack_their_vectors(self, store: Store) -> None:
        _, number = store.add(ANA, [draft("a")], START, (KIND,))
        with pytest.raises(StateError):
            store.cancel(ANA, number)
        settle_jobs(store, ANA)

    def test_erasing_takes_episodes_out_of_jobs(self, store: Store) -> None:
        ids = filled(store, ANA, conversation(["a", "b"], session=""))
        store.enqueue(ANA, NOTES, 9)
        job = store.claim(ANA, START, kind=NOTES)
        assert job is not None
        store.erase(ANA, [ids[0]], (KIND,))
        assert not store.apply(job, Organised(), START)
        assert [len(left.rows) for left in store.jobs(ANA) if left.kind == NOTES] == [1]
        settle_jobs(store, ANA)

    # Versions and validity

    def test_a_rewritten_cube_keeps_its_earlier_version(self, store: Store) -> None:
        rows = rows_of(store, filled(store, ANA, conversation(["a", "b"])))
        (vector,) = HashEmbedder().embed(["about a"])
        first = replace(note("a", rows[:1], Link("no-b", "like"), vector=vector), versioned=True)
        write(store, first, note("b", rows))
        later = replace(first, text="rewritten", members=tuple(rows), links=(), valid_from=START + DAY)
        write(store, later)
        write(store, later)
        told = store.history(ANA, "no-a")
        assert [(what, cube.text) for _, what, cube in told] == [("added", "about a"), ("updated", "rewritten")]
        old = told[0][2]
        assert (old.valid_to, len(old.episodes)) == (START + DAY, 1)
        assert active(store) == {"no-a", "no-b"}
        assert store.links(ANA, "like") == []
        store.undo(ANA, "no-a", START + 2 * DAY)
        (cube,) = store.get(ANA, ["no-a"])
        assert (cube.text, len(cube.episodes), cube.state) == ("about a", 1, "activated")
        assert len(store.links(ANA, "like")) == 1
        kept = {one.id: one for one in store.derived(ANA, NOTES, 0).kept}["no-a"]
        assert kept.vector is not None
        assert np.allclose(kept.vector, vector, atol=1e-3)
        with pytest.raises(StateError, match="earlier version"):
            store.undo(ANA, old.id, START)
        store.erase(ANA, [store.get(ANA, ["no-b"])[0].episodes[1]], (KIND,))
        assert active(store) == set()
        settle_jobs(store, ANA)

    def test_what_was_undone_is_not_written_again(self, store: Store) -> None:
        ids = filled(store, ANA, conversation(["a"]))
        rows = rows_of(store, ids)
        write(store, note("a", rows))
        for wrong in (ids[0], "no-none"):
            with pytest.raises((StateError, NotFound)):
                store.undo(ANA, wrong, START)
        store.undo(ANA, "no-a", START)
        write(store, note("a", rows))
        assert active(store) == set()
        assert [(what, cube.state) for _, what, cube in store.history(ANA, "no-a")][-1] == ("undone", "archived")
        with pytest.raises(StateError):
            store.undo(ANA, "no-a", START)

    def test_a_cube_that_ended_answers_what_was_true_and_believed(self, store: Store) -> None:
        rows = rows_of(store, filled(store, ANA, conversation(["a"])))
        begun = START - 9 * DAY
        ended = replace(
            note("old", rows), valid_from=begun, valid_to=START, recorded_at=begun + DAY, superseded_at=START + DAY
        )
        write(store, ended, replace(note("new", rows), recorded_at=START + DAY))

        def seen(as_of: datetime | None = None, known_at: datetime | None = None) -> set[str]:
            visible = store.visible(ANA, Selection(as_of, known_at), NOTES)
            return {cube.id for cube in store.cubes(ANA, visible.tolist()).values()}

        assert active(store) == seen() == {"no-new"}
        assert seen(as_of=START - DAY) == {"no-old"}
        assert seen(as_of=START + DAY) == {"no-new"}
        assert seen(known_at=START) == {"no-old"}
        assert seen(known_at=START, as_of=START + DAY) == {"no-old"}
        assert seen(known_at=begun) == set()
        assert store.visible(BOB, Selection(), NOTES).tolist() == []
        assert [(what, at) for at, what, _ in store.history(ANA, "no-old")] == [
            ("added", begun + DAY), ("superseded", START + DAY),
        ]  # fmt: skip
        store.undo(ANA, "no-old", START + 2 * DAY)
        assert active(store) == {"no-new", "no-old"}

    @pytest.mark.parametrize("field", ["origin", "trust"])
    def test_where_tells_what_is_derived(self, store: Store, field: str) -> None:
        rows = rows_of(store, filled(store, ANA, conversation(["a"])))
        write(store, note("a", rows))
        mine = {"origin": NOTES, "trust": "model"}[field]
        assert len(store.visible(ANA, Selection(where={field: mine}), NOTES)) == 1
        assert len(store.visible(ANA, Selection(where={field: {"ne": mine}}), NOTES)) == 0
        assert len(store.visible(ANA, Selection(where={field: {"ne": mine}}), "source")) == 1

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
        store.move(ANA, [ids[0]], "forget", START, (KIND,))
        assert active(store) == {"no-last"}
        assert set(rows[:2]) <= set(store.unorganised(ANA, NOTES, 9).rows)
        settle_jobs(store, ANA)

    def test_what_rests_on_a_derived_cube_goes_with_it(self, store: Store) -> None:
        ids = filled(store, ANA, conversation(["a", "b"]))
        rows = rows_of(store, ids)
        write(store, note("fact", rows[:1]))
        (fact,) = store.derived(ANA, NOTES, 0).kept
        write(store, note("summary", [fact.row]))
        store.move(ANA, [ids[0]], "forget", START, (KIND,))
        assert active(store) == set()
        store.move(ANA, [ids[0]], "restore", START, (KIND,))
        store.erase(ANA, [ids[0]], (KIND,))
        assert store.derived(ANA, NOTES, 0).kept == ()
        settle_jobs(store, ANA)

    def test_a_cube_whose_episode_was_closed_meanwhile_is_not_written(self, store: Store) -> None:
        ids = filled(store, ANA, conversation(["a", "b"]))
        rows = rows_of(store, ids)
        seen = store.unorganised(ANA, NOTES, 9)
        store.move(ANA, [ids[0]], "forget", START, (KIND,))
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
