"""What is PostgreSQL's own: its schema, its transactions, its ends."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from memorist import Memory
from memorist.cube import Scope
from memorist.errors import NotAllowed, StoreBusy, StoreError, StoreTooNew
from memorist.store.postgres.connection import Database, place_of
from memorist.store.postgres.dialect import Dialect
from memorist.store.postgres.names import SEEN, TABLES, VIEWS
from memorist.store.postgres.store import PostgresStore
from memorist.store.postgres.tables import layout_of
from memorist.store.protocol import Selection
from memorist.store.schema import MIGRATIONS
from memorist.store.sqlite import SQLiteStore
from memorist.testing import HashEmbedder
from memorist.testing.conversation import ANA, BOB, KIND, OTHER, START, draft, filled, found
from postgres_server import Server

RELEASED = 7
"""The first schema that PostgreSQL could have; each later one is reached from it."""


@pytest.fixture
def url(server: Server) -> Iterator[str]:
    place = server.fresh()
    yield place
    server.give_back(place)


@pytest.fixture
def store(url: str) -> Iterator[PostgresStore]:
    opened = PostgresStore(url)
    opened.bind(HashEmbedder().identity)
    yield opened
    opened.close()


def columns(server: Server, url: str) -> list[tuple]:
    """What the tables are: columns, keys and indexes."""
    database = url.rpartition("/")[2]
    of = f"table_schema = '{TABLES}'"
    described = server.execute(
        "SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns"
        f" WHERE {of} ORDER BY table_name, column_name",
        database,
    )
    indexes = f"SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = '{TABLES}' ORDER BY 1, 2"
    return described + server.execute(indexes, database)


def test_a_database_of_every_older_version_becomes_as_a_new_one(server: Server, url: str):
    for version in range(RELEASED, len(MIGRATIONS)):
        older = server.empty()
        Database(older, MIGRATIONS[:version]).close()
        name = older.rpartition("/")[2]
        server.execute(
            f"INSERT INTO {TABLES}.owners (owner, tenant, \"user\") VALUES (1, 'acme', 'ana');"
            f'INSERT INTO {TABLES}.keys (id, digest, name, tenant, "user", agent, rights, rate, created_at)'
            " VALUES ('k', 'd', '', 'acme', '', '', 'read', 0, 0)",
            name,
        )
        PostgresStore(older).close()
        assert columns(server, older) == columns(server, url)
        assert server.execute(f"SELECT owner FROM {TABLES}.owners", name) == [(1,)]


def test_many_that_start_at_once_make_one_schema(server: Server):
    place = server.empty()
    program = f"from memorist.store.postgres.store import PostgresStore; PostgresStore({place!r}).close()"
    starting = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(3)]
    with ThreadPoolExecutor(4) as pool:
        for opened in pool.map(lambda _: PostgresStore(place), range(4)):
            opened.close()
    assert [process.wait(120) for process in starting] == [0, 0, 0]
    assert server.execute(f"SELECT version FROM {TABLES}.schema_version", place.rpartition("/")[2]) == [
        (len(MIGRATIONS),)
    ]


def test_a_newer_schema_and_anothers_are_left_alone(server: Server):
    place = server.empty()
    Database(place).close()
    with pytest.raises(StoreTooNew, match="upgrade"):
        Database(place, MIGRATIONS[:-1])
    taken = server.empty()
    server.execute("CREATE SCHEMA memorist", taken.rpartition("/")[2])
    with pytest.raises(StoreError, match="not Memorist's"):
        PostgresStore(taken)


def test_every_table_of_an_owner_is_partitioned_with_the_tenant_first(server: Server, url: str):
    layout = layout_of(MIGRATIONS)
    name = url.rpartition("/")[2]
    parted = {table for (table,) in server.execute(
        f"SELECT relname FROM pg_class WHERE relkind = 'p' AND relnamespace = '{TABLES}'::regnamespace", name
    )}  # fmt: skip
    assert parted == layout.owned | {"masked"}
    defined = server.execute(
        f"SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = '{TABLES}'", name
    )  # fmt: skip
    for table, index in defined:
        if table in layout.owned:
            assert "(tenant" in index


def test_a_query_reads_one_partition(store: PostgresStore):
    filled(store, ANA, [draft("Lisbon")])
    with store._server.reading() as session:
        session.enter("acme")
        plan = "\n".join(line for (line,) in session.execute("EXPLAIN SELECT * FROM cubes WHERE row = 1"))
    assert "Subplans Removed: 7" in plan or plan.count("cubes_") <= 2


def test_without_a_tenant_nothing_can_be_written(store: PostgresStore):
    with pytest.raises(StoreError), store._server.writing() as session:
        session.execute("INSERT INTO owners (tenant, user) VALUES (NULL, 'x')")
    with store._server.reading() as session:
        session.enter("acme")
        assert session.execute("SELECT COUNT(*) FROM cubes").fetchone() == (0,)
    filled(store, OTHER, [draft("of another tenant")])
    with store._server.reading() as session:
        session.enter("acme")
        assert session.execute("SELECT COUNT(*) FROM cubes").fetchone() == (0,)
        session.enter("other")
        assert session.execute("SELECT COUNT(*) FROM cubes").fetchone() == (1,)


def test_writers_of_one_owner_queue_and_of_others_do_not(store: PostgresStore):
    with store._server.writing() as session:
        session.enter(ANA.tenant)
        filled_by_other = threading.Thread(target=lambda: filled(store, BOB, [draft("beside")]))
        session.execute("INSERT INTO owners (tenant, user) VALUES (?, ?)", (ANA.tenant, ANA.user))
        filled_by_other.start()
        filled_by_other.join(30)
        assert not filled_by_other.is_alive()
    threads = [threading.Thread(target=lambda n=n: filled(store, ANA, [draft(f"{n}")])) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    rows = store.visible(ANA, Selection(), "source")
    assert len(rows) == 8
    assert store.check() == []


def test_each_job_is_taken_once(url: str, store: PostgresStore):
    numbers = [store.add(ANA, [draft(f"{n}")], START, (KIND,))[1] for n in range(12)]
    others = [PostgresStore(url) for _ in range(3)]
    with ThreadPoolExecutor(6) as pool:
        claimed = list(pool.map(lambda n: others[n % 3].claim(ANA, START), range(14)))
    assert sorted(job.number for job in claimed if job) == sorted(numbers)
    for other in others:
        other.close()


def test_processes_see_each_others_writes(url: str, store: PostgresStore):
    program = f"""
