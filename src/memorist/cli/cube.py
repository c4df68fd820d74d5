"""`memorist cube`: the life of single memories."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from memorist.cli import OK
from memorist.cli.options import ScopeOptions
from memorist.cli.render import console, emit, plain, said_on, show_cube, show_history
from memorist.errors import InputError

if TYPE_CHECKING:
    from memorist.lifecycle.cubes import Cubes

cube = App(
    name="cube",
    help="""See and change the life of memories: their state, header and versions.

For example:

    memorist cube show "$ID" --user ana

    memorist cube freeze "$ID" --user ana
""",
)

Ids = Annotated[str, Parameter(name="ID")]
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
