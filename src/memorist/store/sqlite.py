"""The default store: one SQLite file, safe for many processes, nothing acknowledged ever lost."""

from __future__ import annotations

import json
import sqlite3
import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from memorist.cube import SOURCE, Cube, Scope
from memorist.errors import EmbedderMismatch, NotFound, StateError, StoreBusy, StoreFull, StoreReadOnly, brief
from memorist.models.embedder import Identity, Vectors
from memorist.states import CHANGEABLE, State, Verb, unchangeable
from memorist.store import (
    access,
    archive,
    audit,
    browse,
    composing,
    copying,
    derived,
    erasure,
    extractions,
    grants,
    jobs,
    life,
    payloads,
    reembedding,
    refresh,
    replies,
    schedule,
    snapshots,
    turns,
    usage,
)
from memorist.store.browsing import Day, Relation, Share
from memorist.store.check import check
from memorist.store.connection import Database, copy_whole
from memorist.store.governed import Remains, Sight
from memorist.store.governing import Governing, name_store
from memorist.store.header import set_header
from memorist.store.index import OwnerIndex
from memorist.store.living import ALIVE
from memorist.store.moments import micros, moment
from memorist.store.prints import STRETCH
from memorist.store.protocol import (
    INDEX,
    Attempt,
    Changes,
    Composition,
    Draft,
    Erased,
    Extracted,
    HeaderChange,
    Idle,
    Job,
    Key,
    Organised,
    Passage,
    Recalled,
    Reembedding,
    RolledBack,
    Rows,
    Scheduled,
    Searcher,
    Selection,
    Snapshot,
    Stretch,
    Turn,
    Unorganised,
)
from memorist.store.rawfile import slices
from memorist.store.reply_log import Exchange, Spent
from memorist.store.rows import HEADER, cube_of, dimension_of, dump_times, fetch_in, next_revision, next_rows
from memorist.store.scoped import Transactions, enter, owner_of
from memorist.store.search import IndexSearcher
from memorist.store.select import filtered, narrowed, visible

CACHED_EPISODES = 2_000_000
"""Indexes of the owners used last stay in memory up to this many episodes in all."""

