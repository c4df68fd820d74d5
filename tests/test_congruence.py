"""The same calls on SQLite and on PostgreSQL, drawn at random: what comes back is the same."""

from __future__ import annotations

import dataclasses
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memorist.cube import Scope
from memorist.errors import MemoristError
from memorist.models.chat import ToolCall, Usage
from memorist.store.governed import Entry, Removed
from memorist.store.postgres.store import PostgresStore
from memorist.store.protocol import Derived, Extracted, Link, Organised, Selection
from memorist.store.reply_log import Exchange
from memorist.store.sqlite import SQLiteStore, TableStore
from memorist.store.terms import query_terms
from memorist.testing import HashEmbedder
from memorist.testing.conversation import ANA, BOB, DAY, KIND, OTHER, START, draft, settle
from postgres_server import Server

SCOPES = (ANA, BOB, OTHER, Scope("acme", "ana", "x"), Scope("acme", "ana", "", "t"))
WORDS = "Lisbon Oslo Rome tea coffee train boat house cat dog June July red blue".split()  # noqa: SIM905
WHERE: tuple[dict[str, Any], ...] = (
    {"speaker": "Ana"}, {"speaker": {"ne": None}}, {"speaker": ["Ana", ""]}, {"speaker": {"gt": 5}}, {"session": ["s"]},
    {"session": {"ne": ["s", "u"]}}, {"at": {"gte": START + DAY}}, {"at": [START, START + DAY]}, {"trust": 1},
    {"meta.n": 1}, {"meta.n": {"gt": 0.5}}, {"meta.n": {"ne": 1}}, {"meta.n": {"ne": "red"}},
    {"meta.n": [1, "red", ""]},
    {"meta.n": {"ne": [2.5, "tea"]}}, {"meta.n": None}, {"meta.n": {"ne": None}}, {"meta.n": {"lt": "m"}},
    {"meta.flag": True}, {"meta.flag": {"gte": 0}}, {"meta.a'b %s :x": {"ne": "?"}}, {"meta.none": []},
)  # fmt: skip


class Twins:
    """Two stores that are told the same. Rows are the store's own, so they are compared by what they are of."""

    def __init__(self, stores: Sequence[TableStore], chance: random.Random) -> None:
        self.stores = stores
        self.chance = chance
        self.clock = START
        self.ids: list[str] = []

    def both(self, call: Callable[[Any], Any]) -> Any:
        """Ask both. What they answer, or raise, is equal; returns the answer."""
        answers = [self.answer(store, call) for store in self.stores]
        assert answers[0] == answers[-1]
        return answers[0]

    def answer(self, store: TableStore, call: Callable[[Any], Any]) -> Any:
        try:
            return named(call(store), names_of(store))
        except MemoristError as error:
            return type(error).__name__, str(error).replace(store.place, "STORE")


def names_of(store: TableStore) -> dict[int, str]:
    """The id of every row."""
    with store._database.reading() as db:
        return dict(db.execute("SELECT row, id FROM cubes").fetchall())


