"""The seam for stores: what every store must do, checked by `memorist.testing`.

A store binds every call to a scope; there is no unscoped query. Its rows are store-local integers; ids are global.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from memorist.cube import Cube, Kind, Scope, TimeSpan, Trust
from memorist.models.embedder import Identity, Vectors
from memorist.states import State, Verb
from memorist.store.browsing import Browsing
from memorist.store.governed import Governed, Removed
from memorist.store.reply_log import ReplyLog

Rows = npt.NDArray[np.int64]
Terms = npt.NDArray[np.uint32]
Floats = npt.NDArray[np.float32]
Halves = npt.NDArray[np.float16]

INDEX = "index"
"""The kind of job that embeds and organises episodes; those of an organiser have its name."""


@dataclass(frozen=True, slots=True)
class Draft:
    """An episode about to be stored. `terms` is `pack_terms` of the text as indexed, `tokens` its cost when shown."""

    id: str
    text: str
    role: str
    trust: Trust
    speaker: str | None
    source: str | None
    agent: str
    session: str
    at: datetime
    times: tuple[TimeSpan, ...]
    meta: Mapping[str, Any]
    terms: bytes
    tokens: int
    valid_from: datetime


@dataclass(frozen=True, slots=True)
class Turn:
    """What an organiser sees of an episode."""

    row: int
    id: str
    text: str
    speaker: str | None
    role: str
    trust: Trust
    session: str
    agent: str
    at: datetime
    valid_from: datetime
    vector: Vectors | None
    recorded_at: datetime
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Part of a conversation, in its order. What changed lies before `stop`; from there on all is as it was."""

    turns: tuple[Turn, ...]
    stop: int


SAW = "saw"
"""The kind of link to what a model was shown when it wrote a cube, beside what the cube is about. The cube stands
without it, but may repeat it: so it is erased with it, and is as private and as sensitive."""


@dataclass(frozen=True, slots=True)
class Link:
    """A directed, weighted edge to a cube of the same owner, by id."""

    target: str
    kind: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Derived:
    """A cube that an organiser made. The same `id` again replaces what was derived before, its links too.

    `members` are the rows it rests on: when one of them is closed it is hidden, when one is erased it is erased.
    `vector` is that of `text` by the store's embedder; the store keeps it as float16. An organiser that makes it of
    anything else says so (`OwnVectors`), and derives anew when the embedder changes. `vectors` [n, dimension] are more
    of the same embedder, of texts that the organiser can tell from the rest of the cube. `data` is its own, and means
    nothing to the store.

    A cube that ends has `valid_to`, and `superseded_at` says since when that is known. `recorded_at` is when what it
    says was first known (default: now). With `versioned`, text or metadata that differ from what is stored do not
    replace it without trace: what was there becomes an earlier version, as `history` tells and `undo` undoes.

    A cube of another `kind` than text has a `payload`: a safetensors file, which the store keeps in the transaction
    that writes the cube, once for each owner and content. `text` is then what it was made of.
    """

    id: str
    origin: str
    text: str
    members: tuple[int, ...]
    trust: Trust
    agent: str
    session: str
    at: datetime
    valid_from: datetime
    tokens: int = 0
    norm: float | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    vector: Vectors | None = None
    links: tuple[Link, ...] = ()
    vectors: Halves | None = None
    data: bytes = b""
    valid_to: datetime | None = None
    recorded_at: datetime | None = None
    superseded_at: datetime | None = None
    versioned: bool = False
    kind: Kind = "text"
    payload: bytes | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """A derived cube as the store has it. `active` is False for one that no longer holds: because it was superseded,
    withdrawn or put aside, as `state` and `superseded_at` tell."""

    row: int
    id: str
    text: str
    meta: Mapping[str, Any]
    members: Rows
    vector: Vectors | None
    active: bool
    session: str
    agent: str
    trust: Trust
    at: datetime
    tokens: int
    vectors: Halves
    data: bytes
    state: State
    valid_from: datetime
    valid_to: datetime | None
    recorded_at: datetime
    superseded_at: datetime | None


@dataclass(frozen=True, slots=True)
class Changes:
    """Derived cubes of an origin that changed since a revision. Another `epoch` than before: rows have vanished."""

    kept: tuple[Kept, ...]
    revision: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Mark:
    """How far an organiser has come in an owner's changes: it has seen all up to this revision and row."""

    revision: int = 0
    row: int = 0


