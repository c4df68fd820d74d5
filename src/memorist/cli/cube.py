"""`memorist cube`: the life of single memories."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter
from rich.console import Console

from memorist.cli import OK
from memorist.cli.options import ScopeOptions
from memorist.cli.render import console, emit, plain, said_on, show_cube, show_history
from memorist.errors import InputError

if TYPE_CHECKING:
    from memorist.cube import Cube
    from memorist.lifecycle.cubes import Cubes
    from memorist.neural.continuation import Continuation

cube = App(
    name="cube",
    help="""See and change the life of memories: their state, header and versions.

For example:

    memorist cube show "$ID" --user ana

    memorist cube freeze "$ID" --user ana
""",
)

Ids = Annotated[str, Parameter(name="ID")]
TorchName = Annotated[str, Parameter(name="--model")]
UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")


@cube.command
def show(id: Ids, /, *, options: ScopeOptions = ScopeOptions()) -> int:
    """Show a memory with its whole header and its versions.

    For example:

        memorist cube show "$ID" --user ana

    Parameters
    ----------
    id
        The memory, as search and list show it.
    """
    with options.scoped() as memory:
        found, versions = memory.get(id), memory.cubes.versions(id)
    if options.json:
        emit({"cube": found, "fingerprint": found.fingerprint, "versions": [one.id for one in versions]})
        return OK
    out = console()
    show_cube(out, found)
    out.print(plain(f"{'updated':<10} {said_on(found.updated_at)}"))
    out.print(plain(f"{'print':<10} {found.fingerprint}"))
    if len(versions) > 1:
        out.print(plain(f"{'versions':<10} {', '.join(one.id for one in versions)}"))
    return OK


@cube.command
def history(id: Ids, /, *, options: ScopeOptions = ScopeOptions()) -> int:
    """Show what happened to a memory and its versions, oldest first.

    For example:

        memorist cube history "$ID" --user ana

    Parameters
    ----------
    id
        Any version of the memory.
    """
    with options.scoped() as memory:
        changes = memory.history(id)
    emit({"changes": changes}) if options.json else show_history(console(), changes)
    return OK


@cube.command
def archive(*id: Ids, options: ScopeOptions = ScopeOptions()) -> int:
    """Put memories away: kept, and out of search until activated.

    For example:

        memorist cube archive "$ID" --user ana

    Parameters
    ----------
    id
        The memories. All of them, or none when one of them cannot be.
    """
    return for_each(id, options, "archived", lambda cubes: cubes.archive(id))


@cube.command
def activate(*id: Ids, options: ScopeOptions = ScopeOptions()) -> int:
    """Bring archived or expired memories back.

    For example:

        memorist cube activate "$ID" --user ana

    Parameters
    ----------
    id
        The memories. All of them, or none when one of them cannot be.
    """
    return for_each(id, options, "activated", lambda cubes: cubes.activate(id))


@cube.command
def freeze(*id: Ids, options: ScopeOptions = ScopeOptions()) -> int:
    """Hold memories as they are: found, but not changed, forgotten or erased.

    For example:

        memorist cube freeze "$ID" --user ana

    Parameters
    ----------
    id
        The memories. All of them, or none when one of them cannot be.
    """
    return for_each(id, options, "frozen", lambda cubes: cubes.freeze(id))


@cube.command
def thaw(*id: Ids, options: ScopeOptions = ScopeOptions()) -> int:
    """End a freeze.

    For example:

        memorist cube thaw "$ID" --user ana

    Parameters
    ----------
    id
        The memories. All of them, or none when one of them cannot be.
    """
    return for_each(id, options, "thawed", lambda cubes: cubes.thaw(id))


@cube.command
def describe(
    *id: Ids,
    type: str | None = None,
    expires: str | None = None,
    ttl: str | None = None,
    priority: Annotated[int | None, Parameter(allow_leading_hyphen=True)] = None,
    sensitive: tuple[str, ...] | None = None,
    options: ScopeOptions = ScopeOptions(),
) -> int:
    """Set what memories are, until when they are found, and how they matter.

    For example:

        memorist cube describe "$ID" --type preference --ttl 30d --user ana

        memorist cube describe "$ID" --expires never --priority 5 --user ana

    Parameters
    ----------
    id
        The memories. All of them, or none when one of them cannot be.
    type
        What it is, such as fact, preference or task.
    expires
        Until when it is found, as ISO 8601, or never.
    ttl
        How long from now instead, such as 90s, 12h, 30d or 4w.
    priority
        From -100 to 100; 0 by default.
    sensitive
        A tag such as health; once for each. Takes the place of those there are.
    """

    def set_header(cubes: Cubes) -> None:
        cubes.describe(
            id,
            semantic_type=type,
            expires_at=expires,
            ttl=None if ttl is None else duration(ttl),
            priority=priority,
            sensitivity=sensitive,
        )

    return for_each(id, options, "described", set_header)


@cube.command
def migrate(
    *id: Ids,
    to: Literal["activation", "parameter", "text"],
    model: TorchName = "smollm2-135m",
    query: str | None = None,
    k: int = 8,
    dtype: Literal["float32", "bfloat16", "float16"] = "float32",
    seed: int = 0,
    steps: int = 40,
    options: ScopeOptions = ScopeOptions(),
) -> int:
    """Make a local model's keys and values, or an adapter, of memories; or take such a cube back to its text.

    For example:

        memorist cube migrate "$ID" --to activation --user ana

        memorist cube migrate --query "the spare key" --to parameter --user ana

    Parameters
    ----------
    id
        The memories, in the order in which the model shall see them; or cubes of tensors.
    to
        activation (read once, used as a prefix), parameter (absorbed into an adapter), or text.
    model
        A packaged model in torch, or the folder of one (default: smollm2-135m).
    query
        Take what a search finds instead of naming memories.
    k
        With --query, at most so many (default: 8).
    dtype
        Of keys and values: float32, or half of its bytes.
    seed
        Of an adapter's training (default: 0).
    steps
        At most so many steps of it (default: 40).
    """
    if (query is None) == (not id):
        raise InputError("name memories, or a --query that finds them")
    if steps < 1:
        raise InputError(f"--steps {steps} is not at least 1")
    with options.scoped() as memory, steps_told(options.json) as told:
        from memorist.lifecycle.tensors import Making

        ids = list(id) if query is None else [hit.id for hit in memory.search(query, k=k)]
        if not ids:
            raise InputError(f"nothing was found for --query {query!r:.100}; name memories, or ask otherwise")
        made = memory.tensors.migrate(ids, to=to, model=model, making=Making(dtype, seed, steps, told))
    show_made(made if isinstance(made, list) else [made], options)
    return OK


@cube.command
def resume(*, options: ScopeOptions = ScopeOptions()) -> int:
    """Do the migrations that were begun and not ended; memorist jobs shows them.

    For example:

        memorist cube resume --user ana
    """
    with options.scoped() as memory, steps_told(options.json) as told:
        from memorist.lifecycle.tensors import Making

        made = memory.tensors.resume(Making(progress=told))
    show_made(made, options)
    return OK


@cube.command
def prompt(
    *id: Ids, question: str, model: TorchName = "smollm2-135m", tokens: int = 64, options: ScopeOptions = ScopeOptions()
) -> int:
    """Ask a local model that has read memories, or absorbed them: their keys and values, or their adapters.

    For example:

        memorist cube prompt "$ID" --question "Where is the spare key?" --user ana

    Parameters
    ----------
    id
        Activation cubes, or parameter cubes; texts are read first, and kept as an activation cube.
    question
        What to ask.
    model
        The model that the tensors are of (default: smollm2-135m).
    tokens
        At most so many tokens of an answer (default: 64).
    """
    with options.scoped() as memory:
        tensors = memory.tensors
        absorbed = any(memory.get(one).kind == "parameter" for one in id)
        primed = tensors.adapted(id, model=model) if absorbed else tensors.prefix(id, model=model)
        said = primed.answer(question, most=tokens)
    if options.json:
        emit({"answer": said.text, "cubes": primed.cubes, "positions": primed.positions} | first_token(said))
    else:
        console().print(plain(said.text))
    return OK


def first_token(said: Continuation) -> dict[str, float]:
    """How long the first token took."""
    return {"seconds_to_first_token": round(said.seconds_to_first, 4)}


def show_made(made: Sequence[Cube], options: ScopeOptions) -> None:
    """What a migration made, a line for each cube."""
    if options.json:
        emit({"cubes": made})
        return
    out = console()
    for one in made:
        out.print(plain(f"{one.id}  {told_of(one)}"))
    if not made:
        out.print("Nothing was waiting.")


def told_of(made: Cube) -> str:
    """What is worth telling of a cube."""
    meta = made.meta
    if made.kind == "text":
        return made.text
    size = f"{made.kind} of {len(made.episodes)} memories, {meta['tokens']} tokens, {meta['bytes']:,} bytes"
    if made.kind == "activation":
        return f"{size}; saves {meta['seconds_saved']:.2f} s of reading"
    return f"{size}; loss {meta['loss_before']:.2f} → {meta['loss_after']:.2f} in {meta['steps']} steps"


@contextmanager
def steps_told(silent: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar of a training's steps, on stderr when that is a terminal."""
    from rich.progress import Progress

    shown = Progress(console=Console(stderr=True), disable=silent or not sys.stderr.isatty(), transient=True)
    with shown:
        task = shown.add_task("training", total=None, visible=False)
        yield lambda done, total: shown.update(task, completed=done, total=total, visible=True)


def for_each(id: Sequence[str], options: ScopeOptions, done: str, act: Callable[[Cubes], None]) -> int:
    """Do it in one call, and say to how many."""
    with options.scoped() as memory:
        act(memory.cubes)
    emit({done: list(dict.fromkeys(id))}) if options.json else console().print(f"{len(set(id))} {done}.")
    return OK


def duration(text: str) -> timedelta:
    """`30d` as a span of time. Raises InputError."""
    found = DURATION.fullmatch(text.strip())
    try:
        if found:
            return timedelta(seconds=float(found[1]) * UNITS[found[2]])
    except OverflowError:
        pass
    raise InputError(f"{text!r:.60} is not a span of time; write a number and s, m, h, d or w, such as 30d")
