"""Moving a whole store from SQLite to PostgreSQL and back."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from memorist import Memory
from memorist.cli import main
from memorist.errors import StateError, StoreError
from memorist.store.copying import rows_of
from memorist.store.postgres.store import PostgresStore
from memorist.store.postgres.tables import layout_of
from memorist.store.schema import MIGRATIONS
from memorist.store.sqlite import SQLiteStore, TableStore
from memorist.testing import HashEmbedder
from memorist.testing.conversation import ANA, KIND, START, conversation, draft, filled
from postgres_server import Server
from test_congruence import ACTS, SCOPES, Twins

LAYOUT = layout_of(MIGRATIONS)


def everything(store: TableStore) -> dict[str, list]:
    """Every row of every table."""
    with store._database.reading() as db:
        return {name: [tuple(row) for row in rows_of(db, LAYOUT, table)] for name, table in LAYOUT.tables.items()}


def lively(path: Path) -> SQLiteStore:
    """A store with something in nearly every table."""
    store = SQLiteStore(path)
    store.bind(HashEmbedder().identity)
    twins = Twins([store], random.Random(5))
    for _ in range(200):
        act = twins.chance.choice(ACTS)
        act(twins, twins.chance.choice(SCOPES))
    store.attempt("key-1", "once", "digest", START)
    assert store.finish_erasing()
    return store


def test_there_and_back_without_loss(server: Server, tmp_path: Path):
    first = lively(tmp_path / "first.db")
    before = everything(first)
    filled_tables = {name for name, rows in before.items() if rows}
    assert filled_tables >= {
        "meta", "owners", "cubes", "features", "lineage", "links", "jobs", "events", "marks", "replies", "reply_rows",
        "extractions", "attempts",
    }  # fmt: skip
    url = server.fresh()
    middle, last = PostgresStore(url), SQLiteStore(tmp_path / "last.db")
    told: list[tuple[str, int, int]] = []
    counts = first.copy_to(middle, lambda *step: told.append(step))
    assert counts == {name: len(rows) for name, rows in before.items()}
    assert told[-1][1] == told[-1][2] == sum(counts.values())
    middle.copy_to(last)
    assert everything(middle) == everything(last) == before
    for store in (middle, last):
        assert store.check() == []
        assert [cube.id for cube in store.get(ANA, filled(store, ANA, [draft("after the move")]))]
        store.close()
    first.close()
    server.give_back(url)


def test_numbers_of_what_was_erased_are_not_given_again(server: Server, tmp_path: Path):
    first = SQLiteStore(tmp_path / "first.db")
    first.bind(HashEmbedder().identity)
    ids = filled(first, ANA, conversation(["a", "b", "c"]))
    gone = first.turns(ANA, range(100))[-1].row
    first.erase(ANA, ids[2:], (KIND,))
    url = server.fresh()
    middle = PostgresStore(url)
    first.copy_to(middle)
    last = SQLiteStore(tmp_path / "last.db")
    middle.copy_to(last)
    for store in (middle, last):
        (id,) = filled(store, ANA, [draft("new")])
        assert next(turn.row for turn in store.turns(ANA, range(100)) if turn.id == id) > gone
        store.close()
    first.close()
    server.give_back(url)


def test_a_target_that_holds_anything_is_refused(server: Server, tmp_path: Path):
    first = lively(tmp_path / "first.db")
    url = server.fresh()
    target = PostgresStore(url)
    filled(target, ANA, [draft("mine")])
    held = everything(target)
    with pytest.raises(StateError, match="holds"):
        first.copy_to(target)
    assert everything(target) == held
    target.close()
    first.close()
    server.give_back(url)


def test_a_copy_that_breaks_off_leaves_nothing(server: Server, tmp_path: Path):
    first = lively(tmp_path / "first.db")
    url = server.fresh()
    target = PostgresStore(url)

    def stop(table: str, done: int, total: int) -> None:
        if table == "lineage":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        first.copy_to(target, stop)
    assert not any(everything(target).values())
    first.copy_to(target)
    assert everything(target) == everything(first)
    target.close()
    first.close()
    server.give_back(url)


def test_a_copy_that_is_not_what_was_read_is_not_kept(server: Server, tmp_path: Path):
    first = lively(tmp_path / "first.db")
    url = server.fresh()
    server.execute(
        "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.text = 'x'; RETURN NEW; END $$;"
        "CREATE TRIGGER spoil BEFORE INSERT ON memorist_tables.cubes FOR EACH ROW EXECUTE FUNCTION spoil()",
        url.rpartition("/")[2],
    )
    target = PostgresStore(url)
    with pytest.raises(StoreError, match="copy of cubes is not what was read"):
        first.copy_to(target)
    assert not any(everything(target).values())
    target.close()
    first.close()


def test_the_command(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    url, path, back = server.fresh(), tmp_path / "memory.db", tmp_path / "back.db"
    embedder = HashEmbedder()
    with Memory.open(path, embedder=embedder) as memory:
        scope = memory.scope(user="ana")
        scope.add("I moved to Lisbon in May.")
        scope.add("The cat is called Miso.")
        before = [(hit.id, hit.score) for hit in scope.search("what is the cat called?")]
    assert main(["migrate", str(path), url]) == 0
    assert "2 memories" in capsys.readouterr().out
    assert main(["migrate", url, str(back), "--json"]) == 0
    for place in (url, back):
        with Memory.open(place, embedder=embedder) as memory:
            found = memory.scope(user="ana").search("what is the cat called?")
            assert [(hit.id, hit.score) for hit in found] == before
    assert main(["migrate", str(path), url]) == 3
    assert main(["migrate", str(path), str(path)]) == 2
    assert main(["migrate", str(tmp_path / "none.db"), url]) == 4
    server.give_back(url)
