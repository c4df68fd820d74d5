"""`memorist schedule`: what is done to someone's memory by itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from memorist.cli import NEGATIVE, OK
from memorist.cli.cube import duration
from memorist.cli.options import ScopeOptions
from memorist.cli.render import console, emit, entry, plain, said_on
from memorist.errors import InputError

if TYPE_CHECKING:
    from memorist.store.protocol import Scheduled

schedule = App(
    name="schedule",
    help="""See and change what is done to a memory by itself: when it expires, decays,
is consolidated, and changes its form.

For example:

    memorist schedule --user ana

    memorist schedule set decay --on --every 1d half_life_days=30 --user ana
""",
)

Name = Annotated[str, Parameter(name="NAME")]
Option = Annotated[str, Parameter(name="OPTION=NUMBER")]


@schedule.default
def show(*, options: ScopeOptions = ScopeOptions()) -> int:
    """Show the schedule of a user's memory.

    For example:

        memorist schedule --user ana
    """
    from memorist.lifecycle.schedule import ENTRIES

    with options.scoped() as memory:
        entries = memory.schedule.entries()
    if options.json:
        emit({"schedule": [document_of(one) for one in entries]})
        return OK
    for one in entries:
        when = f"every {spelled(one.every)}" if one.enabled else "off"
        last = f"last {said_on(one.ran_at)}: {one.told}" if one.ran_at else "never ran"
        values = " ".join(f"{name}={value:g}" for name, value in one.options.items())
        entry(console(), (one.name, when), ENTRIES[one.name][0], *([values] if values else []), plain(last))
    return OK


@schedule.command(name="set")
def set_(
    name: Name,
    /,
    *option: Option,
    every: str | None = None,
    on: bool = False,
    off: bool = False,
    options: ScopeOptions = ScopeOptions(),
) -> int:
    """Change an entry of a user's schedule; what is not named stays.

    For example:

        memorist schedule set decay --on --every 1d half_life_days=30 --user ana

        memorist schedule set sleep --off --user ana

    Parameters
    ----------
    name
        expiry, decay, sleep or migration.
    option
        One of its numbers, such as half_life_days=30; memorist schedule shows them.
    every
        How often, such as 30m, 12h or 1d.
    on
        Have it done.
    off
        Do not have it done.
    """
    if on and off:
        raise InputError("name either --on or --off")
    enabled = True if on else False if off else None
    span = None if every is None else duration(every)
    with options.scoped() as memory:
        changed = memory.schedule.set(name, every=span, enabled=enabled, options=dict(map(number, option)))
    if options.json:
        emit(document_of(changed))
        return OK
    console().print(plain(f"{name} is {'done every ' + spelled(changed.every) if changed.enabled else 'off'}."))
    return OK


@schedule.command
def run(*name: Name, options: ScopeOptions = ScopeOptions()) -> int:
    """Do what is due now, or the entries named whether due or not.

    To be called now and then; memorist work does it, too. Exit code 1 when
    something could not be done; it is tried again later, and memorist jobs
    shows why.

    For example:

        memorist schedule run --user ana

        memorist schedule run expiry --user ana

    Parameters
    ----------
    name
        expiry, decay, sleep or migration.
    """
    with options.scoped() as memory:
        done = memory.schedule.run(name)
    if options.json:
        emit({"ran": done})
    else:
        for one in done:
            console().print(plain(f"{one.name}: {one.problem or one.told}"))
        if not done:
            console().print("Nothing is due.")
    return NEGATIVE if any(one.problem for one in done) else OK


def number(text: str) -> tuple[str, float]:
    """`half_life_days=30` as a pair. Raises InputError."""
    name, equals, value = text.partition("=")
    try:
        if equals and name:
            return name.strip(), float(value)
    except ValueError:
        pass
    raise InputError(f"{text!r:.60} is not OPTION=NUMBER, such as half_life_days=30")


def spelled(span: timedelta) -> str:
    """A span of time in its largest whole unit."""
    seconds = span.total_seconds()
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"


def document_of(one: Scheduled) -> Mapping[str, Any]:
    """An entry as JSON data; `every` is in seconds."""
    return {
        "name": one.name,
        "enabled": one.enabled,
        "every": one.every.total_seconds(),
        "options": one.options,
        "ran_at": one.ran_at,
        "told": one.told,
    }
