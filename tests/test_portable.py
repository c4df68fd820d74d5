"""The portable file of cubes: over to another store and scope, the same bytes for the same cubes, damage refused."""

from __future__ import annotations

import json
import random
import shutil
import zipfile
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest

from memorist import Memory
from memorist.errors import InputError, NotFound
from memorist.store.protocol import Derived, Organised
from memorist.testing import HashEmbedder

START = datetime(2025, 3, 1, 9, tzinfo=timezone.utc)
SAID = ("The kayak is blue.", "It lies at the lake house.", "I live in Oslo.", "Taxes are due. They are high.", "Gone.")
QUESTION = "Where is the blue kayak, where does Ana live and what about taxes?"


def opened(path, embedder=None):
    return Memory.open(path, embedder=embedder or HashEmbedder(), clock=lambda: START)


def safetensors(values):
    data = np.asarray(values, np.float32).tobytes()
    entry = {"a": {"dtype": "F32", "shape": [len(values)], "data_offsets": [0, len(data)]}}
    header = json.dumps(entry).encode()
    return len(header).to_bytes(8, "little") + header + data


def written_tensors(memory, scope, id, payload):
    """A cube that is not text, as whoever makes tensors writes one."""
    store = memory._store
    rows = [turn.row for turn in store.turns(scope, range(100)) if turn.id == id]
    seen = store.unorganised(scope, "kv", 1_000)
    cube = Derived(
        id="kv-one", origin="kv", text="The kayak is blue.", members=tuple(rows), trust="user", agent="", session="",
        at=START, valid_from=START, kind="activation", payload=payload,
    )  # fmt: skip
    assert store.organise(scope, "kv", seen, Organised((cube,)), START)


@pytest.fixture
def filled(tmp_path):
    """Ana's memory, with everything that can be in one."""
    with opened(tmp_path / "memory.db") as memory:
        ana = memory.scope(user="ana")
        said = [
            {"role": "user", "name": "Ana", "content": text, "timestamp": (START + timedelta(hours=i)).isoformat()}
            for i, text in enumerate(SAID)
        ]
        ids = list(ana.add(said).ids)
        ids.append(ana.update(ids[2], text="I live in Porto.", at=START + timedelta(days=9)).ids[0])
        ana.forget(ids[4])
        ana.cubes.fuse(ids[:2])
        ana.cubes.split(ids[3])
        ana.cubes.describe(ids[5], priority=4, sensitivity=["home"])
        written_tensors(memory, ana.scope, ids[5], safetensors(range(9)))
        memory.scope(user="bob").add("Bob has a red kayak.")
        ana.cubes.dump(tmp_path / "ana.cubes.zip")
        yield memory, ana, ids


def seen(scope):
    return [(hit.text, round(hit.score, 6), hit.at) for hit in scope.search(QUESTION, budget=2_000)]


def test_over_to_another_store_and_scope(filled, tmp_path):
    memory, ana, ids = filled
    expected = seen(ana)
    past = [hit.text for hit in ana.search("Oslo", as_of=START + timedelta(days=1))]
    with opened(tmp_path / "other.db") as other:
        same, renamed = other.scope(user="ana"), other.scope(tenant="acme", user="Anna")
        assert same.cubes.load(tmp_path / "ana.cubes.zip") == 9
        assert (seen(same), [same.get(id).state for id in ids]) == (expected, [ana.get(id).state for id in ids])
        assert same.get(ids[5]) == ana.get(ids[5])
        assert renamed.cubes.load(tmp_path / "ana.cubes.zip") == 9
        assert seen(renamed) == expected
        assert not {hit.id for hit in renamed.search(QUESTION)} & {hit.id for hit in same.search(QUESTION)}
        assert [hit.text for hit in renamed.search("Oslo", as_of=START + timedelta(days=1))] == past
        for scope in (same, renamed):
            assert scope.cubes.load(tmp_path / "ana.cubes.zip") == 0
            assert seen(scope) == expected
            fused = next(cube for cube in scope.list(origin="composed") if cube.meta["made"] == "fused")
            assert [scope.get(id).state for id in fused.meta["of"]] == ["merged", "merged"]
            scope.undo(fused.id)
            assert "The kayak is blue." in {hit.text for hit in scope.search("kayak")}
        assert other.verify().problems == ()
        tensors = [record for record in other._store.dump() if record["record"] == "cube"]
        assert [record["payload"] for record in tensors] == [tensors[0]["payload"]] * 2
        assert other._store.payload(same.scope, "kv-one") == safetensors(range(9))
    assert memory.scope(user="bob").cubes.load(tmp_path / "ana.cubes.zip") == 9
    assert memory.verify().problems == ()


