"""Having a language model extract the facts of episodes that it has not read yet, one at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from memorist.cube import Scope
from memorist.errors import BadReply, ModelError
from memorist.ids import digest
from memorist.lifecycle.logged import Logged
from memorist.models.chat import ChatModel, Usage
from memorist.organise.extract.extraction import dump_facts
from memorist.organise.extract.model import extractor_of, request_of, stated
from memorist.store.protocol import Extracted, Store

Progress = Callable[[int, int], None]
"""Told how many episodes are done, and of how many."""


@dataclass(slots=True)
class Reading:
    """What came of a run: `asked` episodes, `left` unread, `failed` ones whose reply was of no use, and what it took.

    `problem` says why it ended early.
    """

    asked: int = 0
    left: int = 0
    failed: int = 0
    episodes: int = 0
    facts: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    usage: Usage = field(default_factory=Usage)
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Budget:
    """The most calls and tokens (prompts and replies together) of a run; None is no limit.

    Checked before each episode, so that the last one, with its repair turn, may go beyond it.
    """

    calls: int | None = None
    tokens: int | None = None

    def spent(self, usage: Usage) -> str | None:
        """Which of them is used up, if one is."""
        if self.calls is not None and usage.calls >= self.calls:
            return f"the budget of {self.calls} calls is used up"
        if self.tokens is not None and usage.prompt_tokens + usage.reply_tokens >= self.tokens:
            return f"the budget of {self.tokens} tokens is used up"
        return None


def read_episodes(
    store: Store, scope: Scope, model: ChatModel, budget: Budget, clock: Callable[[], datetime], progress: Progress
) -> Reading:
    """Log the model's facts of every episode of the scope whose words it has not read, in place of an earlier log.

    Each is kept before the next is asked for. A reply that is of no use costs that episode only, which is asked for
    again in the next run; any other failure of the model ends this one.
    """
    unread, name = unread_by(store, scope, model), extractor_of(model)
    made = Reading(left=len(unread))
    for row, text in unread:
        made.problem = budget.spent(made.usage)
        if made.problem:
            break
        try:
            found, reply = stated(Logged(model, store, scope, "extract", (row,), clock), text)
        except BadReply as error:
            made.failed += 1
            made.usage += wasted(model, text, error)
        except ModelError as error:
            made.problem = f"{type(error).__name__}: {error}"
            break
        else:
            made.episodes += store.keep_extracted(scope, {row: Extracted(name, digest(text), dump_facts(found.facts))})
            made.facts += len(found.facts)
            made.rejected += found.rejected
            made.usage += reply.usage
        made.asked += 1
        made.left -= 1
        progress(made.asked, len(unread))
    return made


def unread_by(store: Store, scope: Scope, model: ChatModel) -> list[tuple[int, str]]:
    """Row and words of the episodes that have no extraction by this model."""
    episodes, name = list(store.texts(scope)), extractor_of(model)
    logged = store.extracted(scope, [row for row, _ in episodes], [digest(text) for _, text in episodes])
    return [(row, text) for row, text in episodes if row not in logged or logged[row].extractor != name]


def wasted(model: ChatModel, text: str, error: BadReply) -> Usage:
    """An estimate of what a useless reply and its repair cost: the error does not carry their usage."""
    prompt = sum(model.count([turn.content for turn in request_of(text).messages]))
    return Usage(2 * prompt, 2 * sum(model.count([error.raw])), None, 0.0, 2)
