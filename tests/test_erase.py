"""Erased is erased: no byte of it in any file, nothing derived from it, and the neighbours whole."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from memorist import Memory, Observation
from memorist.errors import InputError, NotAStore, NotFound, StoreBusy
from memorist.store import connection, erasure
from memorist.store.connection import Database
from memorist.store.schema import MIGRATIONS, VERSION
from worker import Workers, hold, message, open_memory

START = datetime(2025, 5, 1, 9, tzinfo=timezone.utc)
CANARIES = {
    "plain": "The vault opens with heliotrope-7731.",
    "short": "PIN 4711 42xq",
    "unicode": "Пароль: ключ-от-сейфа 秘密の鍵 🗝️ naïve",
    "long": "begin-of-canary " + " ".join(f"word{n:05d}" for n in range(4_600)) + " end-of-canary",
    "markup": "\"}]' OR 1=1; -- <canary-tag> \\u0000 heliotrope",
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    folder.mkdir()
    return folder / "memory.db"


@pytest.fixture
def memory(path: Path) -> Iterator[Memory]:
    with open_memory(path) as opened:
        opened.scope(user="ana").add([message(0, number) for number in range(120)])
        yield opened


def places(folder: Path, *texts: str) -> dict[str, list[str]]:
    """Which files hold bytes of the texts: any stretch of 30 characters out of the begin, the middle or the end."""
    found: dict[str, list[str]] = {}
    for file in sorted(folder.rglob("*")):
        content = file.read_bytes() if file.is_file() else b""
        for text in texts:
            middle = len(text) // 2
            for piece in (text[:30], text[middle : middle + 30], text[-30:], text[1_000:1_030]):
                for spelling in (piece, json.dumps(piece)[1:-1]):
                    if len(piece) > 6 and spelling.encode() in content:
                        found.setdefault(file.name, []).append(piece)
    return found


def said(text: str, minute: int, session: str = "talk", **header: object) -> Observation:
    return Observation(text, speaker="Ana", at=START + timedelta(minutes=minute), session=session, **header)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", CANARIES)
def test_no_byte_is_left(memory: Memory, path: Path, kind: str) -> None:
    canary = CANARIES[kind]
    scope = memory.scope(user="ana")
    ids = list(scope.add([said("before it", 0), said(canary, 1), said("after it", 3), said("and later", 4)]).ids)
    secret = [id for id in ids if scope.get(id).text in canary]
    neighbours = [id for id in ids if id not in secret]
    assert "".join(scope.get(id).text for id in secret) == canary
    assert places(path.parent, canary)
    windows = {cube.id: cube.episodes for cube in scope.list(limit=10_000, origin="windows")}
    erasure = scope.erase(secret)
    assert places(path.parent, canary) == {}
    assert erasure.remnants == 0
    assert erasure.backups_left == ()
    touched = {id for id, members in windows.items() if set(members) & set(secret)}
    assert set(erasure.ids) == {*secret, *touched}
    assert erasure.counts["episodes"] == erasure.counts["vectors"] == len(secret)
    assert erasure.counts["derived"] == len(touched)
    assert erasure.counts["lineage"] == sum(len(windows[id]) for id in touched)
    assert (erasure.counts["links"], erasure.counts["events"], erasure.counts["jobs"]) == (0, 0, 0)
    assert [scope.get(id).id for id in neighbours] == neighbours
    after = {cube.episodes: cube.text for cube in scope.list(limit=10_000, origin="windows")}
    assert after[tuple(neighbours)] == "Ana: before it\nAna: after it\nAna: and later"
    assert len(after) == len(windows) - len(secret)
    assert not any(canary[:20] in text for text in after.values())
    assert memory.verify().problems == ()
    memory.close()
    assert places(path.parent, canary) == {}


def test_every_corner_that_can_hold_it(memory: Memory, path: Path) -> None:
    """Text, an earlier and a later version, metadata, speaker, source, session, key, and a pending job's reason."""
    scope = memory.scope(user="ana")
    marks = [
        f"canary-{n}-{word}" for n, word in enumerate(("one", "two", "three", "four", "five", "six", "seven", "eight"))
    ]
    observation = Observation(
        f"text {marks[0]}", speaker=f"Mr {marks[1]}", source=f"file {marks[2]}", session=f"in {marks[3]}", at=START,
        key=f"key {marks[4]}", meta={"note": marks[5], marks[6]: [1]},
    )  # fmt: skip
    (id,) = scope.add(observation).ids
    (newer,) = scope.update(id, text=f"newer {marks[7]}").ids
    scope.forget(newer)
    erasure = scope.erase(id)
    assert set(erasure.ids) == {id, newer}
    assert erasure.counts["episodes"] == 2
    assert erasure.counts["events"] == 1
    assert places(path.parent, *marks) == {}
    with pytest.raises(NotFound):
        scope.get(newer)