@dataclass(frozen=True, slots=True)
class Unorganised:
    """Episodes that changed since an organiser's mark, in the order of their changes; `upto` is the mark after them.

    Those that are not current any more are among them: what was derived from them is hidden already.
    """

    rows: tuple[int, ...]
    since: Mark
    upto: Mark
    epoch: int = 0
    revision: int = 0
    """The owner's when this was read: what its organiser derived meanwhile makes `organise` refuse."""


@dataclass(frozen=True, slots=True)
class Organised:
    """What an organiser asks to change: cubes to write, and ids of its own cubes that no longer hold."""

    cubes: tuple[Derived, ...] = ()
    withdrawn: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Extracted:
    """What an extractor found in an episode: `value` is JSON, `extractor` its name and version.

    `text` is the digest of the episode's words: the same words need not be read twice.
    """

    extractor: str
    text: str
    value: str


@dataclass(frozen=True, slots=True)
class Passage:
    """What a vector is made of: an episode as it is indexed, or the text of a derived cube, read at a revision."""

    row: int
    revision: int
    episode: bool
    speaker: str | None
    text: str
    at: datetime
    tenant: str = ""


@dataclass(frozen=True, slots=True)
class Reembedding:
    """A change of the store's embedder that is going on: `done` of `total` vectors are there."""

    identity: Identity
    began: datetime
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Job:
    """Work that follows an add: `rows` are the episodes it is about, `reason` why it failed last.

    `seen` is the owner's revision when the job was claimed: what changed later was not seen by whoever does it.
    `failures` are those since it was last told to try again; it waits until `not_before`, and is not tried again by
    itself once it is `dead`. `running` says that somebody has it leased.
    """

    number: int
    scope: Scope
    kind: str
    rows: tuple[int, ...]
    attempts: int
    reason: str | None
    seen: int = 0
    failures: int = 0
    not_before: datetime | None = None
    dead: bool = False
    epoch: int = 0
    running: bool = False


@dataclass(frozen=True, slots=True)
class Selection:
    """Which episodes a query may see. Empty is: all that are current.

    `as_of` asks for what was true then, `known_at` for what was believed then; `where` filters on the header.
    """

    as_of: datetime | None = None
    known_at: datetime | None = None
    where: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HeaderChange:
    """What to set in a cube's header; None leaves a field as it is. `expires` says that `expires_at` is to be set,
    where None is never."""

    semantic_type: str | None = None
    priority: int | None = None
    sensitivity: Sequence[str] | None = None
    expires: bool = False
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Composition:
    """Cubes made of others. `texts` are what the originals said when it was made, and `verb` is what becomes of them:
    `fuse`, `archive` (they were split), or None (they stay). The store fills in the cubes' members: all episodes behind
    the originals. The cubes have this `speaker` and `header`."""

    originals: tuple[str, ...]
    texts: tuple[str, ...]
    cubes: tuple[Derived, ...]
    verb: Verb | None
    speaker: str | None
    header: HeaderChange
    embedder: Identity
    """Whose vectors the cubes have."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A memory as it was: its name, when it was taken, and how many episodes were recalled then. What was erased since
    does not count."""

    name: str
    at: datetime
    episodes: int


@dataclass(frozen=True, slots=True)
class RolledBack:
    """What going back to a snapshot did: how many episodes changed back, how many later ones were put aside, and the
    snapshot that takes it back."""

    name: str
    changed: int
    aside: int
    before: str


@dataclass(frozen=True, slots=True)
class Scheduled:
    """An entry of a schedule: how often it is done, and with what. `ran_at` is when it was done last, and `told` what
    that did; None when it never was."""

    name: str
    every: timedelta
    enabled: bool
    options: Mapping[str, float]
    ran_at: datetime | None = None
    told: str | None = None


@dataclass(frozen=True, slots=True)
class Idle:
    """A memory that was not used for a while: `since` it was recorded or last recalled."""

    row: int
    id: str
    recalls: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Recalled:
    """How often a cube was recalled, and when last."""

    times: int
    last: datetime


@dataclass(frozen=True, slots=True)
class Features:
    """Columns for n rows. `counts` [n, terms] and `lengths` [n] are for BM25, with the statistics of the owner.

    `after` [n, 2] are the rows of the turns that share the row's window (-1: none), `norm` [n] the length of the
    window's summed vectors (0: no window).
    """

    rows: Rows
    cosine: Floats
    counts: Floats
    lengths: Floats
    tokens: npt.NDArray[np.int32]
    after: Rows
    norm: Floats
    documents: int
    mean_length: float
    frequency: Floats