from memorist.store.postgres.store import PostgresStore
from memorist.testing.conversation import ANA, draft, filled
store = PostgresStore({url!r})
filled(store, ANA, [draft("Oslo from afar", id="ep-afar")])
store.close()
"""
    assert found(store, ANA, "Oslo") == set()
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
    assert found(store, ANA, "Oslo") == {"Oslo from afar"}


def test_an_erased_text_is_in_no_file_of_the_tables(server: Server, store: PostgresStore):
    secret = "the blue heron stands in the reeds at dawn"
    kept = "the grey cat sleeps"
    ids = filled(store, ANA, [draft(secret), draft(kept)])
    server.execute("CHECKPOINT")
    folder = Path(server.data) / "base"
    holds = lambda: [path for path in folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]  # noqa: E731
    assert holds()
    erased = store.erase(ANA, ids[:1], (KIND,))
    assert store.compact(erased.texts) == 0
    server.execute("CHECKPOINT")
    assert holds() == []
    assert found(store, ANA, "cat") == {kept}


def test_no_message_has_a_password():
    assert place_of("postgresql://ana:secret@host/db") == "postgresql://ana:…@host/db"


def test_a_restart_of_the_server_is_waited_for(server: Server, store: PostgresStore):
    (id,) = filled(store, ANA, [draft("before")])
    server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'memorist'")
    assert store.get(ANA, [id])[0].text == "before"
    server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'memorist'")
    assert filled(store, ANA, [draft("after")])


def test_what_runs_when_the_connection_breaks_is_undone(server: Server, store: PostgresStore):
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'memorist'"
    with pytest.raises(StoreError), store._server.writing() as session:
        session.enter(ANA.tenant)
        session.execute("INSERT INTO owners (tenant, user) VALUES (?, ?)", (ANA.tenant, ANA.user))
        server.execute(end)
        session.execute("SELECT COUNT(*) FROM owners")
    assert list(store.scopes()) == []


def test_an_address_that_cannot_be(server: Server):
    with pytest.raises(StoreError, match="cannot be reached"):
        Memory.open("postgresql://memorist@127.0.0.1:1/none")
    with pytest.raises(StoreError, match="does not exist"):
        Memory.open(server.url("none"))


def test_without_psycopg_the_remedy_is_named():
    program = """
