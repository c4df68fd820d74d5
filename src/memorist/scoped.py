"""Someone's memory: the handle through which one scope is added to, searched and changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memorist.answer.asking import AskOptions, Sources, ask, ask_or_quote
from memorist.arguments import (
    DEFAULT_BUDGET,
    in_conversation,
    limits_of,
    model_named,
    path_of,
    paths_of,
    question_of,
    request_of,
    selection_of,
    texts_of,
    whole,
)
from memorist.cube import SOURCE, Cube, Document, Observation, Scope, Trust, is_unicode, parse_moment, utc
from memorist.errors import (
    InputError,
    NotAllowed,
    RecordError,
    brief,
)
from memorist.lifecycle.agent import AgentTools
from memorist.lifecycle.browse import Browse
from memorist.lifecycle.budget import Budget as Spending
from memorist.lifecycle.cubes import Cubes, ids_of
from memorist.lifecycle.dossier import document_of
from memorist.lifecycle.erasing import erase
from memorist.lifecycle.extracting import Budget, read_episodes
from memorist.lifecycle.facts import conflicts_of, reopen
from memorist.lifecycle.ingest import draft_update, ingest
from memorist.lifecycle.jobs import CHANGED
from memorist.lifecycle.logged import Logged
from memorist.lifecycle.organising import catch_up
from memorist.lifecycle.rights import Rights
from memorist.lifecycle.schedule import Schedule
from memorist.lifecycle.tensors import Tensors
from memorist.lifecycle.time_machine import TimeMachine
from memorist.lifecycle.working_set import working_set
from memorist.lifecycle.writing import Options, Run
from memorist.models.chat import ChatModel
from memorist.organise.attempts import Outcomes, told
from memorist.organise.concepts import NAME as CONCEPTS
from memorist.organise.concepts import Abstraction, Concept, Concepts
from memorist.organise.extract.openie import match
from memorist.organise.facts import FACTS
from memorist.organise.general import Crowd, General
from memorist.organise.granularity import Granularity
from memorist.organise.preferences import NAME as PREFERENCES
from memorist.organise.preferences import Preferences, Tastes
from memorist.organise.summaries import SUMMARIES, Summaries
from memorist.recall.hint import Hint, hint
from memorist.recall.neighbourhood import Neighbourhood
from memorist.recall.prefer import Prefer, preference
from memorist.recall.recommend import candidates_of
from memorist.recall.recommender import Known
from memorist.recalling import Recalling
from memorist.results import (
    Answer,
    Candidate,
    Change,
    Erasure,
    Extracts,
    FactConflict,
    Hits,
    Receipt,
    Recommendations,
)
from memorist.sources import FileOptions, from_document, from_messages, read, split_long
from memorist.sources.checked import checked
from memorist.states import LIVING, Verb
from memorist.store.governed import Grant, Right, Sight, Subject
from memorist.store.protocol import INDEX, Job, RolledBack, Selection, Snapshot
from memorist.store.reply_log import Spent
from memorist.store.sqlite import SQLiteStore

if TYPE_CHECKING:
    from memorist.memory import Memory

Progress = Callable[[int], None]
Added = str | Path | Document | Observation | Mapping[str, Any] | Iterable[Mapping[str, Any] | Observation]


class ScopedMemory:
    """Someone's memory. Made by `Memory.scope`."""

    def __init__(self, memory: Memory, scope: Scope, subject: Subject | None = None) -> None:
        self._memory = memory
        self.scope = scope
        self._recalling = Recalling(memory, scope)
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
        prefer: Prefer | None = None,
    ) -> Hits:
        """The episodes that speak to a question, best first.

        At most `k` of them, and as many as fit `budget` tokens as a prompt (default: 1,500 tokens). `as_of` asks for
        what was true then, `known_at` for what was believed then; `where` filters on the header, such as
        `{"speaker": "Ana", "at": {"gte": "2025-05-01"}, "meta.topic": "travel"}`, or `{"trust": {"ne": "model"}}` to
        leave out what a model wrote. `prefer` "source" has what was said come before what a model wrote of it, "model"
        the reverse. Raises InputError.
        """
        selection, wish = selection_of(as_of, known_at, where), preference(prefer)
        hits, _ = self._recalling.found(query, limits_of(k, budget), selection, utc(self._memory._clock()), wish)
        return hits

    def graph(self, query: str, *, k: int = 6) -> Neighbourhood:
        """The facts, phrases and passages between a question and the `k` hits that it leads to.

        For a memory opened with the recipe hipporag2; raises StateError with another.
        """
        return self._recalling.neighbourhood(question_of(query), limits_of(k, None))

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
            hits, rows = self._recalling.found(query, limits, selection, now)
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
        uses them (memgas). Returns why it could not go on, if so; it goes on there the next time. Raises InputError.

        Replies are logged, so that writing them again (with another embedder, say) asks nothing.
        """
        memory = self._memory
        if memory._model is None or not any(isinstance(one, Granularity) for one in memory._recipe_organisers):
            raise InputError('summaries need a model and a recipe: Memory.open(…, recipe="memgas", model="…")')
        logged = partial(Logged, memory._model, memory._store, self.scope, SUMMARIES, clock=memory._clock)
        around = memory._around(self.scope, memory._embedder, logged)
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

    def erase(self, id: str | Sequence[str], *, backups: Sequence[str | Path] = ()) -> Erasure:
        """Destroy cubes, all their versions and everything derived from them, also in the named backups.

        Returns when their bytes are gone from the files. Raises NotFound before anything is destroyed.
        """
        memory = self._memory
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


def cause_of(cube: Cube, what: str) -> str | None:
    """What made something happen to a derived cube, as its organiser wrote it down."""
    name = {"added": "cause", "updated": "cause", "superseded": "closed_by"}.get(what, "")
    found = cube.meta.get(name) if cube.origin != SOURCE else None
    return found if isinstance(found, str) else None
