"""Full disks, missing rights, damaged and wrong files, old and new schemas: the right error, and no harm done."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from memorist.errors import (
    InputError,
    MemoristError,
    NotAStore,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreTooNew,
)
from memorist.memory import Memory
from memorist.models.embedder import Identity
from memorist.store.connection import Database
from memorist.store.schema import MIGRATIONS, VERSION
from memorist.testing import HashEmbedder
from worker import Workers, message, migrate, open_memory

EXTRA = "CREATE TABLE later (a);\nINSERT INTO later SELECT id FROM cubes;\n"
BROKEN = "CREATE TABLE later (a);\nUPDATE cubes SET text = 'lost';\nINSERT INTO nowhere VALUES (1);\n"


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "memory.db"


@pytest.fixture
def kept(path: Path) -> list[str]:
    """Ids of 300 messages in a closed store at `path`."""
    with open_memory(path) as memory:
        return list(memory.scope(user="ana").add([message(0, number) for number in range(300)]).ids)


# Full disks


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs the right to mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk(small_disk: Path) -> None:
    path = small_disk / "memory.db"
    acknowledged: list[str] = []
    memory = open_memory(path)
    scope = memory.scope(user="ana")
    with pytest.raises(StoreFull, match=r"free some space|space, quota"):
        for number in range(10_000):
            acknowledged += scope.add([message(0, number)]).ids
    assert len(acknowledged) > 50
    assert {cube.id for cube in scope.list(limit=10_000)} >= set(acknowledged)
    subprocess.run(["mount", "-o", "remount,size=32m", small_disk], check=True)
    more = scope.add([message(1, 0)])
    assert more.state == "indexed"
    scope.search("ka")
    assert memory.verify().problems == ()
    memory.close()
    with open_memory(path) as again:
        assert again.verify().problems == ()
        assert {cube.id for cube in again.scope(user="ana").list(limit=10_000)} >= {*acknowledged, *more.ids}


def test_a_disk_too_full_for_a_new_store(small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(bytes((8 << 20) - 8192))
    with pytest.raises(StoreFull):
        open_memory(small_disk / "memory.db")
    (small_disk / "filler").unlink()
    with open_memory(small_disk / "memory.db") as memory:
        assert memory.verify().ok


def test_a_backup_and_an_export_to_a_full_disk_leave_no_rest(small_disk: Path, path: Path, kept: list[str]) -> None:
    (small_disk / "filler").write_bytes(bytes((8 << 20) - 100_000))
    with open_memory(path) as memory:
        with pytest.raises(StoreFull):
            memory.backup(small_disk / "copy.db")
        with pytest.raises(StoreError, match="No space"):
            memory.export(small_disk / "copy.jsonl")
        assert [file.name for file in small_disk.iterdir()] == ["filler"]
        assert memory.verify().ok


def test_a_limit_on_the_size_of_files(path: Path, kept: list[str]) -> None:
    """As quotas do it: the write fails with another error than a full disk's."""
    program = f"""
import resource, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from worker import message, open_memory
from memorist.errors import StoreFull
scope = open_memory({str(path)!r}).scope(user="ana")
scope.search("ka")
resource.setrlimit(resource.RLIMIT_FSIZE, ({path.stat().st_size}, -1))
try:
    for number in range(300, 5000):
        print(scope.add([message(0, number)]).ids[0], flush=True)
except StoreFull as error:
    sys.exit(7)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.returncode == 7, ended.stderr
    with open_memory(path) as memory:
        assert memory.verify().problems == ()
        assert {cube.id for cube in memory.scope(user="ana").list(limit=10_000)} >= {*kept, *ended.stdout.split()}


# Rights


@pytest.fixture
def frozen(tmp_path: Path) -> Iterator[type[None]]:
    """Whether `chattr +i` works here; all is thawed afterwards."""
    probe = tmp_path / "probe"
    probe.touch()
    if subprocess.run(["chattr", "+i", probe], capture_output=True).returncode:
        pytest.skip("needs chattr +i")
    yield type(None)
    subprocess.run(["chattr", "-R", "-i", tmp_path], check=True)


def freeze(path: Path) -> None:
    subprocess.run(["chattr", "+i", path], check=True)


def test_a_folder_that_cannot_be_written(frozen: object, tmp_path: Path, path: Path, kept: list[str]) -> None:
    before = digest(path)
    freeze(tmp_path)
    for name in ("memory.db", "new.db"):
        with pytest.raises(StoreReadOnly, match=r"rights of the file and its folder"):
            open_memory(tmp_path / name)
    assert digest(path) == before


def test_a_file_that_cannot_be_written_can_be_read(frozen: object, path: Path, kept: list[str]) -> None:
    before = digest(path)
    freeze(path)
    with open_memory(path) as memory:
        scope = memory.scope(user="ana")
        assert len(scope.list(limit=1_000)) == 300
        assert scope.search("0.7 ka lo", k=3)
        for change in (lambda: scope.add("new"), lambda: scope.forget(kept[0]), lambda: scope.erase(kept[0])):
            with pytest.raises(StoreReadOnly, match="rights"):
                change()
    assert digest(path) == before


def test_a_file_that_may_not_be_read(path: Path, kept: list[str], tmp_path: Path) -> None:
    """As another user, since root may read all."""
    if os.getuid() != 0:
        pytest.skip("needs root, to become another user")
    path.chmod(0)
    before = digest(path)
    program = f"""
