"""Snapshots: going back restores every byte and every search, and brings nothing back that was erased."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memorist import Memory
from memorist.errors import InputError, NotFound, StateError
from memorist.models.embedder import Identity
from memorist.store.rawfile import holds
from memorist.store.snapshots import BEFORE
from memorist.testing import HashEmbedder

START = datetime(2025, 3, 1, 9, tzinfo=timezone.utc)
SAID = (
    "I live in Oslo.",
    "Mara works at Statoil.",
    "The blue kayak is at the lake house.",
    "My doctor is Dr Lind.",
    "I moved to Porto.",
    "Rui has the spare key.",
)
QUESTIONS = ("Where does Ana live?", "kayak", "Who is the doctor of Ana?", "spare key Porto Oslo Statoil")
COPIED = {
    "cubes": "c.id, c.state, c.trust, c.text, c.meta, c.at, c.position, c.valid_from, c.valid_to, c.recorded_at,"
    " c.superseded_at, c.replaces, c.revision, c.semantic_type, c.updated_at, c.expires_at, c.priority, c.sensitivity,"
    " f.tokens, f.terms, f.vector, f.members, f.norm, f.vectors, f.data",
}


def opened(path, recipe="facts", clock=lambda: START):
    return Memory.open(path, embedder=HashEmbedder(), recipe=recipe, clock=clock)


def message(text, day=0):
    return {"role": "user", "name": "Ana", "content": text, "timestamp": (START + timedelta(days=day)).isoformat()}


def bytes_of(memory):
    """Every byte of what is there, as the tables have it."""
    with memory._store._database.reading() as db:
        cubes = db.execute(
            f"SELECT {COPIED['cubes']} FROM cubes c JOIN features f USING (row) WHERE c.aside IS NULL ORDER BY c.row"
        ).fetchall()
        kept = "WHERE {} IN (SELECT row FROM cubes WHERE aside IS NULL) ORDER BY 1, 2, 3"
        lineage = db.execute("SELECT child, parent, 0 FROM lineage " + kept.format("child")).fetchall()
        links = db.execute("SELECT * FROM links " + kept.format("source")).fetchall()
        marks = db.execute("SELECT organiser, revision, row FROM marks ORDER BY 1").fetchall()
    return cubes, lineage, links, marks


def searches(scope):
    return [
        [(hit.id, hit.text, hit.score, hit.why) for hit in scope.search(question, budget=600, **when)]
        for question in QUESTIONS
        for when in ({}, {"as_of": START + timedelta(days=1)}, {"where": {"speaker": "Ana"}})
    ]


def dumped(memory):
    """The export, but for what happened and what was replied."""
    return [{**record, "events": None} for record in memory._store.dump() if record["record"] != "reply"]


def change(ana, chance, ids):
    """A few things of all kinds."""
    what, number = chance
    id = ids[number % len(ids)]
    try:
        if what == "add":
            ids.extend(ana.add([message(f"Note {number}: I live in Town{number}.", number % 9)]).ids)
        elif what == "update":
            ids.extend(ana.update(id, text=f"Changed {number}.").ids)
        elif what in ("forget", "restore"):
            getattr(ana, what)(id)
        elif what == "describe":
            ana.cubes.describe(id, priority=number % 9)
        else:
            getattr(ana.cubes, what)(id)
    except StateError:
        pass


WHAT = ("add", "update", "forget", "restore", "archive", "activate", "describe")
CHANGES = st.lists(st.tuples(st.sampled_from(WHAT), st.integers(0, 50)), max_size=8)


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(before=CHANGES, after=CHANGES, again=CHANGES)
@pytest.mark.parametrize("recipe", ["default", "facts", "memgas"])
def test_a_roll_back_restores_bytes_and_searches(tmp_path_factory, recipe, before, after, again):
    with opened(tmp_path_factory.mktemp("s") / "memory.db", recipe) as memory:
        ana, bob = memory.scope(user="ana"), memory.scope(user="bob")
        bob.add("The kayak of Bob is red.")
        ids = list(ana.add([message(text, day) for day, text in enumerate(SAID)]).ids)
        for one in before:
            change(ana, one, ids)
        first = (searches(ana), bytes_of(memory), dumped(memory))
        ana.snapshot("monday")
        for one in after:
            change(ana, one, ids)
        second = (searches(ana), bytes_of(memory), dumped(memory))
        done = ana.rollback("monday")
        assert (searches(ana), bytes_of(memory), dumped(memory)) == first
        assert memory.verify().problems == ()
        ana.rollback(done.before)
        assert (searches(ana), bytes_of(memory), dumped(memory)) == second
        ana.rollback("monday")
        for one in again:
            change(ana, one, ids)
        searches(ana)
        assert memory.verify().problems == ()
        ana.rollback("monday")
        assert (searches(ana), bytes_of(memory), dumped(memory)) == first
        assert [hit.text for hit in bob.search("kayak")] == ["The kayak of Bob is red."]


def test_another_process_sees_the_roll_back(tmp_path):
    with opened(tmp_path / "memory.db") as memory, opened(tmp_path / "memory.db") as other:
        ana, theirs = memory.scope(user="Ana"), other.scope(user="Ana")
        ana.add([message(text) for text in SAID[:3]])
        before = searches(theirs)
        ana.snapshot("monday")
        ana.add([message(text, 1) for text in SAID[3:]])
        assert searches(theirs) != before
        ana.rollback("monday")
        assert searches(theirs) == before


def test_what_was_put_aside_is_added_again(tmp_path):
    with opened(tmp_path / "memory.db") as memory:
        ana = memory.scope(user="Ana")
        ana.add([message(text) for text in SAID[:3]])
        ana.snapshot("monday")
        later = ana.add([message(text, 1) for text in SAID[3:]]).ids
        after = searches(ana)
        assert ana.rollback("monday").aside == 3
        assert ana.list(limit=99) and not {cube.id for cube in ana.list(limit=99)} & set(later)
        with pytest.raises(StateError, match="rolled back to"):
            ana.restore(later[0])
        assert ana.add([message(text, 1) for text in SAID[3:]]).added == 3
        assert searches(ana) == after
        assert memory.verify().problems == ()
        (newer,) = ana.update(later[0], text="My doctor is Dr Moe.").ids
        ana.rollback("monday")
        assert [cube.id for cube in ana.cubes.versions(ana.list(limit=1)[0].id)] == [ana.list(limit=1)[0].id]
        assert ana.get(newer).state == "deleted"


CANARY = "The canary Zebulon sings in the cellar."


@pytest.mark.parametrize("recipe", ["default", "facts", "memgas"])
@pytest.mark.parametrize("known", [True, False], ids=["of then", "of later"])
def test_no_roll_back_brings_back_what_was_erased(tmp_path, recipe, known):
    with opened(tmp_path / "memory.db", recipe) as memory:
        ana = memory.scope(user="Ana")
        said = [message(text, day) for day, text in enumerate(SAID)]
        (secret,) = ana.add([message(CANARY)]).ids if known else (None,)
        ids = ana.add(said).ids
        ana.snapshot("monday")
        if not known:
            (secret,) = ana.add([message(CANARY)]).ids
        ana.update(ids[0], text="I live in Bergen.")
        ana.cubes.archive(ids[1])
        done = ana.rollback("monday")
        ana.rollback(done.before)
        erasure = ana.erase(secret)
        assert erasure.remnants == 0
        for name in ("monday", BEFORE, "monday"):
            ana.rollback(name)
            with pytest.raises(NotFound):
                ana.get(secret)
            assert not any(
                "Zebulon" in hit.text for question in ("Zebulon", *QUESTIONS) for hit in ana.search(question)
            )
            assert memory.verify().problems == ()
        for file in tmp_path.iterdir():
            assert not holds(file, b"Zebulon")
        with Memory.open(tmp_path / "fresh.db", embedder=HashEmbedder(), recipe=recipe, clock=lambda: START) as fresh:
            other = fresh.scope(user="Ana")
            other.add(said)
            mine = [[hit.text for hit in ana.search(question, budget=600)] for question in QUESTIONS]
            assert mine == [[hit.text for hit in other.search(question, budget=600)] for question in QUESTIONS]


def test_a_later_version_is_erased_with_the_memory(tmp_path):
    with opened(tmp_path / "memory.db") as memory:
        ana = memory.scope(user="Ana")
        (id,) = ana.add(SAID[0]).ids
        ana.snapshot("monday")
        ana.update(id, text=CANARY)
        ana.rollback("monday")
        ana.erase(id)
        with pytest.raises(NotFound):
            ana.search("Zebulon") or ana.get(id)
    assert not any(holds(file, b"Zebulon") for file in tmp_path.iterdir())


def test_names_holds_and_embedders(tmp_path):
    with opened(tmp_path / "memory.db") as memory:
        ana, bob = memory.scope(user="Ana"), memory.scope(user="Bo")
        (id,) = ana.add(SAID[0]).ids
        taken = ana.snapshot("monday")
        assert (taken.name, taken.at, taken.episodes) == ("monday", START, 1)
        with pytest.raises(StateError, match="already"):
            ana.snapshot("monday")
        bob.snapshot("monday")
        with pytest.raises(NotFound, match="there are: 'monday'"):
            ana.rollback("tuesday")
        for wrong in ("", "a\x00b", 5):
            with pytest.raises(InputError):
                ana.snapshot(wrong)
        with pytest.raises(InputError, match="all of a user's memory"):
            memory.scope(user="Ana", session="s").snapshot("x")
        ana.cubes.freeze(id)
        with pytest.raises(StateError, match=f"{id} was frozen after"):
            ana.rollback("monday")
        assert [one.name for one in ana.snapshots()] == ["monday"]
        ana.cubes.thaw(id)
        ana.rollback("monday")
        assert [change.what for change in ana.history(id)] == ["added", "frozen", "thawed"], "as it was"
        ana.drop_snapshot("monday")
        assert [one.name for one in ana.snapshots()] == [BEFORE]
        assert [one.name for one in bob.snapshots()] == ["monday"]

        class Other:
            identity = Identity("other", 64, "1" * 64)
            embed = HashEmbedder().embed

        memory.reembed(Other())
        with pytest.raises(StateError, match="re-embedded since"):
            bob.rollback("monday")


def test_every_column_that_changes_is_copied(tmp_path):
    """Who adds a column to cubes or features has to decide whether a snapshot copies it."""
    opened(tmp_path / "memory.db").close()
    db = sqlite3.connect(tmp_path / "memory.db")
    names = {
        table: {name for _, name, *_ in db.execute(f"PRAGMA table_info({table})")}
        for table in ("cubes", "features", "snapshot_cubes")
    }
    db.close()
    never = {
        "row",
        "id",
        "owner",
        "agent",
        "session",
        "kind",
        "origin",
        "role",
        "speaker",
        "source",
        "times",
        "position",
    }
    made_from = {"terms", "payload"}
    assert names["cubes"] | names["features"] == names["snapshot_cubes"] - {"snapshot"} | never | made_from & (
        names["cubes"] | names["features"]
    )


def test_tensors_go_back_with_their_text_or_are_put_away(tmp_path):
    """What was made later is put aside; what was made of other words since is hidden, and can be made again."""
    from test_portable import safetensors, written_tensors

    with opened(tmp_path / "memory.db", "default") as memory:
        ana = memory.scope(user="ana")
        (id,) = ana.add("The kayak is blue.").ids
        ana.snapshot("without")
        written_tensors(memory, ana.scope, id, safetensors(range(4)))
        ana.snapshot("with")
        ana.cubes.archive("kv-one")
        ana.rollback("with")
        assert ana.get("kv-one").state == "activated"
        assert memory._store.payload(ana.scope, "kv-one") == safetensors(range(4))
        ana.rollback("without")
        assert ana.get("kv-one").state == "deleted"
        assert not [record for record in memory._store.dump() if record["record"] in ("cube", "part")]
        ana.rollback("with")
        assert ana.get("kv-one").state == "activated"
        ana.erase(id)
        ana.rollback("with")
        assert ana.search("kayak", k=5)[:] == ()
        assert memory.verify().problems == ()
