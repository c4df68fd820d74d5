"""A scope is a wall until it is shared, and then opens what was shared and nothing else."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from canaries import START, canary, everything, story
from memorist import Memory, Observation
from memorist.cube import Scope
from memorist.errors import InputError, NotAllowed, NotFound, StateError, StoreError
from memorist.recipes import RECIPES
from memorist.scoped import ScopedMemory
from memorist.store.governed import Sight, Subject
from memorist.store.reach import tables
from memorist.store.scoped import enter
from memorist.testing import HashEmbedder

SECRET = "zanzibar-7741"
TALK = (
    ("trip", "I moved to Lisbon in May."),
    ("trip", "The ferry leaves at nine."),
    ("diary", f"The vault code is {SECRET}."),
    ("diary", "Mara works at Quente and likes the vault."),
    ("trip", "Rui has the spare key."),
)


def opened(place: str | Path, recipe: str = "default") -> Memory:
    return Memory.open(place, embedder=HashEmbedder(), recipe=recipe)


@pytest.fixture
def memory(place: str) -> Iterator[Memory]:
    with opened(place) as one:
        ana = one.scope(user="ana")
        for minute, (session, text) in enumerate(TALK):
            ana.add(Observation(text, speaker="Ana", session=session, at=START + timedelta(minutes=minute)))
        yield one


def texts(scope: ScopedMemory, query: str = "vault ferry key Lisbon") -> set[str]:
    return {hit.text for hit in scope.search(query, k=50)}


def ids_by_text(scope: ScopedMemory) -> dict[str, str]:
    return {cube.text: cube.id for cube in scope.list(limit=100)}


def test_a_scope_is_a_wall_until_it_is_shared(memory: Memory) -> None:
    ana, bob = memory.scope(user="ana"), memory.scope(user="bob")
    view = bob.shared_by("ana")
    for call in (view.list, lambda: view.search("vault"), lambda: view.add("hello"), lambda: view.ask("Who?")):
        with pytest.raises(NotAllowed, match=r"'bob' may not .* this memory of 'ana'"):
            call()
    with pytest.raises(NotAllowed, match="may not read"):  # and says the same of whoever is not there
        bob.shared_by("nobody").list()
    grant = ana.share("bob")
    assert texts(view) == {text for _, text in TALK}
    assert (grant.rights, [one.number for one in bob.rights.received()]) == (("read",), [grant.number])
    with pytest.raises(NotAllowed, match="may not read"):
        memory.scope(user="carol").shared_by("ana").list()
    with pytest.raises(NotAllowed, match="may not read"):
        memory.scope(user="bob", tenant="other").shared_by("ana").list()
    ana.rights.revoke(grant.number)
    with pytest.raises(NotAllowed):
        view.search("vault")
    assert ana.rights.given() == []
    assert ana.rights.given(ended=True)[0].revoked_at is not None


def test_only_what_is_shared_opens(memory: Memory) -> None:
    """A session, or single cubes: of what is derived only that which rests on nothing else."""
    ana = memory.scope(user="ana")
    trip = {text for session, text in TALK if session == "trip"}
    memory.scope(user="ana", session="trip").share("bob")
    view = memory.scope(user="bob").shared_by("ana")
    assert texts(view) == trip
    diary = [id for text, id in ids_by_text(ana).items() if text not in trip]
    for id in diary:
        for call in (view.get, view.history, view.cubes.versions):
            with pytest.raises(NotFound):
                call(id)
    assert "zanzibar" not in str(view.list(limit=100, origin="windows"))
    assert view.list(limit=100, origin="windows")
    one = ids_by_text(ana)["The ferry leaves at nine."]
    ana.share("carol", cubes=one)
    lone = memory.scope(user="carol").shared_by("ana")
    assert texts(lone) == {"The ferry leaves at nine."}
    assert lone.list(limit=100, origin="windows") == []
    newer = ana.update(one, text="The ferry leaves at ten.").ids[0]
    assert texts(lone) == {"The ferry leaves at ten."}
    assert lone.get(newer).text == "The ferry leaves at ten."
    ana.add("A new secret of mine.")
    assert texts(lone, "new secret") <= {"The ferry leaves at ten."}
    ana.erase(newer)
    assert lone.list() == []


def test_an_agent_of_a_user(memory: Memory) -> None:
    memory.scope(user="ana").share("bob", agent="planner")
    assert texts(memory.scope(user="bob", agent="planner").shared_by("ana"))
    for agent in ("", "critic"):
        with pytest.raises(NotAllowed):
            memory.scope(user="bob", agent=agent).shared_by("ana").list()


def test_writing_where_one_may(memory: Memory) -> None:
    ana, bob = memory.scope(user="ana"), memory.scope(user="bob").shared_by("ana")
    memory.scope(user="ana", session="trip").share("bob", ("read", "write"))
    with pytest.raises(NotAllowed, match="may not write"):
        bob.add("Not in the trip.")
    trip = memory.scope(user="bob").shared_by("ana", session="trip")
    (added,) = trip.add("The train is cheaper.").ids
    assert (ana.get(added).speaker, ana.get(added).scope.session) == ("bob", "trip")
    (newer,) = trip.update(added, text="The bus is cheaper.").ids
    trip.forget(newer)
    assert ana.get(newer).state == "deleted"
    trip.restore(newer)
    diary = ids_by_text(ana)[TALK[2][1]]
    for act in (bob.forget, lambda id: bob.update(id, text="mine")):
        with pytest.raises(NotFound):
            act(diary)
    for denied in (bob.erase, bob.cubes.freeze, lambda id: bob.cubes.describe(id, sensitivity=["x"])):
        with pytest.raises(NotAllowed, match="may not administer"):
            denied(newer)
    with pytest.raises(NotAllowed):
        bob.share("carol")
    assert [entry.actor for entry in memory.audit() if entry.act in ("update", "forget")] == ["bob", "bob"]
    assert memory.verify().ok


def test_giving_on_and_administering(memory: Memory) -> None:
    ana = memory.scope(user="ana")
    ana.share("bob", ("read", "share"))
    bob = memory.scope(user="bob").shared_by("ana")
    passed = bob.share("carol", ("read",))
    assert texts(memory.scope(user="carol").shared_by("ana"))
    with pytest.raises(NotAllowed, match="write"):
        bob.share("carol", ("read", "write"))
    bob.rights.revoke(passed.number)
    ana.share("dora", ("administer",))
    dora = memory.scope(user="dora").shared_by("ana")
    id = ids_by_text(dora)[TALK[1][1]]
    dora.cubes.freeze(id)
    with pytest.raises(StateError, match="frozen"):
        dora.erase(id)
    dora.cubes.thaw(id)
    assert dora.erase(id).remnants == 0
    assert [one.subject.user for one in dora.rights.given()] == ["bob", "dora"]
    with pytest.raises(NotFound):
        ana.get(id)


def test_wrong_grants(memory: Memory) -> None:
    ana = memory.scope(user="ana")
    for wrong in ({"rights": ()}, {"rights": ("fly",)}, {"cubes": []}, {"cubes": "ep-x", "rights": ("administer",)}):
        with pytest.raises(InputError):
            ana.share("bob", **wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="own"):
        ana.share("ana")
    with pytest.raises(NotFound):
        ana.share("bob", cubes="ep-none")
    with pytest.raises(NotFound):
        ana.rights.revoke(99)
    with pytest.raises(NotFound):
        memory.scope(user="bob").rights.revoke(ana.share("bob").number)
    assert len(ana.rights.given()) == 1


def test_every_table_and_every_method_of_a_store_is_closed(memory: Memory) -> None:
    """A table that is added later is empty for subjects, and what writes is refused, unless it is opened on purpose."""
    memory.scope(user="ana").share("bob")
    memory.scope(user="zoe").add("Zoe's own words.")
    memory.scope(user="zoe").share("bob", cubes=memory.scope(user="zoe").list()[0].id)
    seen = memory._store.seen(Sight(Scope(user="ana"), Subject("bob")))
    whole = memory._store
    with whole._database.reading() as db:  # type: ignore[attr-defined]
        named = tables(db)
        enter(db, "")
        zoe = db.execute("SELECT owner FROM owners WHERE user = 'zoe'").fetchone()[0]
    shown = {"cubes", "features", "events", "lineage", "links", "owners", "meta"}
    with seen._database.reading() as db:
        enter(db, "")
        for table in named:
            count = db.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
            assert count == 0 or table in shown, table
        assert db.execute("SELECT COUNT(*) FROM cubes WHERE owner = ?", (zoe,)).fetchone()[0] == 0
        assert [name for (name,) in db.execute("SELECT name FROM meta")] == ["embedder"]
    with pytest.raises((sqlite3.OperationalError, StoreError), match=r"view|read-only"), seen._database.reading() as db:
        db.execute("DELETE FROM cubes")
    with pytest.raises(NotAllowed), seen._database.writing():
        pass
    with pytest.raises(NotAllowed):
        seen.undo(Scope(user="ana"), "ep-x", START)
    seen.close()


# Whatever is asked, by whatever recipe

WITHOUT_MODEL = sorted(name for name, recipe in RECIPES.items() if not recipe.writers or recipe.organisers)


@pytest.mark.parametrize("recipe", WITHOUT_MODEL)
def test_what_is_not_shared_never_surfaces(place: str, recipe: str) -> None:
    chance = random.Random(recipe)
    count = 24
    with opened(place, recipe) as memory:
        ana = memory.scope(user="ana")
        ids = ana.add(story(chance, count)).ids
        memory.scope(user="bob").add("Bob lives in Evora.")
        ana.search("settle all")
        for turn in range(3):
            session = f"s{chance.randrange(4)}"
            listed = chance.sample(range(count), 3)
            grants = [
                memory.scope(user="ana", session=session).share("bob"),
                ana.share("bob", cubes=[ids[n] for n in listed]),
            ]
            shared = {canary(n) for n in range(count) if n in listed or f"s{n % 4}" == session}
            private = {canary(n) for n in range(count)} - shared
            for view in (memory.scope(user="bob").shared_by("ana"), memory.scope(user="bob")):
                for what, ask in everything(view, recipe):
                    told = repr(ask()).replace("Where does Cnry0000q live?", "").replace("unheard=('Cnry0000q',)", "")
                    leaked = {one for one in private if one.lower() in told.lower()}
                    assert not leaked, (what, leaked)
            view = memory.scope(user="bob").shared_by("ana")
            found = {one for one in shared if one in repr(view.list(limit=100))}
            assert found == shared
            for number in range(count):
                if canary(number) in private:
                    with pytest.raises(NotFound):
                        view.get(ids[number])
            for grant in grants:
                ana.rights.revoke(grant.number)
            if turn == 1:
                ana.update(ids[0], text=f"{canary(0)} lives in Porto.")
        assert memory.verify().problems == ()
