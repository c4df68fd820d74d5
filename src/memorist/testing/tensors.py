"""The part of the stores' contract that is about cubes with tensors; `StoreContract` includes it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from memorist.cube import Kind, Scope
from memorist.errors import InputError, NotFound, StateError
from memorist.store.protocol import Derived, Organised, Selection, Store
from memorist.testing.conversation import ANA, BOB, DAY, KIND, START, MakeStore, conversation, draft, filled
from memorist.testing.embedder import HashEmbedder

TENSORS = "tensors"


def tensor_file(data: bytes, **said: str) -> bytes:
    """A safetensors file of one tensor of bytes, without the library."""
    entry = {"dtype": "U8", "shape": [len(data)], "data_offsets": [0, len(data)]}
    header = json.dumps({"__metadata__": said, "x": entry}).encode()
    return len(header).to_bytes(8, "little") + header + data


def tensor(name: str, members: Sequence[int], data: bytes, kind: Kind = "activation", **header: Any) -> Derived:
    """A cube of tensors."""
    values: dict[str, Any] = {
        "id": f"te-{name}",
        "origin": TENSORS,
        "text": f"what {name} was made of",
        "members": tuple(members),
        "trust": "user",
        "agent": "",
        "session": "",
        "at": START,
        "valid_from": START,
        "kind": kind,
        "payload": tensor_file(data),
    }
    return Derived(**(values | header))


def write(store: Store, *cubes: Derived, scope: Scope = ANA, withdrawn: Sequence[str] = ()) -> bool:
    """Have whoever makes tensors see everything, and derive this."""
    seen = store.unorganised(scope, TENSORS, 1_000)
    return store.organise(scope, TENSORS, seen, Organised(cubes, tuple(withdrawn)), START)


def rows_of(store: Store, ids: Sequence[str], scope: Scope = ANA) -> list[int]:
    """The rows of episodes."""
    known = {turn.id: turn.row for turn in store.turns(scope, range(1_000))}
    return [known[id] for id in ids]


def holding(store: Store, scope: Scope = ANA) -> set[str]:
    """The cubes of tensors that hold."""
    return {cube.id for cube in store.newest(scope, Selection(), 100, TENSORS)}


class TensorContract:
    """Payloads: kept with their cubes, gone with their cubes."""

    # ruff: noqa: D102 - the name of a test says what it is about

    def test_a_payload_comes_back_as_it_was(self, store: Store, stores: MakeStore) -> None:
        rows = rows_of(store, filled(store, ANA, conversation(["a", "b"])))
        data = bytes(range(256)) * (80 << 10)  # 20 MiB: several parts
        made = tensor("kv", rows, data, meta={"model": "m"})
        assert write(store, made)
        again = stores()
        (cube,) = again.get(ANA, ["te-kv"])
        assert (cube.kind, cube.text, cube.meta["model"]) == ("activation", "what kv was made of", "m")
        assert cube.payload == hashlib.sha256(made.payload or b"").hexdigest()
        assert again.payload(ANA, "te-kv") == made.payload
        assert again.payload_size(ANA, "te-kv") == len(made.payload or b"")
        assert [one.id for one in again.newest(ANA, Selection(where={"kind": "activation"}), 5, TENSORS)] == ["te-kv"]

    def test_only_who_has_the_cube_has_its_payload(self, store: Store) -> None:
        ids = filled(store, ANA, conversation(["a"]))
        write(store, tensor("kv", rows_of(store, ids), b"secret"))
        with pytest.raises(NotFound):
            store.payload(BOB, "te-kv")
        with pytest.raises(NotFound):
            store.payload_size(BOB, "te-kv")
        with pytest.raises(StateError, match="no tensors"):
            store.payload(ANA, ids[0])
        assert store.payload_size(ANA, ids[0]) == 0

    @pytest.mark.parametrize(
        ("broken", "said"),
        [
            (None, "has no payload"),
            (b"", "no header"),
            (b"\x80\x04K\x01.", "no header"),
            ((5).to_bytes(8, "little") + b"\x80\x04K\x01.", "header"),
            (tensor_file(b"abc")[:-1], "cut short"),
            (tensor_file(b"abc") + b"d", "cut short"),
            (tensor_file(b"abc").replace(b"[3]", b"[4]"), "header"),
        ],
        ids=str,
    )
    def test_what_is_no_safetensors_file_is_refused(self, store: Store, broken: bytes | None, said: str) -> None:
        rows = rows_of(store, filled(store, ANA, conversation(["a"])))
        with pytest.raises(InputError, match=said):
            write(store, tensor("good", rows, b"good"), tensor("kv", rows, b"", payload=broken))
        assert holding(store) == set(), "one transaction: all or nothing"

    def test_the_last_cube_takes_its_payload_along(self, store: Store, tmp_path: Path) -> None:
        ids = filled(store, ANA, conversation(["a", "b", "c"]))
        rows = rows_of(store, ids)
        canary = b"canary-" + bytes(range(64, 96)) * 8
        write(store, tensor("one", rows[:1], canary), tensor("two", rows[1:2], canary), tensor("own", rows[2:], b"own"))
        assert store.erase(ANA, ids[:1], (KIND,)).counts["payloads"] == 1
        assert store.payload(ANA, "te-two") == tensor_file(canary), "another cube has the same"
        assert store.finish_erasing()
        assert store.check() == []
        waiting = store.jobs(ANA)
        store.erase(ANA, ["te-two"], (KIND,))
        assert len(store.jobs(ANA)) == len(waiting), "nobody has to look anew"
        store.compact(())
        assert holding(store) == {"te-own"}
        assert [file.name for file in tmp_path.rglob("*") if file.is_file() and canary in file.read_bytes()] == []

    def test_writing_again_replaces_the_payload(self, store: Store, tmp_path: Path) -> None:
        rows = rows_of(store, filled(store, ANA, conversation(["a"])))
        write(store, tensor("kv", rows, b"before before before"))
        write(store, tensor("kv", rows, b"after after after"))
        assert store.payload(ANA, "te-kv") == tensor_file(b"after after after")
        store.compact(())
        assert not any(b"before before" in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())

    @pytest.mark.parametrize(
        "change",
        [
            lambda store, id: store.move(ANA, [id], "forget", START, (KIND,)),
            lambda store, id: store.replace(ANA, id, draft("A", at=START + DAY), START + DAY, (KIND,)),
        ],
        ids=["forget", "update"],
    )
    def test_tensors_of_what_is_not_current_are_hidden(
        self, store: Store, change: Callable[[Store, str], None]
    ) -> None:
        ids = filled(store, ANA, conversation(["a", "b"]))
        write(store, tensor("kv", rows_of(store, ids), b"kv"), tensor("other", rows_of(store, ids[1:]), b"other"))
        change(store, ids[0])
        assert holding(store) == {"te-other"}
        assert store.get(ANA, ["te-kv"])[0].state == "deleted"

    def test_tensors_of_a_derived_text_go_when_it_says_something_else(self, store: Store) -> None:
        rows = rows_of(store, filled(store, ANA, conversation(["a", "b"])))
        note = Derived("no-1", "notes", "as it was", tuple(rows), "model", "", "", START, START)
        store.organise(ANA, "notes", store.unorganised(ANA, "notes", 9), Organised((note,)), START)
        (kept,) = store.derived(ANA, "notes", 0).kept
        write(store, tensor("kv", [kept.row, *rows], b"kv"))
        changed = Derived("no-1", "notes", "another", tuple(rows), "model", "", "", START, START)
        store.organise(ANA, "notes", store.unorganised(ANA, "notes", 9), Organised((changed,)), START)
        assert holding(store) == set()

    def test_archived_tensors_come_back(self, store: Store) -> None:
        rows = rows_of(store, filled(store, ANA, conversation(["a"])))
        write(store, tensor("kv", rows, b"kv"))
        store.move(ANA, ["te-kv"], "archive", START, (KIND,))
        write(store, tensor("kv", rows, b"another"))
        assert (holding(store), store.payload(ANA, "te-kv")) == (set(), tensor_file(b"kv"))
        store.move(ANA, ["te-kv"], "activate", START, (KIND,))
        assert (holding(store), store.jobs(ANA)) == ({"te-kv"}, [])

    def test_a_job_can_be_about_named_cubes(self, store: Store) -> None:
        ids = filled(store, ANA, conversation(["a", "b"]))
        rows = rows_of(store, ids)
        number = store.request(ANA, "to tensors", ids)
        assert store.request(ANA, "to tensors", ids) == number
        assert store.request(ANA, "to tensors", ids[:1]) != number
        with pytest.raises(NotFound):
            store.request(BOB, "to tensors", ids)
        job = store.claim(ANA, START, number, "to tensors")
        assert job is not None
        assert job.rows == tuple(rows)
        assert store.apply(job, Organised((tensor("kv", rows, b"kv"),)), START)
        assert holding(store) == {"te-kv"}

    def test_an_archive_has_tensors(self, store: Store, stores: MakeStore) -> None:
        ids = filled(store, ANA, conversation(["a", "b"]))
        rows = rows_of(store, ids)
        data = b"0123456789" * (1 << 20)  # two parts
        write(store, tensor("kv", rows, data, meta={"n": 1}), tensor("same", rows[:1], data, kind="parameter"))
        records = list(store.dump())
        assert [record["record"] for record in records].count("part") == 2, "shared, so told once"
        other = stores("two")
        other.bind(HashEmbedder().identity)
        other.restore(records, (KIND,))
        other.restore(records, (KIND,))
        assert other.payload(ANA, "te-kv") == other.payload(ANA, "te-same") == tensor_file(data)
        assert other.get(ANA, ["te-kv"])[0].episodes == tuple(ids)
        assert list(other.dump()) == records
        other.erase(ANA, ids[:1], (KIND,))
        assert holding(other) == set()

    @pytest.mark.parametrize(
        ("record", "wrong"),
        [
            ("part", {"bytes": "AAAA"}), ("part", {"part": 1}), ("part", {"payload": "0" * 64}),
            ("part", {"user": "x"}),
            ("cube", {"payload": "0" * 64}), ("cube", {"rests": ["ep-none"]}), ("cube", {"rests": []}),
            ("cube", {"kind": "text"}), ("cube", {"origin": "source"}), ("cube", {"state": "gone"}),
            ("cube", {"user": "nobody"}), ("cube", {"at": None}), ("cube", {"meta": {"a": float("nan")}}),
        ],
        ids=str,
    )  # fmt: skip
    def test_a_broken_tensor_record_restores_nothing(
        self, store: Store, stores: MakeStore, record: str, wrong: dict[str, Any]
    ) -> None:
        rows = rows_of(store, filled(store, ANA, conversation(["a"])))
        write(store, tensor("kv", rows, b"kv"))
        records = [{**one, **wrong} if one["record"] == record else one for one in store.dump()]
        other = stores("two")
        other.bind(HashEmbedder().identity)
        before = list(other.dump())
        with pytest.raises(InputError, match="archive is broken"):
            other.restore(records, (KIND,))
        assert list(other.dump()) == before
