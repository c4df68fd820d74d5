"""Commands for what language models write: doing it, the jobs that wait, conflicts, and undoing."""

from __future__ import annotations

import signal
import sys
from threading import Event
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from memorist.cli import NEGATIVE, OK
from memorist.cli.options import Model, ScopeOptions, StoreOptions, file_of
from memorist.cli.render import console, emit, entry, note, plain, said_on, show_cube, who
from memorist.config import store_place
from memorist.errors import InputError

if TYPE_CHECKING:
    from memorist.lifecycle.writing import Options, Run
    from memorist.models.chat import ChatModel
    from memorist.store.protocol import Job

Recipe = Annotated[str, Parameter(help="Whose writing: facts (default), a-mem, mem-alpha or arcmemo.")]
Most = Annotated[int | None, Parameter(allow_leading_hyphen=True)]
Id = Annotated[str, Parameter(name="ID")]
Number = Annotated[int, Parameter(name="NUMBER")]

jobs = App(name="jobs", help="See the work that waits, and have it tried again or dropped.")


def organise(
    *, recipe: Recipe = "facts", model: Model = None, calls: Most = None, tokens: Most = None,
    dollars: float | None = None, parallel: int = 4, seconds: float = 120.0, options: StoreOptions = StoreOptions(),
) -> int:  # fmt: skip
    """Let a language model write what it can derive from new memories, now, for every user of the store.

    What it writes is marked as a model's, keeps its sources, and can be undone;
    memorist list --origin facts (notes, mem-alpha, lessons, typed-concepts) shows it.
    Exit code 1 when some of it could not be done; memorist jobs shows why.

    For example:

        memorist organise --recipe facts --model local:qwen2.5-coder-1.5b

        memorist organise --model openai:gpt-5-mini --dollars 0.50

    Parameters
    ----------
    calls
        At most this many calls of the model.
    tokens
        At most this many tokens, of prompts and replies together.
    dollars
        At most this much, where the model's price is known.
    parallel
        Calls that run side by side (default: 4).
    seconds
        How long a call may take, with its repair (default: 120); local models may need more.
    """
    chosen = limits(parallel, seconds, calls, tokens, dollars)
    with options.opened(recipe=recipe) as memory, progress(chosen) as told:
        run = memory.organise(told, named(model, options))
    emit(run) if options.json else show_run(run)
    return NEGATIVE if run.problems else OK


def work(
    *, recipe: Recipe = "facts", model: Model = None, every: float = 5.0, parallel: int = 4, seconds: float = 120.0,
    options: StoreOptions = StoreOptions(),
) -> int:  # fmt: skip
    """Do the same in the background, as memories come, until it is interrupted.

    What fails is tried again after a while.

    For example:

        memorist work --recipe facts --model local:qwen2.5-coder-1.5b

    Parameters
    ----------
    every
        Seconds between looks at the store (default: 5).
    parallel
        Calls that run side by side (default: 4).
    seconds
        How long a call may take, with its repair (default: 120); local models may need more.
    """
    if every <= 0:
        raise InputError(f"--every {every} is not a number of seconds above 0")
    chosen = limits(parallel, seconds)
    stop = Event()
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, lambda *_: stop.set())
    with options.opened(recipe=recipe, model=named(model, options)) as memory:
        memory.work(stop, every=every, options=chosen)
    return OK


def limits(
    parallel: int, seconds: float, calls: int | None = None, tokens: int | None = None, dollars: float | None = None
) -> Options:
    """How a run goes about it. Raises InputError."""
    from memorist.lifecycle.budget import Budget
    from memorist.lifecycle.writing import Options

    for name, value in (("--calls", calls), ("--tokens", tokens), ("--dollars", dollars)):
        if value is not None and value < 0:
            raise InputError(f"{name} {value} is below 0")
    if parallel < 1:
        raise InputError(f"--parallel {parallel} is not at least 1")
    if not seconds > 0:
        raise InputError(f"--seconds {seconds} is not a number above 0")
    return Options(Budget(calls, tokens, dollars), parallel, seconds)


def named(model: str | None, options: StoreOptions) -> ChatModel:
    """The model of an option, else the one that is configured."""
    from memorist.models.naming import chat_named

    return chat_named(model, store=file_of(store_place(options.store)))