import os, sys
from pathlib import Path
from memorist.store.connection import Database
from memorist.errors import StoreError
os.setuid(65534)
for name in ("memory.db", "closed/memory.db"):
    try:
        Database(Path({str(tmp_path)!r}) / name)
    except StoreError as error:
        assert "rights" in str(error), error
    else:
        sys.exit(3)
"""
    (tmp_path / "closed").mkdir(mode=0o700)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == 0 and "pytest" in folder.name:
            folder.chmod(0o755)
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert digest(path) == before


# Wrong files


def sqlite_of_another(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE bookmarks (url TEXT)")
    connection.execute("INSERT INTO bookmarks VALUES ('https://example.org')")
    connection.commit()
    connection.close()


def empty_sqlite(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("VACUUM")
    connection.close()


def newer(path: Path) -> None:
    open_memory(path).close()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()


WRONG = {
    "a text": (lambda path: path.write_text("Dear diary,\n" * 50), NotAStore, "not a Memorist store"),
    "a short text": (lambda path: path.write_text("x"), NotAStore, "not a Memorist store"),
    "a picture": (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(500)), NotAStore, "not a Memorist store"),
    "zeros": (lambda path: path.write_bytes(bytes(8192)), NotAStore, "not a Memorist store"),
    "only a header": (lambda path: path.write_bytes(b"SQLite format 3\x00"), NotAStore, "not a Memorist store"),
    "another program's": (sqlite_of_another, NotAStore, "another program"),
    "an empty database": (empty_sqlite, NotAStore, "another program"),
    "a newer schema": (newer, StoreTooNew, "pip install -U memorist"),
}


@pytest.mark.parametrize("what", WRONG)
@pytest.mark.parametrize("journal", [False, True])
def test_a_wrong_file_is_refused_and_untouched(path: Path, what: str, journal: bool) -> None:
    make, error, sentence = WRONG[what]
    make(path)
    if journal:
        if what == "zeros":
            pytest.skip("is what a crash leaves of a store in the making")
        path.with_name("memory.db-journal").write_bytes(b"")
    before, files = digest(path), sorted(path.parent.iterdir())
    with pytest.raises(error, match=sentence) as raised:
        open_memory(path)
    assert str(path) in str(raised.value)
    assert digest(path) == before
    assert sorted(path.parent.iterdir()) == files


def test_a_newer_schema_that_is_only_in_the_log(path: Path, kept: list[str]) -> None:
    """The header on disk is old: the newer process has not folded its log yet."""
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(StoreTooNew):
        open_memory(path)
    connection.close()


def test_another_embedder_is_refused(path: Path, kept: list[str]) -> None:
    class Other(HashEmbedder):
        @property
        def identity(self) -> Identity:
            return Identity("other", 64, "2" * 64)

    before = digest(path)
    with pytest.raises(MemoristError, match=r"hash-3-grams.*other.*reembed"):
        Memory.open(path, embedder=Other())
    assert digest(path) == before


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (".", "is a folder"),
        ("missing/memory.db", "create it first"),
        ("memory.db/inside.db", "does not exist"),
        ("x" * 300, "not a file name"),
        ("a\x00b", "not a file name"),
        ("a\ud800b", "not a file name"),
        ("~nobody-of-this-name/m.db", "not a file name|does not exist"),
        ("mysql://localhost/memory", "neither a file"),
        ("", "not a file name"),
    ],
)
def test_a_path_that_cannot_be(path: Path, kept: list[str], name: str, sentence: str) -> None:
    given = name if not name or name.startswith(("~", "postgres")) else f"{path.parent}/{name}"
    with pytest.raises(MemoristError, match=sentence):
        open_memory(given)


@pytest.mark.parametrize("wrong", [None, 5, b"memory.db", ["memory.db"], True])
def test_a_path_of_the_wrong_type(wrong: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="file name"):
        open_memory(wrong)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


# Damage


@pytest.mark.parametrize("place", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_damaged_page(path: Path, kept: list[str], place: float) -> None:
    """Found by verify; whatever else is called ends well or with NotAStore, and never with invented content."""
    content = bytearray(path.read_bytes())
    start = int(len(content) * place) // 4096 * 4096
    content[start : start + 4096] = os.urandom(4096)
    path.write_bytes(content)
    try:
        with open_memory(path) as memory:
            checked = memory.verify()
            assert not checked.ok
            assert "damaged" in checked.problems[0]
            scope = memory.scope(user="ana")
            for call in (lambda: scope.search("ka lo"), lambda: scope.list(limit=1_000), lambda: scope.add("new")):
                try:
                    call()
                except NotAStore as error:
                    assert "restore a backup" in str(error)
    except NotAStore as error:
        assert "damaged" in str(error)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.9])
def test_a_truncated_file(path: Path, kept: list[str], share: float) -> None:
    os.truncate(path, int(path.stat().st_size * share))
    before = digest(path)
    try:
        with open_memory(path) as memory:
            assert not memory.verify().ok
    except NotAStore as error:
        assert "damaged" in str(error)
    assert digest(path) == before


# Schemas


def test_an_older_schema_is_migrated_after_a_backup(path: Path, kept: list[str]) -> None:
    with open_memory(path) as memory:
        before = list(memory._store.dump())
    database = Database(path, (*MIGRATIONS, EXTRA))
    with database.reading() as db:
        assert db.execute("SELECT COUNT(*) FROM later").fetchone()[0] >= 300
        backup = Path(db.execute("SELECT path FROM backups").fetchone()[0])
    database.close()
    assert backup == path.with_name(f"memory.db.v{VERSION}.bak").resolve()
    with open_memory(backup) as memory:
        assert list(memory._store.dump()) == before
    with pytest.raises(StoreTooNew):
        open_memory(path)


def test_a_failing_migration_leaves_all_as_it_was(path: Path, kept: list[str]) -> None:
    with open_memory(path) as memory:
        before = list(memory._store.dump())
    content = digest(path)
    with pytest.raises(StoreError, match="nowhere"):
        Database(path, (*MIGRATIONS, BROKEN))
    assert digest(path) == content
    with open_memory(path) as memory:
        assert memory.verify().ok
        assert list(memory._store.dump()) == before


def test_many_migrate_at_once(tmp_path: Path, path: Path, kept: list[str]) -> None:
    """One does it, and the copy is of what was there before, not of what another has just migrated."""
    workers = Workers(tmp_path)
    try:
        for round in range(5):
            copy = tmp_path / f"{round}.db"
            shutil.copy(path, copy)
            children = [workers.start(migrate, copy, [EXTRA]) for _ in range(4)]
            assert [child.end() for child in children] == [0] * 4
            backup = sqlite3.connect(f"{copy}.v{VERSION}.bak")
            assert backup.execute("PRAGMA user_version").fetchone() == (VERSION,)
            backup.close()
            database = Database(copy, (*MIGRATIONS, EXTRA))
            with database.reading() as db:
                assert db.execute("SELECT COUNT(*), COUNT(DISTINCT a) FROM later").fetchone() == (600 - 4, 600 - 4)
            database.close()
    finally:
        workers.close()
