"""A thousand memories in every form, half of them erased: nothing of these is anywhere, and nothing else is lost."""

from __future__ import annotations

import random
import sqlite3
import time
from pathlib import Path

import pytest

from canaries import START, canaries_in, canary, everything, parrot, story
from memorist import Memory
from memorist.cube import SOURCE
from memorist.errors import InputError, MemoristError, StateError
from memorist.organise.agent_writer import AGENT
from memorist.recipes import RECIPES
from memorist.store.protocol import Selection
from memorist.store.reach import cascades, columns, hanging, tables
from memorist.testing import HashEmbedder, ScriptedModel
from memorist.testing.tensors import rows_of, tensor, tensor_file, write
from worker import Workers, erase_singly

RECIPES_USED = ("default", "memgas", "mr-rec", "arcmemo", "hipporag2", "facts", "a-mem", "mem-alpha")

NOT_OF_A_CUBE = {
    "meta": "settings of the store",
    "snapshots": "rows and marks of a moment; the copies of cubes hang on the cubes",
    "owners": "names of users",
    "jobs": "rows of pending work, taken out by erase, with the reasons of an owner's jobs",
    "marks": "how far an organiser has come",
    "replies": "erased by the cubes that a call saw",
    "keys": "a server's keys",
    "attempts": "answers that name an erased cube are dropped",
    "grants": "who may use a memory; the cubes are in `granted`",
    "audit": "what was done, without what was remembered",
    "backups": "names of files",
    "schedule": "what is done by itself, when it was done last, and how many records that changed",
    "payloads": "a trigger removes them with their last cube",
}
"""Tables without a cascading reference to a cube, and why nothing of an erased memory stays in them."""


def test_every_table_is_erased_or_says_why_not(tmp_path: Path) -> None:
    with Memory.open(tmp_path / "memory.db", embedder=HashEmbedder()) as memory:
        database = memory._store._database  # type: ignore[attr-defined]
        with database.reading() as db:
            found = set(hanging(db, "cubes", "1"))
            assert {"features", "lineage", "links", "events", "beside", "granted", "reply_rows", "usage"} <= found
            rest = set(tables(db)) - found - {"cubes"}
            assert rest <= set(NOT_OF_A_CUBE), f"{rest - set(NOT_OF_A_CUBE)} would keep what is erased"
            for table in tables(db):
                if "row" in columns(db, table) and table not in ("cubes", "marks"):
                    assert any(column == "row" for column, *_ in cascades(db, table)), f"{table}.row names no cube"


