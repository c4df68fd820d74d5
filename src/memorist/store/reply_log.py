"""The seam for the reply log: every call of a model, kept with what it saw, so that asking again costs nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Protocol

from memorist.cube import Scope
from memorist.models.chat import Finish, ToolCall, Usage


@dataclass(frozen=True, slots=True)
class Exchange:
    """One call of a model and what came of it.

    `key` is a hash of who was asked what, with which prompt of which version; the messages themselves are not kept.
    `purpose` is the organiser, or "ask". `error` says why the reply is of no use: it is then kept, and never replayed.
    """

    key: str
    purpose: str
    prompt: str
    model: str
    parameters: Mapping[str, Any]
    text: str
    finish: Finish
    calls: tuple[ToolCall, ...]
    usage: Usage
    at: datetime
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Spent:
    """What calls of one purpose, model and day (UTC) took, and what the log saved by answering in their place.

    A cost is None when no price is known for some of them.
    """

    purpose: str
    model: str
    day: date
    failed: int
    used: Usage
    saved: Usage


def together(lines: Iterable[Spent]) -> list[Spent]:
    """Lines of several scopes, one for each purpose, model and day, by day."""
    sums: dict[tuple[date, str, str], Spent] = {}
    for line in lines:
        key = (line.day, line.purpose, line.model)
        known = sums.get(key)
        sums[key] = (
            line
            if known is None
            else replace(
                line, failed=known.failed + line.failed, used=known.used + line.used, saved=known.saved + line.saved
            )
        )
    return [sums[key] for key in sorted(sums)]


class ReplyLog(Protocol):
    """Where replies are kept: in the store, within a scope, along the lineage of what they saw."""

    def keep_reply(self, scope: Scope, exchange: Exchange, rows: Sequence[int]) -> bool:
        """Keep a call that saw the cubes of these rows.

        It is deleted with any episode that they rest on. When it saw none, or one of them is gone, its reply is not
        kept, only what it took; then False.
        """
        ...

    def reply_to(self, scope: Scope, key: str, rows: Sequence[int]) -> Exchange | None:
        """The reply recorded for a key, which from now on has seen these rows, too; None when there is none."""
        ...

    def reject_reply(self, scope: Scope, key: str, reason: str) -> None:
        """The reply recorded for a key is of no use: keep it, with the reason, and never replay it."""
        ...

    def together(self, scope: Scope, purpose: str, rows: Sequence[int]) -> list[tuple[int, ...]]:
        """The episodes that were first seen by the same call of a purpose whose reply is kept, for every such call that
        any of these rows was news to; in the order of the calls."""
        ...

    def spent(self, scope: Scope, since: datetime | None = None) -> list[Spent]:
        """What the calls of this owner took, by purpose, model and day."""
        ...
