"""From observations to stored and indexed episodes, a batch at a time.

A batch is durable before anything else happens to it; only then is it embedded and organised, as a job that survives
a crash and is finished by whoever comes next.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice

from memorist.cube import LONGEST_NAME, TRUST_OF_ROLE, Cube, Observation, Scope, TimeSpan, parse_moment, utc
from memorist.errors import InputError, MemoristError
from memorist.ids import digest, episode_base, episode_id
from memorist.lifecycle.jobs import settle
from memorist.models.embedder import Embedder
from memorist.models.wordpiece import count_tokens
from memorist.organise.protocol import Organiser
from memorist.results import KEPT_IDS, Receipt
from memorist.sources.message import check_text, flat
from memorist.store.protocol import INDEX, Draft, Store
from memorist.store.terms import pack_terms
from memorist.text import indexed, shown
from memorist.times import spans

BATCH = 512
FIRST_BATCHES = (64,)
"""Batches grow to their size, so that a progress bar moves soon."""

Clock = Callable[[], datetime]


class Occurrences:
    """Counts how often each observation came, on disk when it grows: a file of any length fits."""

    def __init__(self) -> None:
        self._seen = sqlite3.connect("")  # a private file that SQLite deletes by itself
        self._seen.execute("CREATE TABLE seen (base TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID")

    def next(self, base: str) -> int:
        """0 the first time, then 1, 2, …"""
        sql = "INSERT INTO seen VALUES (?, 0) ON CONFLICT DO UPDATE SET n = n + 1 RETURNING n"
        return int(self._seen.execute(sql, (base,)).fetchall()[0][0])

    def close(self) -> None:
        """Let go of the counts."""
        self._seen.close()


def ingest(
    store: Store,
    scope: Scope,
    observations: Iterable[Observation],
    embedder: Embedder,
    organisers: Sequence[Organiser],
    clock: Clock,
    progress: Callable[[int], None] = lambda done: None,
) -> Receipt:
    """Add observations; everything up to the last full batch stays when a later record is broken."""
    ids: list[str] = []
    added = known = 0
    problem: str | None = None
    occurrences = Occurrences()
    try:
        for batch in batches(observations):
            now = utc(clock())
            drafts = draft_batch(scope, batch, now, occurrences)
            new, job = store.add(scope, drafts, now, (INDEX,))
            ids += [draft.id for draft in drafts][: max(0, KEPT_IDS - len(ids))]
            added += len(new)
            known += len(drafts) - len(new)
            if job and problem is None:
                problem = settle(store, scope, embedder, organisers, clock, job)
            progress(added + known)
    finally:
        occurrences.close()
    return Receipt(tuple(ids), "stored" if problem else "indexed", added, known, problem=problem)


def batches(observations: Iterable[Observation]) -> Iterator[list[Observation]]:
    """Lists of at most BATCH observations. What came before a broken record is yielded before the error is raised."""
    sizes = iter(FIRST_BATCHES)
    source = iter(observations)
    while True:
        batch: list[Observation] = []
        try:
            batch.extend(islice(source, next(sizes, BATCH)))
        except MemoristError:
            if batch:
                yield batch
            raise
        if not batch:
            return
        yield batch


def draft_batch(scope: Scope, batch: Sequence[Observation], now: datetime, occurrences: Occurrences) -> list[Draft]:
    """Drafts with their ids, times and terms."""
    prepared = [draft_of(scope, observation, now, occurrences) for observation in batch]
    tokens = count_tokens([shown(draft.speaker, draft.text) for draft in prepared])  # far faster on a batch
    return [replace(draft, tokens=count) for draft, count in zip(prepared, tokens)]


def draft_of(scope: Scope, observation: Observation, now: datetime, occurrences: Occurrences) -> Draft:
    """One draft; its tokens are counted later."""
    if not observation.text.strip():
        raise InputError("the text is empty; there is nothing to remember")
    at = parse_moment(observation.at, "at") if observation.at else now
    session = session_of(scope, observation)
    # What has no time and no source is heard now: saying it again later is a new event.
    said = at if observation.at or not observation.source else None
    base = episode_base(scope, observation, session, said)
    times = spans(observation.text, at)
    return Draft(
        id=episode_id(base, 0 if observation.key else occurrences.next(base)),
        text=observation.text,
        role=observation.role,
        trust=observation.trust or TRUST_OF_ROLE.get(observation.role, "agent"),
        speaker=observation.speaker,
        source=observation.source,
        agent=scope.agent,
        session=session,
        at=at,
        times=times,
        meta=observation.meta,
        terms=pack_terms(indexed(observation.speaker, observation.text, at)),
        tokens=0,
        valid_from=true_since(at, times),
    )


def true_since(at: datetime, times: Sequence[TimeSpan]) -> datetime:
    """When what was said became true: at the one past time it speaks of, else when it was said.

    With several times it is anyone's guess which one is meant, and a plan is known from when it was made.
    """
    return min(at, times[0].start) if len(times) == 1 else at


def session_of(scope: Scope, observation: Observation) -> str:
    """The conversation an observation belongs to: bound, or named, or its source. A lone note has none ("").

    Raises InputError for a name that no scope can have.
    """
    named = scope.session or observation.session or (observation.source or "")[-LONGEST_NAME:]
    return Scope(session=named).session


def draft_update(
    old: Cube, text: str | None, meta: Mapping[str, object] | None, since: datetime, now: datetime
) -> Draft:
    """The next version of an episode, said at the same place of the conversation. Raises InputError."""
    changed = old.text if text is None else text
    if not isinstance(changed, str):
        raise InputError(f"the new text is {type(changed).__name__}; pass a string")
    if not changed.strip():
        raise InputError("the new text is empty; use forget or erase to remove a memory")
    check_text(changed, "the new text")
    kept = dict(old.meta) if meta is None else flat(meta)
    return Draft(
        id=f"ep-{digest(old.id, changed, kept, since.isoformat(), now.isoformat())}",
        text=changed,
        role=old.role,
        trust=old.trust,
        speaker=old.speaker,
        source=old.source,
        agent=old.scope.agent,
        session=old.scope.session,
        at=old.at,
        times=spans(changed, old.at),
        meta=kept,
        terms=pack_terms(indexed(old.speaker, changed, old.at)),
        tokens=count_tokens([shown(old.speaker, changed)])[0],
        valid_from=since,
    )