def test_the_same_cubes_are_the_same_bytes(filled, tmp_path):
    _, ana, _ = filled
    ana.cubes.dump(tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == (tmp_path / "ana.cubes.zip").read_bytes()
    with opened(tmp_path / "other.db") as other:
        copy = other.scope(user="ana")
        copy.cubes.load(tmp_path / "again.zip")
        copy.cubes.dump(tmp_path / "copy.zip")
    assert (tmp_path / "copy.zip").read_bytes() == (tmp_path / "again.zip").read_bytes()


def test_a_choice_takes_along_what_it_rests_on(filled, tmp_path):
    _, ana, ids = filled
    fused = next(cube for cube in ana.list(origin="composed") if cube.meta["made"] == "fused")
    with opened(tmp_path / "other.db") as other:
        copy = other.scope(user="bo")
        ana.cubes.dump(tmp_path / "fused.zip", fused.id)
        assert copy.cubes.load(tmp_path / "fused.zip") == 3
        assert [hit.text for hit in copy.search("kayak")] == [fused.text]
        ana.cubes.dump(tmp_path / "moved.zip", [ids[5]])
        assert copy.cubes.load(tmp_path / "moved.zip") == 2
        assert [hit.text for hit in copy.search("I live in", k=1)] == ["I live in Porto."]
    with pytest.raises(NotFound):
        ana.cubes.dump(tmp_path / "none.zip", "ep-none")
    with pytest.raises(InputError, match="exists already"):
        ana.cubes.dump(tmp_path / "moved.zip")
    assert not (tmp_path / "none.zip").exists()


def test_another_embedder_makes_vectors_anew(filled, tmp_path):
    from memorist.models.embedder import Identity

    class Other:
        identity = Identity("other", 64, "1" * 64)
        embed = HashEmbedder().embed

    with opened(tmp_path / "other.db", Other()) as other:
        copy = other.scope(user="ana")
        assert copy.cubes.load(tmp_path / "ana.cubes.zip") == 9
        assert {hit.text for hit in copy.search(QUESTION, budget=2_000)} == {text for text, _, _ in seen(filled[1])}
        assert all(one.vector is not None for one in other._store.derived(copy.scope, "composed", 0).kept)
        assert other.verify().problems == ()


def test_any_damage_is_refused(filled, tmp_path):
    whole = (tmp_path / "ana.cubes.zip").read_bytes()
    chance = random.Random(1)
    with opened(tmp_path / "other.db") as other:
        copy = other.scope(user="ana")
        for case in range(60):
            broken = bytearray(whole)
            if case < 50:
                broken[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
            else:
                del broken[chance.randrange(len(whole)) :]
            (tmp_path / "broken.zip").write_bytes(broken)
            try:
                added = copy.cubes.load(tmp_path / "broken.zip")
            except InputError:
                assert copy.list(limit=99) == []
                continue
            assert added == 9, "a flipped bit that no reader looks at, such as a time in the zip"
            copy.erase([cube.id for cube in copy.list(limit=99)])
            break
        assert other.verify().problems == ()


def rewritten(source, target, change):
    """The zip with other content and a manifest that fits it."""
    with zipfile.ZipFile(source) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    change(parts)
    with zipfile.ZipFile(target, "w") as new:
        for name, data in parts.items():
            new.writestr(name, data)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda parts: parts.update({"episodes.jsonl": parts["episodes.jsonl"][:-9]}), "episodes.jsonl is damaged"),
        (lambda parts: parts.pop("cubes.jsonl"), "does not hold what its manifest names: cubes.jsonl"),
        (lambda parts: parts.update({"../../evil": b"x"}), "does not hold what its manifest names: ../../evil"),
        (lambda parts: parts.pop("manifest.json"), "zip of something else"),
        (lambda parts: parts.update({"manifest.json": b"{}"}), "manifest of .* cannot be read"),
        (
            lambda parts: parts.update({"manifest.json": parts["manifest.json"].replace(b"memorist-cubes", b"other")}),
            "not memorist-cubes",
        ),
        (
            lambda parts: parts.update(
                {"manifest.json": parts["manifest.json"].replace(b'"version": 1', b'"version": 2')}
            ),
            "upgrade Memorist",
        ),
    ],
)
def test_a_foreign_file_is_refused(filled, tmp_path, change, problem):
    rewritten(tmp_path / "ana.cubes.zip", tmp_path / "foreign.zip", change)
    with opened(tmp_path / "other.db") as other:
        with pytest.raises(InputError, match=problem):
            other.scope(user="ana").cubes.load(tmp_path / "foreign.zip")
        assert other.scopes() == []


def test_what_is_no_zip_is_refused(filled, tmp_path):
    memory, ana, _ = filled
    memory.export(tmp_path / "all.jsonl")
    shutil.copy(tmp_path / "all.jsonl", tmp_path / "other.zip")
    for name in ("all.jsonl", "other.zip"):
        with pytest.raises(InputError, match=r"no file of cubes.*memorist import"):
            ana.cubes.load(tmp_path / name)
    with pytest.raises(InputError, match="does not exist"):
        ana.cubes.load(tmp_path / "nowhere.zip")


def test_the_archive_keeps_compositions(filled, tmp_path):
    memory, ana, _ = filled
    expected = seen(ana)
    memory.export(tmp_path / "all.jsonl.gz")
    with Memory.load(tmp_path / "all.jsonl.gz", tmp_path / "copy.db", embedder=HashEmbedder()) as copy:
        assert seen(copy.scope(user="ana")) == expected
        assert list(copy._store.dump()) == list(memory._store.dump())
        assert copy.verify().problems == ()
