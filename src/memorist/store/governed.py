"""The seam for governance: who may see what, what is sensitive, what was done, and what was destroyed.

A *subject* is whoever asks beside the owner: a user of the same tenant, or one of their agents. Without a grant a
memory is closed to it. What a subject sees of a store is itself a store (`seen`), in which nothing else exists.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol, get_args

from memorist.cube import Scope

Right = Literal["read", "write", "share", "administer", "reveal"]
RIGHTS: tuple[Right, ...] = get_args(Right)


@dataclass(frozen=True, slots=True)
class Subject:
    """Who asks: a user of the tenant, and which of their agents ("" in a grant: any)."""

    user: str
    agent: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """Rights of a subject in an owner's memory.

    `scope` is whose memory, narrowed by agent and session; with `cubes` it is these alone, and their later versions.
    `administer` holds all other rights; `reveal` shows what is sensitive in clear.
    """

    number: int
    scope: Scope
    subject: Subject
    rights: tuple[Right, ...]
    at: datetime
    cubes: tuple[str, ...] | None = None
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Sight:
    """A way of looking at an owner's memory: as a subject under its grants (None: as the owner), and whether what is
    sensitive is masked even where the subject may see it."""

    scope: Scope
    subject: Subject | None = None
    masked: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the audit log. `hash` is over all of it and the hash of the entry before."""

    seq: int
    at: datetime
    actor: str
    tenant: str
    user: str
    act: str
    detail: Mapping[str, Any]
    hash: str


@dataclass(frozen=True, slots=True)
class Removed:
    """What an erasure took away, without any of it.

    `tables`, `forms` and `origins` count records, cubes by their kind and by their origin. `cubes` (episodes) and
    `texts` are prints: with the store's secret they tell whether something is what was erased, without it nothing.
    `number` names the erasure in the audit log.
    """

    number: str
    tables: Mapping[str, int] = field(default_factory=dict)
    forms: Mapping[str, int] = field(default_factory=dict)
    origins: Mapping[str, int] = field(default_factory=dict)
    cubes: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Remains:
    """What of an erasure is still, or again, in a store: how many of its cubes, and of its texts' stretches in bytes
    that no living record says."""

    cubes: int
    stretches: int


class Governed(Protocol):
    """What every store does beside remembering."""

    def seen(self, sight: Sight) -> Any:
        """The store as a subject sees it, itself a `Store`, closed with this one.

        Every query finds only what the subject's grants of this moment open: cubes of which all sources are open, with
        their features, lineage and links; there are no other records. Without the right to `reveal`, texts are
        masked. Whoever may write adds and changes through it; all else raises NotAllowed, as does every query when
        there is no grant to read.
        """
        ...

    def grant(self, grant: Grant, by: Subject | None) -> Grant:
        """Keep a grant, and return it with its number. `by` is who gives it, None the owner: it needs the right to
        share and each right that it gives. Raises NotAllowed, or NotFound for a cube."""
        ...

    def revoke(self, scope: Scope, number: int, now: datetime, by: Subject | None) -> None:
        """End a grant of this owner at once. Raises NotFound or NotAllowed."""
        ...

    def grants(self, scope: Scope) -> list[Grant]:
        """All grants of an owner's memory, oldest first, revoked ones too."""
        ...

    def granted(self, tenant: str, subject: Subject) -> list[Grant]:
        """The grants that a subject has now, oldest first."""
        ...

    def tags(self, scope: Scope) -> dict[str, tuple[str, ...]]:
        """The sensitivity of an owner's cubes by id, also what derived cubes have from their sources."""
        ...

    def record(self, act: str, scope: Scope, detail: Mapping[str, Any]) -> tuple[int, str]:
        """Add an entry to the audit log; returns its place and hash. What stores do by themselves they record."""
        ...

    def audit(self, after: int, limit: int, scope: Scope | None) -> list[Entry]:
        """Entries beyond a place, oldest first; of one owner, or of all for the administrator."""
        ...

    def audit_head(self) -> tuple[int, str]:
        """Place and hash of the last entry; (0, zeros) of an empty log."""
        ...

    def audit_problems(self) -> list[str]:
        """Where the chain of the audit log does not hold; empty when it does."""
        ...

    def audit_hash(self, place: int) -> str | None:
        """The hash of the entry at a place; None when there is none."""
        ...

    def searches(self) -> bool:
        """Whether the store's files can be searched for what was erased; if not, a certificate says so."""
        ...

    def remains(self, number: str, cubes: Sequence[str], texts: Sequence[str]) -> Remains:
        """What of an erasure, given by its number and prints, is still or again there."""
        ...

    def identity(self) -> str:
        """A random name of this store and its copies."""
        ...

    def known_of(self, scope: Scope) -> Iterator[tuple[str, dict[str, Any]]]:
        """All that is kept of an owner, as (table, record)."""
        ...