def named(value: Any, names: dict[int, str], field: str = "") -> Any:
    """A value in which rows are ids, so that it can be compared; numbers that count what a store did are left out."""
    if field in ("row", "rows", "members", "target_row") or (isinstance(value, np.ndarray) and value.dtype == np.int64):
        if isinstance(value, (int, np.integer)):
            return names.get(int(value), "gone")
        return [names.get(int(row), "gone") for row in np.ravel(value)]
    if isinstance(value, np.ndarray):
        return value.tolist()
    if field in ("since", "upto"):
        return (value.revision, names.get(value.row, "none"))
    if isinstance(value, Removed):  # its number is random, and so are its prints
        return value.tables, value.forms, value.origins, len(value.cubes), len(value.texts)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
        return {name: named(one, names, name) for name, one in fields.items()}
    if isinstance(value, Mapping):
        return {key: named(one, names) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [named(one, names) for one in value]
    return value


def add(twins: Twins, scope: Scope) -> None:
    drafts = []
    for _ in range(twins.chance.randint(1, 5)):
        twins.clock += timedelta(minutes=twins.chance.randint(0, 600))
        words = " ".join(twins.chance.choices(WORDS, k=twins.chance.randint(1, 8)))
        meta = {"n": twins.chance.choice([1, 2.5, "red", "", None, True, -3]), "flag": twins.chance.random() < 0.5}
        drafts.append(
            draft(
                words,
                at=twins.clock,
                session=scope.session or twins.chance.choice("stu"),
                agent=scope.agent,
                meta=meta,
                speaker=twins.chance.choice(["Ana", None, ""]),
            )
        )
    twins.ids += [one.id for one in drafts]
    twins.both(lambda store: store.add(scope, drafts, twins.clock, (KIND,))[0])


def work(twins: Twins, scope: Scope) -> None:
    twins.both(lambda store: settle(store, scope, twins.clock))


def some(twins: Twins, most: int = 1) -> list[str]:
    return twins.chance.sample(twins.ids, min(len(twins.ids), twins.chance.randint(1, most))) or ["ep-none"]


def change(twins: Twins, scope: Scope) -> None:
    old, text = some(twins)[0], " ".join(twins.chance.choices(WORDS, k=4))
    new = draft(text, at=twins.clock, valid_from=twins.clock - twins.chance.randint(0, 3) * DAY)
    if twins.both(lambda store: store.replace(scope, old, new, twins.clock, (KIND,))) == new.id:
        twins.ids.append(new.id)


def move(twins: Twins, scope: Scope) -> None:
    ids = some(twins, 3)
    verb: Any = twins.chance.choice(["forget", "restore", "archive", "freeze", "thaw", "activate"])
    twins.both(lambda store: store.move(scope, ids, verb, twins.clock, (KIND,)))


def erase(twins: Twins, scope: Scope) -> None:
    ids = some(twins, 2)
    twins.both(lambda store: store.erase(scope, ids, (KIND,)))


def derive(twins: Twins, scope: Scope) -> None:
    """An organiser that makes a note of every episode it has not seen, in versions, with links to others."""
    topics = twins.chance.sample(WORDS, 2)

    def organise(store: Any) -> Any:
        seen = store.unorganised(scope, "notes", 5)
        turns = store.turns(scope, seen.rows)
        notes = [
            Derived(
                id=f"no-{turn.id}", origin="notes", text=f"{topic} {turn.text}", members=(turn.row,), trust="model",
                agent="", session="", at=turn.at, valid_from=turn.valid_from, meta={"topic": topic}, versioned=True,
                vector=HashEmbedder().embed([turn.text])[0], links=(Link(f"no-{turns[0].id}", "near", 0.5),), data=b"x",
                vectors=HashEmbedder().embed([topic]).astype(np.float16),
            )
            for topic in topics for turn in turns
        ]  # fmt: skip
        return seen, store.organise(scope, "notes", seen, Organised(tuple(notes)), twins.clock)

    twins.both(organise)


def queue(twins: Twins, scope: Scope) -> None:
    """The life of a writer's jobs."""
    act = twins.chance.random()

    def run(store: Any) -> Any:
        made = store.enqueue(scope, "writer", 3)
        job = store.claim(scope, twins.clock, kind="writer")
        if job is None:
            return made
        if act < 0.3:
            store.fail(job, "down", failures=1, not_before=twins.clock + DAY, dead=act < 0.1)
        elif act < 0.5:
            store.renew(job, twins.clock)
            store.retry(scope, job.number)
        else:
            store.apply(job, Organised(), twins.clock, job.rows[:1] if act > 0.8 else ())
        return made, dataclasses.replace(job, number=0)

    twins.both(run)


def ask(twins: Twins, scope: Scope) -> None:
    """A model is asked, and answers or fails."""
    chance, key = twins.chance, f"key-{twins.chance.randint(0, 5)}"
    error = chance.choice([None, None, "down"])
    usage = Usage(chance.randint(0, 9), 5, chance.choice([None, 0.25]), 1.5, 1)
    calls = (ToolCall("1", "look", '{"a": 1}'),)
    said = Exchange(key, "ask", "p-1", "m", {"t": 0}, chance.choice(WORDS), "stop", calls, usage, twins.clock, error)
    ids = some(twins, 2)

    def run(store: Any) -> Any:
        with store._database.reading() as db:
            rows = [row for row, id in db.execute("SELECT row, id FROM cubes").fetchall() if id in ids]
        kept = store.keep_reply(scope, said, rows)
        found = store.keep_extracted(scope, {row: Extracted("e 1", key, "[]") for row in rows})
        return kept, found, store.reply_to(scope, key, rows), store.extracted(scope, rows, [key] * len(rows))

    twins.both(run)
    if chance.random() < 0.2:
        twins.both(lambda store: store.reject_reply(scope, key, "nonsense"))


def undo(twins: Twins, scope: Scope) -> None:
    id = f"no-{some(twins)[0]}"
    twins.both(lambda store: store.undo(scope, id, twins.clock))


def look(twins: Twins, scope: Scope) -> None:
    """Everything that reads."""
    chance = twins.chance
    when = [START + chance.randint(0, 40) * DAY for _ in range(2)]
    selection = Selection(
        as_of=chance.choice([None, when[0]]), known_at=chance.choice([None, when[1]]), where=chance.choice([{}, *WHERE])
    )
    terms = query_terms(" ".join(chance.choices(WORDS, k=3)))
    vector = HashEmbedder().embed([chance.choice(WORDS)])[0]

    def search(store: Any) -> Any:
        searcher = store.search(scope, selection)
        lexical, dense = searcher.lexical(terms, 20), searcher.dense(vector, 20)
        between = searcher.between(when[0] - 9 * DAY, when[0] + 9 * DAY, 10)
        rows = np.unique(np.concatenate([lexical, dense, between]))
        return lexical, dense, between, searcher.around(rows), searcher.features(rows, terms, vector)

    twins.both(search)
    origin = chance.choice(["source", "windows", "notes"])
    before = chance.choice([None, *some(twins)])
    twins.both(lambda store: store.newest(scope, selection, 7, origin, before))
    twins.both(lambda store: store.visible(scope, selection, origin))
    ids = some(twins, 3)
    twins.both(lambda store: store.get(scope, ids))
    twins.both(lambda store: store.present(scope, [*ids, "x"]))
    twins.both(lambda store: store.history(scope, ids[0]))
    twins.both(lambda store: store.history(scope, f"no-{ids[0]}"))
    twins.both(lambda store: [text for _, text in store.texts(scope)])
    twins.both(lambda store: [dataclasses.replace(job, number=0) for job in store.jobs(scope, twins.clock)])
    revision, since = chance.choice([0, 3, 20]), chance.choice([None, when[0]])
    twins.both(lambda store: store.derived(scope, "notes", revision))
    twins.both(lambda store: store.links(scope, "near"))
    twins.both(lambda store: store.spent(scope, since))
    twins.both(lambda store: list(store.scopes()))
    twins.both(lambda store: store.sequences(scope, store.visible(scope, Selection(), "source").tolist()[:3], 2))


ACTS = (add, add, add, work, work, change, move, erase, derive, derive, queue, ask, undo, look, look, look)


@pytest.fixture
def pair(server: Server, tmp_path: Path) -> Iterator[tuple[SQLiteStore, PostgresStore]]:
    url = server.fresh()
    stores = SQLiteStore(tmp_path / "one.db"), PostgresStore(url)
    for store in stores:
        store.bind(HashEmbedder().identity)
    yield stores
    for store in stores:
        assert store.finish_erasing()
        assert store.check() == []
        assert store.audit_problems() == []
        store.close()
    server.give_back(url)


@pytest.mark.parametrize("seed", range(4))
def test_random_calls_come_out_the_same(pair: tuple[SQLiteStore, PostgresStore], seed: int):
    twins = Twins(pair, random.Random(seed))
    for _ in range(120):
        act = twins.chance.choice(ACTS)
        act(twins, twins.chance.choice(SCOPES))
    assert len(twins.ids) > 50
    twins.both(lambda store: [told_of(entry) for entry in store.audit(0, 10_000, None)])
    for scope in SCOPES:
        twins.both(lambda store, scope=scope: store.tags(scope))
        twins.both(lambda store, scope=scope: sorted(Counter(table for table, _ in store.known_of(scope)).items()))
    twins.both(lambda store: [without_rows(record) for record in by_owner(store.dump())])


def told_of(entry: Entry) -> tuple[Any, ...]:
    """An entry of the audit log, without what is random in it: the number and prints of an erasure."""
    detail = {name: value for name, value in entry.detail.items() if name not in ("number", "prints")}
    return entry.seq, entry.actor, entry.tenant, entry.user, entry.act, detail


def by_owner(records: Any) -> list[dict[str, Any]]:
    """Records as they come for each owner; whose come first is the store's own business."""
    return sorted(records, key=lambda record: (record.get("tenant", ""), record.get("user", "")))


def without_rows(record: dict[str, Any]) -> str:
    return re.sub(r"'row': \d+", "", repr(record))
