"""What the contract's tests talk about: drafts, a small organiser, and what a store shows of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from itertools import count
from typing import Any

import numpy as np

from memorist.cube import Cube, Scope
from memorist.models.embedder import Vectors
from memorist.store.protocol import Derived, Draft, Job, Organised, Selection, Store
from memorist.store.terms import pack_terms, query_terms
from memorist.testing.embedder import HashEmbedder

KIND = "index"
DAY = timedelta(days=1)
START = datetime(2025, 3, 1, 9, tzinfo=timezone.utc)
ANA = Scope(tenant="acme", user="ana")
BOB = Scope(tenant="acme", user="bob")
OTHER = Scope(tenant="other", user="ana")
MakeStore = Callable[..., Store]
_number = count()


def draft(text: str, *, at: datetime = START, session: str = "s", agent: str = "", **header: Any) -> Draft:
    """A draft with everything an ingester would fill in; `header` overrides."""
    values: dict[str, Any] = {
        "id": f"ep-{next(_number)}",
        "text": text,
        "role": "user",
        "trust": "user",
        "speaker": "Ana",
        "source": None,
        "agent": agent,
        "session": session,
        "at": at,
        "times": (),
        "meta": {},
        "terms": pack_terms(text),
        "tokens": len(text.split()),
        "valid_from": at,
    }
    return Draft(**(values | header))


def conversation(texts: Sequence[str], **header: Any) -> list[Draft]:
    """Drafts a minute apart."""
    return [draft(text, at=START + timedelta(minutes=i), **header) for i, text in enumerate(texts)]


def vectors_of(store: Store, job: Job) -> dict[int, Vectors]:
    """What an embedder makes of a job."""
    turns = store.turns(job.scope, job.rows)
    return dict(zip([turn.row for turn in turns], HashEmbedder().embed([turn.text for turn in turns])))


def pairs(store: Store, job: Job) -> Organised:
    """A small organiser: each turn with the next one of its session."""
    cubes, withdrawn = [], []
    for stretch in store.sequences(job.scope, job.rows, 1):
        for place in range(stretch.stop):
            members = stretch.turns[place : place + 2]
            first = members[0]
            if len(members) < 2:
                withdrawn.append(f"wi-{first.id}")
                continue
            cubes.append(
                Derived(
                    id=f"wi-{first.id}",
                    origin="windows",
                    text="\n".join(turn.text for turn in members),
                    members=tuple(turn.row for turn in members),
                    trust="user",
                    agent=first.agent,
                    session=first.session,
                    at=first.at,
                    valid_from=first.valid_from,
                    norm=1.0,
                )
            )
    return Organised(tuple(cubes), tuple(withdrawn))


def settle(store: Store, scope: Scope, now: datetime = START) -> None:
    """Do all jobs of the owner."""
    while job := store.claim(scope, now):
        store.index(job, vectors_of(store, job), pairs(store, job), now)


def filled(store: Store, scope: Scope, drafts: Sequence[Draft], now: datetime = START) -> list[str]:
    """The ids after adding and indexing."""
    ids, _ = store.add(scope, drafts, now, (KIND,))
    settle(store, scope, now)
    return ids


def texts_of(cubes: Sequence[Cube]) -> list[str]:
    """Their texts."""
    return [cube.text for cube in cubes]


def found(store: Store, scope: Scope, query: str, **selection: Any) -> set[str]:
    """Texts that a search by words, by meaning or by time can return."""
    searcher = store.search(scope, Selection(**selection))
    rows = np.concatenate(
        [
            searcher.lexical(query_terms(query), 1_000),
            searcher.dense(HashEmbedder().embed([query])[0], 1_000),
            searcher.between(START - 1_000 * DAY, START + 1_000 * DAY, 1_000),
        ]
    )
    return {cube.text for cube in store.cubes(scope, np.unique(rows).tolist()).values()}


def windows_of(store: Store, scope: Scope) -> dict[str, tuple[str, ...]]:
    """Each window's members."""
    return {cube.id: cube.episodes for cube in store.newest(scope, Selection(), 1_000, "windows")}