INSERT_CUBE = """
INSERT INTO cubes (row, id, owner, agent, session, kind, origin, state, trust, role, speaker, source, text,
  meta, times, at, position, valid_from, recorded_at, replaces, revision)
VALUES (?, ?, ?, ?, ?, 'text', ?, 'generated', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""


class TableStore(Governing, ABC):
    """What stores of tables do alike; see `memorist.store.protocol.Store`. `place` is named in messages."""

    def __init__(self, database: Transactions, place: str) -> None:
        self.place = place
        self._database = database
        self._indexes: OrderedDict[int, OwnerIndex] = OrderedDict()
        self._refreshing = threading.RLock()

    # Writing

    def add(self, scope: Scope, drafts: Sequence[Draft], now: datetime, kinds: Sequence[str]) -> tuple[list[str], int]:
        """Keep new episodes with a job of each kind, in one transaction."""
        with self._database.writing() as db:
            owner = owner_of(db, scope, create=True)
            revision = next_revision(db, owner)
            added: list[str] = []
            rows: list[int] = []
            free = iter(next_rows(db, len(drafts)))
            row = next(free, 0)
            for draft in drafts:
                if insert_episode(db, draft, owner, row, row, None, now, revision):
                    added.append(draft.id)
                    rows.append(row)
                    row = next(free, 0)
                elif back := snapshots.brought_back(db, owner, draft.id, now, revision):
                    added.append(draft.id)
                    rows.append(back)
            number = jobs.create(db, owner, kinds, rows) if rows else 0
            if added:  # at the end, as whoever adds to the log keeps others from it until all is written
                audit.recorded(db, owner, "add", episodes=len(added), ids=audit.digest_of(added))
            return added, number

    def index(self, job: Job, vectors: Mapping[int, Vectors], organised: Organised, now: datetime) -> bool:
        """Finish an index job: vectors by row, what organisers derived, and the job's end."""
        with self._database.writing() as db:
            owner = owner_of(db, job.scope, create=False)
            if not jobs.held(db, job):
                return False  # its lease ended, or what it is about was erased
            overtaken = jobs.overtaken(db, owner, job)
            revision = next_revision(db, owner)
            blobs = [(vector.astype(np.float16).tobytes(), row) for row, vector in vectors.items()]
            db.executemany("UPDATE features SET vector = ? WHERE row = ?", blobs)
            derived.changed(db, vectors, revision)
            if overtaken:
                jobs.fail(db, job, None)
                return False
            jobs.finish(db, job)
            life.indexed(db, job.rows)
            derived.write(db, owner, organised, now, revision)
            return True

    def claim(self, scope: Scope, now: datetime, number: int = 0, kind: str = INDEX) -> Job | None:
        """A pending job of this owner and kind that nobody works on, leased to the caller."""
        with self._database.reading() as db:
            if not jobs.any_free(db, owner_of(db, scope, create=False), now, number, kind):
                return None
        with self._database.writing() as db:
            # Index jobs are claimed side by side; an organiser's in turn, so its claimants queue.
            owner = owner_of(db, scope, create=False, lock=kind != INDEX)
            return jobs.claim(db, scope, owner, now, number, kind)

    def fail(
        self, job: Job, reason: str, *, failures: int = 0, not_before: datetime | None = None, dead: bool = False
    ) -> None:
        """Leave the job pending with its reason."""
        with self._database.writing() as db:
            enter(db, job.scope.tenant)
            jobs.fail(db, job, reason, failures, not_before, dead)

    def renew(self, job: Job, now: datetime) -> bool:
        """Lengthen the caller's lease; False when the job is not the caller's any more."""
        with self._database.writing() as db:
            enter(db, job.scope.tenant)
            return jobs.renew(db, job, now)

    def enqueue(self, scope: Scope, organiser: str, batch: int) -> int:
        """Make jobs about all that changed since the organiser's mark, and move the mark."""
        if not self.unorganised(scope, organiser, 1).rows:  # a read, which never waits for a writer
            return 0
        made = 0
        with self._database.writing() as db:
            owner = owner_of(db, scope, create=False)
            while (seen := derived.unorganised(db, owner, organiser, batch)).rows:
                jobs.create(db, owner, (organiser,), seen.rows)
                derived.move_mark(db, owner, organiser, seen.upto)
                made += 1
        return made

    def apply(self, job: Job, organised: Organised, now: datetime, left: Sequence[int] = ()) -> bool:
        """Write what an organiser derived for a job, and end it or leave it with the episodes `left`."""
        with self._database.writing() as db:
            owner = owner_of(db, job.scope, create=False)
            changed = derived.epoch_of(db, owner) != job.epoch or derived.overtaken(db, owner, organised, job.seen)
            if changed or not jobs.held(db, job):
                return False
            derived.write(db, owner, organised, now, next_revision(db, owner))
            jobs.keep(db, job, left) if left else jobs.finish(db, job)
            return True

    def jobs(self, scope: Scope, now: datetime | None = None) -> list[Job]:
        """Jobs that are not done."""
        with self._database.reading() as db:
            return jobs.pending(db, scope, owner_of(db, scope, create=False), now)

    def retry(self, scope: Scope, number: int, *, anew: bool = True) -> None:
        """Have a job tried again at once."""
        with self._database.writing() as db:
            if not jobs.again(db, owner_of(db, scope, create=False), number, anew):
                raise NotFound(f"there is no job {number} in this scope; see: memorist jobs")

    def cancel(self, scope: Scope, number: int) -> None:
        """Drop an organiser's job."""
        with self._database.writing() as db:
            owner = owner_of(db, scope, create=False)
            found = [job for job in jobs.pending(db, scope, owner, None) if job.number == number]
            if not found:
                raise NotFound(f"there is no job {number} in this scope; see: memorist jobs")
            if found[0].kind == INDEX:
                raise StateError(f"job {number} makes memories findable by meaning; it can be tried again, not dropped")
            jobs.finish(db, found[0])

    def unorganised(self, scope: Scope, organiser: str, limit: int) -> Unorganised:
        """Up to `limit` episodes that changed since this organiser's mark, oldest change first."""
        with self._database.reading() as db:
            return derived.unorganised(db, owner_of(db, scope, create=False), organiser, limit)

    def organise(self, scope: Scope, organiser: str, seen: Unorganised, organised: Organised, now: datetime) -> bool:
        """Write what an organiser derived and move its mark; False when another process has moved it."""
        with self._database.writing() as db:
            owner = owner_of(db, scope, create=False)
            moved = derived.mark_of(db, owner, organiser) != seen.since
            if not owner or moved or derived.overtaken(db, owner, organised, seen.revision):
                return False
            if derived.epoch_of(db, owner) != seen.epoch:
                return False
            derived.write(db, owner, organised, now, next_revision(db, owner))
            derived.move_mark(db, owner, organiser, seen.upto)
            return True

    def replace(self, scope: Scope, old: str, draft: Draft, now: datetime, kinds: Sequence[str]) -> str:
        """Close a cube at the draft's `valid_from` and put the draft in its place in the conversation."""
        with self._database.writing() as db:
            owner = owner_of(db, scope, create=True)
            found = header_of(db, scope, owner, old)
            if found["superseded_at"] is not None:
                raise StateError(f"{old} is an earlier version; update the newest one (see its history)")
            if found["state"] not in CHANGEABLE:
                raise unchangeable(old, found["state"], "get a new version")
            refuse_derived(found, "update")
            life.refuse_held(db, life.over(db, [found["row"]]), "lose what it rests on")
            revision = next_revision(db, owner)
            closed = max(micros(draft.valid_from), found["valid_from"])
            learned = max(micros(now), found["recorded_at"])  # a clock may be set back
            db.execute(
                "UPDATE cubes SET valid_to = ?, superseded_at = ?, revision = ? WHERE row = ?",
                (closed, learned, revision, found["row"]),
            )
            (row,) = next_rows(db, 1)
            if not insert_episode(db, draft, owner, row, found["position"], found["row"], now, revision):
                back = snapshots.brought_back(db, owner, draft.id, now, revision, found["row"])
                if back is None:
                    raise StateError(f"{old} already was updated to this text at this time")
                row = back
            grants.carry_over(db, found["row"], row)
            audit.recorded(db, owner, "update")
            touched = derived.close_over(db, [found["row"]], revision)
            life.release(db, owner, life.over(db, [found["row"]]), now, kinds)
            jobs.create(db, owner, kinds, [row, *touched])
            return draft.id

    def move(self, scope: Scope, ids: Sequence[str], verb: Verb, now: datetime, kinds: Sequence[str]) -> None:
        """Take cubes to another state, and what rests on them out of sight or back."""
        with self._database.writing() as db:
            owner = owner_of(db, scope, create=True)
            found = [header_of(db, scope, owner, id) for id in ids]
            for header in found:
                life.demand(db, header, verb)
            life.move(db, owner, [int(header["row"]) for header in found], verb, now, kinds)
            audit.recorded(db, owner, verb, cubes=len(found))

    def describe(self, scope: Scope, ids: Sequence[str], change: HeaderChange, now: datetime) -> None:
        """Set fields of the header of cubes."""
        with self._database.writing() as db:
            owner = owner_of(db, scope, create=False)
            found = [header_of(db, scope, owner, id) for id in ids]
            for header in found:
                if header["origin"] == life.WINDOWS:
                    raise StateError(f"{header['id']} is a window over episodes; describe these")
                if header["state"] == "frozen":
                    raise unchangeable(header["id"], "frozen", "be described anew")
            set_header(db, [int(header["row"]) for header in found], change, now, next_revision(db, owner))
            audit.recorded(db, owner, "describe", cubes=len(found))

    def expire(self, scope: Scope, now: datetime, kinds: Sequence[str]) -> int:
        """Move what has ended to `expired`."""
        with self._database.reading() as db:
            if not life.ended(db, owner_of(db, scope, create=False), now):
                return 0
        with self._database.writing() as db:
            owner = owner_of(db, scope, create=False)
            rows = life.ended(db, owner, now)
            if rows:
                life.move(db, owner, rows, "expire", now, kinds)
                audit.recorded(db, owner, "expire", cubes=len(rows))
            return len(rows)

    def compose(self, scope: Scope, composition: Composition, now: datetime, kinds: Sequence[str]) -> None:
        """Write what was made of other cubes, and move these."""
        with self._database.writing() as db:
            owner = owner_of(db, scope, create=False)
            headers = [header_of(db, scope, owner, id) for id in composition.originals]
            composing.compose(db, owner, headers, composition, now, kinds)

    def give_vectors(self, scope: Scope, identity: Identity, vectors: Mapping[int, Vectors]) -> None:
        """Vectors by row for an owner's derived cubes that have none."""
        with self._database.writing() as db:
            owner = owner_of(db, scope, create=False)
            if reembedding.identity_of(db) == identity:
                sql = "SELECT row FROM cubes WHERE +owner = ? AND row IN ({})"
                mine = [row for (row,) in fetch_in(db, sql, sorted(vectors), owner)]
                blobs = [(vectors[row].astype(np.float16).tobytes(), row) for row in mine]
                db.executemany("UPDATE features SET vector = ? WHERE row = ? AND vector IS NULL", blobs)
                derived.changed(db, mine, next_revision(db, owner))

    def scheduled(self, scope: Scope) -> list[Scheduled]:
        """The entries of an owner's schedule that were changed or have run."""
        with self._database.reading() as db:
            return schedule.entries(db, owner_of(db, scope, create=False))

    def schedule(self, scope: Scope, entry: Scheduled) -> None:
        """Write an entry."""
        with self._database.writing() as db:
            schedule.put(db, owner_of(db, scope, create=True), entry)

    def begin_scheduled(self, scope: Scope, name: str) -> None:
        """Make a job of an entry, unless there is one."""
        with self._database.writing() as db:
            schedule.begin(db, owner_of(db, scope, create=True), name)

    def finish_scheduled(self, entry: Scheduled, job: Job, now: datetime, told: str) -> bool:
        """End such a job and write down that the entry ran."""
        with self._database.writing() as db:
            return schedule.finish(db, owner_of(db, job.scope, create=False), entry, job, now, told)

    def idle(self, scope: Scope, before: datetime, limit: int, after: int) -> list[Idle]:
        """Memories that were neither recorded nor recalled since, beyond the row `after`."""
        with self._database.reading() as db:
            return schedule.idle(db, owner_of(db, scope, create=False), before, limit, after)

    def composed_of(self, scope: Scope, ids: Sequence[str]) -> set[str]:
        """Those of the ids that a living composition rests on."""
        with self._database.reading() as db:
            return composing.parts(db, owner_of(db, scope, create=False), ids)

    def snapshot(self, scope: Scope, name: str, now: datetime) -> Snapshot:
        """Keep an owner's memory as it is under a name."""
        with self._database.writing() as db:
            return snapshots.take(db, owner_of(db, scope, create=True), name, now)

    def snapshots(self, scope: Scope) -> list[Snapshot]:
        """An owner's snapshots, oldest first."""
        with self._database.reading() as db:
            return snapshots.listed(db, owner_of(db, scope, create=False))

    def drop_snapshot(self, scope: Scope, name: str) -> None:
        """Delete a snapshot."""
        with self._database.writing() as db:
            snapshots.drop(db, owner_of(db, scope, create=False), name)

    def rollback(self, scope: Scope, name: str, now: datetime, kinds: Sequence[str]) -> RolledBack:
        """Make an owner's memory what it was."""
        with self._database.writing() as db:
            return snapshots.rollback(db, owner_of(db, scope, create=False), name, now, kinds)

    def used(self, scope: Scope, counts: Mapping[int, Recalled]) -> None:
        """Add to how often cubes were recalled."""
        with self._database.writing() as db:
            usage.count(db, owner_of(db, scope, create=False), counts)

    def erase(self, scope: Scope, ids: Sequence[str], kinds: Sequence[str]) -> Erased:
        """Destroy cubes, their versions and everything derived from them. The bytes are gone after `compact`."""
        with self._database.writing() as db:
            owner = owner_of(db, scope, create=True)
            found = [header_of(db, scope, owner, id) for id in ids]
            for header in found:
                refuse_derived(header, "erase")
            rows = [int(header["row"]) for header in found]
            life.refuse_held(db, erasure.closure(db, rows), "be erased: it is under a legal hold")
            revision = next_revision(db, owner)
            erased, touched = erasure.erase(db, owner, rows)
            derived.changed(db, touched, revision)
            if touched:
                jobs.create(db, owner, kinds, touched)
            self._indexes.pop(owner, None)  # what is in memory goes as well
            return erased

    def undo(self, scope: Scope, id: str, now: datetime) -> None:
        """Put the version before in a derived cube's place, or hide it when it has none."""
        with self._database.writing() as db:
            owner = owner_of(db, scope, create=False)
            found = header_of(db, scope, owner, id)
            if found["origin"] == SOURCE:
                raise StateError(f"{id} is an episode; to change it use update, to hide it forget")
            if found["state"] not in CHANGEABLE:
                raise unchangeable(id, found["state"], "be undone")
            audit.recorded(db, owner, "undo", origin=found["origin"])
            if found["origin"] == life.COMPOSED:
                composing.undo(db, owner, int(found["row"]), now, (INDEX,))
            else:
                derived.undo(db, owner, int(found["row"]), now, next_revision(db, owner))

    # Reading

    def turns(self, scope: Scope, rows: Sequence[int]) -> list[Turn]:
        """Episodes by row that are current, in the given order."""
        with self._database.reading() as db:
            return turns.turns(db, owner_of(db, scope, create=False), rows)

    def sequences(self, scope: Scope, rows: Sequence[int], reach: int) -> list[Stretch]:
        """For each session touched by the rows: its current turns around them, in the order of the conversation."""
        with self._database.reading() as db:
            return turns.sequences(db, owner_of(db, scope, create=False), rows, reach)

    def derived(self, scope: Scope, origin: str, since: int) -> Changes:
        """Derived cubes of an origin that changed after a revision, by rising row."""
        with self._database.reading() as db:
            return derived.changes(db, owner_of(db, scope, create=False), origin, since)

    def links(self, scope: Scope, kind: str) -> list[tuple[int, int, float]]:
        """An owner's links of a kind between cubes that are active."""
        with self._database.reading() as db:
            return derived.links(db, owner_of(db, scope, create=False), kind)

    def keep_extracted(self, scope: Scope, found: Mapping[int, Extracted]) -> int:
        """Log what was found in episodes, which count as changed from then on."""
        with self._database.writing() as db:
            owner = owner_of(db, scope, create=False)
            rows = extractions.keep(db, owner, found) if owner else []
            if rows:
                derived.changed(db, rows, next_revision(db, owner))
            return len(rows)

    def extracted(self, scope: Scope, rows: Sequence[int], texts: Sequence[str]) -> dict[int, Extracted]:
        """What is logged for these episodes, or for others of the owner with the same words."""
        with self._database.reading() as db:
            return extractions.logged(db, owner_of(db, scope, create=False), rows, texts)

    def payload(self, scope: Scope, id: str) -> bytes:
        """The safetensors file of a cube."""
        with self._database.reading() as db:
            owner = owner_of(db, scope, create=False)
            found = header_of(db, scope, owner, id)
            if found["payload"] is None:
                raise StateError(f"{id} is text and has no tensors; see: memorist cube migrate")
            return payloads.read(db, owner, found["payload"])

    def payload_size(self, scope: Scope, id: str) -> int:
        """The bytes of a cube's payload, without reading them."""
        with self._database.reading() as db:
            owner = owner_of(db, scope, create=False)
            return payloads.size(db, owner, header_of(db, scope, owner, id)["payload"] or "")

    def request(self, scope: Scope, kind: str, ids: Sequence[str]) -> int:
        """A job about cubes that somebody named, or the one of this kind about them that is there."""
        with self._database.writing() as db:
            owner = owner_of(db, scope, create=False)
            rows = [int(header_of(db, scope, owner, id)["row"]) for id in ids]
            return jobs.request(db, owner, kind, rows)

    def texts(self, scope: Scope) -> Iterator[tuple[int, str]]:
        """Row and words of every current episode of the scope."""
        with self._database.reading() as db:
            sql, values = select_sql("row, text", scope, owner_of(db, scope, create=False), Selection())
            yield from db.execute(f"{sql} ORDER BY row", values)

    def search(self, scope: Scope, selection: Selection) -> Searcher:
        """A view for the recall stages."""
        with self._database.reading() as db, self._refreshing:
            owner = owner_of(db, scope, create=False)
            index = self._indexes.pop(owner, None)
            index = self._indexes[owner] = refresh.refreshed(db, owner, index, dimension_of(db))
            while len(self._indexes) > 1 and sum(one.size for one in self._indexes.values()) > CACHED_EPISODES:
                self._indexes.popitem(last=False)
            if selection == Selection() and not (scope.agent or scope.session):
                return IndexSearcher(index, index.current[: index.size].copy())
            sql, values = select_sql("row", scope, owner, selection)
            rows = np.array(db.execute(sql, values).fetchall(), np.int64).reshape(-1)
            return IndexSearcher(index, index.mask(rows))

    def visible(self, scope: Scope, selection: Selection, origin: str) -> Rows:
        """Rows of an origin's cubes that a query may see, rising."""
        with self._database.reading() as db:
            sql, values = select_sql("row", scope, owner_of(db, scope, create=False), selection, origin)
            return np.array(db.execute(f"{sql} ORDER BY row", values).fetchall(), np.int64).reshape(-1)

    def get(self, scope: Scope, ids: Sequence[str]) -> list[Cube]:
        """Cubes by id, in the given order. Raises NotFound for the first that this scope does not have."""
        with self._database.reading() as db:
            owner = owner_of(db, scope, create=False)
            rows = [int(header_of(db, scope, owner, id)["row"]) for id in ids]
            found = load(db, scope, owner, rows)
            return [found[row] for row in rows]

    def cubes(self, scope: Scope, rows: Sequence[int]) -> dict[int, Cube]:
        """Cubes by row, in the given order; rows that are gone, or another's, are left out."""
        with self._database.reading() as db:
            return load(db, scope, owner_of(db, scope, create=False), rows)

    def newest(
        self,
        scope: Scope,
        selection: Selection,
        limit: int,
        origin: str = SOURCE,
        before: str | None = None,
        skip: int = 0,
    ) -> list[Cube]:
        """The newest `limit` cubes of an origin, newest first; with `before`, those that follow it."""
        with self._database.reading() as db:
            owner = owner_of(db, scope, create=False)
            sql, values = select_sql("row", scope, owner, selection, origin)
            if before is not None:
                sql += " AND (at, position, row) < (SELECT at, position, row FROM cubes WHERE row = ?)"
                values.append(header_of(db, scope, owner, before)["row"])
            order = "ORDER BY at DESC, position DESC, row DESC LIMIT ? OFFSET ?"
            found = db.execute(f"{sql} {order}", (*values, limit, skip)).fetchall()
            return list(load(db, scope, owner, [row for (row,) in found]).values())

    def days(self, scope: Scope, selection: Selection, origin: str) -> list[Day]:
        """The days on which the cubes of an origin are dated, newest first."""
        with self._database.reading() as db:
            return browse.days(db, *select_sql("at", scope, owner_of(db, scope, create=False), selection, origin))

    def census(self, scope: Scope) -> list[Share]:
        """Everything of the scope by origin, kind and state."""
        with self._database.reading() as db:
            return browse.census(db, scope, owner_of(db, scope, create=False))

    def ids(self, scope: Scope, origin: str, state: State | None = None) -> list[str]:
        """All ids of an origin, hidden and closed cubes too."""
        with self._database.reading() as db:
            return browse.ids(db, scope, owner_of(db, scope, create=False), origin, state)

    def relations(self, scope: Scope, ids: Sequence[str], limit: int) -> list[Relation]:
        """Relations between these cubes and any others of the scope."""
        with self._database.reading() as db:
            return browse.relations(db, scope, owner_of(db, scope, create=False), ids, limit)

    def present(self, scope: Scope, ids: Sequence[str]) -> list[str]:
        """Those of the ids that are episodes of this scope."""
        with self._database.reading() as db:
            sql, values = narrowed(scope, owner_of(db, scope, create=False))
            return [
                id
                for (id,) in fetch_in(
                    db,
                    f"SELECT id FROM cubes WHERE origin = 'source' AND {sql} AND id IN ({{}}) ORDER BY row",
                    ids,
                    *values,
                )
            ]

    def history(self, scope: Scope, id: str) -> list[tuple[datetime, str, Cube]]:
        """What happened to a cube and its other versions, oldest first."""
        with self._database.reading() as db:
            owner = owner_of(db, scope, create=False)
            rows = erasure.shown(db, erasure.versions(db, [int(header_of(db, scope, owner, id)["row"])]))
            happened: list[tuple[datetime, str, Cube]] = []
            known = list(load(db, scope, owner, erasure.in_turn(db, rows)).items())
            for place, (row, cube) in enumerate(known):
                happened.append((cube.recorded_at, "updated" if place else "added", cube))
                events = db.execute("SELECT at, what FROM events WHERE row = ? ORDER BY event", (row,))
                happened += [(moment(at), what, cube) for at, what in events]
            newest = known[-1][1]
            if newest.superseded_at is not None:  # by another cube, not by a version of its own
                happened.append((newest.superseded_at, "superseded", newest))
            return sorted(happened, key=lambda change: change[0])

    def versions(self, scope: Scope, id: str) -> list[Cube]:
        """All versions of a cube, oldest first."""
        with self._database.reading() as db:
            owner = owner_of(db, scope, create=False)
            rows = erasure.shown(db, erasure.versions(db, [int(header_of(db, scope, owner, id)["row"])]))
            return list(load(db, scope, owner, erasure.in_turn(db, rows)).values())

    def scopes(self) -> Iterator[tuple[Scope, int]]:
        """Each (tenant, user) with its number of current episodes."""
        with self._database.reading() as db:
            counted = db.execute(
                "SELECT tenant, user, (SELECT COUNT(*) FROM cubes c WHERE c.owner = o.owner AND origin = ?"
                f" AND {ALIVE} AND superseded_at IS NULL) FROM owners o ORDER BY tenant, user",
                (SOURCE,),
            ).fetchall()
        return ((Scope(tenant=tenant, user=user), count) for tenant, user, count in counted)

    # The reply log

    def keep_reply(self, scope: Scope, exchange: Exchange, rows: Sequence[int]) -> bool:
        """Keep a call that saw the cubes of these rows; False when its reply could not be kept."""
        with self._database.writing() as db:
            return replies.keep(db, owner_of(db, scope, create=True), exchange, rows)

    def reply_to(self, scope: Scope, key: str, rows: Sequence[int]) -> Exchange | None:
        """The reply recorded for a key, which from now on has seen these rows, too."""
        with self._database.reading() as db:
            if not replies.has(db, owner_of(db, scope, create=False), key):
                return None
        with self._database.writing() as db:
            return replies.reply_to(db, owner_of(db, scope, create=False), key, rows)

    def reject_reply(self, scope: Scope, key: str, reason: str) -> None:
        """Keep the reply recorded for a key, and never replay it."""
        with self._database.writing() as db:
            replies.reject(db, owner_of(db, scope, create=False), key, reason)

    def together(self, scope: Scope, purpose: str, rows: Sequence[int]) -> list[tuple[int, ...]]:
        """The episodes that were news to the same call."""
        with self._database.reading() as db:
            return replies.together(db, owner_of(db, scope, create=False), purpose, rows)

    def spent(self, scope: Scope, since: datetime | None = None) -> list[Spent]:
        """What the calls of this owner took, by purpose, model and day."""
        with self._database.reading() as db:
            return replies.spent(db, owner_of(db, scope, create=False), since)

    # A server's keys and requests

    def add_key(self, key: Key, digest: str) -> None:
        """Keep a server's key under the SHA-256 of its secret."""
        with self._database.writing() as db:
            access.add_key(db, key, digest)
            audit.record(db, "key", key.tenant, key.user, key=key.id, rights=list(key.rights))

    def all_keys(self) -> list[Key]:
        """All keys, oldest first, revoked ones too."""
        with self._database.reading() as db:
            return access.keys(db)

    def key_with(self, digest: str) -> Key | None:
        """The key with this hash, unless it was revoked."""
        with self._database.reading() as db:
            return access.key_with(db, digest)

    def revoke_key(self, id: str, now: datetime) -> bool:
        """End a key."""
        with self._database.writing() as db:
            ended = access.revoke_key(db, id, now)
            if ended:
                audit.record(db, "end key", key=id)
            return ended

    def attempt(self, key: str, name: str, digest: str, now: datetime) -> Attempt:
        """Begin a request that may come again under this name, or find how the first one went."""
        with self._database.writing() as db:
            return access.attempt(db, key, name, digest, now)

    def answered(self, key: str, name: str, status: int, body: Mapping[str, Any]) -> None:
        """Remember the answer to a request."""
        with self._database.writing() as db:
            access.answered(db, key, name, status, body)

    def abandoned(self, key: str, name: str) -> None:
        """Forget a request that changed nothing."""
        with self._database.writing() as db:
            access.abandoned(db, key, name)

    # The store as a whole

    def embedder(self) -> Identity | None:
        """Whose vectors these are."""
        with self._database.reading() as db:
            return reembedding.identity_of(db)

    def bind(self, identity: Identity) -> None:
        """Record whose vectors these are. Raises EmbedderMismatch when they are another's."""
        found = self.embedder()
        if found is None:
            value = {"name": identity.name, "dimension": identity.dimension, "sha256": identity.sha256}
            with self._database.writing() as db:
                db.execute("INSERT OR IGNORE INTO meta VALUES ('embedder', ?)", (json.dumps(value),))
                name_store(db)
            found = self.embedder()
        if found != identity:
            raise EmbedderMismatch(
                f"{self.place} holds vectors of {describe(found)}, not of {describe(identity)}; open it with that"
                " embedder, or change the store's: memorist reembed --embedder NAME (in Python: Memory.reembed)"
            )

    def reembedding(self) -> Reembedding | None:
        """The change of embedder that is going on."""
        with self._database.reading() as db:
            return reembedding.progress(db)

    def begin_reembedding(self, identity: Identity, now: datetime) -> None:
        """Begin to make vectors of another embedder beside those in use, or go on."""
        with self._database.writing() as db:
            reembedding.begin(db, identity, now)

    def passages(self, after: int, limit: int) -> list[Passage]:
        """What still lacks a vector beside, of all owners, by rising row beyond `after`."""
        with self._database.reading() as db:
            return reembedding.passages(db, after, limit)

    def embed_beside(self, identity: Identity, vectors: Mapping[Passage, Vectors]) -> None:
        """Keep new vectors, but of what was erased or changed since it was read."""
        with self._database.writing() as db:
            reembedding.put(db, identity, vectors)

    def finish_reembedding(self, identity: Identity, anew: Sequence[str]) -> bool:
        """Put the new vectors in the place of the old; False while some are lacking."""
        with self._database.writing() as db:
            finished = reembedding.finish(db, identity, anew)
            if finished:
                audit.record(db, "reembed", embedder=identity.name)
            return finished

    def cancel_reembedding(self) -> bool:
        """Drop the vectors beside; False when there was nothing to cancel."""
        with self._database.writing() as db:
            going = reembedding.target(db) is not None
            reembedding.cancel(db)
            return going

    def backups(self) -> list[Path]:
        """Copies made by `backup`."""
        with self._database.reading() as db:
            return [Path(path) for (path,) in db.execute("SELECT path FROM backups ORDER BY path")]

    def dump(self, scope: Scope | None = None) -> Iterator[dict[str, Any]]:
        """Every record of the store, or of one owner, as plain data, in an order that `restore` accepts."""
        with self._database.reading() as db:
            yield from archive.dump(db, None if scope is None else owner_of(db, scope, create=False))

    def restore(self, records: Iterable[Mapping[str, Any]], kinds: Sequence[str]) -> int:
        """Add dumped records in one transaction; returns the number of cubes that were new."""
        with self._database.writing() as db:
            new = archive.restore(db, records, kinds)
            audit.record(db, "import", episodes=new)
            return new

    @abstractmethod
    def seen(self, sight: Sight) -> TableStore:
        """See `Governed.seen`."""

    @abstractmethod
    def searches(self) -> bool:
        """See `Governed.searches`."""

    @abstractmethod
    def remains(self, number: str, cubes: Sequence[str], texts: Sequence[str]) -> Remains:
        """See `Governed.remains`."""

    @abstractmethod
    def compact(self, texts: Sequence[str]) -> int:
        """See `Store.compact`."""

    @abstractmethod
    def finish_erasing(self) -> bool:
        """See `Store.finish_erasing`."""

    @abstractmethod
    def check(self) -> list[str]:
        """See `Store.check`."""

    @abstractmethod
    def backup(self, path: Path, now: datetime) -> None:
        """See `Store.backup`."""

    def about(self) -> tuple[str, str]:
        """What is wrong with what the store runs on, empty when nothing is; and what that is."""
        return "", self.place

    def copy_to(self, target: TableStore, progress: copying.Progress | None = None) -> dict[str, int]:
        """Copy everything into an empty store, of the same kind or another; returns the number of rows by table.

        Rows keep their numbers, and others may go on meanwhile. Raises StateError when the target is not empty.
        """
        with self._database.reading() as source, target._database.writing() as db:
            return copying.copy(source, db, progress)

    def close(self) -> None:
        """Let go of the database and of what was cached."""
        self._indexes.clear()
        self._database.close()


