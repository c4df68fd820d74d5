"""Commands on the store as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from memorist.cli import NEGATIVE, OK
from memorist.cli.options import StoreOptions, file_of
from memorist.cli.render import console, emit, plain, show_checks, show_scopes
from memorist.config import store_place
from memorist.errors import InputError, StoreError

if TYPE_CHECKING:
    from memorist.results import Check
    from memorist.store.protocol import Reembedding, Store


def export(path: str, /, *, options: StoreOptions = StoreOptions()) -> int:
    """Write everything, of all users, to an archive.

    It is JSON lines, which any tool can read.

    For example:

        memorist export memory.jsonl.gz

    Parameters
    ----------
    path
        The file to write; compressed when its name ends in .gz. It must not exist.
    """
    with options.opened() as memory:
        records = memory.export(path)
    document = {"path": path, "records": records}
    emit(document) if options.json else console().print(plain(f"Wrote {records} records to {path}."))
    return OK


def import_(path: str, /, *, options: StoreOptions = StoreOptions()) -> int:
    """Add what an archive holds, all or nothing.

    What is there already stays.

    For example:

        memorist import memory.jsonl.gz --store copy.db

    Parameters
    ----------
    path
        An archive made by memorist export. Conversations and notes are for memorist add.
    """
    with options.opened(create=True) as memory:
        added = memory.restore(path)
    document = {"path": path, "added": added}
    emit(document) if options.json else console().print(plain(f"Added {added} from {path}."))
    return OK


def backup(path: str, /, *, options: StoreOptions = StoreOptions()) -> int:
    """Copy the store, while others go on using it.

    For example:

        memorist backup monday.db

    Parameters
    ----------
    path
        The file to write. It must not exist.
    """
    with options.opened() as memory:
        copy = memory.backup(path)
    emit({"path": copy}) if options.json else console().print(plain(f"Copied to {copy}."))
    return OK


def compact(*, options: StoreOptions = StoreOptions()) -> int:
    """Rewrite the store without free space.

    erase does it by itself, unless another process is in the way.

    For example:

        memorist compact
    """
    with options.opened() as memory:
        memory.compact()
    emit({"compacted": True}) if options.json else console().print(plain("Compacted."))
    return OK


def reembed(*, status: bool = False, cancel: bool = False, options: StoreOptions = StoreOptions()) -> int:
    """Change the store's embedder, while others go on using it.

    All vectors are made anew beside the old ones, then take their place at once. When it is interrupted, the same
    command goes on where it was.

    For example:

        memorist reembed --embedder static

        memorist reembed --status

    Parameters
    ----------
    status
        Only show how far it is.
    cancel
        End what was begun; the old vectors stay.
    """
    if status + cancel + bool(options.embedder) != 1:
        raise InputError("give one of --embedder NAME, --status and --cancel")
    with stored(options) as store:
        if cancel:
            cancelled = store.cancel_reembedding()
            said = "Cancelled; the old vectors stay." if cancelled else "Nothing was going on."
            emit({"cancelled": cancelled}) if options.json else console().print(said)
        elif status:
            going = store.reembedding()
            emit({"reembedding": going}) if options.json else console().print(plain(told(going)))
        else:
            made = reembedded(store, options)
            document = {"embedder": options.embedder, "made": made}
            emit(document) if options.json else console().print(plain(f"The store now has {options.embedder} vectors."))
    return OK


@contextmanager
def stored(options: StoreOptions) -> Iterator[Store]:
    """The store alone: its old embedder may not be here any more. Raises StoreError when there is none."""
    from memorist.store.opening import open_store

    place = store_place(options.store)
    if options.missing():
        raise StoreError(f"there is no store at {place}")
    with closing(open_store(file_of(place) or place)) as store:
        yield store


def reembedded(store: Store, options: StoreOptions) -> int:
    """Do it, with a bar; returns how many vectors were made."""
    from rich.progress import Progress

    from memorist.lifecycle.reembed import reembed
    from memorist.models.known import embedder_named
    from memorist.recipes import derived_anew

    embedder = embedder_named(options.embedder or "")
    with Progress(console=console(), transient=True, disable=options.json or not console().is_terminal) as bar:
        task = bar.add_task("Vectors", total=None)
        return reembed(
            store, embedder, derived_anew(), lambda: datetime.now(timezone.utc),
            lambda done, total: bar.update(task, completed=done, total=total),
        )  # fmt: skip


def told(going: Reembedding | None) -> str:
    """How far it is, in a sentence."""
    if going is None:
        return "Nothing is going on."
    name = going.identity.name
    return f"Re-embedding with {name}, begun {going.began:%d %B %Y %H:%M} UTC: {going.done} of {going.total} vectors."


def verify(*, certificate: str | None = None, options: StoreOptions = StoreOptions()) -> int:
    """Check every page and reference of the store, and what should be gone.

    Exit code 1 when something is wrong.

    For example:

        memorist verify

        memorist verify --certificate erased.json

    Parameters
    ----------
    certificate
        Of an erasure: check that nothing of it is in the store, nor in the backups that it names.
    """
    with options.opened() as memory:
        found = memory.verify(certificate)
    if options.json:
        emit(found)
    elif found.ok:
        console().print("The store is sound.")
    else:
        for problem in found.problems:
            console().print(plain(problem))
    return OK if found.ok else NEGATIVE


def doctor(*, options: StoreOptions = StoreOptions()) -> int:
    """Show what works on this machine, and what to do about the rest.

    Exit code 1 when something does not.

    For example:

        memorist doctor
    """
    checks = checks_of(options)
    ok = all(check.ok for check in checks)
    emit({"ok": ok, "checks": checks}) if options.json else show_checks(console(), checks)
    return OK if ok else NEGATIVE


def checks_of(options: StoreOptions) -> list[Check]:
    """The doctor's report; without a store, or with one that does not open, of the machine alone."""
    from memorist.doctor import extras, language_models, python, sqlite, weights
    from memorist.models.minilm import MiniLM
    from memorist.results import Check

    place = store_place(options.store)
    try:
        if not options.missing():
            with options.opened() as memory:
                return memory.doctor()
        store = Check("Store", True, f"none yet at {place}; the first memorist add creates it")
    except StoreError as error:
        store = Check("Store", False, str(error), "name another with --store, or restore a backup")
    return [python(), sqlite(), weights(MiniLM()), store, language_models(file_of(place)), extras()]


def scopes(*, options: StoreOptions = StoreOptions()) -> int:
    """Show whose memories the store holds, and how many.

    For example:

        memorist scopes
    """
    with options.opened() as memory:
        found = [{"tenant": scope.tenant, "user": scope.user, "episodes": count} for scope, count in memory.scopes()]
    emit({"scopes": found}) if options.json else show_scopes(console(), found)
    return OK