class progress:
    """Tells how many memories are done, on stderr, when that is a terminal."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._done = 0

    def __enter__(self) -> Options:
        from dataclasses import replace

        return replace(self._options, progress=self._tell) if sys.stderr.isatty() else self._options

    def _tell(self, organiser: str, episodes: int) -> None:
        self._done += episodes
        print(f"\r{organiser}: {self._done} done", end="", file=sys.stderr, flush=True)

    def __exit__(self, *_: object) -> None:
        if self._done:
            print("\r\x1b[K", end="", file=sys.stderr)


def show_run(run: Run) -> None:
    """What was done, what it took, and on stderr what went wrong."""
    used = run.usage
    cost = "price unknown" if used.cost is None else f"${used.cost:.4f}"
    console().print(
        f"{run.done} jobs done, {run.waiting} wait; {used.calls} calls,"
        f" {used.prompt_tokens + used.reply_tokens} tokens, {cost}."
    )
    for problem in dict.fromkeys(run.problems):
        note(problem)


@jobs.default
def list_(*, dead: bool = False, options: ScopeOptions = ScopeOptions()) -> int:
    """Show the jobs that wait, oldest first.

    For example:

        memorist jobs --user ana

        memorist jobs --dead --user ana

    Parameters
    ----------
    dead
        Only those that were given up after several faults; see: memorist jobs retry.
    """
    with options.scoped() as memory:
        found = [job for job in memory.jobs() if job.dead or not dead]
    if options.json:
        emit({"jobs": [document_of(job) for job in found]})
        return OK
    if not found:
        console().print("No jobs.")
    for job in found:
        entry(console(), (str(job.number), job.kind, state_of(job)), f"{len(job.rows)} memories", *reason_of(job))
    return OK


@jobs.command
def show(number: Number, /, *, options: ScopeOptions = ScopeOptions()) -> int:
    """Show a job, and the memories it is about.

    For example:

        memorist jobs show 3 --user ana

    Parameters
    ----------
    number
        The job's number, as memorist jobs shows it.
    """
    from memorist.errors import NotFound

    with options.scoped() as memory:
        found = [job for job in memory.jobs() if job.number == number]
        if not found:
            raise NotFound(f"there is no job {number} in this scope; see: memorist jobs")
        cubes = memory.about(number)
    if options.json:
        emit(document_of(found[0]) | {"memories": [cube.id for cube in cubes]})
        return OK
    job = found[0]
    entry(console(), (str(job.number), job.kind, state_of(job)), f"tried {job.attempts} times", *reason_of(job))
    for cube in cubes:
        entry(console(), (said_on(cube.at), who(cube.speaker, cube.trust), cube.id), cube.text)
    return OK


@jobs.command
def retry(number: Number, /, *, options: ScopeOptions = ScopeOptions()) -> int:
    """Have a job tried again at the next organise, also one that was given up.

    For example:

        memorist jobs retry 3 --user ana

    Parameters
    ----------
    number
        The job's number.
    """
    with options.scoped() as memory:
        memory.retry(number)
    emit({"retried": number}) if options.json else console().print(f"Job {number} is tried again at the next organise.")
    return OK


@jobs.command
def cancel(number: Number, /, *, options: ScopeOptions = ScopeOptions()) -> int:
    """Drop a job; the memories it is about stay as they are.

    For example:

        memorist jobs cancel 3 --user ana

    Parameters
    ----------
    number
        The job's number.
    """
    with options.scoped() as memory:
        memory.cancel(number)
    emit({"cancelled": number}) if options.json else console().print(f"Job {number} is dropped.")
    return OK


def state_of(job: Job) -> str:
    """What a job is doing."""
    if job.dead:
        return "given up"
    if job.running:
        return "running"
    return "waits" if job.not_before is None else f"waits until {job.not_before:%Y-%m-%d %H:%M}"


def reason_of(job: Job) -> list[str]:
    """Why it failed last, on a line; no line when it has not."""
    return [plain(" ".join(job.reason.split())[:300])] if job.reason else []


def document_of(job: Job) -> dict[str, Any]:
    """A job as JSON data."""
    return {
        "number": job.number,
        "kind": job.kind,
        "state": "dead" if job.dead else "running" if job.running else "waiting",
        "memories": len(job.rows),
        "attempts": job.attempts,
        "not_before": job.not_before,
        "reason": job.reason,
    }


def conflicts(*, options: ScopeOptions = ScopeOptions()) -> int:
    """Show facts that cannot all be true, and of which none may close another.

    For example:

        memorist conflicts --user ana
    """
    with options.scoped(recipe="facts") as memory:
        found = memory.conflicts()
    if options.json:
        emit({"conflicts": found})
        return OK
    out = console()
    if not found:
        out.print("No conflicts.")
    for conflict in found:
        out.print(plain(f"{conflict.subject}: {conflict.relation}"), style="bold")
        for cube in conflict.facts:
            entry(out, (f"since {said_on(cube.valid_from)}", who(None, cube.trust), cube.id), cube.text)
    return OK


def undo(id: Id, /, *, options: ScopeOptions = ScopeOptions()) -> int:
    """Undo the last thing that happened to what was derived.

    A rewritten note has its earlier text again, a superseded fact stands
    again beside the one that superseded it, what was only added is hidden.

    For example:

        memorist undo "$FACT" --user ana

    Parameters
    ----------
    id
        The fact, note or item, as search and list show it; episodes have forget and restore.
    """
    with options.scoped(recipe="facts") as memory:
        cube = memory.undo(id)
    emit(cube) if options.json else show_cube(console(), cube)
    return OK
