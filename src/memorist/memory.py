"""The front door: a store, opened once, and handles bound to a scope."""

from __future__ import annotations

import json
import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

from memorist.answer.asking import AskOptions, Sources, ask, ask_or_quote
from memorist.answer.extractive import METHOD as EXTRACTIVE
from memorist.archive import read_archive, write_archive
from memorist.cube import SOURCE, Cube, Document, Observation, Scope, Trust, is_unicode, parse_moment, utc
from memorist.doctor import diagnose
from memorist.errors import (
    EmbedderMismatch,
    InputError,
    ModelMissing,
    NotAllowed,
    RecordError,
    StateError,
    StoreError,
    brief,
)
from memorist.lifecycle.agent import AgentTools
from memorist.lifecycle.browse import Browse
from memorist.lifecycle.budget import Budget as Spending
from memorist.lifecycle.composing import embed_composed
from memorist.lifecycle.cubes import Cubes, ids_of
from memorist.lifecycle.dossier import document_of
from memorist.lifecycle.erasing import erase, problems
from memorist.lifecycle.erasing import read as read_certificate
from memorist.lifecycle.extracting import Budget, read_episodes
from memorist.lifecycle.facts import conflicts_of, reopen
from memorist.lifecycle.ingest import draft_update, ingest
from memorist.lifecycle.jobs import CHANGED, settle
from memorist.lifecycle.logged import Logged
from memorist.lifecycle.movers import Mover
from memorist.lifecycle.organising import catch_up
from memorist.lifecycle.reembed import reembed
from memorist.lifecycle.rights import Rights
from memorist.lifecycle.schedule import Schedule
from memorist.lifecycle.tensors import Tensors
from memorist.lifecycle.time_machine import TimeMachine
from memorist.lifecycle.usage import Usage
from memorist.lifecycle.working_set import Recent, working_set
from memorist.lifecycle.writing import Options, Run, Writing, logged
from memorist.models.chat import ChatModel
from memorist.models.embedder import Embedder, Identity
from memorist.models.known import embedder_named, embedder_of
from memorist.models.reranker import Reranker, reranker_named
from memorist.organise.attempts import Outcomes, told
from memorist.organise.concepts import NAME as CONCEPTS
from memorist.organise.concepts import Abstraction, Concept, Concepts
from memorist.organise.extract.openie import match
from memorist.organise.facts import FACTS
from memorist.organise.general import Crowd, General
from memorist.organise.granularity import Granularity
from memorist.organise.preferences import NAME as PREFERENCES
from memorist.organise.preferences import Preferences, Tastes
from memorist.organise.protocol import Around, RecipeOrganiser
from memorist.organise.summaries import Summaries
from memorist.organise.windows import Windows
from memorist.recall.associate import Associate
from memorist.recall.hint import Hint, hint
from memorist.recall.names import unheard
from memorist.recall.neighbourhood import Neighbourhood, neighbourhood
from memorist.recall.pool import Limits, Query, run
from memorist.recall.recommend import candidates_of
from memorist.recall.recommender import Known, Recommender
from memorist.recall.rerank import with_reranker
from memorist.recipes import Recipe, derived_anew, recipe_named, writing
from memorist.results import (
    Answer,
    Candidate,
    Change,
    Check,
    Erasure,
    Extracts,
    FactConflict,
    Hit,
    Hits,
    Receipt,
    Recommendations,
    Verification,
)
from memorist.sources import FileOptions, from_document, from_messages, read, split_long
from memorist.sources.checked import checked
from memorist.states import LIVING, Verb
from memorist.store.governed import Entry, Grant, Right, Sight, Subject
from memorist.store.opening import is_server, open_store
from memorist.store.protocol import INDEX, Job, Reembedding, RolledBack, Rows, Searcher, Selection, Snapshot, Store
from memorist.store.reply_log import Spent, together
from memorist.store.sqlite import SQLiteStore
from memorist.store.views import Views

T = TypeVar("T")

DEFAULT_BUDGET = 1_500

CONVERSATION = "conversation"
"""The session of messages that name none; a silence parts it."""

MOST_SIGHTS = 32
"""Ways of looking at memories that stay open."""

SIGHTS = threading.Lock()

LONGEST_FILE_NAME = 255
"""In bytes, as file systems have it."""

Progress = Callable[[int], None]
Added = str | Path | Document | Observation | Mapping[str, Any] | Iterable[Mapping[str, Any] | Observation]


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

    def _around(self, scope: Scope, embedder: Embedder, model: ChatModel | None = None) -> Around:
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


