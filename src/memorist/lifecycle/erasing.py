"""Destroying memories, and saying so in a document that can be checked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from memorist.cube import Scope
from memorist.errors import InputError
from memorist.results import Erasure
from memorist.store.audit import canonical
from memorist.store.governed import Removed
from memorist.store.protocol import INDEX, Store

TITLE = "memorist certificate of erasure"
VERSION = 1


def erase(
    store: Store, scope: Scope, ids: Sequence[str], copies: Mapping[Path, Any], settle: Callable[[], object]
) -> Erasure:
    """Erase along the lineage in a store and in opened copies of it, and look for what is left of the bytes."""
    erased = store.erase(scope, ids, (INDEX,))
    settle()
    found = store.compact(erased.texts)
    for copy in copies.values():
        present = copy.present(scope, erased.ids)
        if present:
            copy.erase(scope, present, (INDEX,))
        found += copy.compact(erased.texts)
    known = {path for one in (store, *copies.values()) for path in one.backups()}
    left = sorted(path for path in known - {path.resolve() for path in copies} if path.exists())
    names = [str(path.resolve()) for path in copies]
    searched = len(erased.texts) if store.searches() else 0
    told = {"number": erased.removed.number, "searched": searched, "found": found, "cleaned": names}
    place = store.record("erased", scope, told)
    document = certificate(store.identity(), scope, erased.removed, told, [str(path) for path in left], place)
    return Erasure(erased.ids, erased.counts, found, tuple(copies), tuple(left), document)


def certificate(
    store: str,
    scope: Scope,
    removed: Removed,
    searched: Mapping[str, Any],
    left: Sequence[str],
    audited: tuple[int, str],
) -> dict[str, Any]:
    """What was removed, without any of it. Its `sha256` is over the canonical JSON of all the rest."""
    document: dict[str, Any] = {
        "document": TITLE,
        "version": VERSION,
        "store": store,
        "number": removed.number,
        "erased_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "tenant": scope.tenant,
        "user": scope.user,
        "removed": {
            "cubes": sum(removed.forms.values()),
            "records": dict(removed.tables),
            "forms": dict(removed.forms),
            "origins": dict(removed.origins),
        },
        "prints": {"cubes": list(removed.cubes), "texts": list(removed.texts)},
        "search": {"texts": searched["searched"], "found": searched["found"]},
        "backups": {"cleaned": searched["cleaned"], "left": list(left)},
        "audit": {"entry": audited[0], "hash": audited[1]},
    }
    return {**document, "sha256": digest(document)}


def told_to_others(document: Mapping[str, Any]) -> dict[str, Any]:
    """A certificate for who need not know where the store's backups lie: their names alone."""
    names = {kind: [Path(path).name for path in paths] for kind, paths in document["backups"].items()}
    told = {**document, "backups": names}
    return {**told, "sha256": digest(told)}


def digest(document: Mapping[str, Any]) -> str:
    """The hash of a certificate without the one that stands in it."""
    return hashlib.sha256(canonical({name: one for name, one in document.items() if name != "sha256"})).hexdigest()


def read(text: str) -> dict[str, Any]:
    """A certificate from its JSON. Raises InputError for what is none, or was changed."""
    try:
        document = json.loads(text)
        prints = document["prints"]
        sound = (
            document["document"] == TITLE
            and document["version"] == VERSION
            and all(isinstance(document[name], str) for name in ("store", "number", "sha256"))
            and all(isinstance(one, str) for one in (*prints["cubes"], *prints["texts"], *document["backups"]["left"]))
            and isinstance(document["audit"]["entry"], int)
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        sound = False
    if not sound:
        raise InputError("this is no certificate of an erasure; it is made by: memorist erase ID --certificate FILE")
    if digest(document) != document["sha256"]:
        raise InputError("this certificate was changed since it was made: its sha256 is another")
    return dict(document)


def problems(document: Mapping[str, Any], store: Store, copy: Callable[[Path], Any]) -> list[str]:
    """What a certificate promises and a store does not hold; `copy` opens a backup.

    Raises InputError for the certificate of another store.
    """
    if document["store"] != store.identity():
        raise InputError("this certificate is of another store; name that one with --store")
    entry = document["audit"]
    found = []
    if store.audit_hash(entry["entry"]) != entry["hash"]:
        found.append(f"the audit log does not have the certificate's entry {entry['entry']}: it was changed or cut off")
    found += [f"the store {told}" for told in remains_of(document, store)]
    for name in document["backups"]["left"]:
        if Path(name).is_file():
            with copy(Path(name)) as opened:
                found += [f"the backup {name} {told}" for told in remains_of(document, opened)]
    return found


def remains_of(document: Mapping[str, Any], store: Store) -> list[str]:
    """What of the erased a store has, in words."""
    prints = document["prints"]
    try:
        remains = store.remains(document["number"], prints["cubes"], prints["texts"])
    except ValueError as error:
        raise InputError(f"the prints of this certificate cannot be read ({error})") from error
    told = []
    if remains.cubes:
        told.append(f"has {remains.cubes} of the erased memories; if they were not meant to come back, erase them")
    if remains.stretches:
        told.append(f"holds {remains.stretches} pieces of erased text in no record; run: memorist compact")
    return told