class SQLiteStore(TableStore):
    """The store in one SQLite file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = Database(path)
        super().__init__(self._file, str(path))

    def seen(self, sight: Sight) -> TableStore:
        """The store as a subject sees it."""
        from memorist.store.seen import SeenStore
        from memorist.store.sight import Seen

        return SeenStore(self, sight, Seen(self._file, sight))

    def searches(self) -> bool:
        """A file and its log can always be searched."""
        return True

    def remains(self, number: str, cubes: Sequence[str], texts: Sequence[str]) -> Remains:
        """What of an erasure is still or again there."""
        with self._database.reading() as db:
            files = [self.path.with_name(self.path.name + suffix) for suffix in ("", "-wal")]
            pieces = (slices(file, STRETCH - 1) for file in files)
            return erasure.found_again(db, chain.from_iterable(pieces), number, cubes, texts)

    def compact(self, texts: Sequence[str]) -> int:
        """Rewrite the file without free space; returns how many of the texts' bytes are still found."""
        with self._file.alone() as db:
            erasure.compact(db)
            return erasure.remnants(db, self.path, texts)

    def finish_erasing(self) -> bool:
        """Rewrite the file when an erase was ended before it did; False when others kept that from being done."""
        try:
            with self._file.alone() as db:
                if erasure.unfinished(db):
                    erasure.compact(db, patience=1.0)
        except (StoreBusy, StoreReadOnly, StoreFull):
            return False
        return True

    def check(self) -> list[str]:
        """Everything that is not as it should be; empty when the store is sound."""
        with self._database.reading() as db:
            return check(db, self.path, dimension_of(db))

    def backup(self, path: Path, now: datetime) -> None:
        """A consistent copy while others go on; it appears under its name only when whole."""
        with self._database.writing() as db:
            note_backup(db, path, now)
        with self._file.translated():
            copy_whole(self._file.connection(), path)