class ScopedMemory:
    """Someone's memory. Made by `Memory.scope`."""

    def __init__(self, memory: Memory, scope: Scope, subject: Subject | None = None) -> None:
        self._memory = memory
        self.scope = scope
        self.subject = subject
        """Who looks at this memory, where that is not its owner."""

    def shared_by(self, user: str, *, agent: str = "", session: str = "") -> ScopedMemory:
        """Another user's memory, as this one may use it: what they have shared, and nothing else. Every call raises
        NotAllowed as long as they have shared nothing."""
        scope = Scope(self.scope.tenant, user, agent, session)
        if user == self.scope.user:
            return self._memory.scope(user=user, tenant=scope.tenant, agent=agent, session=session)
        subject = self.subject or Subject(self.scope.user, self.scope.agent)
        seen = self._memory._as(Sight(Scope(scope.tenant, scope.user), subject))
        return ScopedMemory(seen, scope, subject)

    def masked(self) -> ScopedMemory:
        """The same memory with all that is sensitive masked: for a reader that need not see it, such as a model
        elsewhere."""
        sight = Sight(Scope(self.scope.tenant, self.scope.user), self.subject, masked=True)
        return ScopedMemory(self._memory._as(sight), self.scope, self.subject)

    def all_known(self) -> dict[str, Any]:
        """All that the store keeps of this user (all agents and sessions), in every form, as JSON data.

        A subject needs the right to administer. Raises NotAllowed.
        """
        store, now = self._memory._store, utc(self._memory._clock())
        store.record("about", self.scope, {})
        return document_of(self.scope, store.known_of(self.scope), now)

    @property
    def rights(self) -> Rights:
        """Who else may use this memory: share, revoke, given, received."""
        return Rights(self._memory._store, self.scope, self._memory._clock)

    def share(
        self,
        with_: str,
        rights: Sequence[Right] = ("read",),
        *,
        agent: str = "",
        cubes: str | Sequence[str] | None = None,
    ) -> Grant:
        """Let another user of the tenant use this scope, or single cubes of it; see `Rights.share`."""
        return self.rights.share(with_, rights, agent=agent, cubes=cubes)

    @property
    def _speaker(self) -> str:
        """Who says what is added here without a speaker."""
        return self.subject.user if self.subject else self.scope.user

    def add(
        self,
        what: Added,
        *,
        at: datetime | str | None = None,
        source: str | None = None,
        file: FileOptions = FileOptions(),
        progress: Progress = lambda done: None,
    ) -> Receipt:
        """Remember a text, chat messages (the OpenAI shape), a Document, an Observation, or a file (a Path).

        Returns when all of it is on disk. `at` is when a text was said (default: now), `source` names where it comes
        from: adding the same from the same source again adds nothing. `file` says how to read a file when that is not
        plain. `progress` is told how many records are done.

        Raises InputError; what stood before a broken record of a file is then kept.
        """
        skipped: list[RecordError] = []
        on_bad = skipped.append if file.skip_bad else None
        observations = self._observations(what, at, source, file, on_bad)
        memory = self._memory
        receipt = ingest(
            memory._store, self.scope, observations, memory._embedder, memory._organisers, memory._clock, progress
        )
        again = memory._recipe.organised or receipt.problem == CHANGED
        problem = memory.settle(self.scope) if again else receipt.problem
        return replace(receipt, problem=problem, state="stored" if problem else "indexed").with_skipped(skipped)

    def _observations(
        self,
        what: Added,
        at: datetime | str | None,
        source: str | None,
        file: FileOptions,
        on_bad: Callable[[RecordError], None] | None,
    ) -> Iterable[Observation]:
        """What to add, as observations; what is in memory is read whole, so that a mistake in it adds nothing."""
        said = parse_moment(at, "at") if at is not None else None
        if isinstance(what, Path):
            return read(what, format=file.format, columns=file.columns, on_bad=on_bad)
        if isinstance(what, str):
            speaker = self._speaker or None
            return list(split_long([checked(Observation(what, speaker=speaker, at=said, source=source))]))
        if isinstance(what, Document):
            return [checked(one) for one in from_document(what)]
        if isinstance(what, Observation):
            return list(split_long([checked(what)]))
        if isinstance(what, Mapping):
            what = [what]
        if not isinstance(what, Iterable) or isinstance(what, (bytes, bytearray)):
            raise InputError(f"cannot add a {type(what).__name__}; pass a text, messages, a Document or a Path")
        return list(self._messages(what, said, source))

    def _messages(
        self, messages: Iterable[Mapping[str, Any] | Observation], at: datetime | None, source: str | None
    ) -> Iterator[Observation]:
        gathered = list(messages)
        if gathered and all(isinstance(one, Observation) for one in gathered):
            yield from split_long(checked(one) for one in gathered if isinstance(one, Observation))
            return
        for one in from_messages(gathered, source=source):  # type: ignore[arg-type]
            yield checked(in_conversation(one, at, self._speaker))

    def extract(
        self,
        openie: str | Path | None = None,
        *,
        model: ChatModel | str | None = None,
        calls: int | None = None,
        tokens: int | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Extracts:
        """Take facts from a ready-made extraction, a file in the OpenIE form, matched to episodes by their words; or
        have a language model extract those of all episodes that it has not read yet.

        They replace what was extracted of these episodes before, and stay in the log, so that a rebuild needs no file
        and no call. A broken fact is rejected by itself, and counted. `calls` and `tokens` are the most that the model
        may take; `progress` is told how many episodes are read (of a file: in the graph), and of how many. Raises
        InputError for a file of another form, for both or neither of file and model, and ModelMissing.
        """
        memory = self._memory
        if openie is not None and model is None:
            matched = match(path_of(openie), memory._store.texts(self.scope))
            changed = memory._store.keep_extracted(self.scope, matched.found)
            problem = memory.settle(self.scope, counted(progress, changed))
            return Extracts(changed, matched.facts, matched.passages, matched.unmatched, matched.rejected, problem)
        reader = model_named(model, memory._place)
        if openie is not None or reader is None:
            raise InputError('extract needs either a file or a language model: extract("openie.json") or model="…"')
        read = read_episodes(memory._store, self.scope, reader, Budget(calls, tokens), memory._clock, progress)
        problem = read.problem or memory.settle(self.scope)
        used = read.usage.prompt_tokens + read.usage.reply_tokens
        counts = (read.failed, read.left, read.usage.calls, used)
        return Extracts(read.episodes, read.facts, read.asked, 0, read.rejected, problem, *counts)

    def search(
        self,
        query: str,
        *,
        k: int | None = None,
        budget: int | None = None,
        as_of: datetime | str | None = None,
        known_at: datetime | str | None = None,
        where: Mapping[str, Any] | None = None,
    ) -> Hits:
        """The episodes that speak to a question, best first.

        At most `k` of them, and as many as fit `budget` tokens as a prompt (default: 1,500 tokens). `as_of` asks for
        what was true then, `known_at` for what was believed then; `where` filters on the header, such as
        `{"speaker": "Ana", "at": {"gte": "2025-05-01"}, "meta.topic": "travel"}`. Raises InputError.
        """
        selection = selection_of(as_of, known_at, where)
        hits, _ = self._found(query, limits_of(k, budget), selection, utc(self._memory._clock()))
        return hits

    def _found(self, query: str, limits: Limits, selection: Selection, now: datetime) -> tuple[Hits, list[int]]:
        """What a recall finds for a question asked at `now`, and its rows in the store."""
        memory = self._memory
        text = question_of(query)
        memory.settle(self.scope)
        found = memory._steadily(partial(self._recalled, (text, query), limits, selection, now))
        memory._usage.record(self.scope, found[1], utc(memory._clock()))
        memory._recent.record(self.scope, found[1])
        return found

    def _recalled(
        self, question: tuple[str, str], limits: Limits, selection: Selection, now: datetime, embedder: Embedder
    ) -> tuple[Hits, list[int]]:
        """The hits for a question, which is given as checked and as it was asked, and their rows in the store."""
        text, query = question
        asked, searcher = self._asked(text, limits, selection, now, embedder)
        pool = run(self._memory._recipe.stages, asked, searcher)
        hits = [hit_of(cube, place, pool) for place, cube in enumerate(pool.cubes)]
        return Hits(hits, query, unheard(text, searcher)), pool.rows.tolist()

    def graph(self, query: str, *, k: int = 6) -> Neighbourhood:
        """The facts, phrases and passages between a question and the `k` hits that it leads to.

        For a memory opened with the recipe hipporag2; raises StateError with another.
        """
        memory, text, limits = self._memory, question_of(query), limits_of(k, None)
        if not any(isinstance(stage, Associate) for stage in memory._recipe.stages):
            raise StateError('there is no graph in this recipe; open the memory with recipe="hipporag2"')
        memory.settle(self.scope)
        return memory._steadily(partial(self._around, text, limits, utc(memory._clock())))

    def _around(self, text: str, limits: Limits, now: datetime, embedder: Embedder) -> Neighbourhood:
        """The neighbourhood of a question that is checked."""
        asked, searcher = self._asked(text, limits, Selection(), now, embedder)
        return neighbourhood(asked, run(self._memory._recipe.stages, asked, searcher))

    def _asked(
        self, text: str, limits: Limits, selection: Selection, now: datetime, embedder: Embedder
    ) -> tuple[Query, Searcher]:
        """A question and a view for the stages."""
        memory = self._memory
        asked = Query(
            text,
            embed=embedder.embed,
            load=lambda rows: memory._store.cubes(self.scope, rows),
            view=partial(memory._views.of, self.scope),
            visible=self._visible(selection),
            now=now,
            limits=limits,
            model=self._logged(self._memory._model, "recall"),
        )
        return asked, memory._store.search(self.scope, selection)

    def _visible(self, selection: Selection) -> Callable[[str], Rows | None]:
        """Which cubes of an origin a search may see."""
        if selection == Selection() and not (self.scope.agent or self.scope.session):
            return lambda origin: None
        return partial(self._memory._store.visible, self.scope, selection)

    def ask(
        self,
        question: str,
        *,
        model: ChatModel | str | None = None,
        budget: int = DEFAULT_BUDGET,
        as_of: datetime | str | None = None,
        known_at: datetime | str | None = None,
        where: Mapping[str, Any] | None = None,
        options: AskOptions = AskOptions(),
    ) -> Answer:
        """An answer from this memory with citations, or "I do not know" when the evidence does not carry one.

        `model` reads and writes it: a name such as "local:qwen2.5-coder-1.5b" or a ChatModel; "extractive" is none. By
        default it is the model of `Memory.open`, and without one the answer is quoted sentences. `budget` is the
        tokens of memories it may see; `as_of`, `known_at` and `where` are those of `search`.

        A `model` named here that fails raises its ModelError. When that of `Memory.open` fails, the answer is
        extractive and `Answer.problem` says why. No memory changes; replies are recorded, with what the model was shown
        as their lineage, so that the same question about the same memories costs nothing. Raises InputError.
        """
        memory = self._memory
        text, limits, selection = question_of(question), limits_of(None, budget), selection_of(as_of, known_at, where)
        now = parse_moment(options.now, "now") if options.now is not None else utc(memory._clock())
        seen: list[int] = []

        def search(query: str) -> Hits:
            hits, rows = self._found(query, limits, selection, now)
            seen.extend(rows)
            return hits

        sources = Sources(
            search,
            memory._embedder,
            self.history,
            logged=lambda reader: Logged(reader, memory._store, self.scope, "ask", seen, memory._clock),
        )
        if model is None and memory._model is not None:
            return ask_or_quote(text, now, budget, options, sources, memory._model)
        return ask(text, now, budget, options, sources, model_named(model, memory._place))

    def summarise(self) -> str | None:
        """Have the language model write summaries and keywords of what was said since the last time, for a recipe that
        uses them (memgas). Returns why it could not go on, if so; it goes on there the next time. Raises InputError."""
        memory = self._memory
        if memory._model is None or not any(isinstance(one, Granularity) for one in memory._recipe_organisers):
            raise InputError('summaries need a model and a recipe: Memory.open(…, recipe="memgas", model="…")')
        around = memory._around(self.scope, memory._embedder, memory._model)
        return memory.settle(self.scope) or catch_up(memory._store, (Summaries(),), around, memory._clock)

    def recommend(
        self,
        request: str,
        candidates: Sequence[Candidate | Mapping[str, Any] | str],
        *,
        k: int = 10,
        general: ScopedMemory | General | None = None,
        model: ChatModel | str | None = None,
    ) -> Recommendations:
        """The `k` candidates that suit this user and the request best, with reasons that cite interactions.

        An episode is an interaction when its metadata have an `item`, and perhaps `rating` (1 to 5), `category` and
        `title`; a candidate is an object with `id`, `text` and `category`, or a text. An empty request asks for
        whatever suits. `general` is what is known beside this user: counts, or the tenant's shared memory, which is
        its scope without a user; nobody else's own memory is ever read. `model` (by name or an object; default:
        none, whatever `Memory.open` was given) describes what would fit; when it fails, the order is the measured one
        and `problem` says why.

        Raises InputError.
        """
        memory = self._memory
        whole("k", k)
        wanted, chosen = request_of(request), candidates_of(candidates)
        crowd, stale = self._general(general)
        problem = memory._settle(self.scope, (Preferences(),)) or stale
        known = Known(self.scope, memory._views.of(self.scope, PREFERENCES, Tastes))
        asked = self._logged(model_named(model), "recommend")
        made = memory._recommender.recommend(wanted, chosen, k, known, crowd, asked)
        return replace(made, problem=made.problem or problem)

    def concepts(self, cues: Sequence[str], *, k: int = 10) -> list[Concept]:
        """The `k` concepts from this memory's solved problems that are most likely to solve one with these cues.

        An episode is a solved problem when its metadata have `problem`, `program` and `cues`. Raises InputError.
        """
        return self.learned().selected(texts_of(cues, "cues"), whole("k", k))

    def hint(
        self, problem: str, *, k: int = 5, failed: str | None = None, model: ChatModel | str | None = None
    ) -> Hint:
        """Lessons and concepts from this memory's solved problems that may help with a new one, at most `k` of each.

        With a `model` (default: that of `Memory.open`) it picks from the nearest; "extractive" is none. `failed` is an
        attempt that did not solve it. Pass `Hint.hinted` on with the next attempt. Raises InputError.
        """
        memory, seen = self._memory, question_of(problem)
        memory._settle(self.scope, (Outcomes(),))
        reader = memory._model if model is None else model_named(model, memory._place)
        asked = self._logged(reader, "hint")
        return hint(seen, whole("k", k), partial(memory._views.of, self.scope), memory._current(), asked, failed)

    def attempt(
        self, problem: str, text: str, *, solved: bool = True, hinted: str = "", at: datetime | str | None = None
    ) -> Receipt:
        """Remember how a problem was gone about, and whether that solved it: `hint` learns from both.

        `problem` is its name or its words; `hinted` is that of the `Hint` that was shown, if one was. You decide what
        counts as solved. Raises InputError.
        """
        return self.add(told(problem, text, solved=solved, hinted=hinted), at=at)

    def _logged(self, model: ChatModel | None, purpose: str) -> Callable[[Sequence[int]], ChatModel] | None:
        """A model behind the log of its replies, given the rows of the cubes that it is shown."""
        if model is None:
            return None
        memory = self._memory
        return lambda rows: Logged(model, memory._store, self.scope, purpose, rows, memory._clock)

    def learned(self) -> Concepts:
        """All concepts of this memory, and the traces that they were abstracted from."""
        memory = self._memory
        memory._settle(self.scope, (Abstraction(),))
        return memory._views.of(self.scope, CONCEPTS, Concepts)

    def _general(self, general: ScopedMemory | General | None) -> tuple[General | None, str | None]:
        """What is known in general, and why not all of it is. Raises InputError for a memory that is not the tenant's
        shared one."""
        if general is None or isinstance(general, General):
            return general, None
        if not isinstance(general, ScopedMemory) or general._memory is not self._memory:
            raise InputError(f"general={brief(general)} is neither a General nor a scope of this memory")
        shared = Scope(tenant=self.scope.tenant)
        if general.scope != shared or self.scope.user == "":
            raise InputError(
                "general must be the shared memory of the user's own tenant: memory.scope(tenant=...) without a user; "
                "a user's memory is never read for another"
            )
        memory = self._memory
        problem = memory._settle(shared, (Preferences(),))
        return memory._views.of(shared, PREFERENCES, Crowd).general, problem

    def get(self, id: str) -> Cube:
        """A cube by id. Raises NotFound."""
        return self._memory._store.get(self.scope, [id])[0]

    def update(
        self,
        id: str,
        *,
        text: str | None = None,
        meta: Mapping[str, Any] | None = None,
        at: datetime | str | None = None,
    ) -> Receipt:
        """Put a new version in an episode's place, true since `at` (default: now).

        The old version stays, closed, and answers `as_of` and `known_at`. With `at` no later than the old version's
        own beginning the update is a correction: the old one was never true, only believed.
        """
        memory = self._memory
        now = utc(memory._clock())
        old = self.get(id)
        draft = draft_update(old, text, meta, parse_moment(at, "at") if at is not None else now, now)
        memory._store.replace(self.scope, id, draft, now, (INDEX,))
        problem = memory.settle(self.scope)
        return Receipt((draft.id,), "stored" if problem else "indexed", 1, 0, problem=problem)

    def history(self, id: str) -> list[Change]:
        """All versions of a cube and what happened to them, oldest first."""
        return [
            Change(at, what, cube, cause_of(cube, what))
            for at, what, cube in self._memory._store.history(self.scope, id)
        ]

    def undo(self, id: str) -> Cube:
        """Undo the last thing that happened to what an organiser derived, and return it as it is then.

        A rewritten cube has its earlier text again, a superseded fact stands again beside the one that superseded it,
        and what was only ever added is hidden. It stays so when its episodes are organised again. Raises NotFound, or
        StateError for an episode or an earlier version.
        """
        memory = self._memory
        cube = self.get(id)
        if cube.origin == FACTS and cube.superseded_at is not None:
            reopen(memory._store, memory._views, self.scope, id, memory._current(), memory._clock)
        else:
            memory._store.undo(self.scope, id, utc(memory._clock()))
        memory.settle(self.scope)
        return self.get(id)

    def organise(self, options: Options = Options(), model: ChatModel | None = None) -> Run:
        """Do what the recipe's writers have to do for this owner, now, and say what was done.

        Raises InputError when the recipe has no writers, ModelMissing without a model. What a model's failure leaves
        undone is in the result, and waits as a job.
        """
        if self._memory._whole is not None:
            raise NotAllowed("organising is the owner's to do")
        return self._memory._organise([self.scope], options, model)

    def tools(self, *, trust: Trust = "agent") -> AgentTools:
        """Tools with which an agent edits this owner's core, semantic and episodic memory (recipe mem-alpha).

        `trust` is how far what it writes is trusted: it cannot change what rests on sources trusted more.
        """
        memory = self._memory

        def remember(text: str) -> str:
            said = Observation(text, speaker=self.scope.agent or "agent", role="assistant", trust=trust)
            return self.add(said).ids[0]

        return AgentTools(memory._store, memory._views, memory._current(), memory._clock, self.scope, trust, remember)

    def jobs(self) -> list[Job]:
        """The work of this owner that is not done, oldest first."""
        memory = self._memory
        return memory._store.jobs(self.scope, utc(memory._clock()))

    def about(self, number: int) -> list[Cube]:
        """The episodes that a job is about."""
        rows = [row for job in self.jobs() if job.number == number for row in job.rows]
        return list(self._memory._store.cubes(self.scope, rows).values())

    def retry(self, number: int) -> None:
        """Have a job tried again by the next that works, also one that was given up. Raises NotFound."""
        self._memory._store.retry(self.scope, number)

    def cancel(self, number: int) -> None:
        """Drop a job of a writer; its episodes stay, and are looked at again when they change. Raises NotFound, or
        StateError for a job that indexes."""
        self._memory._store.cancel(self.scope, number)

    def conflicts(self) -> list[FactConflict]:
        """Facts that cannot all be true, and of which none may close another, by subject."""
        self._memory.settle(self.scope)
        return conflicts_of(self._memory._store, self._memory._views, self.scope)

    def costs(self, since: datetime | str | None = None) -> list[Spent]:
        """What language models took for this user, by purpose, model and day (UTC)."""
        return self._memory._store.spent(self.scope, parse_moment(since, "since") if since is not None else None)

    def forget(self, id: str | Sequence[str]) -> None:
        """Hide cubes from recall. `restore` undoes it. Raises NotFound or StateError; then nothing is hidden."""
        self._move(id, "forget")

    def restore(self, id: str | Sequence[str]) -> None:
        """Bring forgotten cubes back. Raises NotFound or StateError."""
        self._move(id, "restore")

    @property
    def cubes(self) -> Cubes:
        """The life of cubes: archive, activate, freeze, thaw, describe, and their versions."""
        memory = self._memory
        settle = partial(memory.settle, self.scope)
        return Cubes(memory._store, self.scope, memory._clock, settle, memory._current)

    @property
    def tensors(self) -> Tensors:
        """Memories as a local model's keys and values or adapters: migrate, prefix, adapted (`memorist[neural]`)."""
        return Tensors(self._memory._store, self.scope, self._memory._clock)

    def _move(self, id: str | Sequence[str], verb: Verb) -> None:
        memory = self._memory
        memory._store.move(self.scope, ids_of(id), verb, utc(memory._clock()), (INDEX,))
        memory.settle(self.scope)

    def working_set(self, size: int = 20) -> list[Cube]:
        """The memories that are likely to be needed next, by the last searches of this scope in this process; most
        important first, none before the first search. Raises InputError."""
        memory = self._memory
        rows = working_set(memory._store, self.scope, memory._recent.of(self.scope), whole("size", size))
        return [cube for cube in memory._store.cubes(self.scope, rows).values() if cube.state in LIVING]

    @property
    def schedule(self) -> Schedule:
        """What is done to this memory by itself, and when: to be read, changed and run."""
        memory, scope = self._memory, Scope(self.scope.tenant, self.scope.user)
        whole_memory = ScopedMemory(memory, scope)

        def consolidate(calls: int) -> str:
            if memory._model is None or not memory._writing.writers or not calls:
                return memory.settle(scope) or "organised"
            run = whole_memory.organise(Options(Spending(calls=calls)))
            return f"{run.done} written, {run.failed} failed, {run.waiting} waiting"

        cubes = whole_memory.cubes
        return Schedule(memory._store, scope, memory._clock, cubes, consolidate, memory.flush, tuple(memory.movers))

    def snapshot(self, name: str) -> Snapshot:
        """Keep this user's memory as it is under a name, to come back to with `rollback`.

        Raises InputError for a scope of one agent or session, or StateError for a name that is taken.
        """
        return self._time_machine.take(name)

    def rollback(self, name: str) -> RolledBack:
        """Make this user's memory what it was when a snapshot was taken: all cubes, and so every search.

        What came later is put aside: adding it again brings it back, and rolling back to the snapshot `before` in the
        result undoes all of it. What was erased stays erased. Raises NotFound, or StateError when the store was
        re-embedded or a cube frozen since.
        """
        return self._time_machine.rollback(name)

    def snapshots(self) -> list[Snapshot]:
        """This user's snapshots, oldest first."""
        return self._time_machine.list()

    def drop_snapshot(self, name: str) -> None:
        """Delete a snapshot; the memory stays as it is. Raises NotFound."""
        self._time_machine.drop(name)

    @property
    def _time_machine(self) -> TimeMachine:
        memory = self._memory
        return TimeMachine(memory._store, self.scope, memory._clock, partial(memory.settle, self.scope))

    def erase(self, id: str | Sequence[str], *, backups: Sequence[str | Path] = (), certified: bool = False) -> Erasure:
        """Destroy cubes, all their versions and everything derived from them, also in the named backups.

        Returns when their bytes are gone from the files. Raises NotFound before anything is destroyed, and StoreError
        when it is to be `certified` and this kind of store gives no certificate.
        """
        memory = self._memory
        if certified and not memory._store.governs:
            raise StoreError("erasures of this store have no certificate; nothing was erased; SQLite files have them")
        ids, named = ids_of(id), paths_of(backups)
        with ExitStack() as stack:
            copies = {path: stack.enter_context(closing(self._backup(path))) for path in named}
            return erase(memory._store, self.scope, ids, copies, partial(memory.settle, self.scope))

    def list(
        self,
        *,
        limit: int = 20,
        where: Mapping[str, Any] | None = None,
        origin: str = "source",
        before: str | None = None,
        skip: int = 0,
    ) -> list[Cube]:
        """The newest cubes of an origin: episodes, or what an organiser ("windows") derived.

        `before` is the id of the last cube of the page before; `skip` passes over so many. Raises InputError, or
        NotFound for that id.
        """
        whole("limit", limit)
        if not isinstance(origin, str) or not is_unicode(origin):
            raise InputError(f"origin={brief(origin)} is not the name of an origin, such as source or windows")
        selection = Selection(where={} if where is None else where)
        return self._memory._store.newest(self.scope, selection, limit, origin, before, skip)

    @property
    def browse(self) -> Browse:
        """For looking through this memory: its days, its parts, what is tied to what."""
        return Browse(self._memory._store, self.scope)

    def _backup(self, path: Path) -> SQLiteStore:
        """A backup, opened. Raises InputError when there is none."""
        if not path.is_file():
            raise InputError(f"the backup {path} does not exist; nothing was erased")
        return SQLiteStore(path)


def counted(progress: Callable[[int, int], None], total: int) -> Callable[[str, int], None]:
    """Adds up what an organiser tells, for a bar up to `total`."""
    done = 0

    def told(name: str, more: int) -> None:
        nonlocal done
        done = min(done + more, total)
        progress(done, total)

    return told


def hit_of(cube: Cube, place: int, pool: Any) -> Hit:
    """A hit with what each stage made of it."""
    why: dict[str, float | str] = {
        name: round(float(values[place]), 4) for name, values in pool.columns.items() if name != "score"
    }
    row = int(pool.rows[place])
    told = {name: by_row.get(row) for name, by_row in pool.notes.items()}
    why |= {name: note for name, note in told.items() if note is not None}
    return Hit(
        id=cube.id,
        text=cube.text,
        score=round(float(pool.columns["score"][place]), 6),
        at=cube.at,
        speaker=cube.speaker,
        role=cube.role,
        trust=cube.trust,
        session=cube.scope.session,
        episodes=cube.episodes,
        times=cube.times,
        meta=cube.meta,
        why=why,
        origin=cube.origin,
    )


def cause_of(cube: Cube, what: str) -> str | None:
    """What made something happen to a derived cube, as its organiser wrote it down."""
    name = {"added": "cause", "updated": "cause", "superseded": "closed_by"}.get(what, "")
    found = cube.meta.get(name) if cube.origin != SOURCE else None
    return found if isinstance(found, str) else None


def in_conversation(observation: Observation, at: datetime | None, user: str) -> Observation:
    """A message that says neither when nor where was said at `at`, in the running conversation; a nameless user's
    message was said by the user of the scope."""
    session = observation.session or (None if observation.source else CONVERSATION)
    nameless = observation.role == "user" and observation.speaker in (None, "User")
    speaker = user if nameless and user else observation.speaker
    return replace(observation, at=observation.at or at, session=session, speaker=speaker)


def selection_of(
    as_of: datetime | str | None, known_at: datetime | str | None, where: Mapping[str, Any] | None
) -> Selection:
    """Checked conditions. Raises InputError."""
    return Selection(
        parse_moment(as_of, "as_of") if as_of is not None else None,
        parse_moment(known_at, "known_at") if known_at is not None else None,
        {} if where is None else where,
    )


def model_named(model: ChatModel | str | None, store: Path | None = None) -> ChatModel | None:
    """The model to read with, None for answers without one; `store` is the file beside which memorist.toml may lie.
    Raises ModelMissing or InputError for a name."""
    if model is None or model == EXTRACTIVE:
        return None
    if isinstance(model, str):
        from memorist.models.naming import chat_named

        return chat_named(model, store=store)
    return model


def limits_of(k: int | None, budget: int | None) -> Limits:
    """Checked limits. Raises InputError."""
    for name, value in (("k", k), ("budget", budget)):
        if value is not None:
            whole(name, value)
    return Limits(k, DEFAULT_BUDGET if k is None and budget is None else budget)


def texts_of(values: object, name: str) -> list[str]:
    """Several texts. Raises InputError."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise InputError(f"{name}={brief(values)} is not a list of texts")
    found = list(values)
    if not all(isinstance(one, str) for one in found):
        raise InputError(f"{name}={brief(found)} is not a list of texts")
    return found


def whole(name: str, value: object) -> int:
    """The value. Raises InputError unless it is a number of things."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 2**63:
        raise InputError(f"{name} must be a whole number of at least 1, not {brief(value)}")
    return value


def question_of(query: object) -> str:
    """A question as text that any tokenizer takes. Raises InputError when it is empty or not a text."""
    if not isinstance(query, str):
        raise InputError(f"the question is a {type(query).__name__}; pass a text")
    text = query.encode("utf-8", "replace").decode().replace("\x00", " ").strip()
    if not text:
        raise InputError("the question is empty; ask something")
    return text[:20_000]


def request_of(request: object) -> str:
    """A request as text; unlike a question it may be empty. Raises InputError."""
    return question_of(request) if not isinstance(request, str) or request.strip() else ""


def certificate_of(certificate: Mapping[str, Any] | str | Path) -> dict[str, Any]:
    """A certificate that is sound in itself. Raises InputError."""
    if isinstance(certificate, Mapping):
        return read_certificate(json.dumps(certificate, default=str))
    path = path_of(certificate)
    try:
        return read_certificate(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the certificate {path} cannot be read: {error}") from error


def paths_of(paths: Sequence[str | Path]) -> list[Path]:
    """Several paths. Raises InputError."""
    if isinstance(paths, (str, bytes)) or not isinstance(paths, Iterable):
        raise InputError(f"{brief(paths)} is not a list of files")
    return [path_of(path) for path in paths]


def path_of(path: str | Path) -> Path:
    """A path with ~ expanded. Raises InputError for one that no file can have."""
    if not isinstance(path, (str, Path)):
        raise InputError(f"a {type(path).__name__} is not a file name; pass a text or a Path")
    text = str(path)
    if "://" in text:
        raise InputError(f"{text} is neither a file, such as memory.db, nor an address, such as postgresql://host/name")
    try:
        found = Path(text).expanduser()
        too_long = any(len(os.fsencode(part)) > LONGEST_FILE_NAME for part in found.parts)
    except (UnicodeEncodeError, RuntimeError):
        found = None
    if found is None or too_long or not text.strip() or "\x00" in text:
        raise InputError(f"{brief(text)} is not a file name")
    return found
