"""The nouns: what is observed, what is kept, and whose it is.

An *observation* is what a source yields. Once stored it is an *episode*: a cube whose origin is a source, immutable,
the ground truth. Every other cube is derived and knows, by its lineage, what it was derived from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Literal

from memorist.errors import InputError, brief
from memorist.states import State

Kind = Literal["text", "activation", "parameter"]
Trust = Literal["user", "agent", "tool", "web", "model"]
Role = Literal["user", "assistant", "system", "tool", "document"]

LONGEST_NAME = 500
"""Characters of a name in a scope."""

SOURCE: str = "source"
"""The origin of an episode. A derived cube's origin is the name of what derived it."""

TRUST_OF_ROLE: Mapping[str, Trust] = {
    "user": "user",
    "assistant": "agent",
    "system": "agent",
    "tool": "tool",
    "document": "user",
}


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """A time that a text speaks of: the words, and the half-open interval [start, end) they mean."""

    words: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Observation:
    """One message, document section or record, as a source yields it, before it is stored.

    Naive datetimes are taken as UTC. `key` is the source's own identifier of the record (a message id) when it has
    one: it makes adding again a no-op even when the same words stand twice.
    """

    text: str
    speaker: str | None = None
    role: Role = "user"
    at: datetime | None = None
    session: str | None = None
    source: str | None = None
    key: str | None = None
    trust: Trust | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Document:
    """A text that is not a conversation: a note, a page, a report. It is split by its headings when added.

    `trust` says where it comes from; a web page is `trust="web"` and will be shown as quoted data.
    """

    text: str
    title: str | None = None
    at: datetime | None = None
    source: str | None = None
    trust: Trust = "user"
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose memory. `tenant` and `user` are walls: what is not named is the unnamed one, never "all".

    `agent` and `session` narrow: what is not named is any.
    """

    tenant: str = ""
    user: str = ""
    agent: str = ""
    session: str = ""

    def __post_init__(self) -> None:
        for name in ("tenant", "user", "agent", "session"):
            value = getattr(self, name)
            if not isinstance(value, str):
                raise InputError(f"scope {name}={brief(value)} is not a string; pass its name or leave it out")
            if "\x00" in value or len(value) > LONGEST_NAME or not is_unicode(value):
                raise InputError(f"scope {name} must be at most {LONGEST_NAME} valid characters without NUL")


@dataclass(frozen=True, slots=True)
class Cube:
    """A managed unit of memory: payload and header (MemOS, MemCube).

    Two clocks: `valid_from`/`valid_to` say when it was true, `recorded_at`/`superseded_at` when we believed it. An
    open end is None. `episodes` are the ids of what it was derived from (its own id for an episode).

    Descriptive: `semantic_type` says what it is (fact, preference, task, …; "" when nobody said), `updated_at` when its
    header or state last changed. Governance: after `expires_at` it is no longer recalled (None: never), `priority`
    (0 by default, higher is more) and `sensitivity` tags are what a user or a rule made of it. Behaviour: `recalls`
    counts the searches that returned it, `recalled_at` is the last of them.

    A cube that is not text has its tensors as `payload`: the sha256 of a safetensors file that the store keeps. Its
    `text` is what they were made of.
    """

    id: str
    scope: Scope
    text: str
    origin: str
    kind: Kind
    state: State
    trust: Trust
    role: str
    speaker: str | None
    source: str | None
    at: datetime
    valid_from: datetime
    valid_to: datetime | None
    recorded_at: datetime
    superseded_at: datetime | None
    times: tuple[TimeSpan, ...]
    meta: Mapping[str, Any]
    episodes: tuple[str, ...]
    semantic_type: str
    updated_at: datetime
    expires_at: datetime | None
    priority: int
    sensitivity: tuple[str, ...]
    recalls: int
    recalled_at: datetime | None
    payload: str | None

    @property
    def fingerprint(self) -> str:
        """A short signature of the content: equal for the same words, whatever their case and spaces."""
        words = " ".join(self.text.casefold().split())
        return hashlib.blake2b(f"{self.kind}\x00{words}".encode(), digest_size=8).hexdigest()


def is_unicode(text: str) -> bool:
    """False when the text holds a lone surrogate, which no file or database can keep."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def utc(moment: datetime) -> datetime:
    """The moment in UTC; a naive one is taken as UTC."""
    return moment.replace(tzinfo=timezone.utc) if moment.tzinfo is None else moment.astimezone(timezone.utc)


def parse_moment(value: object, what: str) -> datetime:
    """A datetime from a datetime, an ISO 8601 text, or seconds since 1970.

    Raises InputError naming `what` when it is none of these.
    """
    try:
        if isinstance(value, datetime):
            return utc(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, timezone.utc)
        if isinstance(value, str):
            text = value.strip()
            return utc(datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith(("Z", "z")) else text))
    except (ValueError, OverflowError, OSError):
        pass
    raise InputError(f"{what}={brief(value)} is not a time; use ISO 8601 such as 2025-05-10T12:00:00")