def test_pending_work_that_speaks_of_it(memory: Memory, path: Path) -> None:
    class Broken:
        identity = memory._embedder.identity

        def embed(self, texts: list[str]) -> None:
            raise RuntimeError(f"cannot embed {texts}")

    whole, memory._embedder = memory._embedder, Broken()  # type: ignore[assignment]
    scope = memory.scope(user="ana")
    canary = "the heliotrope canary sings"
    receipt = scope.add([said(canary, 0), said("harmless", 1)])
    assert receipt.state == "stored"
    assert canary in str(receipt.problem)
    assert canary in str(memory._store.jobs(scope.scope)[0].reason)
    scope.erase(receipt.ids[0])
    memory._embedder = whole
    for job in memory._store.jobs(scope.scope):
        assert canary not in str(job.reason)
    scope.search("harmless")
    assert memory._store.jobs(scope.scope) == []
    memory._store.compact([])
    assert places(path.parent, canary) == {}


def test_many_at_once(memory: Memory, path: Path) -> None:
    scope = memory.scope(user="ana")
    canaries = [f"canary number {n:04d} sits on branch {n * 7919}" for n in range(400)]
    ids = scope.add([said(text, minute) for minute, text in enumerate(canaries)]).ids
    erasure = scope.erase(ids)
    assert erasure.counts["episodes"] == 400
    assert erasure.remnants == 0
    assert places(path.parent, *canaries) == {}
    assert len(scope.list(limit=10_000)) == 120
    assert memory.verify().problems == ()


def test_backups_told_and_untold(memory: Memory, path: Path, tmp_path: Path) -> None:
    scope = memory.scope(user="ana")
    canary = CANARIES["plain"]
    first, second, third = scope.add([said("before", 0), said(canary, 1), said("after", 2)]).ids
    told, untold, early = (tmp_path / name for name in ("told.db", "untold.db", "gone.db"))
    for target in (told, untold, early):
        memory.backup(target)
    early.unlink()
    scope.update(second, text=canary + " More of it.")
    erasure = scope.erase(second, backups=[told])
    assert erasure.backups == (told,)
    assert erasure.backups_left == (untold.resolve(),)
    assert set(places(tmp_path, canary)) == {"untold.db"}
    for file in (path, told):
        with open_memory(file) as opened:
            mine = opened.scope(user="ana")
            mine.search("before")
            assert opened.verify().problems == ()
            assert opened._store.jobs(mine.scope) == []
            assert (first, third) in {cube.episodes for cube in mine.list(limit=1_000, origin="windows")}
    with open_memory(untold) as opened:
        opened.scope(user="ana").erase(second)
    assert places(tmp_path, canary) == {}


def test_the_backup_that_a_migration_made_is_named(path: Path) -> None:
    with open_memory(path) as memory:
        (id,) = memory.scope(user="ana").add(CANARIES["plain"]).ids
    Database(path, (*MIGRATIONS, "CREATE TABLE later (a);\n")).close()
    raw = sqlite3.connect(path)
    raw.execute(f"PRAGMA user_version = {VERSION}")
    raw.close()
    with open_memory(path) as memory:
        (left,) = memory.scope(user="ana").erase(id).backups_left
    assert left.name == f"memory.db.v{VERSION}.bak"
    assert set(places(path.parent, CANARIES["plain"])) == {left.name}


def test_a_wrong_backup_stops_it_before_anything_is_destroyed(memory: Memory, tmp_path: Path) -> None:
    scope = memory.scope(user="ana")
    (id,) = scope.add(CANARIES["plain"]).ids
    diary = tmp_path / "diary.txt"
    diary.write_text("Dear diary, " * 50)
    before = list(memory._store.dump())
    for wrong, error in ((tmp_path / "none.db", InputError), (tmp_path, InputError), (diary, NotAStore)):
        good = tmp_path / "good.db"
        good.unlink(missing_ok=True)
        memory.backup(good)
        with pytest.raises(error):
            scope.erase(id, backups=[good, wrong])
        with pytest.raises(InputError):
            scope.erase(id, backups=[5])  # type: ignore[list-item]
    assert list(memory._store.dump()) == before
    assert diary.read_text() == "Dear diary, " * 50


