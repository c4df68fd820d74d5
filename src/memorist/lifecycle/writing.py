"""Doing the jobs of organisers that ask a model.

A job is claimed, its questions are asked, and what they gave is applied in one transaction that also ends the job. What
goes wrong leaves it pending with its reason and a time before which it is not tried again; a fault of the job itself,
such as replies that never fit, ends that after ATTEMPTS, and the job waits for `retry` or `cancel`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import Event

from memorist.cube import Scope, utc
from memorist.errors import BadReply, BudgetSpent, ModelBusy, ModelError, ModelRefused, ModelSlow, StoreError
from memorist.lifecycle.budget import Budget, Metered
from memorist.lifecycle.logged import Logged
from memorist.lifecycle.organising import stretches_of
from memorist.models.chat import ChatModel, Reply, Request, Usage
from memorist.models.embedder import Embedder
from memorist.models.prompts import prompt_named
from memorist.models.structured import structured
from memorist.organise.protocol import Call, T, Writer, Written
from memorist.store.protocol import Job, Organised, Store, Turn
from memorist.store.views import V, Views

ATTEMPTS = 4
"""Faults of its own after which a job is dead."""

FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=30), timedelta(hours=1)
"""Before a second attempt, doubled for each further one."""

OVERTAKEN = 5
"""How often a job is done anew at once because others changed what it builds on."""

SLOW = 3
"""Jobs in a row without an answer in time after which a run ends: one may have been too long, several are the model."""

RENEWED = 60.0
"""Seconds after which a lease is lengthened while replies keep coming."""

Clock = Callable[[], datetime]
LogOf = Callable[[ChatModel, Scope, str, tuple[int, ...]], ChatModel]
"""`(model, whose, what for, cubes that are quoted)`: the model behind a log of its replies."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a run goes about it: what it may spend, how many calls run side by side, and how long one may take."""

    budget: Budget = field(default_factory=Budget)
    parallel: int = 4
    seconds: float = 120.0
    cancel: Event = field(default_factory=Event)
    progress: Callable[[str, int], None] = lambda organiser, episodes: None


@dataclass(frozen=True, slots=True)
class Run:
    """What a run did: jobs done, those that failed with why, and those that wait. `usage` is of calls really made."""

    done: int = 0
    failed: int = 0
    waiting: int = 0
    usage: Usage = field(default_factory=Usage)
    problems: tuple[str, ...] = ()

    def __add__(self, other: Run) -> Run:
        return Run(
            self.done + other.done,
            self.failed + other.failed,
            self.waiting + other.waiting,
            self.usage + other.usage,
            self.problems + other.problems,
        )


def logged(store: Store, clock: Clock) -> LogOf:
    """Models behind the store's log of replies."""
    return lambda model, scope, purpose, rows: Logged(model, store, scope, purpose, rows, clock)


class Interrupted(Exception):
    """The run was told to stop."""


class WritingDesk:
    """What a writer works with on one job; see `memorist.organise.protocol.Desk`."""

    def __init__(self, writing: Writing, job: Job, model: ChatModel, options: Options) -> None:
        self.scope = job.scope
        self.embedder = writing.embedder()
        self.model = model
        self._purpose = job.kind
        self._writing = writing
        self._options = options
        self._keep = Renewing(writing.store, job, writing.clock)

    def view(self, origin: str, make: Callable[[], V]) -> V:
        """The owner's derived cubes of an origin."""
        return self._writing.views.of(self.scope, origin, make)

    def turns(self, rows: Sequence[int]) -> list[Turn]:
        """Episodes by row."""
        return self._writing.store.turns(self.scope, rows)

    def ask(self, calls: Sequence[Call[T]]) -> list[T | ModelError]:
        """All replies, side by side up to the limit."""
        if len(calls) <= 1 or self._options.parallel == 1:
            return list(map(self._one, calls))
        with ThreadPoolExecutor(min(self._options.parallel, len(calls))) as threads:
            return list(threads.map(self._one, calls))

    def together(self, rows: Sequence[int]) -> list[tuple[int, ...]]:
        """Episodes that were first shown in one call."""
        return self._writing.store.together(self.scope, self._purpose, rows)

    def chat(self, request: Request, rows: tuple[int, ...]) -> Reply | ModelError:
        """A reply to a request of the writer's own."""
        model, options = self._logged(rows), self._options
        return self._guarded(lambda: model.reply(request, seconds=options.seconds, cancel=options.cancel))

    def _one(self, call: Call[T]) -> T | ModelError:
        prompt = prompt_named(call.task.prompt)
        request = Request(prompt.fill(**call.fields), max_tokens=call.task.max_tokens, prompt=prompt.id)
        model, shape, options = self._logged(call.rows), call.task.shape, self._options
        seconds, cancel = options.seconds, options.cancel
        return self._guarded(
            lambda: structured(model, request, shape, handles=call.handles, seconds=seconds, cancel=cancel).value
        )

    def _guarded(self, ask: Callable[[], T]) -> T | ModelError:
        """The answer or the error as a value; what ends the whole run is raised."""
        if self._options.cancel.is_set():
            raise Interrupted
        self._keep()
        try:
            return ask()
        except BudgetSpent:
            raise
        except ModelError as error:
            if self._options.cancel.is_set():
                raise Interrupted from error
            return error

    def _logged(self, rows: tuple[int, ...]) -> ChatModel:
        return self._writing.log(self.model, self.scope, self._purpose, rows)