def note_backup(db: sqlite3.Connection, path: Path, now: datetime) -> None:
    """Write down that a copy is made, before it is."""
    place = str(path.resolve())
    db.execute("INSERT OR REPLACE INTO backups (path, at) VALUES (?, ?)", (place, micros(now)))
    name_store(db)  # the copy must know what is erased here later
    audit.record(db, "backup", path=place)


def insert_episode(
    db: sqlite3.Connection,
    draft: Draft,
    owner: int,
    row: int,
    position: int,
    replaces: int | None,
    now: datetime,
    revision: int,
) -> bool:
    """Write an episode and its features; False when its id is there already."""
    values = (
        *(row, draft.id, owner, draft.agent, draft.session, SOURCE, draft.trust, draft.role, draft.speaker),
        *(draft.source, draft.text, json.dumps(dict(draft.meta), ensure_ascii=False), dump_times(draft.times)),
        *(micros(draft.at), position, micros(draft.valid_from), micros(now), replaces, revision),
    )
    if db.execute(INSERT_CUBE, values).rowcount != 1:
        return False
    db.execute("INSERT INTO features (row, tokens, terms) VALUES (?, ?, ?)", (row, draft.tokens, draft.terms))
    return True


def header_of(db: sqlite3.Connection, scope: Scope, owner: int, id: str) -> dict[str, Any]:
    """State of a cube of this scope. Raises NotFound."""
    sql, values = narrowed(scope, owner)
    names = [*("row", "id", "state", "origin", "kind", "payload", "aside")]
    names += ["position", "valid_from", "recorded_at", "superseded_at"]
    known = id.encode("utf-8", "replace").decode() if isinstance(id, str) else ""
    found = db.execute(f"SELECT {', '.join(names)} FROM cubes WHERE id = ? AND {sql}", (known, *values)).fetchone()
    if found is None:
        raise NotFound(f"no cube {brief(id)} in this scope; see: memorist list")
    return dict(zip(names, found))


