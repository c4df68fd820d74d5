"""The life of cubes: the table of states against random operations, and that recall knows only what is living."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from memorist import Memory
from memorist.errors import InputError, NotFound, StateError
from memorist.recipes import RECIPES
from memorist.states import CHANGEABLE, LIVING, MOVES, moved, possible
from memorist.store.connection import Database
from memorist.store.schema import LIFE, MIGRATIONS
from memorist.testing import HashEmbedder

START = datetime(2025, 3, 1, 9, tzinfo=timezone.utc)
WORDS = ("anchor", "basil", "copper", "dahlia", "ember", "fjord")


class Clock:
    """A clock that tests turn."""

    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now


def opened(path, recipe="default", clock=lambda: START):
    return Memory.open(path, embedder=HashEmbedder(), recipe=recipe, clock=clock)


def test_the_table_says_what_is_possible():
    with pytest.raises(StateError, match=r"ep-1 is frozen and cannot become deleted by forget; .*thaw \(then activ"):
        moved("ep-1", "frozen", "forget")
    with pytest.raises(StateError, match="ep-1 is archived already"):
        moved("ep-1", "archived", "archive")
    assert moved("ep-1", "merged", "unfuse") == "activated"
    assert possible("deleted") == "what is deleted allows: restore (then activated)"
    assert all(move.target not in move.sources for move in MOVES.values())


class Life(RuleBasedStateMachine):
    """Random operations on a user's memories, beside a model that is the table and nothing else."""

    ids = Bundle("ids")

    @initialize()
    def begin(self):
        self.clock = Clock()
        self.memory = Memory.open(self.folder / f"{next(self.numbers)}.db", embedder=HashEmbedder(), clock=self.clock)
        self.ana = self.memory.scope(user="ana")
        self.states, self.ends, self.texts, self.chains, self.said = {}, {}, {}, {}, 0

    def teardown(self):
        assert self.memory.verify().problems == ()
        self.memory.close()

    def text(self, word):
        self.said += 1
        return f"The {word} number{self.said} is here."

    @rule(target=ids, word=st.sampled_from(WORDS))
    def add(self, word):
        text = self.text(word)
        (id,) = self.ana.add(text, at=self.clock.now).ids
        self.states[id], self.texts[id], self.chains[id] = "activated", text, [id]
        return id

    @rule(id=ids, verb=st.sampled_from(("forget", "restore", "archive", "activate", "freeze", "thaw")))
    def move(self, id, verb):
        call = getattr(self.ana, verb, None) or getattr(self.ana.cubes, verb)
        state = self.states.get(id)
        if state is None:
            with pytest.raises(NotFound):
                call(id)
        elif state in MOVES[verb].sources and id == self.chains[id][-1]:
            call(id)
            self.states[id] = MOVES[verb].target
            if verb == "activate" and self.ends.get(id, self.clock.now + timedelta(1)) <= self.clock.now:
                del self.ends[id]
        elif state not in MOVES[verb].sources:
            with pytest.raises(StateError):
                call(id)

    @rule(target=ids, id=ids, word=st.sampled_from(WORDS))
    def update(self, id, word):
        self.clock.now += timedelta(seconds=1)
        text = self.text(word)
        newest = id in self.states and id == self.chains[id][-1]
        if newest and self.states[id] in CHANGEABLE:
            (newer,) = self.ana.update(id, text=text).ids
            self.states[newer], self.texts[newer] = "activated", text
            self.chains[id].append(newer)
            self.chains[newer] = self.chains[id]
            return newer
        with pytest.raises((StateError, NotFound)):
            self.ana.update(id, text=text)
        return id

    @rule(id=ids)
    def erase(self, id):
        chain = self.chains.get(id, [])
        if id not in self.states:
            with pytest.raises(NotFound):
                self.ana.erase(id)
        elif any(self.states[one] == "frozen" for one in chain):
            with pytest.raises(StateError):
                self.ana.erase(id)
        else:
            self.ana.erase(id)
            for one in chain:
                del self.states[one]

    @rule(id=ids, days=st.integers(1, 3))
    def end(self, id, days):
        if self.states.get(id) in (None, "frozen"):
            with pytest.raises((NotFound, StateError)):
                self.ana.cubes.describe(id, ttl=timedelta(days=days))
        else:
            self.ana.cubes.describe(id, ttl=timedelta(days=days))
            self.ends[id] = self.clock.now + timedelta(days=days)

    @rule(days=st.integers(1, 3))
    def wait(self, days):
        self.clock.now += timedelta(days=days)
        self.memory.settle(self.ana.scope)

    @invariant()
    def states_are_those_of_the_table(self):
        for id, state in self.states.items():
            if state in MOVES["expire"].sources and self.ends.get(id, self.clock.now + timedelta(1)) <= self.clock.now:
                self.states[id] = "expired"
        found = {hit.id for hit in self.ana.search("anchor basil copper dahlia ember fjord number", budget=100_000)}
        living = {id for id, state in self.states.items() if state in LIVING and id == self.chains[id][-1]}
        assert found == living
        for id, state in self.states.items():
            assert self.ana.get(id).state == state
        windows = self.ana.list(origin="windows", limit=10_000)
        assert {id for window in windows for id in window.episodes} <= living

    @invariant()
    def chains_are_complete(self):
        for id in self.states:
            assert [cube.id for cube in self.ana.cubes.versions(id)] == self.chains[id]