def derived_of(memory: Memory, origins: list[str]) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Text and sources of every derived cube by id."""
    ana = memory.scope(user="ana")
    return {
        cube.id: (cube.text, cube.episodes) for origin in origins for cube in ana.list(limit=100_000, origin=origin)
    }


def in_files(folder: Path) -> set[str]:
    """The canaries in the bytes of every file."""
    return set().union(*(canaries_in(file.read_bytes().decode("latin-1")) for file in folder.iterdir()))


def remembered(path: Path, count: int) -> list[str]:
    """Canaries in every form that there is: episodes and their versions, what each recipe derives, with a model or
    without, tensors, the log of replies and of extractions."""
    model = ScriptedModel(parrot)
    for place, recipe in enumerate(RECIPES_USED):
        with Memory.open(path, embedder=HashEmbedder(), recipe=recipe, model=model) as memory:
            ana = memory.scope(user="ana")
            if not place:
                said = story(random.Random(count), count)
                ids = [id for start in range(0, count, 250) for id in ana.add(said[start : start + 250]).ids]
                for number in range(0, count, 10):
                    ana.update(ids[number], text=f"{canary(number)} lives in Faro now, not where {canary(number)} was.")
                ana.forget(ids[5::50])
            ana.search("Who lives in Evora?")
            if recipe == "memgas":
                ana.summarise()
            elif RECIPES[recipe].writers:
                ana.organise()
            ana.ask("Who lives in Faro?")
    with Memory.open(path, embedder=HashEmbedder(), model=model) as memory:
        ana = memory.scope(user="ana")
        ana.extract(model=model, calls=count // 4)
        for number, kind in ((1, "activation"), (2, "activation"), (3, "parameter"), (4, "parameter")):
            data = tensor_file(canary(number).encode() * 50, of=canary(number))
            cube = tensor(f"t{number}", rows_of(memory._store, [ids[number]], ana.scope), data, kind)  # type: ignore[arg-type]
            assert write(memory._store, cube, scope=ana.scope)
        ana.share("bob", cubes=[ids[1], ids[2]])
        ana.cubes.describe(ids[1], sensitivity=["people"])
    return ids


@pytest.mark.parametrize("count", [60, pytest.param(1_000, marks=pytest.mark.slow)])
def test_half_of_all_in_every_form(tmp_path: Path, count: int) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    path = folder / "memory.db"
    ids = remembered(path, count)
    every = {canary(number) for number in range(count)}
    gone = {canary(number) for number in range(0, count, 2)}
    assert in_files(folder) == every
    with Memory.open(path, embedder=HashEmbedder()) as memory:
        ana = memory.scope(user="ana")
        with memory._store._database.reading() as db:  # type: ignore[attr-defined]
            origins = [o for (o,) in db.execute("SELECT DISTINCT origin FROM cubes WHERE origin != ?", (SOURCE,))]
        assert {"windows", "graph", "granularity", "preferences", "concepts", "facts", "notes", AGENT} <= set(origins)
        before = derived_of(memory, origins)
        kept = {id: ana.get(id) for number, id in enumerate(ids) if number % 2}
        erasure = ana.erase([id for number, id in enumerate(ids) if number % 2 == 0])
        assert erasure.remnants == 0
        assert in_files(folder) == every - gone
        removed = erasure.certificate["removed"]
        assert removed["forms"].keys() == {"text", "activation", "parameter"}
        assert removed["origins"][SOURCE] == count // 2 + count // 10
        assert (
            min(removed["records"][name] for name in ("replies", "extractions", "payloads", "granted", "lineage")) > 0
        )
        assert not canaries_in(repr(erasure.certificate))
        assert not canaries_in(repr(memory.audit(limit=100_000)))
        assert memory.verify(erasure.certificate).problems == ()
        for id, cube in kept.items():
            assert (ana.get(id).text, ana.get(id).meta) == (cube.text, cube.meta)
        lost = set(erasure.ids)
        after = derived_of(memory, origins)
        for id, (text, sources) in before.items():
            if id.startswith(("no-", "fg-")) and not lost & {id, *sources}:
                assert after[id][0] == text
    for recipe in RECIPES_USED:
        with Memory.open(path, embedder=HashEmbedder(), recipe=recipe, model=ScriptedModel(parrot)) as memory:
            ana = memory.scope(user="ana")
            for what, ask in everything(ana, recipe):
                assert not canaries_in(repr(ask())) & gone - {canary(0)}, (recipe, what)
            assert set().union(*(canaries_in(text) for _, text in memory._store.texts(ana.scope))) <= every - gone
            assert memory.verify().problems == ()
    assert in_files(folder) == every - gone


def planted(path: Path, text: str, careful: bool) -> None:
    """Text that another program wrote and deleted again."""
    raw = sqlite3.connect(path)
    raw.execute(f"PRAGMA secure_delete = {'ON' if careful else 'OFF'}")
    raw.execute("INSERT INTO meta VALUES ('planted', ?)", (text,))
    raw.commit()
    raw.execute("DELETE FROM meta WHERE name = 'planted'")
    raw.commit()
    raw.close()


def test_verify_finds_what_is_left(tmp_path: Path) -> None:
    """In free parts of the file by their not being zero, anywhere by its print, in a backup, and come back by hand."""
    path, text = tmp_path / "memory.db", "The vault opens with heliotrope-7731, says the old clock in the hall."
    with Memory.open(path, embedder=HashEmbedder()) as memory:
        ana = memory.scope(user="ana")
        (id,) = ana.add(text, at="2025-05-01").ids
        ana.add("Something else is here.")
        copy = memory.backup(tmp_path / "monday.db")
        memory.export(tmp_path / "all.jsonl")
        erasure = ana.erase(id)
        assert erasure.certificate["backups"]["left"] == [str(copy.resolve())]
        (told,) = memory.verify(erasure.certificate).problems
        assert "monday.db has 1 of the erased memories" in told
        with Memory.open(copy, embedder=HashEmbedder()) as backup:
            backup.scope(user="ana").erase(id)
        assert memory.verify(erasure.certificate).ok
    planted(path, text * 200, careful=False)
    with Memory.open(path, embedder=HashEmbedder()) as memory:
        found = memory.verify(erasure.certificate).problems
        assert "bytes of deleted records lie in page" in found[0]
        assert "pieces of erased text in no record" in found[1]
        memory.compact()
        assert memory.verify(erasure.certificate).ok
        memory.restore(tmp_path / "all.jsonl")
        (told,) = memory.verify(erasure.certificate).problems
        assert "the store has 1 of the erased memories" in told


def test_a_certificate_is_checked_itself(tmp_path: Path) -> None:
    with (
        Memory.open(tmp_path / "memory.db", embedder=HashEmbedder()) as memory,
        Memory.open(tmp_path / "other.db", embedder=HashEmbedder()) as other,
    ):
        ana = memory.scope(user="ana")
        certificate = dict(ana.erase(ana.add("The vault opens with heliotrope-7731.").ids[0]).certificate)
        assert memory.verify(certificate).ok
        for wrong in ({**certificate, "user": "bob"}, {}, {"document": 5}, {**certificate, "prints": 7}):
            with pytest.raises(InputError, match="certificate"):
                memory.verify(wrong)
        with pytest.raises(InputError, match="another store"):
            other.verify(certificate)
        with pytest.raises(InputError, match="cannot be read"):
            memory.verify(tmp_path / "none.json")


def test_what_is_held_is_not_erased(tmp_path: Path) -> None:
    with Memory.open(tmp_path / "memory.db", embedder=HashEmbedder()) as memory:
        ana = memory.scope(user="ana")
        ids = ana.add([{"role": "user", "content": text} for text in ("one is here", "two is here")], at=START).ids
        ana.cubes.freeze(ids[0])
        before = list(memory._store.dump())
        with pytest.raises(StateError, match="legal hold"):
            ana.erase(ids)
        assert list(memory._store.dump()) == before
        assert len(memory._store.newest(ana.scope, Selection(), 10, SOURCE)) == 2
        ana.cubes.thaw(ids[0])
        assert ana.erase(ids).remnants == 0


def test_the_audit_log_cannot_be_rewritten_silently(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    with Memory.open(path, embedder=HashEmbedder()) as memory:
        ana = memory.scope(user="ana")
        (id,) = ana.add("The vault opens with heliotrope-7731.").ids
        ana.forget(id)
        ana.erase(id)
        assert [entry.act for entry in memory.audit()] == ["add", "forget", "erase", "erased"]
        head = memory.audit_head()
        assert head[0] == 4
        assert "heliotrope" not in repr(memory.audit())
    for sql, told in (
        ("UPDATE audit SET user = 'bob' WHERE seq = 2", "entry 2 of the audit log was changed"),
        ("DELETE FROM audit WHERE seq = 2", "lacks entry 2"),
        ("DELETE FROM audit WHERE seq = 4", "its end was cut off"),
        ("DELETE FROM audit", "its end was cut off"),
    ):
        copy = tmp_path / "copy.db"
        copy.write_bytes(path.read_bytes())
        raw = sqlite3.connect(copy)
        with pytest.raises(sqlite3.IntegrityError, match="cannot be changed"):
            raw.execute(sql)
        raw.execute("DROP TRIGGER audit_is_not_rewritten")
        raw.execute("DROP TRIGGER audit_is_not_cut")
        raw.execute(sql)
        raw.commit()
        raw.close()
        with Memory.open(copy, embedder=HashEmbedder()) as memory:
            assert any(told in problem for problem in memory.verify().problems)
        copy.unlink()


@pytest.mark.parametrize("kills", [10, pytest.param(200, marks=pytest.mark.slow)])
def test_killed_while_it_erases(tmp_path: Path, kills: int) -> None:
    """The store opens and is sound; what was acknowledged stays erased, to the last byte; nothing else is lost."""
    chance = random.Random(kills)
    workers = Workers(tmp_path)
    erased = 0
    for kill in range(kills):
        folder = tmp_path / f"store{kill}"
        folder.mkdir()
        path = folder / "memory.db"
        with Memory.open(path, embedder=HashEmbedder()) as memory:
            ids = list(memory.scope(user="ana").add(story(chance, 40)).ids)
        names = [canary(number) for number in range(40)]
        child = workers.start(erase_singly, path, ids, names).ready()
        time.sleep(chance.uniform(0, 0.5))
        child.kill()
        acks = child.acks()
        done = {ack[1]: ack for ack in acks if ack[0] == "did"}
        open_end = {ack[1] for ack in acks} - set(done)
        with Memory.open(path, embedder=HashEmbedder()) as memory:
            ana = memory.scope(user="ana")
            assert memory.verify().problems == ()
            there = set()
            for id in ids:
                try:
                    there.add(ana.get(id).id)
                except MemoristError:
                    assert id in done or id in open_end, "lost without being erased"
            assert not there & set(done), "an erased one came back"
            for ack in done.values():
                assert memory.verify(ack[3]).problems == ()
            ana.search("Who lives in Evora?")
            assert memory.verify().problems == ()
        left = in_files(folder)
        assert left == {name for id, name in zip(ids, names) if id in there}
        erased += len(done)
    workers.close()
    assert erased, "every kill came too early"