@dataclass(frozen=True, slots=True)
class Erased:
    """What `erase` removed, by table, the texts whose bytes must now be nowhere, and what may be kept of it."""

    ids: tuple[str, ...]
    counts: Mapping[str, int]
    texts: tuple[str, ...]
    removed: Removed


@dataclass(frozen=True, slots=True)
class Key:
    """Whom a server's key stands for: a tenant, or in it a user, or an agent. `rate` is requests a minute, 0 any."""

    id: str
    name: str
    tenant: str
    user: str
    agent: str
    rights: tuple[str, ...]
    rate: int
    created_at: datetime
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """A request that may come again: whether this is the first one, and what is known of the first.

    `digest` is the first one's content, `at` its time; `status` and `body` are its answer, None when it was not given.
    """

    first: bool
    digest: str
    at: datetime
    status: int | None
    body: Mapping[str, Any] | None


class Searcher(Protocol):
    """One consistent view of an owner's episodes under one selection, for the recall stages."""

    def lexical(self, terms: Terms, limit: int) -> Rows:
        """Rows of the best `limit` episodes by BM25, best first."""
        ...

    def dense(self, vector: Floats, limit: int, *, exact: bool = False) -> Rows:
        """Rows of the best `limit` episodes by cosine, best first; `exact` forbids approximation."""
        ...

    def between(self, start: datetime, end: datetime, limit: int) -> Rows:
        """Rows of up to `limit` episodes that were said in, or speak of, a time within [start, end)."""
        ...

    def around(self, rows: Rows) -> Rows:
        """The given rows and the visible turns that share a window with one of them."""
        ...

    def allowed(self, rows: Rows) -> Rows:
        """Those of the rows that are episodes of this view, in the given order."""
        ...

    def features(self, rows: Rows, terms: Terms, vector: Floats | None) -> Features:
        """Columns for the rows, in their order. Without a vector the cosines are 0."""
        ...