def test_random_operations_follow_the_table(tmp_path):
    Life.folder, Life.numbers = tmp_path, iter(range(10_000))
    checks = settings(
        max_examples=25,
        stateful_step_count=25,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
    run_state_machine_as_test(Life, settings=checks)


SAID = (
    "I live in Oslo.",
    "Mara works at Statoil.",
    "The blue kayak is at the lake house.",
    "The blue kayak was repaired in May.",
    "My doctor is Dr Lind.",
    "Dr Lind moved to Bergen.",
)


def recipes():
    """All that need no extra that is missing here."""
    for name in RECIPES:
        marks = [] if name != "hipporag2" else [pytest.mark.skipif(not spacy(), reason="needs memorist[graph]")]
        yield pytest.param(name, marks=marks)


def spacy():
    from importlib.util import find_spec

    return find_spec("spacy") is not None and find_spec("en_core_web_sm") is not None


@pytest.mark.parametrize("recipe", list(recipes()))
def test_recall_returns_only_what_is_living(tmp_path, recipe):
    clock = Clock()
    with opened(tmp_path / "memory.db", recipe, clock) as memory:
        ana = memory.scope(user="ana")
        said = [{"role": "user", "content": text, "timestamp": START.isoformat()} for text in SAID]
        ids = ana.add(said).ids
        question = "Where does Ana live, who is her doctor, where does Mara work and where is the blue kayak?"
        before = [(hit.id, hit.score) for hit in ana.search(question, budget=2_000)]
        found = {id for hit in ana.search(question, budget=2_000) for id in (hit.id, *hit.episodes)}
        assert set(ids) & found
        for leave, back in (("archive", "activate"), ("expire", "activate"), ("forget", "restore")):
            gone = ids[0], ids[2], ids[4]
            if leave == "expire":
                ana.cubes.describe(gone, ttl=timedelta(hours=1))
                clock.now += timedelta(hours=1)
            elif leave == "archive":
                ana.cubes.archive(gone)
            else:
                ana.forget(gone)
            hits = ana.search(question, budget=2_000)
            assert {id for hit in hits for id in (hit.id, *hit.episodes)}.isdisjoint(gone)
            assert all(SAID[place] not in hit.text for hit in hits for place in (0, 2, 4))
            ana.restore(gone) if back == "restore" else ana.cubes.activate(gone)
            assert [(hit.id, hit.score) for hit in ana.search(question, budget=2_000)] == before


def test_an_older_file_speaks_the_new_words(tmp_path):
    path = tmp_path / "memory.db"
    with opened(path) as memory:
        ana = memory.scope(user="ana")
        ids = ana.add([{"role": "user", "content": text, "timestamp": START.isoformat()} for text in SAID]).ids
        ana.forget(ids[1])
        before = [(hit.id, hit.score) for hit in ana.search("kayak")]
    older = tmp_path / "older.db"
    Database(older, MIGRATIONS[: MIGRATIONS.index(LIFE)]).close()
    db = sqlite3.connect(older)
    db.execute("ATTACH ? AS new", (str(path),))
    for (table,) in db.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'").fetchall():
        if not table.startswith("sqlite_"):
            names = ", ".join(name for _, name, *_ in db.execute(f"PRAGMA main.table_info({table})"))
            db.execute(f"INSERT INTO main.{table} ({names}) SELECT {names} FROM new.{table}")
    db.execute("UPDATE main.cubes SET state = CASE state WHEN 'deleted' THEN 'forgotten' ELSE 'active' END")
    db.commit()
    db.close()
    with opened(older) as memory:
        ana = memory.scope(user="ana")
        assert [ana.get(id).state for id in ids] == ["activated", "deleted", *["activated"] * 4]
        assert [(hit.id, hit.score) for hit in ana.search("kayak")] == before
        ana.restore(ids[1])
        assert memory.verify().problems == ()


def test_an_archive_of_version_1_is_read(tmp_path):
    with opened(tmp_path / "memory.db") as memory:
        ana = memory.scope(user="ana")
        ids = ana.add([{"role": "user", "content": text} for text in SAID[:2]], at=START).ids
        ana.forget(ids[1])
        memory.export(tmp_path / "now.jsonl")
    text = (tmp_path / "now.jsonl").read_text(encoding="utf-8")
    for new, old in (('"activated"', '"active"'), ('"deleted"', '"forgotten"'), ('"version": 2', '"version": 1')):
        assert new in text
        text = text.replace(new, old)
    for name, value in (("semantic_type", '""'), ("expires_at", "null"), ("priority", "0"), ("sensitivity", "[]")):
        assert f', "{name}": {value}' in text
        text = text.replace(f', "{name}": {value}', "")
    (tmp_path / "then.jsonl").write_text(text, encoding="utf-8")
    with Memory.load(tmp_path / "then.jsonl", tmp_path / "loaded.db", embedder=HashEmbedder()) as memory:
        assert [memory.scope(user="ana").get(id).state for id in ids] == ["activated", "deleted"]


def test_the_header_is_kept_by_an_archive(tmp_path):
    with opened(tmp_path / "memory.db") as memory:
        ana = memory.scope(user="ana")
        (id,) = ana.add(SAID[0]).ids
        ana.cubes.describe(id, semantic_type="fact", expires_at="2222-02-02", priority=7, sensitivity=["home"])
        before = ana.get(id)
        memory.export(tmp_path / "all.jsonl")
    with Memory.load(tmp_path / "all.jsonl", tmp_path / "loaded.db", embedder=HashEmbedder()) as memory:
        assert memory.scope(user="ana").get(id) == before


def test_wrong_headers_change_nothing(tmp_path):
    with opened(tmp_path / "memory.db") as memory:
        ana = memory.scope(user="ana")
        (id,) = ana.add(SAID[0]).ids
        before = ana.get(id)
        for wrong in ({"priority": 1_000}, {"expires_at": "soon"}, {"sensitivity": [""]}, {"semantic_type": 5}):
            with pytest.raises(InputError):
                ana.cubes.describe(id, **wrong)
        with pytest.raises(InputError, match="not both"):
            ana.cubes.describe(id, ttl=timedelta(1), expires_at="never")
        with pytest.raises(InputError):
            ana.cubes.freeze([])
        assert ana.get(id) == before
        assert before.fingerprint == ana.get(ana.add(f"  {SAID[0].upper()} ").ids[0]).fingerprint