class Writing:
    """The jobs of an open store's writers, done for one owner after another with one model and budget."""

    def __init__(
        self,
        store: Store,
        views: Views,
        embedder: Callable[[], Embedder],
        writers: Sequence[Writer],
        clock: Clock,
        log: LogOf,
    ) -> None:
        self.store = store
        self.views = views
        self.embedder = embedder
        self.writers = writers
        self.clock = clock
        self.log = log

    def enqueue(self, scope: Scope) -> None:
        """Make jobs of what changed since the last time."""
        for writer in self.writers:
            self.store.enqueue(scope, writer.name, writer.batch)

    def hurry(self, scope: Scope) -> None:
        """Have the jobs that wait for another attempt done by the next run; not those that were given up."""
        names = {writer.name for writer in self.writers}
        for job in self.store.jobs(scope, utc(self.clock())):
            if job.kind in names and job.not_before is not None and not (job.dead or job.running):
                self.store.retry(scope, job.number, anew=False)

    def run(self, scopes: Sequence[Scope], model: ChatModel, options: Options) -> Run:
        """Do all jobs that need not wait. Ends early when the budget is spent, the model fails, or on `cancel`."""
        metered = Metered(model, options.budget)
        total = Run()
        for scope in scopes:
            self.enqueue(scope)
            for writer in self.writers:
                done, going = self._jobs_of(scope, writer, metered, options)
                total += done
                if not going:
                    return replace(total, usage=metered.usage, waiting=self._waiting(scopes))
        return replace(total, usage=metered.usage, waiting=self._waiting(scopes))

    def _waiting(self, scopes: Sequence[Scope]) -> int:
        names = {writer.name for writer in self.writers}
        return sum(job.kind in names and not job.dead for scope in scopes for job in self.store.jobs(scope))

    def _jobs_of(self, scope: Scope, writer: Writer, model: Metered, options: Options) -> tuple[Run, bool]:
        """One writer's jobs; also whether the run may go on."""
        total, slow = Run(), 0
        while job := self.store.claim(scope, utc(self.clock()), kind=writer.name):
            try:
                written = self._write(job, writer, model, options)
            except BaseException as error:  # a job ends here: it stays, with why
                going = self._put_back(job, error)
                if not isinstance(error, Exception):
                    raise
                if isinstance(error, Interrupted):
                    return total, False
                total += Run(failed=1, problems=(f"{writer.name}: {told(error)}",))
                if not going:
                    return total, False
                continue
            if written.left:
                total += Run(failed=1, problems=(f"{writer.name}: {written.reason}",))
                slow = slow + 1 if isinstance(written.fault, ModelSlow) else 0
                if written.fault is not None and passing(written.fault) and not 0 < slow < SLOW:
                    return total, False
            else:
                total, slow = total + Run(done=1), 0
            options.progress(writer.name, len(job.rows) - len(written.left))
        return total, True

    def _write(self, job: Job, writer: Writer, model: Metered, options: Options) -> Written:
        """Do a job and apply it, anew when others changed what it builds on."""
        for _ in range(OVERTAKEN):
            desk = WritingDesk(self, job, model, options)
            stretches = stretches_of(self.store, job.scope, job.rows, writer.reach)
            written = writer.write(stretches, frozenset(job.rows), desk)
            if self.store.apply(job, written.organised, utc(self.clock()), written.left):
                if written.left:
                    self._failed(job, written.reason or "", written.fault)
                return written
            self.store.fail(job, "others changed what it builds on", failures=job.failures)
            again = self.store.claim(job.scope, utc(self.clock()), job.number, job.kind)
            if again is None:  # another process has it, or it is gone
                return Written(Organised())
            job = again
        raise StoreError(f"job {job.number} was overtaken {OVERTAKEN} times; it is tried again later")

    def _put_back(self, job: Job, error: BaseException) -> bool:
        """Leave a job pending; whether the run may go on with the next."""
        with suppress(StoreError):  # on a full disk; the lease ends by itself
            if isinstance(error, BudgetSpent) or not isinstance(error, Exception) or isinstance(error, Interrupted):
                reason = "interrupted" if not isinstance(error, BudgetSpent) else str(error)
                self.store.fail(job, reason, failures=job.failures)
                return False
            self._failed(job, told(error), error if isinstance(error, ModelError) else None)
        return not isinstance(error, StoreError) and not passing(error)

    def _failed(self, job: Job, reason: str, error: ModelError | None) -> None:
        """Leave a job for later, or for good."""
        failures = job.failures + 1
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(failures - 1, 16))
        if isinstance(error, ModelBusy) and error.retry_after:
            wait = max(wait, timedelta(seconds=error.retry_after))
        dead = failures >= ATTEMPTS and not (error is not None and passing(error))
        self.store.fail(job, reason, failures=failures, not_before=utc(self.clock()) + wait, dead=dead)


def passing(error: BaseException) -> bool:
    """Whether an error is the model's and not the job's: it would meet every other job, and will pass."""
    return isinstance(error, ModelError) and not isinstance(error, (BadReply, ModelRefused))


def told(error: BaseException) -> str:
    """An error in a line."""
    return f"{type(error).__name__}: {error}"


class Renewing:
    """Lengthens a job's lease while its replies keep coming."""

    def __init__(self, store: Store, job: Job, clock: Clock) -> None:
        self._store = store
        self._job = job
        self._clock = clock
        self._last = time.monotonic()

    def __call__(self) -> None:
        """Called before each question."""
        now = time.monotonic()
        if now - self._last > RENEWED:
            self._last = now
            self._store.renew(self._job, utc(self._clock()))