def refuse_derived(header: Mapping[str, Any], verb: str) -> None:
    """Raises StateError for a text that an organiser made: it would be made again."""
    if header["origin"] != SOURCE and (header["kind"] == "text" or verb == "update"):
        raise StateError(f"{header['id']} was derived by {header['origin']}; {verb} the episodes it comes from")


def select_sql(
    columns: str, scope: Scope, owner: int, selection: Selection, origin: str = SOURCE
) -> tuple[str, list[Any]]:
    """The SELECT of a selection within a scope."""
    parts = [narrowed(scope, owner), visible(selection), filtered(selection.where)]
    sql = " AND ".join(f"({part})" for part, _ in parts)
    values = [value for _, bound in parts for value in bound]
    return f"SELECT {columns} FROM cubes WHERE origin = ? AND {sql}", [origin, *values]


def load(db: sqlite3.Connection, scope: Scope, owner: int, rows: Sequence[int]) -> dict[int, Cube]:
    """An owner's cubes by row, in the given order, with the episodes they rest on."""
    found = {
        row[0]: row
        for row in fetch_in(db, f"SELECT {HEADER} FROM cubes WHERE +owner = ? AND row IN ({{}})", rows, owner)
    }
    sources: dict[int, list[str]] = {}
    lineage = "SELECT l.child, c.id FROM lineage l JOIN cubes c ON c.row = l.parent WHERE l.child IN ({})"
    derived = [row for row, header in found.items() if header[5] != SOURCE]
    for child, id in fetch_in(db, lineage + " ORDER BY c.at, c.position", derived):
        sources.setdefault(child, []).append(id)
    return {row: cube_of(found[row], scope, tuple(sources.get(row, ()))) for row in rows if row in found}


def describe(identity: Identity | None) -> str:
    """An embedder in words."""
    return f"{identity.name} ({identity.dimension} dimensions, {identity.sha256[:8]})" if identity else "no embedder"