def test_an_unknown_id_changes_nothing(memory: Memory) -> None:
    scope = memory.scope(user="ana")
    (id,) = scope.add("to be kept").ids
    before = list(memory._store.dump())
    for ids in ("ep-none", [id, "ep-none"], "", "\ud800", "%", [id, id, "x" * 10_000]):
        with pytest.raises(NotFound):
            scope.erase(ids)
    for ids in ([], None, 5, [5], b"ep"):
        with pytest.raises(InputError):
            scope.erase(ids)  # type: ignore[arg-type]
    with pytest.raises(NotFound):
        memory.scope(user="bob").erase(id)
    assert list(memory._store.dump()) == before


def test_an_export_is_the_users_own(memory: Memory, path: Path, tmp_path: Path) -> None:
    """What was exported holds what it held; what is exported afterwards does not."""
    scope = memory.scope(user="ana")
    canary = CANARIES["plain"]
    (id,) = scope.add(canary).ids
    memory.export(tmp_path / "before.jsonl")
    scope.erase(id)
    memory.export(tmp_path / "after.jsonl")
    assert set(places(tmp_path, canary)) == {"before.jsonl"}


# Others who have the file open


def test_with_another_handle_and_another_process(memory: Memory, path: Path, tmp_path: Path) -> None:
    scope = memory.scope(user="ana")
    canary = CANARIES["plain"]
    (id,) = scope.add(canary).ids
    other = open_memory(path)
    assert other.scope(user="ana").search("vault heliotrope")[0].text == canary
    workers = Workers(tmp_path)
    child = workers.start(hold, path, 0.5).ready()
    assert scope.erase(id).remnants == 0
    assert set(places(path.parent, canary)) == set()
    assert [hit.text for hit in other.scope(user="ana").search("vault heliotrope") if "vault" in hit.text] == []
    assert child.end() == 0
    workers.close()
    other.close()
    assert places(path.parent, canary) == {}


def test_it_waits_for_a_reader(memory: Memory, path: Path) -> None:
    scope = memory.scope(user="ana")
    canary = CANARIES["plain"]
    (id,) = scope.add(canary).ids
    reader = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    reader.execute("BEGIN")
    assert reader.execute("SELECT COUNT(*) FROM cubes").fetchone()[0] > 0

    def leave() -> None:
        time.sleep(0.5)
        reader.execute("COMMIT")

    thread = threading.Thread(target=leave)
    thread.start()
    assert scope.erase(id).remnants == 0
    thread.join()
    assert places(path.parent, canary) == {}
    reader.close()


def test_a_reader_that_does_not_end(memory: Memory, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said that bytes remain; what was erased is not seen any more, and the next erase takes it along."""
    monkeypatch.setattr(erasure, "PATIENCE", 0.2)
    monkeypatch.setattr(connection, "BUSY_SECONDS", 0.2)
    canary = CANARIES["plain"]
    with open_memory(path) as impatient:
        scope = impatient.scope(user="ana")
        (id,) = scope.add(canary).ids
        (other,) = scope.add("another one to go").ids
        reader = sqlite3.connect(path, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM cubes").fetchone()
        with pytest.raises(StoreBusy, match="remain"):
            scope.erase(id)
        with pytest.raises(NotFound):
            scope.get(id)
        assert all(canary != hit.text for hit in scope.search(canary))
        reader.execute("COMMIT")
        reader.close()
        scope.erase(other)
        assert places(path.parent, canary) == {}


def test_what_another_still_says_is_not_a_remnant(memory: Memory, path: Path) -> None:
    canary = CANARIES["plain"]
    (id,) = memory.scope(user="ana").add(canary).ids
    (same,) = memory.scope(user="bob").add(canary).ids
    assert memory.scope(user="ana").erase(id).remnants == 0
    assert memory.scope(user="bob").get(same).text == canary
    assert list(places(path.parent, canary)) == ["memory.db"]


def test_a_remnant_is_found(memory: Memory, path: Path) -> None:
    """The proof is able to fail: bytes that lie in the file, in no cube, are counted."""
    store = memory._store
    for canary in CANARIES.values():
        with Database(path).writing() as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES ('canary', ?)", (canary,))
        assert store.compact([canary]) == 1
    with closing(sqlite3.connect(path)) as careless:  # leaves what it deletes in free space
        careless.execute("PRAGMA secure_delete = OFF")
        careless.execute("DELETE FROM meta WHERE name = 'canary'")
        careless.commit()
    assert places(path.parent, CANARIES["markup"])
    assert store.compact(list(CANARIES.values())) == 0
