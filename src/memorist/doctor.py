"""What works on this machine, and what to do about the rest."""

from __future__ import annotations

import platform
import shutil
import sqlite3
import sys
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from memorist.errors import MemoristError
from memorist.models.embedder import Embedder
from memorist.results import Check
from memorist.store.protocol import Store
from memorist.store.sqlite import SQLiteStore, TableStore

LEAST_FREE = 1 << 30


def diagnose(store: Store, embedder: Embedder, uncounted: str | None = None) -> list[Check]:
    """One line for each thing that Memorist needs or can use. `uncounted` is why recalls are not counted."""
    checks = [python(), sqlite(), weights(embedder)]
    if isinstance(store, SQLiteStore):
        checks.append(disk(store))
    elif isinstance(store, TableStore):
        checks.append(server(store))
    place = store.path if isinstance(store, SQLiteStore) else None
    if uncounted:
        checks.append(Check("Usage", False, uncounted, "make the store writable; what waits is then counted"))
    return [*checks, soundness(store), pending(store), language_models(place), extras()]


def python() -> Check:
    """The interpreter."""
    supported = sys.version_info >= (3, 10)
    return Check("Python", supported, f"{platform.python_version()}, {platform.machine()}", "use Python 3.10 or newer")


def sqlite() -> Check:
    """SQLite's version: RETURNING needs 3.35."""
    supported = sqlite3.sqlite_version_info >= (3, 35, 0)
    return Check("SQLite", supported, sqlite3.sqlite_version, "use a Python built with SQLite 3.35 or newer")


def weights(embedder: Embedder) -> Check:
    """Whether the embedder loads and tells like from unlike."""
    name = f"Embedder {embedder.identity.name}"
    begin = time.perf_counter()
    try:
        cat, kitten, tax = embedder.embed(["The cat sleeps.", "A kitten is napping.", "Tax forms are due."])
    except Exception as error:  # whatever breaks in a third party's runtime is what the report is for
        return Check(name, False, f"{type(error).__name__}: {error}", "pip install --force-reinstall memorist")
    seconds = time.perf_counter() - begin
    sensible = float(cat @ kitten) > float(cat @ tax) and bool(np.isfinite(cat).all())
    return Check(
        name,
        sensible,
        f"{embedder.identity.dimension} dimensions, loaded and run in {seconds:.2f} s",
        "its vectors make no sense; reinstall its package",
    )


def disk(store: SQLiteStore) -> Check:
    """Room for the store to grow."""
    free = shutil.disk_usage(store.path.parent).free
    size = store.path.stat().st_size
    enough = free > max(LEAST_FREE, 2 * size)
    return Check(
        "Disk",
        enough,
        f"{free / 1e9:.1f} GB free, store {size / 1e6:.1f} MB",
        "free some space: erase and migrations need room for a copy of the store",
    )


def server(store: TableStore) -> Check:
    """The server behind the store."""
    problem, told = store.about()
    return Check("Server", not problem, told, problem)


def soundness(store: Store) -> Check:
    """The store's own check."""
    try:
        problems = store.check()
    except MemoristError as error:
        problems = [str(error)]
    return Check("Store", not problems, problems[0] if problems else "sound", "see: memorist verify")


def pending(store: Store) -> Check:
    """Work that waits."""
    jobs = [job for scope, _ in store.scopes() for job in store.jobs(scope)]
    reasons = [job.reason for job in jobs if job.reason]
    detail = f"{len(jobs)} pending" + (f"; the last failed: {reasons[-1]}" if reasons else "")
    return Check("Jobs", not reasons, detail, "they are taken up again by the next add or search")


EXTRAS: Mapping[str, tuple[str, str]] = {
    "graph": ("spacy", "facts by grammar, for the recipe hipporag2"),
    "local": ("xllamacpp", "language models on this machine"),
    "remote": ("pydantic_ai", "language models behind an endpoint"),
    "neural": ("torch", "keys and values, adapters"),
    "serve": ("fastapi", "HTTP, MCP, the page"),
    "postgres": ("psycopg", "a store on PostgreSQL"),
}
"""What can be installed beside: what shows that it is here, and what it is for."""


def extras() -> Check:
    """What is installed beside the core; none of it is needed."""
    missing = {name: use for name, (module, use) in EXTRAS.items() if find_spec(module) is None}
    here = ", ".join(name for name in EXTRAS if name not in missing) or "none"
    rest = "".join(f"; for {use}: pip install 'memorist[{name}]'" for name, use in missing.items())
    return Check("Extras", True, here + rest)


def language_models(store: Path | None) -> Check:
    """Which language models could be used; none is needed."""
    from memorist.models.naming import configured

    name = "Language models"
    try:
        ready = [model for model, _, usable in configured(store) if usable]
    except MemoristError as error:
        return Check(name, False, str(error), "mend memorist.toml")
    told = f"ready: {', '.join(ready)}; try one with: memorist models try NAME" if ready else "none, and none is needed"
    return Check(name, True, told, "see: memorist models")
