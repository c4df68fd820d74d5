"""The memory's part in a chat: what it adds to a request, and what it keeps of an exchange.

A memory that fails must not take the chat with it: here its errors end, and become a line of the log and of a header.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

from memorist.answer.context import Context, context_of
from memorist.arguments import CONVERSATION
from memorist.cube import Observation
from memorist.ids import digest
from memorist.models.prompts import prompt_named
from memorist.models.wordpiece import count_tokens
from memorist.scoped import ScopedMemory
from memorist.serve.chat.turn import Turn
from memorist.serve.tracing import span

logger = logging.getLogger("memorist.serve")
T = TypeVar("T")
SOURCE = "chat"
NOTHING = Context((), "")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a caller wants of the memory: whose it is, the most tokens it may add (0: nothing), and whether the
    exchange is kept."""

    scoped: ScopedMemory
    budget: int
    keep: bool


@dataclass(frozen=True, slots=True)
class Memories:
    """What was added, and what went wrong."""

    context: Context = NOTHING
    problem: str | None = None

    @property
    def ids(self) -> list[str]:
        """The ids of what was added, in the order of its numbers."""
        return [passage.hit.id for passage in self.context.passages]

    @property
    def block(self) -> str:
        """What stands before the user's words; empty when nothing was found."""
        if not self.context.passages:
            return ""
        (message,) = prompt_named("chat").fill(memories=self.context.text)
        return message.content

    def shape(self) -> list[dict[str, Any]]:
        """For the reply's own field: what each number cites."""
        return [
            {
                "number": passage.handle,
                "id": passage.hit.id,
                "at": passage.hit.at.isoformat(),
                "speaker": passage.hit.speaker,
                "text": passage.hit.text,
            }
            for passage in self.context.passages
        ]


@dataclass(frozen=True, slots=True)
class Kept:
    """The ids of what was kept, and what went wrong."""

    ids: tuple[str, ...] = ()
    problem: str | None = None


def recalled(wanted: Wanted, turn: Turn) -> Memories:
    """What speaks to the user's words and does not stand in the request already."""

    def work() -> Memories:
        hits = wanted.scoped.search(turn.question, budget=wanted.budget)
        fresh = [hit for hit in hits if not turn.holds(hit.text)]
        return Memories(context_of(fresh, count_tokens, wanted.budget))

    return guarded("recall", work, lambda problem: Memories(problem=problem)) if wanted.budget else Memories()


def kept(wanted: Wanted, turn: Turn, reply: str, now: datetime) -> Kept:
    """Keep what is new of an exchange: the user's unanswered words and the reply.

    A turn has a key of its conversation, its words and the day, so a request that is sent again adds nothing.
    """
    if not wanted.keep:
        return Kept()
    key = digest(turn.thread, f"{now:%Y-%m-%d}")
    scope = wanted.scoped.scope
    session = scope.session or CONVERSATION
    base = Observation("", session=session, source=SOURCE)
    said = [
        replace(base, text=text, speaker=scope.user or "User", role="user", key=f"{key}-{place}")
        for place, text in enumerate(turn.new)
    ]
    if reply.strip():
        answering = digest(key, turn.new, len(turn.items))
        said.append(replace(base, text=reply.strip(), speaker=scope.agent or None, role="assistant", key=answering))
    if not said:
        return Kept()
    return guarded("remember", lambda: Kept(wanted.scoped.add(said).ids), lambda problem: Kept(problem=problem))


def guarded(step: str, work: Callable[[], T], failed: Callable[[str], T]) -> T:
    """What `work` gives, or what `failed` makes of its error: without words of anybody's."""
    try:
        with span(step):
            return work()
    except Exception as error:
        problem = f"{step} failed: {type(error).__name__}"
        logger.warning("memory failed", extra={"fields": {"step": step}}, exc_info=error)
        return failed(problem)