class Store(ReplyLog, Browsing, Governed, Protocol):
    """Where cubes live."""

    def add(self, scope: Scope, drafts: Sequence[Draft], now: datetime, kinds: Sequence[str]) -> tuple[list[str], int]:
        """Keep new episodes, with a job of each kind, in one transaction.

        Returns the ids of the drafts that were new, in order, and the number of the first job (0: nothing was new).
        """
        ...

    def index(self, job: Job, vectors: Mapping[int, Vectors], organised: Organised, now: datetime) -> bool:
        """Finish an index job: vectors by row, what organisers derived, and the job's end; one transaction.

        False when the job is not the caller's any more, or when the conversations it is about have changed since it
        was claimed: then only the vectors are kept and the job is free to be claimed and done again.
        """
        ...

    def claim(self, scope: Scope, now: datetime, number: int = 0, kind: str = INDEX) -> Job | None:
        """A pending job of this owner and kind that nobody works on and that need not wait, now leased to the caller.

        A lease ends with its time or, where the store can tell, with the process that holds it. Jobs of an organiser
        are done one after another, in their order: while one is leased, no other of its owner and kind is.
        """
        ...

    def fail(
        self, job: Job, reason: str, *, failures: int = 0, not_before: datetime | None = None, dead: bool = False
    ) -> None:
        """Leave the job pending with its reason: to be tried again from `not_before`, or not by itself when `dead`."""
        ...

    def renew(self, job: Job, now: datetime) -> bool:
        """Lengthen the caller's lease; False when the job is not the caller's any more."""
        ...

    def enqueue(self, scope: Scope, organiser: str, batch: int) -> int:
        """Make jobs of the organiser's kind, of up to `batch` episodes each, about all that changed since its mark,
        and move the mark; one transaction. Returns how many jobs were made."""
        ...

    def apply(self, job: Job, organised: Organised, now: datetime, left: Sequence[int] = ()) -> bool:
        """Write what an organiser derived for a job, and end the job, or leave it with the episodes `left`; one
        transaction.

        False, and nothing is written, when the job is not the caller's any more, or when cubes of these origins were
        changed by others, rows have vanished or the vectors are another embedder's since it was claimed.
        """
        ...

    def jobs(self, scope: Scope, now: datetime | None = None) -> list[Job]:
        """Jobs that are not done, oldest first; `now` tells which of them are running."""
        ...

    def retry(self, scope: Scope, number: int, *, anew: bool = True) -> None:
        """Have a job tried again at once, also a dead one. `anew` forgets its failures. Raises NotFound."""
        ...

    def cancel(self, scope: Scope, number: int) -> None:
        """Drop an organiser's job: what it is about stays as it is. Raises NotFound, or StateError for an index job."""
        ...

    def visible(self, scope: Scope, selection: Selection, origin: str) -> Rows:
        """Rows of an origin's cubes that a query may see, rising."""
        ...

    def undo(self, scope: Scope, id: str, now: datetime) -> None:
        """Open a derived cube that was closed, or put the version before in its place; one that has none is hidden, for
        good.

        Raises NotFound, or StateError for an episode, an earlier version or a cube that does not hold.
        """
        ...

    def unorganised(self, scope: Scope, organiser: str, limit: int) -> Unorganised:
        """Up to `limit` episodes that changed since this organiser's mark, oldest change first."""
        ...

    def organise(self, scope: Scope, organiser: str, seen: Unorganised, organised: Organised, now: datetime) -> bool:
        """Write what an organiser derived from `seen` and move its mark, in one transaction.

        False, and nothing is written, when another process has moved the mark meanwhile or changed cubes of these
        origins, when rows have vanished, or when the vectors are another embedder's. A cube of which a member is no
        longer current is left out: the change that closed it comes after the mark.
        """
        ...

    def derived(self, scope: Scope, origin: str, since: int) -> Changes:
        """An owner's derived cubes of an origin that changed after the revision `since`, by rising row.

        Not of windows: these are columns of what `search` sees.
        """
        ...

    def links(self, scope: Scope, kind: str) -> list[tuple[int, int, float]]:
        """An owner's links of a kind between cubes that are active: (source row, target row, weight)."""
        ...

    def keep_extracted(self, scope: Scope, found: Mapping[int, Extracted]) -> int:
        """Log what was found in episodes, by row; an earlier log of the same episode is replaced.

        In one transaction, and the episodes count as changed, so that organisers see them anew. It is erased with the
        episode. Returns how many there were: what is not current any more, or is logged like this already, is left.
        """
        ...

    def extracted(self, scope: Scope, rows: Sequence[int], texts: Sequence[str]) -> dict[int, Extracted]:
        """What is logged for these episodes, by row; else for other episodes of the owner with the same digest of
        words, which `texts` gives for each row."""
        ...

    def payload(self, scope: Scope, id: str) -> bytes:
        """The safetensors file of a cube. Raises NotFound, StateError for a cube that has none, StoreError for one that
        is damaged."""
        ...

    def payload_size(self, scope: Scope, id: str) -> int:
        """Its bytes, without reading them; 0 for a cube that has none. Raises NotFound."""
        ...

    def request(self, scope: Scope, kind: str, ids: Sequence[str]) -> int:
        """Make a job about cubes that somebody named, and return its number; the one there is when there is one of this
        kind about the same cubes. Raises NotFound."""
        ...

    def texts(self, scope: Scope) -> Iterator[tuple[int, str]]:
        """Row and words of every current episode of the scope, by rising row."""
        ...

    def turns(self, scope: Scope, rows: Sequence[int]) -> list[Turn]:
        """Episodes by row, in the given order; rows that are gone or not current are left out."""
        ...

    def sequences(self, scope: Scope, rows: Sequence[int], reach: int) -> list[Stretch]:
        """For each session touched by the rows: its current turns from `reach` before the first to `reach` after
        the last, in the order of the conversation."""
        ...

    def search(self, scope: Scope, selection: Selection) -> Searcher:
        """A view for the recall stages."""
        ...

    def get(self, scope: Scope, ids: Sequence[str]) -> list[Cube]:
        """Cubes by id, in the given order. Raises NotFound for the first that this scope does not have."""
        ...

    def cubes(self, scope: Scope, rows: Sequence[int]) -> dict[int, Cube]:
        """Cubes by row, in the given order; rows that are gone, or another's, are left out."""
        ...

    def newest(
        self, scope: Scope, selection: Selection, limit: int, origin: str, before: str | None = None, skip: int = 0
    ) -> list[Cube]:
        """The newest `limit` cubes of an origin, by `at`, after the first `skip`; with `before`, of those that come
        after this one in that order. Raises NotFound for an unknown `before`."""
        ...

    def replace(self, scope: Scope, old: str, draft: Draft, now: datetime, kinds: Sequence[str]) -> str:
        """Close a cube at the draft's `valid_from` and put the draft in its place in the conversation."""
        ...

    def move(self, scope: Scope, ids: Sequence[str], verb: Verb, now: datetime, kinds: Sequence[str]) -> None:
        """Take cubes to another state by the table of `memorist.states`, with an event; one transaction.

        What rests on a cube that is not living any more is hidden, and its other members count as changed, with a job
        of each kind. What an organiser derived cannot be forgotten; it cannot be activated while something that it
        rests on is not current. Nothing that a frozen cube rests on leaves the living. What was expired and is
        activated has no end any more. Raises NotFound or StateError, then nothing is changed.
        """
        ...

    def describe(self, scope: Scope, ids: Sequence[str], change: HeaderChange, now: datetime) -> None:
        """Set fields of the header of cubes, also derived ones. Raises NotFound, InputError, or StateError for a
        frozen one or one that is no memory of its own (a window); then nothing is changed."""
        ...

    def expire(self, scope: Scope, now: datetime, kinds: Sequence[str]) -> int:
        """Move what has an `expires_at` that is not after now to `expired`, unless something frozen rests on it.
        Returns how many there were; when there are none it is a read, which never waits for a writer."""
        ...

    def history(self, scope: Scope, id: str) -> list[tuple[datetime, str, Cube]]:
        """What happened to a cube and its other versions: (when, what, cube), oldest first."""
        ...

    def compose(self, scope: Scope, composition: Composition, now: datetime, kinds: Sequence[str]) -> None:
        """Write what was made of other cubes, and move these; one transaction.

        The originals have links of the kind `merged` or `split` to it. `undo` archives it and brings them back. When
        one of them leaves the living or is erased, it goes, and the others come back. Raises NotFound, StateError, or
        EmbedderMismatch after a change of embedder; then nothing is changed.
        """
        ...

    def give_vectors(self, scope: Scope, identity: Identity, vectors: Mapping[int, Vectors]) -> None:
        """Vectors by row for an owner's derived cubes that have none; those of another embedder are passed over."""
        ...

    def scheduled(self, scope: Scope) -> list[Scheduled]:
        """The entries of an owner's schedule that were changed or have run."""
        ...

    def schedule(self, scope: Scope, entry: Scheduled) -> None:
        """Write an entry; when it ran last is not changed."""
        ...

    def begin_scheduled(self, scope: Scope, name: str) -> None:
        """Make a job of the kind `schedule:NAME`, unless there is one: waiting, running or dead."""
        ...

    def finish_scheduled(self, entry: Scheduled, job: Job, now: datetime, told: str) -> bool:
        """End such a job and write down that the entry ran; False when the job is not the caller's any more."""
        ...

    def idle(self, scope: Scope, before: datetime, limit: int, after: int) -> list[Idle]:
        """Up to `limit` activated episodes and compositions of a priority not above 0, beyond the row `after`, that
        were neither recorded nor recalled since, by rising row."""
        ...

    def composed_of(self, scope: Scope, ids: Sequence[str]) -> set[str]:
        """Those of the ids that a living composition rests on."""
        ...

    def snapshot(self, scope: Scope, name: str, now: datetime) -> Snapshot:
        """Keep an owner's memory as it is under a name; one transaction. Raises StateError for a name that is taken."""
        ...

    def snapshots(self, scope: Scope) -> list[Snapshot]:
        """An owner's snapshots, oldest first."""
        ...

    def drop_snapshot(self, scope: Scope, name: str) -> None:
        """Delete a snapshot. Raises NotFound."""
        ...

    def rollback(self, scope: Scope, name: str, now: datetime, kinds: Sequence[str]) -> RolledBack:
        """Make an owner's memory what it was, in one transaction, after a snapshot of what it is.

        All cubes of then, their headers, versions, lineage, links and features are as they were, and a search finds
        what it found. Later ones are put aside: in no index and no dump, and in no list; adding one again brings it
        back, and so does going back to the snapshot before. What was erased stays erased: copies go with it, and what
        was derived from it is derived anew without it. Usage, replies and events stay as they are.
        Raises NotFound, or StateError when the embedder is another one or a cube was frozen since.
        """
        ...

    def used(self, scope: Scope, counts: Mapping[int, Recalled]) -> None:
        """Add to how often cubes were recalled, by row. No change that caches or organisers would have to see."""
        ...

    def versions(self, scope: Scope, id: str) -> list[Cube]:
        """All versions of a cube, oldest first. Raises NotFound."""
        ...

    def erase(self, scope: Scope, ids: Sequence[str], kinds: Sequence[str]) -> Erased:
        """Destroy episodes, their versions and everything derived from them; running jobs of the owner start anew. The
        bytes are gone after `compact`. Of what is derived, only cubes that are not text can be named: the others would
        be made again. What is frozen is under a legal hold. Raises NotFound or StateError; then nothing is changed."""
        ...

    def finish_erasing(self) -> bool:
        """Rewrite the files when an erase was ended before it did; False when others kept that from being done."""
        ...

    def compact(self, texts: Sequence[str]) -> int:
        """Rewrite the files without free space; returns how many of the texts' bytes are still found (0)."""
        ...

    def scopes(self) -> Iterator[tuple[Scope, int]]:
        """Each (tenant, user) with its number of episodes; for the store's administrator."""
        ...

    def add_key(self, key: Key, digest: str) -> None:
        """Keep a server's key under the SHA-256 of its secret."""
        ...

    def all_keys(self) -> list[Key]:
        """All keys, oldest first, revoked ones too."""
        ...

    def key_with(self, digest: str) -> Key | None:
        """The key with this hash, unless it was revoked."""
        ...

    def revoke_key(self, id: str, now: datetime) -> bool:
        """End a key. False when there is none of this id that is not ended already."""
        ...

    def attempt(self, key: str, name: str, digest: str, now: datetime) -> Attempt:
        """Begin a request that may come again under this name, or find how the first one went."""
        ...

    def answered(self, key: str, name: str, status: int, body: Mapping[str, Any]) -> None:
        """Remember the answer to a request."""
        ...

    def abandoned(self, key: str, name: str) -> None:
        """Forget a request that changed nothing."""
        ...

    def check(self) -> list[str]:
        """Everything that is not as it should be; empty when the store is sound."""
        ...

    def embedder(self) -> Identity | None:
        """Whose vectors these are."""
        ...

    def bind(self, identity: Identity) -> None:
        """Record whose vectors these are. Raises EmbedderMismatch when they are another's."""
        ...

    def reembedding(self) -> Reembedding | None:
        """The change of embedder that is going on."""
        ...

    def begin_reembedding(self, identity: Identity, now: datetime) -> None:
        """Begin to make vectors of another embedder beside those in use, or go on. Nothing else changes meanwhile.

        Raises StateError when another one's are being made, or when those in use are this one's.
        """
        ...

    def passages(self, after: int, limit: int) -> list[Passage]:
        """What still lacks a vector beside, of all owners, by rising row beyond `after`; for the administrator.

        None when no vectors are being made beside.
        """
        ...

    def embed_beside(self, identity: Identity, vectors: Mapping[Passage, Vectors]) -> None:
        """Keep new vectors, but of what was erased or changed since it was read. Raises StateError after a cancel."""
        ...

    def finish_reembedding(self, identity: Identity, anew: Sequence[str]) -> bool:
        """Put the new vectors in the place of the old, all in one transaction; False while some are lacking.

        Windows are measured anew. Cubes of the origins `anew`, and those whose vector is no single one, are hidden and
        their organisers' marks taken back, so that they are derived again. Running jobs begin anew.
        Raises StateError after a cancel.
        """
        ...

    def cancel_reembedding(self) -> bool:
        """Drop the vectors beside; False when there was nothing to cancel."""
        ...

    def backups(self) -> list[Path]:
        """Copies made by `backup`."""
        ...

    def backup(self, path: Path, now: datetime) -> None:
        """A consistent copy while others go on."""
        ...

    def dump(self, scope: Scope | None = None) -> Iterator[dict[str, Any]]:
        """Every record of the store as plain data, in an order that `restore` accepts; with a scope, its owner's
        without the log of replies. What a roll-back put aside is not among them."""
        ...

    def restore(self, records: Iterable[Mapping[str, Any]], kinds: Sequence[str]) -> int:
        """Add dumped records, in one transaction; returns the number of cubes that were new."""
        ...

    def close(self) -> None:
        """Let go of files."""
        ...
