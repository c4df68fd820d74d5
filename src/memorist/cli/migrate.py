"""The command that moves a store to another place."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import Annotated

from cyclopts import Parameter

from memorist.cli import OK
from memorist.cli.options import file_of
from memorist.cli.render import console, emit, plain
from memorist.errors import InputError, StoreError

Json = Annotated[bool, Parameter(name="--json", help="Answer with one JSON document, errors too.")]
Debug = Annotated[bool, Parameter(name="--debug", help="Show the traceback of an unexpected error.")]


def migrate(source: str, target: str, /, *, json: Json = False, debug: Debug = False) -> int:
    """Copy a whole store into an empty one, such as a file into PostgreSQL or back.

    Everything is copied: ids, versions, what was derived, jobs, replies, keys. It is all there or not at all, and it is
    read again and compared at the end. Others may use the source meanwhile; what they add later is not copied.

    For example:

        memorist migrate memory.db postgresql://localhost/memory

    Parameters
    ----------
    source
        The store to read: a file or an address.
    target
        A store that is empty or not there yet.
    """
    from rich.progress import Progress

    from memorist.store.opening import open_store

    origin, goal = file_of(source), file_of(target)
    if source == target or (origin is not None and origin == goal):
        raise InputError(f"{source} is both the source and the target; name another target")
    if origin is not None and not (origin.is_file() and origin.stat().st_size):
        raise StoreError(f"there is no store at {source}")
    with ExitStack() as stack:
        read = stack.enter_context(closing(open_store(origin or source)))
        written = stack.enter_context(closing(open_store(goal or target)))
        bar = stack.enter_context(
            Progress(console=console(), transient=True, disable=json or not console().is_terminal)
        )
        task = bar.add_task("Rows", total=None)
        counts = read.copy_to(
            written, lambda table, done, total: bar.update(task, description=table, completed=done, total=total)
        )
    if json:
        emit({"source": read.place, "target": written.place, "rows": counts})
    else:
        total = sum(counts.values())
        console().print(
            plain(f"Copied {total} rows ({counts['cubes']} memories) to {written.place}, and compared them.")
        )
    return OK