import sys
sys.modules["psycopg"] = None
from memorist import Memory
try:
    Memory.open("postgresql://localhost/x")
except Exception as error:
    print(error)
"""
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout
    assert "pip install 'memorist[postgres]'" in told


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT '?%:a', ? FROM owners WHERE user = :who", "SELECT '?%%:a', %s FROM owners WHERE \"user\" = %(who)s"),
        ("SELECT 1 FROM cubes WHERE row IN ({})", "SELECT 1 FROM cubes WHERE row = ANY(%s)"),
        ("INSERT OR IGNORE INTO meta VALUES (?, ?)", "INSERT INTO meta VALUES (%s, %s) ON CONFLICT DO NOTHING"),
        (
            "INSERT OR REPLACE INTO beside SELECT row, ? FROM cubes",
            "INSERT INTO beside SELECT row, %s FROM cubes"
            ' ON CONFLICT (tenant, row) DO UPDATE SET "vector" = EXCLUDED."vector"',
        ),
        ("SELECT a FROM b CROSS JOIN c ON d = e LIMIT -1", "SELECT a FROM b JOIN c ON d = e LIMIT ALL"),
        ("SELECT a WHERE b IS NOT ? AND c IS NOT NULL", "SELECT a WHERE b IS DISTINCT FROM %s AND c IS NOT NULL"),
        ("SELECT 1 /*+ FOR UPDATE */", "SELECT 1  FOR UPDATE "),
    ],
)
def test_the_words_of_sqlite_in_those_of_postgresql(sql: str, expected: str):
    assert Dialect(layout_of(MIGRATIONS)).statement(sql).sql == expected


def test_busy_is_told(server: Server, store: PostgresStore, monkeypatch: pytest.MonkeyPatch):
    from memorist.store.postgres import rewrite

    monkeypatch.setattr(rewrite, "PATIENCE", "200ms")
    filled(store, ANA, [draft("held")])
    with store._server.reading() as session:
        session.execute("SELECT COUNT(*) FROM cubes").fetchone()
        failed: list[BaseException] = []

        def compact() -> None:
            try:
                store.compact(())
            except StoreBusy as error:
                failed.append(error)

        thread = threading.Thread(target=compact)
        thread.start()
        thread.join(60)
    assert failed


def test_grants_of_a_file_come_along(url: str, tmp_path: Path):
    with Memory.open(tmp_path / "file.db", embedder=HashEmbedder()) as memory:
        memory.scope(user="ana").add("The key is under the mat")
        memory.scope(user="ana").rights.share("bob")
    with closing(SQLiteStore(tmp_path / "file.db")) as file, closing(PostgresStore(url)) as target:
        file.copy_to(target)
    with Memory.open(url, embedder=HashEmbedder()) as memory:
        ana = memory.scope(user="ana")
        (grant,) = memory.scope(user="bob").rights.received()
        assert ana.rights.given() == [grant]
        assert memory.scope(user="bob").shared_by("ana").list()[0].text == "The key is under the mat"
        ana.rights.revoke(grant.number)
        with pytest.raises(NotAllowed):
            memory.scope(user="bob").shared_by("ana").list()
        assert memory.audit_problems() == []


def test_a_certificate_holds_until_what_was_erased_is_there_again(server: Server, url: str):
    text = "The vault opens with heliotrope-7731, says the old clock in the hall."
    with Memory.open(url, embedder=HashEmbedder()) as memory:
        ana = memory.scope(user="ana")
        first = ana.add(text, at="2025-05-01").ids[0]
        memory.scope(user="ana", tenant="other").add("The clock in the hall is slow.")
        removed = ana.erase(first).certificate
        assert removed["search"] == {"texts": 1, "found": 0}
        assert memory.verify(removed).problems == ()
        server.execute(
            f"CREATE TABLE {TABLES}.planted (text TEXT); INSERT INTO {TABLES}.planted VALUES ('{text}'); CHECKPOINT",
            url.rpartition("/")[2],
        )
        (told,) = memory.verify(removed).problems
        assert "pieces of erased text in no record" in told
        server.execute(f"DROP TABLE {TABLES}.planted", url.rpartition("/")[2])
        ana.add(text, at="2025-05-01")
        (told,) = memory.verify(removed).problems
        assert "has 1 of the erased memories" in told


def test_who_may_not_read_the_files_gets_a_certificate_that_says_so(server: Server, url: str):
    name = url.rpartition("/")[2]
    server.execute(
        f"CREATE ROLE app LOGIN; GRANT USAGE ON SCHEMA {VIEWS}, {TABLES}, {SEEN} TO app; GRANT ALL ON ALL TABLES IN"
        f" SCHEMA {VIEWS}, {TABLES}, {SEEN} TO app; GRANT ALL ON ALL SEQUENCES IN SCHEMA {TABLES} TO app",
        name,
    )
    with closing(PostgresStore(url.replace("memorist@", "app@"))) as store:
        assert not store.searches()
        assert store.remains("none", (), ()).stretches == 0


def test_writers_of_many_owners_make_one_chain(store: PostgresStore):
    def write(number: int) -> None:
        scope = Scope(tenant=f"t{number % 2}", user=f"u{number}")
        for turn in range(5):
            (id,), _ = store.add(scope, [draft(f"{number} {turn}")], START, (KIND,))
            if turn == 2:
                store.erase(scope, [id], (KIND,))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(6)))
    entries = store.audit(0, 1_000, None)
    assert [entry.seq for entry in entries] == list(range(1, 37))
    assert store.audit_problems() == []
    assert [entry.act for entry in store.audit(0, 100, Scope(tenant="t1", user="u1"))].count("add") == 5
    assert store.finish_erasing()
    assert store.check() == []


def test_an_entry_of_the_audit_log_cannot_be_changed(server: Server, store: PostgresStore, url: str):
    filled(store, ANA, [draft("one"), draft("two")])
    database = url.rpartition("/")[2]
    for change in ("UPDATE {}.audit SET act = 'read'", "DELETE FROM {}.audit"):
        with pytest.raises(psycopg.Error, match="cannot be changed"):
            server.execute(change.format(TABLES), database)
    disabled = "ALTER TABLE {0}.audit DISABLE TRIGGER ALL; UPDATE {0}.audit SET act = 'read' WHERE seq = 1"
    server.execute(disabled.format(TABLES), database)
    assert store.audit_problems() == ["entry 1 of the audit log was changed"]


def test_an_erase_that_was_ended_is_finished_at_the_next_opening(url: str):
    with Memory.open(url, embedder=HashEmbedder()) as memory:
        (id,) = memory.scope(user="ana").add("gone soon, all of it").ids
    with closing(PostgresStore(url)) as store:
        store.erase(Scope(user="ana"), [id], (KIND,))
    with closing(PostgresStore(url)) as store:
        assert "run: memorist compact" in store.check()[0]
    with Memory.open(url, embedder=HashEmbedder()) as memory:
        assert memory.verify().ok


def test_what_is_known_of_somebody_is_theirs_alone(store: PostgresStore):
    for scope in (ANA, OTHER):
        filled(store, scope, [draft(f"of {scope.tenant} {scope.user}")])
    texts = [record["text"] for table, record in store.known_of(ANA) if table == "cubes"]
    assert texts == [f"of {ANA.tenant} {ANA.user}"]
