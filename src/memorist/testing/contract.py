"""The contract of stores as a test-suite: whoever writes a store subclasses `StoreContract` and runs pytest.

    from memorist.testing.contract import StoreContract

    class TestMyStore(StoreContract):
        @pytest.fixture
        def make_store(self, tmp_path):
            def make(name="one"):
                return MyStore(tmp_path / name, DIMENSION)    # vectors of `memorist.testing.DIMENSION` values
            return make

`make_store(name)` opens the store of that name, empty at first, with what is in it when it is opened again. Every test
ends with `check()` on the stores it opened, which must find nothing.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

from memorist.cube import Scope
from memorist.errors import EmbedderMismatch, InputError, NotFound, StateError
from memorist.models.embedder import Identity
from memorist.store.protocol import Organised, Selection, Store, Turn
from memorist.store.terms import query_terms
from memorist.testing.access import AccessContract
from memorist.testing.browsing import BrowsingContract
from memorist.testing.conversation import (
    ANA,
    BOB,
    DAY,
    KIND,
    OTHER,
    START,
    MakeStore,
    conversation,
    draft,
    filled,
    found,
    pairs,
    settle,
    texts_of,
    vectors_of,
    windows_of,
)
from memorist.testing.derived import DerivedContract
from memorist.testing.embedder import HashEmbedder
from memorist.testing.extractions import ExtractionContract
from memorist.testing.life import LifeContract
from memorist.testing.replies import ReplyLogContract
from memorist.testing.tensors import TensorContract
from memorist.testing.time_machine import TimeMachineContract


class StoreContract(
    AccessContract,
    DerivedContract,
    ExtractionContract,
    LifeContract,
    TensorContract,
    BrowsingContract,
    ReplyLogContract,
    TimeMachineContract,
):
    """What every store must do. Subclasses give the fixture `make_store`; see the module."""

    # ruff: noqa: D102 - the name of a test says what it is about

    @pytest.fixture
    def stores(self, make_store: MakeStore) -> Iterator[MakeStore]:
        """As `make_store`; every store is checked and closed at the end."""
        opened: list[Store] = []

        def make(*name: str) -> Store:
            opened.append(make_store(*name))
            return opened[-1]

        yield make
        for store in opened:
            assert store.finish_erasing()
            assert store.check() == []
            store.close()

    @pytest.fixture
    def bound(self, stores: MakeStore) -> MakeStore:
        """As `stores`, bound to the embedder of the tests."""

        def make(*name: str) -> Store:
            store = stores(*name)
            store.bind(HashEmbedder().identity)
            return store

        return make

    @pytest.fixture
    def store(self, bound: MakeStore) -> Store:
        """An empty store, bound to the embedder of the tests."""
        return bound()

    # Adding

    def test_added_is_there_again_after_opening(self, store: Store, stores: MakeStore) -> None:
        sent = draft("I moved to Lisbon.", meta={"topic": "home", "n": 3}, source="chat", speaker="Ana")
        assert store.add(ANA, [sent], START, (KIND,))[0] == [sent.id]
        (cube,) = stores().get(ANA, [sent.id])
        assert (cube.text, cube.speaker, cube.source, cube.meta) == (sent.text, "Ana", "chat", dict(sent.meta))
        assert (cube.at, cube.valid_from, cube.recorded_at) == (START, START, START)
        assert (cube.valid_to, cube.superseded_at, cube.state, cube.origin) == (None, None, "generated", "source")
        assert cube.scope == Scope("acme", "ana", "", "s")
        assert cube.episodes == (sent.id,)

    def test_adding_again_adds_nothing(self, store: Store) -> None:
        drafts = conversation(["one", "two", "three"])
        ids, job = store.add(ANA, drafts[:2], START, (KIND,))
        assert (ids, job > 0) == ([drafts[0].id, drafts[1].id], True)
        assert store.add(ANA, drafts[:2], START + DAY, (KIND,)) == ([], 0)
        assert store.add(ANA, [*drafts, drafts[2]], START, (KIND,))[0] == [drafts[2].id]
        assert len(store.newest(ANA, Selection(), 10, "source")) == 3
        assert len(store.jobs(ANA)) == 2

    def test_adding_nothing_makes_no_job(self, store: Store) -> None:
        assert store.add(ANA, [], START, (KIND,)) == ([], 0)
        assert store.jobs(ANA) == []

    def test_any_text_comes_back_as_it_was(self, store: Store) -> None:
        texts = [
            "'; DROP TABLE cubes; --",
            "日本語 😀 e\u0301",
            "a\nb\tc\r\n",
            "x" * 100_000,
            '{"a": "\\u0000"}',
            "\u2028\ufeff",
        ]
        ids = filled(store, ANA, conversation(texts))
        assert texts_of(store.get(ANA, ids)) == texts

    def test_times_at_the_ends_of_the_calendar(self, store: Store) -> None:
        for year in (1, 1969, 1970, 9999):
            at = datetime(year, 12, 31, 23, 59, 59, 999_999, tzinfo=timezone.utc)
            (cube,) = store.get(ANA, filled(store, ANA, [draft(f"in {year}", at=at)]))
            assert cube.at == at

    # Jobs

    def test_a_leased_job_is_nobody_elses(self, bound: MakeStore) -> None:
        one, other = bound(), bound()
        _, number = one.add(ANA, [draft("hello")], START, (KIND,))
        job = one.claim(ANA, START)
        assert job is not None
        assert (job.number, job.attempts, len(job.rows), job.kind) == (number, 1, 1, KIND)
        assert other.claim(ANA, START) is None
        assert other.claim(ANA, START, number) is None
        assert [job.number for job in other.jobs(ANA)] == [number]
        settle(one, ANA, START + DAY)

    def test_a_job_is_free_after_its_lease_and_the_first_claimant_is_refused(self, bound: MakeStore) -> None:
        one, other = bound(), bound()
        one.add(ANA, [draft("hello")], START, (KIND,))
        late = one.claim(ANA, START)
        taken = other.claim(ANA, START + DAY)
        assert late is not None
        assert taken is not None
        assert (taken.number, taken.attempts) == (late.number, 2)
        assert not one.index(late, vectors_of(one, late), Organised(), START)
        one.fail(late, "too late")
        assert [job.reason for job in other.jobs(ANA)] == [None]
        assert other.index(taken, vectors_of(other, taken), Organised(), START)
        assert one.jobs(ANA) == []

    def test_a_failed_job_keeps_its_reason_and_is_free(self, store: Store) -> None:
        store.add(ANA, [draft("hello")], START, (KIND,))
        job = store.claim(ANA, START)
        assert job is not None
        store.fail(job, "no model")
        (pending,) = store.jobs(ANA)
        assert (pending.number, pending.reason) == (job.number, "no model")
        settle(store, ANA)
        assert store.jobs(ANA) == []

    def test_jobs_are_claimed_oldest_first_or_by_number(self, store: Store) -> None:
        numbers = [store.add(ANA, [draft(text)], START, (KIND,))[1] for text in ("a", "b", "c")]
        assert [job.number for job in store.jobs(ANA)] == numbers
        claimed = [store.claim(ANA, START, numbers[1]), store.claim(ANA, START), store.claim(ANA, START)]
        assert [job and job.number for job in claimed] == [numbers[1], numbers[0], numbers[2]]
        assert store.claim(ANA, START) is None

    def test_jobs_have_owners(self, store: Store) -> None:
        _, number = store.add(ANA, [draft("hello")], START, (KIND,))
        for stranger in (BOB, OTHER, Scope()):
            assert store.jobs(stranger) == []
            assert store.claim(stranger, START) is None
            assert store.claim(stranger, START, number) is None

    def test_a_job_that_the_conversation_overtook_is_done_again(self, store: Store) -> None:
        first, last = conversation(["first", "last"])
        between = draft("between", at=START + timedelta(seconds=30))
        store.add(ANA, [first, last], START, (KIND,))
        job = store.claim(ANA, START)
        assert job is not None
        vectors, stale = vectors_of(store, job), pairs(store, job)
        filled(store, ANA, [between])
        assert not store.index(job, vectors, stale, START)
        settle(store, ANA)
        assert windows_of(store, ANA) == {
            f"wi-{first.id}": (first.id, between.id),
            f"wi-{between.id}": (between.id, last.id),
        }

    def test_what_is_erased_while_a_job_runs_does_not_come_back(self, store: Store) -> None:
        first, middle, last = conversation(["first", "middle", "last"])
        store.add(ANA, [first, middle, last], START, (KIND,))
        job = store.claim(ANA, START)
        assert job is not None
        vectors, stale = vectors_of(store, job), pairs(store, job)
        store.erase(ANA, [middle.id], (KIND,))
        new = draft("new", session="t")
        store.add(ANA, [new], START, (KIND,))
        assert not store.index(job, vectors, stale, START)
        settle(store, ANA)
        assert windows_of(store, ANA) == {f"wi-{first.id}": (first.id, last.id)}
        assert store.jobs(ANA) == []

    # Conversations

    def test_sequences_follow_the_conversation(self, store: Store) -> None:
        drafts = conversation([f"t{i}" for i in range(9)])
        order = [4, 0, 8, 2, 6, 1, 3, 5, 7]
        ids = filled(store, ANA, [drafts[i] for i in order])
        filled(store, ANA, conversation(["other session"], session="u"))
        row_of = {turn.text: turn.row for turn in store.turns(ANA, range(100))}
        assert set(row_of) == {*(f"t{i}" for i in range(9)), "other session"}
        (stretch,) = store.sequences(ANA, [row_of["t3"], row_of["t4"]], 2)
        assert [turn.text for turn in stretch.turns] == ["t1", "t2", "t3", "t4", "t5", "t6"]
        assert stretch.stop == 4
        assert ids == [drafts[i].id for i in order]

    def test_turns_at_the_same_moment_keep_the_order_of_arrival(self, store: Store) -> None:
        texts = [f"t{i}" for i in range(20)]
        for text in texts:
            filled(store, ANA, [draft(text)])
        (stretch,) = store.sequences(ANA, [turn.row for turn in store.turns(ANA, range(100))], 0)
        assert [turn.text for turn in stretch.turns] == texts

    def test_sequences_leave_out_what_is_not_current(self, store: Store) -> None:
        ids = filled(store, ANA, conversation(["a", "b", "c", "d"]))
        store.move(ANA, [ids[1]], "forget", START, (KIND,))
        store.replace(ANA, ids[2], draft("C", at=START + timedelta(minutes=2)), START, (KIND,))
        settle(store, ANA)
        rows = [turn.row for turn in store.turns(ANA, range(100))]
        (stretch,) = store.sequences(ANA, rows, 5)
        assert [turn.text for turn in stretch.turns] == ["a", "C", "d"]
        assert store.sequences(BOB, rows, 5) == []
        assert store.turns(BOB, rows) == []

    # Searching

    def test_search_sees_words_meaning_and_time(self, store: Store) -> None:
        filled(store, ANA, conversation(["I moved to Lisbon", "the weather is mild", "tax forms are due"]))
        searcher = store.search(ANA, Selection())
        lexical = searcher.lexical(query_terms("Lisbon"), 5)
        assert texts_of(list(store.cubes(ANA, lexical.tolist()).values())) == ["I moved to Lisbon"]
        vector = HashEmbedder().embed(["tax forms are due"])[0]
        dense = searcher.dense(vector, 5)
        assert store.cubes(ANA, dense.tolist())[int(dense[0])].text == "tax forms are due"
        between = searcher.between(START + timedelta(seconds=30), START + timedelta(seconds=90), 5)
        assert texts_of(list(store.cubes(ANA, between.tolist()).values())) == ["the weather is mild"]
        features = searcher.features(dense, query_terms("tax Lisbon"), vector)
        assert features.cosine[0] == pytest.approx(1, abs=1e-3)
        assert features.counts[0].tolist() == [1, 0]
        assert features.documents == 3
        assert len(searcher.lexical(query_terms("nothing like it"), 5)) == 0

    def test_search_sees_what_others_changed(self, bound: MakeStore) -> None:
        one, other = bound(), bound()
        assert found(one, ANA, "Lisbon") == set()
        (id,) = filled(other, ANA, [draft("Lisbon")])
        assert found(one, ANA, "Lisbon") == {"Lisbon"}
        other.move(ANA, [id], "forget", START, (KIND,))
        assert found(one, ANA, "Lisbon") == set()
        other.move(ANA, [id], "restore", START, (KIND,))
        assert found(one, ANA, "Lisbon") == {"Lisbon"}
        other.erase(ANA, [id], (KIND,))
        assert found(one, ANA, "Lisbon") == set()

    def test_the_two_clocks(self, store: Store) -> None:
        """Lived in Rome from day 0; on day 10 we learn of Oslo since day 5; on day 20 that it was Bergen all along."""
        day = [START + n * DAY for n in range(40)]
        (rome,) = filled(store, ANA, [draft("home: Rome", at=day[0])], day[0])
        oslo = draft("home: Oslo", at=day[0], valid_from=day[5])
        store.replace(ANA, rome, oslo, day[10], (KIND,))
        bergen = draft("home: Bergen", at=day[0], valid_from=day[5])
        store.replace(ANA, oslo.id, bergen, day[20], (KIND,))
        settle(store, ANA)

        def seen(**selection: Any) -> set[str]:
            return {text.removeprefix("home: ") for text in found(store, ANA, "home", **selection)}

        assert seen() == {"Bergen"}
        assert [seen(as_of=day[n]) for n in (1, 4, 5, 30)] == [{"Rome"}, {"Rome"}, {"Bergen"}, {"Bergen"}]
        assert [seen(known_at=day[n]) for n in (0, 9, 10, 19, 20)] == [
            {"Rome"}, {"Rome"}, {"Oslo"}, {"Oslo"}, {"Bergen"},
        ]  # fmt: skip
        assert seen(known_at=START - DAY) == set()
        assert seen(as_of=START - DAY) == set()
        assert seen(as_of=day[7], known_at=day[9]) == {"Rome"}
        assert seen(as_of=day[7], known_at=day[15]) == {"Oslo"}
        assert seen(as_of=day[2], known_at=day[15]) == {"Rome"}
        assert seen(as_of=day[7], known_at=day[25]) == {"Bergen"}
        listed = store.newest(ANA, Selection(as_of=day[2]), 10, "source")
        assert texts_of(listed) == ["home: Rome"]

    @pytest.mark.parametrize(
        ("where", "expected"),
        [
            ({}, "abc"),
            ({"speaker": "Ana"}, "ab"),
            ({"speaker": None}, "c"),
            ({"speaker": {"ne": None}}, "ab"),
            ({"speaker": ["Ana", "Bob"]}, "ab"),
            ({"speaker": []}, ""),
            ({"session": "s", "role": "user"}, "a"),
            ({"meta.topic": "travel"}, "a"),
            ({"meta.n": {"gt": 1}}, "b"),
            ({"meta.n": {"gte": 1, "lt": 2}}, "a"),
            ({"meta.flag": True}, "b"),
            ({"meta.a b.c'": "x"}, "b"),
            ({"at": {"gte": START + DAY}}, "bc"),
            ({"at": {"lt": "2025-03-02T09:00:00+00:00"}}, "a"),
            ({"trust": "web"}, "c"),
            ({"source": 'it\'s a "file"'}, "c"),
        ],
    )
    def test_where(self, store: Store, where: Mapping[str, Any], expected: str) -> None:
        filled(
            store,
            ANA,
            [
                draft("a", meta={"topic": "travel", "n": 1}),
                draft("b", meta={"n": 2, "flag": True, "a b.c'": "x"}, role="assistant", at=START + DAY),
                draft("c", speaker=None, at=START + 2 * DAY, session="t", trust="web", source='it\'s a "file"'),
            ],
        )
        assert sorted(texts_of(store.newest(ANA, Selection(where=where), 10, "source"))) == list(expected)
        assert sorted(found(store, ANA, "a b c", where=where)) == list(expected)

    @pytest.mark.parametrize(
        "where",
        [
            {"nonsense": 1},
            {"text": "a"},
            {"owner": 1},
            {"1=1 --": 1},
            {'meta.a"': 1},
            {"meta.\x00": 1},
            {7: 1},
            {"speaker": {"like": "%"}},
            {"speaker": {"gt": ["a"]}},
            {"speaker": object()},
            {"at": "tomorrow or so"},
            {"meta.n": 2**70},
            [("speaker", "Ana")],
        ],
    )
    def test_wrong_where_is_refused_by_name(self, store: Store, where: Any) -> None:
        with pytest.raises(InputError, match="where"):
            store.search(ANA, Selection(where=where))
        with pytest.raises(InputError, match="where"):
            store.newest(ANA, Selection(where=where), 10, "source")

    def test_list_is_newest_first(self, store: Store) -> None:
        filled(store, ANA, conversation(["a", "b", "c"]))
        assert texts_of(store.newest(ANA, Selection(), 2, "source")) == ["c", "b"]
        assert store.newest(ANA, Selection(), 2, "nothing") == []

    # Scopes

    def test_another_scope_has_none_of_it(self, store: Store) -> None:
        (id,) = filled(store, ANA, [draft("secret")])
        (cube,) = store.get(ANA, [id])
        rows = [turn.row for turn in store.turns(ANA, range(100))]
        for stranger in (BOB, OTHER, Scope(), Scope(user="ana"), Scope(tenant="acme"), Scope("acme", "ana", "", "x")):
            assert found(store, stranger, "secret") == set()
            assert store.newest(stranger, Selection(), 10, "source") == []
            for call in (
                lambda who: store.get(who, [id]),
                lambda who: store.history(who, id),
                lambda who: store.erase(who, [id], (KIND,)),
                lambda who: store.move(who, [id], "forget", START, (KIND,)),
                lambda who: store.replace(who, id, draft("mine now"), START, (KIND,)),
            ):
                with pytest.raises(NotFound, match=id):
                    call(stranger)
        for stranger in (BOB, OTHER, Scope()):
            assert store.cubes(stranger, rows) == {}
        assert store.get(ANA, [id]) == [cube]

    def test_agent_and_session_narrow(self, store: Store) -> None:
        for agent in ("", "x", "y"):
            for session in ("s", "t"):
                filled(store, ANA, [draft(f"{agent}/{session}", agent=agent, session=session)])
        for scope, expected in (
            (ANA, {"/s", "/t", "x/s", "x/t", "y/s", "y/t"}),
            (Scope("acme", "ana", agent="x"), {"x/s", "x/t"}),
            (Scope("acme", "ana", session="s"), {"/s", "x/s", "y/s"}),
            (Scope("acme", "ana", "y", "t"), {"y/t"}),
            (Scope("acme", "ana", "z"), set()),
        ):
            assert found(store, scope, "x y s t") == expected
            assert set(texts_of(store.newest(scope, Selection(), 10, "source"))) == expected

    @pytest.mark.parametrize("seed", range(3))
    def test_no_query_of_one_scope_returns_anothers(self, store: Store, seed: int) -> None:
        chance = random.Random(seed)
        names = ["", "a", "A", "a ", "a'", "ä", "%", "_", "*", "a/b", "a\tb"]
        owned: dict[Scope, list[str]] = {}
        for number in range(60):
            owner = Scope(chance.choice(names), chance.choice(names))
            session, agent = chance.choice("st"), chance.choice(["", "x"])
            text = f"memory {number} of {owner!r}"
            ids = filled(store, owner, [draft(text, session=session, agent=agent, meta={"n": number})])
            owned.setdefault(owner, []).extend(ids)
            if chance.random() < 0.3:
                victim = chance.choice(owned[owner])
                act = chance.choice(["forget", "erase", "replace"])
                try:
                    if act == "forget":
                        store.move(owner, [victim], "forget", START, (KIND,))
                    elif act == "erase":
                        gone = store.erase(owner, [victim], (KIND,)).ids
                        owned[owner] = [id for id in owned[owner] if id not in gone]
                    else:
                        newer = draft(f"memory {number}' of {owner!r}", session=session, agent=agent)
                        owned[owner].append(store.replace(owner, victim, newer, START, (KIND,)))
                except StateError:
                    pass
                settle(store, owner)
        everything = range(1, 1_000)
        for owner, ids in owned.items():
            mark = f"of {owner!r}"
            for selection in (
                Selection(),
                Selection(as_of=START),
                Selection(known_at=START),
                Selection(where={"meta.n": {"gte": 0}}),
            ):
                narrowed = [owner, Scope(owner.tenant, owner.user, "x"), Scope(owner.tenant, owner.user, "", "s")]
                for scope in narrowed:
                    searcher = store.search(scope, selection)
                    rows = searcher.lexical(query_terms("memory"), 1_000).tolist()
                    rows += searcher.around(searcher.between(START - DAY, START + DAY, 1_000)).tolist()
                    for cube in (*store.cubes(owner, rows).values(), *store.newest(scope, selection, 1_000, "source")):
                        assert cube.text.endswith(mark)
                        assert cube.scope.agent == (scope.agent or cube.scope.agent)
                        assert cube.scope.session == (scope.session or cube.scope.session)
                    assert set(rows) <= set(store.cubes(owner, rows))
            assert all(mark in cube.text for cube in store.cubes(owner, everything).values())
            assert all(mark in turn.text for turn in store.turns(owner, everything))
            for stretch in store.sequences(owner, everything, 9):
                assert all(mark in turn.text for turn in stretch.turns)
            assert all(cube.text.endswith(mark) for id in ids for _, _, cube in store.history(owner, id))
            for other in owned.keys() - {owner}:
                for id in ids[:2]:
                    with pytest.raises(NotFound):
                        store.get(other, [id])
        assert {scope for scope, _ in store.scopes()} >= set(owned)

    def test_scopes_counts_current_episodes(self, store: Store) -> None:
        ids = filled(store, ANA, conversation(["a", "b", "c"]))
        filled(store, OTHER, [draft("d")])
        store.move(ANA, [ids[0]], "forget", START, (KIND,))
        store.replace(ANA, ids[1], draft("B"), START, (KIND,))
        assert dict(store.scopes()) == {ANA: 2, OTHER: 1}

    # Changing

    def test_replace_closes_the_old_and_keeps_the_place(self, store: Store) -> None:
        ids = filled(store, ANA, conversation(["a", "b", "c"]))
        newer = draft("B", at=START + timedelta(minutes=1), valid_from=START + DAY)
        assert store.replace(ANA, ids[1], newer, START + 2 * DAY, (KIND,)) == newer.id
        settle(store, ANA)
        (old,) = store.get(ANA, [ids[1]])
        assert (old.valid_to, old.superseded_at, old.state) == (START + DAY, START + 2 * DAY, "activated")
        assert [(what, cube.text) for _, what, cube in store.history(ANA, newer.id)] == [
            ("added", "b"),
            ("updated", "B"),
        ]
        assert windows_of(store, ANA) == {f"wi-{ids[0]}": (ids[0], newer.id), f"wi-{newer.id}": (newer.id, ids[2])}
        with pytest.raises(StateError, match="earlier version"):
            store.replace(ANA, ids[1], draft("again"), START, (KIND,))
        store.move(ANA, [newer.id], "forget", START, (KIND,))
        with pytest.raises(StateError, match="deleted"):
            store.replace(ANA, newer.id, draft("again"), START, (KIND,))

    def test_a_clock_set_back_leaves_order(self, store: Store) -> None:
        (id,) = filled(store, ANA, [draft("a")])
        store.replace(ANA, id, draft("b", valid_from=START - DAY), START - DAY, (KIND,))
        (old,) = store.get(ANA, [id])
        assert old.valid_to == START
        assert old.superseded_at == START

    def test_forget_hides_and_restore_brings_back(self, store: Store) -> None:
        ids = filled(store, ANA, conversation(["a", "b", "c"]))
        whole = windows_of(store, ANA)
        store.move(ANA, [ids[1]], "forget", START, (KIND,))
        assert windows_of(store, ANA) == {}
        settle(store, ANA)
        assert windows_of(store, ANA) == {f"wi-{ids[0]}": (ids[0], ids[2])}
        assert found(store, ANA, "a b c") == {"a", "c"}
        assert found(store, ANA, "a b c", as_of=START + DAY, known_at=START + DAY) == {"a", "c"}
        assert store.get(ANA, [ids[1]])[0].state == "deleted"
        store.move(ANA, [ids[1]], "restore", START + DAY, (KIND,))
        settle(store, ANA)
        assert windows_of(store, ANA) == whole
        assert [what for _, what, _ in store.history(ANA, ids[1])] == ["added", "forgotten", "restored"]

    def test_a_wrong_state_changes_nothing(self, store: Store) -> None:
        ids = filled(store, ANA, conversation(["a", "b"]))
        with pytest.raises(StateError, match="activated already"):
            store.move(ANA, [ids[0]], "restore", START, (KIND,))
        with pytest.raises(NotFound, match="ep-none"):
            store.move(ANA, [ids[0], "ep-none"], "forget", START, (KIND,))
        assert found(store, ANA, "a b") == {"a", "b"}
        assert store.jobs(ANA) == []

    def test_what_was_derived_is_changed_only_with_its_episodes(self, store: Store) -> None:
        filled(store, ANA, conversation(["a", "b"]))
        (window,) = windows_of(store, ANA)
        for call in (
            lambda: store.move(ANA, [window], "forget", START, (KIND,)),
            lambda: store.replace(ANA, window, draft("x"), START, (KIND,)),
            lambda: store.erase(ANA, [window], (KIND,)),
        ):
            with pytest.raises(StateError, match="derived"):
                call()

    # Erasing

    def test_erase_follows_versions_and_lineage(self, store: Store) -> None:
        ids = filled(store, ANA, conversation(["a", "b", "c", "d"]))
        newer = draft("B", at=START + timedelta(minutes=1))
        store.replace(ANA, ids[1], newer, START, (KIND,))
        settle(store, ANA)
        store.move(ANA, [ids[2]], "forget", START, (KIND,))
        pending = len(store.jobs(ANA))
        erased = store.erase(ANA, [ids[1]], (KIND,))
        assert {ids[1], newer.id} <= set(erased.ids)
        assert set(erased.texts) == {"b", "B"}
        assert erased.counts["episodes"] == 2
        assert erased.counts["derived"] == len(erased.ids) - 2 > 0
        assert pending >= 1
        for id in erased.ids:
            with pytest.raises(NotFound):
                store.get(ANA, [id])
        settle(store, ANA)
        assert windows_of(store, ANA) == {f"wi-{ids[0]}": (ids[0], ids[3])}
        assert found(store, ANA, "a b c d", as_of=START + DAY) == {"a", "d"}
        assert store.compact(erased.texts) == 0

    def test_erase_takes_pending_jobs_along(self, store: Store) -> None:
        ids, _ = store.add(ANA, conversation(["a", "b"]), START, (KIND,))
        store.add(ANA, [draft("c")], START, (KIND,))
        assert store.erase(ANA, ids, (KIND,)).counts["jobs"] == 1
        settle(store, ANA)
        assert found(store, ANA, "a b c") == {"c"}

    def test_erase_of_the_unknown_changes_nothing(self, store: Store) -> None:
        ids = filled(store, ANA, conversation(["a", "b"]))
        before = list(store.dump())
        with pytest.raises(NotFound, match="ep-none"):
            store.erase(ANA, [ids[0], "ep-none"], (KIND,))
        assert list(store.dump()) == before

    def test_a_row_is_never_anothers(self, store: Store) -> None:
        """Who searched before an erasure and loads after it must not be given something else."""
        ids = filled(store, ANA, conversation(["a", "b", "c"]))
        searcher = store.search(ANA, Selection())
        rows = searcher.between(START - DAY, START + DAY, 10).tolist()
        store.erase(ANA, ids[1:], (KIND,))
        filled(store, ANA, conversation(["d", "e", "f"]))
        assert texts_of(list(store.cubes(ANA, rows).values())) == ["a"]

    def test_an_erased_episode_can_be_added_again(self, store: Store) -> None:
        again = draft("a")
        filled(store, ANA, [again])
        store.erase(ANA, [again.id], (KIND,))
        assert filled(store, ANA, [again]) == [again.id]
        assert found(store, ANA, "a") == {"a"}

    # The store as a whole

    def test_dump_and_restore(self, store: Store, stores: MakeStore) -> None:
        ids = filled(store, ANA, conversation(["a", "b", "c", "d"], meta={"x": "é"}))
        filled(store, OTHER, [draft("e", agent="x", source="f", times=())])
        store.replace(ANA, ids[1], draft("B", at=START + timedelta(minutes=1)), START + DAY, (KIND,))
        store.move(ANA, [ids[3]], "forget", START, (KIND,))
        settle(store, ANA)
        records = list(store.dump())
        other = stores("two")
        other.bind(HashEmbedder().identity)
        assert other.restore(records, (KIND,)) == 6
        assert other.restore(records, (KIND,)) == 0
        for scope in (ANA, OTHER):
            settle(other, scope)
        assert list(other.dump()) == records
        assert windows_of(other, ANA) == windows_of(store, ANA)
        assert [what for _, what, _ in other.history(ANA, ids[3])] == ["added", "forgotten"]
        assert found(other, ANA, "a b c", as_of=START) == found(store, ANA, "a b c", as_of=START)

    def test_restore_without_the_embedder_makes_vectors_anew(self, store: Store, stores: MakeStore) -> None:
        filled(store, ANA, conversation(["a", "b"]))
        other = stores("two")
        other.bind(Identity("another", 64, "1" * 64))
        other.restore(list(store.dump()), (KIND,))
        (job,) = other.jobs(ANA)
        assert [turn.vector for turn in other.turns(ANA, job.rows)] == [None, None]
        settle(other, ANA)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"text": None}, {"text": 5}, {"text": ""}, {"id": None}, {"id": ["a"]}, {"at": "now"}, {"at": 10**30},
            {"at": None}, {"valid_to": 0}, {"superseded_at": 0}, {"meta": []}, {"meta": {"a": float("nan")}},
            {"times": [["now"]]}, {"times": 5}, {"terms": "AAAA"}, {"terms": "é"}, {"terms": None}, {"tokens": "x"},
            {"tokens": -1}, {"vector": "AAAA"}, {"events": [[1]]}, {"events": [["x", "forgotten"]]}, {"tenant": 5},
            {"user": "\x00"}, {"origin": "windows"}, {"kind": "activation"}, {"state": "gone"}, {"trust": "root"},
            {"role": 1}, {"speaker": 1}, {"source": []}, {"session": None}, {"replaces": 1}, {"text": "\ud800"},
        ],
        ids=str,
    )  # fmt: skip
    def test_a_broken_record_restores_nothing(self, store: Store, stores: MakeStore, wrong: Mapping[str, Any]) -> None:
        filled(store, ANA, conversation(["a", "b"]))
        head, first, second = store.dump()
        other = stores("two")
        other.bind(HashEmbedder().identity)
        before = list(other.dump())
        with pytest.raises(InputError, match="record 3"):
            other.restore([head, first, {**second, **wrong}], (KIND,))
        missing = {name: value for name, value in second.items() if name not in wrong}
        with pytest.raises(InputError, match="record 3"):
            other.restore([head, first, missing], (KIND,))
        assert list(other.dump()) == before

    def test_a_forged_version_does_not_reach_into_another_scope(self, store: Store) -> None:
        (secret,) = filled(store, BOB, [draft("secret")])
        filled(store, ANA, [draft("a")])
        forged = {**list(store.dump())[-1], "id": "ep-forged", "replaces": secret}
        store.restore([forged], (KIND,))
        settle(store, ANA)
        assert [cube.text for _, _, cube in store.history(ANA, "ep-forged")] == ["a"]
        store.erase(ANA, ["ep-forged"], (KIND,))
        assert texts_of(store.get(BOB, [secret])) == ["secret"]

    def test_an_embedder_is_bound_for_good(self, stores: MakeStore) -> None:
        one = stores()
        assert one.embedder() is None
        one.bind(HashEmbedder().identity)
        one.bind(HashEmbedder().identity)
        other = stores()
        assert other.embedder() == HashEmbedder().identity
        for wrong in (Identity("another", 64, "0" * 64), Identity("hash-3-grams", 64, "1" * 64)):
            with pytest.raises(EmbedderMismatch, match="hash-3-grams"):
                other.bind(wrong)

    def test_a_backup_is_a_store_of_its_own(self, store: Store, tmp_path: Any) -> None:
        filled(store, ANA, conversation(["a", "b"]))
        target = tmp_path / "copy"
        store.backup(target, START)
        assert store.backups() == [target.resolve()]
        assert target.exists()

    # Changing the embedder

    def test_new_vectors_take_the_place_of_the_old(self, store: Store) -> None:
        told(store)
        before = store.turns(ANA, [turn.row for turn in all_turns(store)])
        store.begin_reembedding(NEW, START)
        with pytest.raises(StateError, match="going on"):
            store.begin_reembedding(Identity("third", 4, ""), START)
        assert not store.finish_reembedding(NEW, ())
        passages = store.passages(0, 1_000)
        assert [passage.row for passage in passages] == sorted(passage.row for passage in passages)
        assert store.passages(passages[0].row, 1)[0] == passages[1]
        store.embed_beside(NEW, dict.fromkeys(passages, UNIT))
        assert store.turns(ANA, [turn.row for turn in before])[0].vector is not None
        assert store.embedder() != NEW, "the old one serves until the switch"
        going = store.reembedding()
        assert going is not None and (going.identity, going.done, going.total) == (NEW, len(passages), len(passages))
        assert store.finish_reembedding(NEW, ())
        assert (store.embedder(), store.reembedding(), store.passages(0, 9)) == (NEW, None, [])
        after = all_turns(store)
        assert len(after) == len(before)
        assert all(turn.vector is not None and (turn.vector == UNIT).all() for turn in after)
        features = store.search(ANA, Selection()).features(np.array([after[0].row]), query_terms("x"), UNIT)
        assert features.cosine[0] == pytest.approx(1)
        assert features.norm[0] in (0, 2, 3), "windows are measured anew"

    def test_what_changes_meanwhile_is_caught_up(self, store: Store) -> None:
        told(store)
        store.begin_reembedding(NEW, START)
        passages = store.passages(0, 1_000)
        store.embed_beside(NEW, dict.fromkeys(passages[:-1], UNIT))
        late = replace(passages[-1], revision=passages[-1].revision - 1)
        store.embed_beside(NEW, {late: UNIT})
        assert [passage.row for passage in store.passages(0, 9)] == [late.row], "its text may have changed"
        gone = store.turns(ANA, [turn.row for turn in all_turns(store)])[0]
        store.erase(ANA, [gone.id], (KIND,))
        assert all(passage.row != gone.row for passage in store.passages(0, 1_000))
        assert not store.finish_reembedding(NEW, ())

    def test_a_cancelled_change_leaves_nothing(self, store: Store) -> None:
        told(store)
        old = store.embedder()
        assert not store.cancel_reembedding()
        store.begin_reembedding(NEW, START)
        passages = store.passages(0, 2)
        store.embed_beside(NEW, dict.fromkeys(passages, UNIT))
        assert store.cancel_reembedding()
        assert (store.reembedding(), store.embedder()) == (None, old)
        with pytest.raises(StateError, match="cancelled"):
            store.embed_beside(NEW, dict.fromkeys(passages, UNIT))
        with pytest.raises(StateError, match="cancelled"):
            store.finish_reembedding(NEW, ())
        store.begin_reembedding(NEW, START)
        assert len(store.passages(0, 2)) == 2, "nothing of it was kept"
        store.cancel_reembedding()

    def test_a_job_begun_before_the_switch_is_done_again(self, store: Store) -> None:
        told(store)
        store.add(ANA, [draft("late")], START, (KIND,))
        job = store.claim(ANA, START)
        assert job is not None
        seen = store.unorganised(ANA, "any", 100)
        store.begin_reembedding(NEW, START)
        store.embed_beside(NEW, dict.fromkeys(store.passages(0, 1_000), UNIT))
        assert store.finish_reembedding(NEW, ())
        assert not store.index(job, vectors_of(store, job), Organised(), START)
        assert not store.organise(ANA, "any", seen, Organised(), START)
        assert store.claim(ANA, START) is not None


NEW = Identity("another", 4, "")
UNIT = np.array([0, 1, 0, 0], np.float32)


def told(store: Store) -> None:
    """With a conversation of Ana's and a note of Bob's."""
    filled(store, ANA, conversation(["We met.", "It rained.", "We danced.", "She left."]))
    filled(store, BOB, [draft("A note.")])


def all_turns(store: Store) -> list[Turn]:
    """Ana's episodes that are current."""
    return store.turns(ANA, list(range(1, 1_000)))
