"""Options that commands share, and the store they lead to."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter

from memorist.config import make_folder, store_place
from memorist.errors import InputError, StoreError

if TYPE_CHECKING:
    from pathlib import Path

    from memorist.memory import Memory
    from memorist.models.chat import ChatModel
    from memorist.scoped import ScopedMemory

SHARED = Group("Store and output", sort_key=9)
SCOPE = Group("Whose memory", sort_key=8)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class StoreOptions:
    """Which store, and how to answer."""

    store: Annotated[str | None, Parameter(group=SHARED)] = None
    "The store's file or postgresql://… address. Default: $MEMORIST_STORE, else memory.db in your data folder."
    json: Annotated[bool, Parameter(group=SHARED)] = False
    "Answer with one JSON document, errors too."
    embedder: Annotated[str | None, Parameter(group=SHARED)] = None
    "For a new store: minilm (default), static (far faster, finds less), or another; see docs/guide.md."
    reranker: Annotated[str | None, Parameter(group=SHARED)] = None
    "Order the best hits by cross-encoder:FOLDER, a model of sentence-transformers. Default: none."
    debug: Annotated[bool, Parameter(group=SHARED)] = False
    "Show the traceback of an unexpected error."

    @contextmanager
    def opened(
        self, *, create: bool = False, recipe: str = "default", model: ChatModel | None = None
    ) -> Iterator[Memory]:
        """The store; unless it may be created, it has to be there."""
        from memorist.cli.catching_up import catching_up
        from memorist.memory import Memory

        place = store_place(self.store)
        if create:
            make_folder(place)
        elif self.missing():
            raise StoreError(f'there is no store at {place} yet; add something first: memorist add --text "..."')
        given = Memory.open(place, recipe=recipe, embedder=self.embedder, model=model, reranker=self.reranker)
        with given as memory, catching_up() as memory.organised:
            yield memory

    def missing(self) -> bool:
        """Whether there is no store yet. An empty file is none."""
        path = file_of(store_place(self.store))
        if path is None:  # a server's: opening it says what is there
            return False
        try:
            return not path.exists() or (path.is_file() and path.stat().st_size == 0)
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {error.strerror}") from error


def file_of(place: str) -> Path | None:
    """The file that a place names, beside which memorist.toml may lie; None for a server's address."""
    from memorist.arguments import path_of
    from memorist.store.opening import is_server

    return None if is_server(place) else path_of(place)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ScopeOptions(StoreOptions):
    """Whose memory, too."""

    user: Annotated[str, Parameter(group=SCOPE)] = ""
    "The user whose memory it is."
    agent: Annotated[str, Parameter(group=SCOPE)] = ""
    "Only what this agent was told."
    session: Annotated[str, Parameter(group=SCOPE)] = ""
    "Only this conversation."
    tenant: Annotated[str, Parameter(group=SCOPE)] = ""
    "The organisation that the user belongs to."

    @contextmanager
    def scoped(self, *, create: bool = False, recipe: str = "default") -> Iterator[ScopedMemory]:
        """The memory of this user."""
        with self.opened(create=create, recipe=recipe) as memory:
            yield memory.scope(user=self.user, tenant=self.tenant, agent=self.agent, session=self.session)


Model = Annotated[
    str | None,
    Parameter(group=SHARED, help="The language model, such as local:smollm2-135m; see: memorist models."),
]
"""For every command that may use one; `memorist.models.naming.chat_named` makes it."""

Where = Annotated[
    tuple[str, ...],
    Parameter(name="--where", help="Keep what matches, such as speaker=Ana or at.gte=2025-05-01."),
]


def conditions(given: Sequence[str]) -> dict[str, dict[str, Any]]:
    """`speaker=Ana`, `at.gte=2025-05-01` and `meta.topic=travel` as a `where`; the same field twice is any of both."""
    from memorist.store.select import OPERATORS

    where: dict[str, dict[str, Any]] = {}
    for one in given:
        left, equals, text = one.partition("=")
        if not equals or not left:
            raise InputError(f"--where {one!r:.100} is not FIELD=VALUE, such as speaker=Ana or at.gte=2025-05-01")
        field, _, operator = left.rpartition(".")
        if operator not in OPERATORS or field in ("", "meta"):
            field, operator = left, "eq"
        value = scalar(text) if field.startswith("meta.") else text
        known = where.setdefault(field, {})
        if operator not in known:
            known[operator] = value
        elif operator in ("eq", "ne"):
            earlier = known[operator]
            known[operator] = [*(earlier if isinstance(earlier, list) else [earlier]), value]
        else:
            raise InputError(f"--where {field}.{operator} is given twice; give it once")
    return where


def scalar(text: str) -> Any:
    """A value of metadata: a number, true, false or null when it reads as one in JSON, else the text."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    plain = value is None or isinstance(value, (str, int)) or (isinstance(value, float) and math.isfinite(value))
    return value if plain else text


def pairs(text: str | None, what: str) -> Mapping[str, str] | None:
    """`text=body,at=sent` as a mapping."""
    if text is None:
        return None
    found: dict[str, str] = {}
    for one in text.split(","):
        name, equals, value = (part.strip() for part in one.partition("="))
        if not equals or not name or not value:
            raise InputError(f"{what} {text!r:.100} is not FIELD=HEADER,..., such as text=body,at=sent")
        found[name] = value
    return found
