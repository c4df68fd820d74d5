"""Commands that change someone's memory."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from memorist.cli import NEGATIVE, OK
from memorist.cli.inputs import Input, inputs
from memorist.cli.options import ScopeOptions, pairs
from memorist.cli.render import console, data_of, emit, plain, show_erasure, show_receipt
from memorist.cli.report import Declined
from memorist.errors import InputError
from memorist.sources import FileOptions

if TYPE_CHECKING:
    from memorist.results import Receipt
    from memorist.scoped import ScopedMemory

LONG = 1.0
"""Seconds of work after which progress is shown."""

Ids = Annotated[str, Parameter(name="ID")]
Text = Annotated[str | None, Parameter(allow_leading_hyphen=True)]


def add(
    *what: Annotated[str, Parameter(name="PATH_OR_TEXT", allow_leading_hyphen=True)],
    text: Annotated[tuple[str, ...], Parameter(allow_leading_hyphen=True)] = (),
    at: str | None = None,
    source: str | None = None,
    format: str | None = None,
    columns: str | None = None,
    skip_bad: bool = False,
    options: ScopeOptions = ScopeOptions(),
) -> int:
    """Remember files, texts, or what comes through a pipe.

    A file that was added before adds only what is new in it. Its format is
    recognised: messages as JSON or JSON lines, exports of ChatGPT and Claude,
    LoCoMo, CSV, Markdown, transcripts, subtitles, text.

    For example:

        memorist add --text "I moved to Lisbon in May." --user ana

        memorist add notes.md chat.json --user ana
        memorist add mails.csv --columns text=body,at=sent,speaker=from

        echo "Milk is out." | memorist add - --user ana

    Parameters
    ----------
    what
        A file when there is one of this name, else a text; - reads messages or a text from stdin.
    text
        A text, even when a file has this name.
    at
        When a text was said, as ISO 8601 (default: now).
    source
        Where a text comes from; the same from the same source is added once.
    format
        The format of the files, when it is not recognised.
    columns
        Which headers of a CSV hold which fields, such as text=body,at=sent,speaker=from.
    skip_bad
        Pass over records that cannot be read, and report them.
    """
    found = inputs(what, text)
    check_options(found, at, source, format, columns, skip_bad)
    fields = pairs(columns, "--columns")
    with options.scoped(create=True) as memory, progress() as told:
        add_one = partial(memory.add, at=at, source=source, file=FileOptions(format, fields, skip_bad))
        receipt = together([add_one(one, progress=told) for one in found])
    emit(receipt) if options.json else show_receipt(console(), receipt)
    return OK


def check_options(
    found: Sequence[Input], at: str | None, source: str | None, format: str | None, columns: str | None, skip_bad: bool
) -> None:
    """Refuse options that would do nothing."""
    if any(isinstance(one, Path) for one in found):
        if at is not None or source is not None:
            raise InputError("--at and --source are for texts; a file says itself when, and is its own source")
    elif format is not None or columns is not None or skip_bad:
        raise InputError("--format, --columns and --skip-bad are for files; none of these is one")


def together(receipts: Sequence[Receipt]) -> Receipt:
    """Several receipts as one."""
    from memorist.results import KEPT_IDS, Receipt

    ids = [id for receipt in receipts for id in receipt.ids]
    problems = [receipt.problem for receipt in receipts if receipt.problem]
    return Receipt(
        tuple(ids[:KEPT_IDS]),
        "stored" if problems else "indexed",
        sum(receipt.added for receipt in receipts),
        sum(receipt.known for receipt in receipts),
        tuple(error for receipt in receipts for error in receipt.skipped),
        problems[0] if problems else None,
    )


@contextmanager
def progress() -> Iterator[Callable[[int], None]]:
    """Tells how many records are done, on stderr, when that is a terminal and the work is long."""
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.completed:,.0f} records"), TimeElapsedColumn())
    bar = Progress(*columns, console=console(stderr=True), transient=True)
    task = bar.add_task("add", total=None)
    begin = time.monotonic()

    def told(done: int) -> None:
        if time.monotonic() - begin > LONG:
            bar.start()
        bar.update(task, completed=done)

    try:
        yield told
    finally:
        bar.stop()


def update(
    id: Ids,
    /,
    *,
    text: Annotated[str, Parameter(allow_leading_hyphen=True)],
    at: str | None = None,
    options: ScopeOptions = ScopeOptions(),
) -> int:
    """Put a new version in a memory's place; the old one stays in its history.

    For example:

        memorist update "$ID" --text "I live in Porto." --at 2025-07-01 --user ana

    Parameters
    ----------
    id
        The memory, as search and list show it.
    text
        What is true instead.
    at
        Since when, as ISO 8601 (default: now).
    """
    with options.scoped() as memory:
        receipt = memory.update(id, text=text, at=at)
    emit(receipt) if options.json else console().print(f"Updated {id}; it is now {receipt.ids[0]}.")
    return OK


def forget(*id: Ids, options: ScopeOptions = ScopeOptions()) -> int:
    """Hide memories from search; restore brings them back.

    For example:

        memorist forget "$ID" --user ana

    Parameters
    ----------
    id
        The memories to hide. All of them, or none when one of them cannot be.
    """
    return for_each(id, options, "forgotten", lambda memory: memory.forget(id))


def restore(*id: Ids, options: ScopeOptions = ScopeOptions()) -> int:
    """Bring forgotten memories back.

    For example:

        memorist restore "$ID" --user ana

    Parameters
    ----------
    id
        The memories to bring back.
    """
    return for_each(id, options, "restored", lambda memory: memory.restore(id))


def for_each(id: Sequence[str], options: ScopeOptions, done: str, act: Callable[[ScopedMemory], Any]) -> int:
    """Do it in one call, and say to how many."""
    with options.scoped() as memory:
        act(memory)
    emit({done: list(dict.fromkeys(id))}) if options.json else console().print(f"{len(set(id))} {done}.")
    return OK


def erase(
    *id: Ids,
    backup: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = (),
    certificate: str | None = None,
    yes: bool = False,
    options: ScopeOptions = ScopeOptions(),
) -> int:
    """Destroy memories and all that was derived from them.

    All versions go, and their bytes leave the file. This cannot be undone.
    Exit code 1 when some could still be found in the files afterwards.

    For example:

        memorist erase "$ID" --user ana --yes

        memorist erase "$ID" --user ana --backup monday.db --certificate erased.json --yes

    Parameters
    ----------
    id
        The memories to destroy.
    backup
        Backups to erase them from as well.
    certificate
        A new file for what was removed, without any of it; memorist verify checks it.
    yes
        Do not ask.
    """
    with options.scoped() as memory:
        if not yes:
            confirm(memory, id, options.json)
        told = new_file(certificate) if certificate else None
        erasure = memory.erase(id, backups=backup)
    if told:
        told.write_text(json.dumps(data_of(erasure.certificate), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    emit(erasure) if options.json else show_erasure(console(), erasure)
    return NEGATIVE if erasure.remnants else OK


def new_file(name: str) -> Path:
    """A file that was made now, empty. Raises InputError when it cannot be; nothing was erased then."""
    from memorist.arguments import path_of

    path = path_of(name)
    try:
        path.touch(exist_ok=False)
    except OSError as error:
        raise InputError(f"{path} cannot be made: {error.strerror}; name a new file. Nothing was erased") from error
    return path


def confirm(memory: ScopedMemory, id: Sequence[str], asked_json: bool) -> None:
    """Ask on the terminal. Raises Declined, or InputError when nobody can be asked."""
    if asked_json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InputError("erase cannot be undone; add --yes to do it without being asked")
    for one in id:
        print(f"  {one}  {plain(memory.get(one).text):.60}", file=sys.stderr)
    print(f"Destroy {len(id)} with all versions and all derived from them? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Declined("nothing was erased")
