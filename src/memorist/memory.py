"""The front door: a store, opened once, and handles bound to a scope."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

from memorist.archive import read_archive, write_archive
from memorist.arguments import (
    certificate_of,
    model_named,
    path_of,
    whole,
)
from memorist.cube import Scope, parse_moment, utc
from memorist.doctor import diagnose
from memorist.errors import (
    EmbedderMismatch,
    InputError,
    ModelMissing,
)
from memorist.lifecycle.composing import embed_composed
from memorist.lifecycle.erasing import problems
from memorist.lifecycle.jobs import settle
from memorist.lifecycle.movers import Mover
from memorist.lifecycle.organising import catch_up
from memorist.lifecycle.reembed import reembed
from memorist.lifecycle.usage import Usage
from memorist.lifecycle.working_set import Recent
from memorist.lifecycle.writing import Options, Run, Writing, logged
from memorist.models.chat import ChatModel
from memorist.models.embedder import Embedder, Identity
from memorist.models.known import embedder_named, embedder_of
from memorist.models.reranker import Reranker, reranker_named
from memorist.organise.protocol import Around, RecipeOrganiser
from memorist.organise.windows import Windows
from memorist.recall.recommender import Recommender
from memorist.recall.rerank import with_reranker
from memorist.recipes import Recipe, derived_anew, recipe_named, writing
from memorist.results import (
    Check,
    Verification,
)
from memorist.scoped import ScopedMemory
from memorist.store.governed import Entry, Sight
from memorist.store.opening import is_server, open_store
from memorist.store.protocol import INDEX, Reembedding, Store
from memorist.store.reply_log import Spent, together
from memorist.store.sqlite import SQLiteStore
from memorist.store.views import Views

T = TypeVar("T")

MOST_SIGHTS = 32
"""Ways of looking at memories that stay open."""

SIGHTS = threading.Lock()


class Memory:
    """A store with an embedder. Everything about someone's memories goes through `scope`."""

    def __init__(
        self,
        store: Store,
        embedder: Embedder,
        recipe: Recipe,
        clock: Callable[[], datetime],
        model: ChatModel | None = None,
        place: Path | None = None,
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._given: dict[Identity, Embedder] = {}
        self._model = model
        self._place = place
        self._recipe = recipe
        self._clock = clock
        self._organisers = (Windows(),)
        self._recipe_organisers = tuple(make() for make in recipe.organisers)
        self._views = Views(store)
        self._usage = Usage(store)
        self._recent = Recent()
        self.movers: list[Mover] = []
        """What makes other forms of often used memories, when the schedule finds that it pays."""
        weakref.finalize(self, self._usage.close)  # for whoever does not close
        self._recommender = Recommender(store, embedder)
        self._whole: Memory | None = None
        self._sights: OrderedDict[Sight, Memory] = OrderedDict()
        writers = tuple(make() for make in recipe.writers)
        self._writing = Writing(store, self._views, self._current, writers, clock, logged(store, clock))

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        embedder: Embedder | str | None = None,
        recipe: str = "default",
        model: ChatModel | str | None = None,
        reranker: Reranker | str | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ) -> Memory:
        """Open the file, or create it; or the database that an address like postgresql://user@host/name tells.

        `embedder` is "minilm" (the default), "static" (far faster, less found) or an object of your own; a
        store remembers whose vectors it holds, so one made with ours needs no naming again. `model` is the language
        model that `ask` uses, by name or an object of your own; it is not loaded before it is needed. `reranker` orders
        the best candidates of every search: "cross-encoder:FOLDER", or an object of your own; by default there is none.

        Raises NotAStore, StoreTooNew, StoreReadOnly, StoreFull, StoreBusy, EmbedderMismatch, or InputError for a
        wrong path or recipe; the file is then untouched.
        """
        file = None if is_server(path) else path_of(path)
        chosen, reader = recipe_named(recipe), model_named(model, file)
        if reranker is not None:
            judge = reranker_named(reranker) if isinstance(reranker, str) else reranker
            chosen = replace(chosen, stages=with_reranker(chosen.stages, judge))
        if isinstance(embedder, str):
            embedder = embedder_named(embedder)
        store = open_store(path if file is None else file)
        try:
            embedder = embedder or embedder_of(store.embedder())
            store.bind(embedder.identity)
            store.finish_erasing()
        except BaseException:
            store.close()
            raise
        return cls(store, embedder, chosen, clock, reader, file)

    @classmethod
    def load(cls, archive: str | Path, path: str | Path, *, embedder: Embedder | str | None = None) -> Memory:
        """A store at `path` with everything an `export` holds; what is there already stays. All or nothing."""
        memory = cls.open(path, embedder=embedder)
        try:
            memory.restore(archive)
        except BaseException:
            memory.close()
            raise
        return memory

    def scope(self, *, user: str = "", tenant: str = "", agent: str = "", session: str = "") -> ScopedMemory:
        """A handle on one user's memories. `agent` and `session` narrow it; a scope that is new is empty."""
        return ScopedMemory(self, Scope(tenant, user, agent, session))

    def scopes(self) -> list[tuple[Scope, int]]:
        """Every (tenant, user) with its number of episodes, for whoever administers the store."""
        return list(self._store.scopes())

    def export(self, path: str | Path) -> int:
        """Write everything as one JSON Lines archive (gzip when the name ends in .gz); returns its records."""
        return write_archive(path_of(path), self._store.dump())

    def restore(self, archive: str | Path) -> int:
        """Add what an archive holds; returns how many episodes were new. Raises InputError and changes nothing when
        any of its records is broken."""
        added = self._store.restore(read_archive(path_of(archive)), (INDEX,))
        for scope, _ in self.scopes():
            embed_composed(self._store, scope, self._current())
            self.settle(scope)
        return added

    def backup(self, path: str | Path) -> Path:
        """A consistent copy of the store, while others go on using it. Refuses to overwrite."""
        target = path_of(path)
        if target.exists():
            raise InputError(f"{target} exists already; name another file for the backup")
        if not target.parent.is_dir():
            raise InputError(f"the folder {target.parent} does not exist; create it first")
        self._store.backup(target, utc(self._clock()))
        return target

    def compact(self) -> None:
        """Rewrite the file without free space. `erase` does it; this is for when another process was in the way.

        Raises StoreBusy or StoreFull.
        """
        self._store.compact(())

    def verify(self, certificate: Mapping[str, Any] | str | Path | None = None) -> Verification:
        """Check every page, reference and promise of the store; with a certificate, that what it says was erased is
        gone from the store and from the backups it names as left.

        The certificate is that of an `Erasure`, or its file. Raises InputError for one that is none.
        """
        found = list(self._store.check())
        if certificate is not None:
            document = certificate_of(certificate)
            found += problems(document, self._store, lambda path: closing(SQLiteStore(path)))
        return Verification(not found, tuple(found))

    def flush(self) -> None:
        """Write down at once how often cubes were recalled; a moment later it would happen by itself."""
        self._usage.flush()

    def doctor(self) -> list[Check]:
        """What works here, and what to do about the rest."""
        return diagnose(self._store, self._embedder, self._usage.problem)

    def now(self) -> datetime:
        """The time by this memory's clock, in UTC."""
        return utc(self._clock())

    def reembed(
        self, embedder: Embedder | str, *, progress: Callable[[int, int], None] = lambda done, total: None
    ) -> int:
        """Change the store to another embedder while it stays in use; returns how many vectors were made.

        The old vectors serve until all new ones are there, then one transaction switches. When it ends early, calling
        it again goes on; `reembedding` tells how far it is. `progress` is told how many are done, and of how many.
        Raises StateError when it is cancelled, or when another embedder's vectors are being made.
        """
        chosen = embedder_named(embedder) if isinstance(embedder, str) else embedder
        self._given[chosen.identity] = chosen  # other threads go over to it as soon as the store has
        return reembed(self._store, chosen, derived_anew(), self._clock, progress)

    def reembedding(self) -> Reembedding | None:
        """The change of embedder that is going on, by whichever process."""
        return self._store.reembedding()

    def cancel_reembedding(self) -> bool:
        """End a change of embedder; the old vectors stay. False when none was going on."""
        return self._store.cancel_reembedding()

    def settle(self, scope: Scope, organised: Callable[[str, int], None] = lambda name, done: None) -> str | None:
        """Finish an owner's pending work; returns why it could not be. `organised` is told which organiser has looked
        at how many more changed episodes."""
        return self._settle(scope, self._recipe_organisers, organised)

    def _settle(
        self,
        scope: Scope,
        organisers: Sequence[RecipeOrganiser],
        organised: Callable[[str, int], None] = lambda name, done: None,
    ) -> str | None:
        """Finish the pending work, and have these organisers catch up."""
        if self._whole is not None:  # a subject sees what the owner's organisers make
            return self._whole._settle(scope, organisers)
        try:
            return self._steadily(partial(self._settled, scope, organisers, organised))
        except EmbedderMismatch as error:  # what was added is safe, and waits for the right embedder
            return str(error)

    def _settled(
        self,
        scope: Scope,
        organisers: Sequence[RecipeOrganiser],
        organised: Callable[[str, int], None],
        embedder: Embedder,
    ) -> str | None:
        self._store.expire(scope, utc(self._clock()), (INDEX,))
        problem = settle(self._store, scope, embedder, self._organisers, self._clock)
        if problem:
            return problem
        self._writing.enqueue(scope)
        return catch_up(self._store, organisers, self._around(scope, embedder), self._clock, organised)

    def _around(
        self, scope: Scope, embedder: Embedder, model: Callable[[Sequence[int]], ChatModel] | None = None
    ) -> Around:
        """What organisers may use on behalf of an owner."""
        return Around(scope, embedder, model, partial(self._views.of, scope), partial(self._store.extracted, scope))

    def _as(self, sight: Sight) -> Memory:
        """This memory as a sight shows it, with caches of its own."""
        whole = self._whole or self
        with SIGHTS:
            seen = whole._sights.pop(sight, None)
            if seen is None:
                store = whole._store.seen(sight)
                seen = Memory(store, whole._embedder, whole._recipe, whole._clock, whole._model, whole._place)
                seen._whole = whole
            whole._sights[sight] = seen
            while len(whole._sights) > MOST_SIGHTS:
                whole._sights.popitem(last=False)
            return seen

    def audit(self, *, after: int = 0, limit: int = 1_000) -> list[Entry]:
        """Entries of the audit log beyond a place, oldest first, about all owners: for whoever administers the store.

        It says what was done and to whose memory, and holds nothing that was remembered.
        """
        return self._store.audit(after, whole("limit", limit), None)

    def audit_problems(self) -> list[str]:
        """Where the audit log was changed or cut."""
        return self._store.audit_problems()

    def audit_head(self) -> tuple[int, str]:
        """Place and hash of the last entry of the audit log. Kept elsewhere, it shows later whether the log was cut."""
        return self._store.audit_head()

    def organise(self, options: Options = Options(), model: ChatModel | None = None) -> Run:
        """Do the work of the recipe's writers for every owner, now; see `ScopedMemory.organise`."""
        return self._organise([scope for scope, _ in self.scopes()], options, model)

    def _organise(self, scopes: Sequence[Scope], options: Options, model: ChatModel | None) -> Run:
        asked = model or self._model
        if not self._writing.writers:
            raise InputError(
                f"the recipe {self._recipe.name} has nothing that a model writes; choose one of {', '.join(writing())}"
            )
        if asked is None:
            raise ModelMissing("organising asks a language model; open the memory with model=, or give --model")
        for scope in scopes:
            self.settle(scope)
            self._writing.hurry(scope)
        return self._writing.run(scopes, asked, options)

    def work(self, stop: Event, *, every: float = 5.0, options: Options = Options()) -> None:
        """Do the writers' work and the schedules' as it comes, until `stop` is set; what failed is tried again later.

        Meant for a thread or a process of its own. `every` is in seconds; `options.cancel` is replaced by `stop`.
        """
        if self._model is None or not self._writing.writers:
            self._organise([], options, None)
            return
        while not stop.is_set():
            scopes = [scope for scope, _ in self.scopes()]
            for scope in scopes:
                self.settle(scope)
                ScopedMemory(self, scope).schedule.run()
            self._writing.run(scopes, self._model, replace(options, cancel=stop))
            stop.wait(every)

    def costs(self, since: datetime | str | None = None) -> list[Spent]:
        """What language models took, by purpose, model and day (UTC), of all scopes together."""
        moment = parse_moment(since, "since") if since is not None else None
        return together(line for scope, _ in self.scopes() for line in self._store.spent(scope, moment))

    def _steadily(self, work: Callable[[Embedder], T]) -> T:
        """Do something with the store's embedder, and again when that was changed meanwhile."""
        while True:
            embedder = self._current()
            try:
                result = work(embedder)
            except Exception:
                if self._current() is embedder:
                    raise
                continue
            if self._current() is embedder:
                return result

    def _current(self) -> Embedder:
        """The embedder of the store's vectors: another one when it was re-embedded since it was opened.

        Raises EmbedderMismatch when that is not one of ours.
        """
        identity = self._store.embedder()
        if identity is None or identity == self._embedder.identity:
            return self._embedder
        known = self._given.get(identity) or embedder_of(identity)
        if known.identity != identity:
            raise EmbedderMismatch(
                f"the store was re-embedded with {identity.name} since it was opened; open it again with that embedder"
            )
        self._embedder = known
        return known

    def close(self) -> None:
        """Let go of the file. Closing is never needed for safety."""
        for seen in self._sights.values():
            seen.close()
        self._usage.close()
        self._store.close()

    def __enter__(self) -> Memory:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
