"""Commands on the store as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memorist.cli import NEGATIVE, OK
from memorist.cli.options import StoreOptions
from memorist.cli.render import console, emit, plain, show_checks, show_scopes
from memorist.config import store_place
from memorist.errors import StoreError

if TYPE_CHECKING:
    from memorist.results import Check


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


def verify(*, options: StoreOptions = StoreOptions()) -> int:
    """Check every page and reference of the store.

    Exit code 1 when something is wrong.

    For example:

        memorist verify
    """
    with options.opened() as memory:
        found = memory.verify()
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
    from memorist.doctor import language_models, python, sqlite, weights
    from memorist.memory import path_of
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
    return [python(), sqlite(), weights(MiniLM()), store, language_models(path_of(place))]


def scopes(*, options: StoreOptions = StoreOptions()) -> int:
    """Show whose memories the store holds, and how many.

    For example:

        memorist scopes
    """
    with options.opened() as memory:
        found = [{"tenant": scope.tenant, "user": scope.user, "episodes": count} for scope, count in memory.scopes()]
    emit({"scopes": found}) if options.json else show_scopes(console(), found)
    return OK
