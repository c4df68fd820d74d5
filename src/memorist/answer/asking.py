"""A question on its way to an answer: which reader takes it, and what happens when a model fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from threading import Event

from memorist.answer import extractive, steps
from memorist.answer.conflicts import Versions, conflicts
from memorist.answer.reader import Asked
from memorist.answer.shown import OnText
from memorist.errors import InputError, ModelError, brief
from memorist.models.chat import DEFAULT_SECONDS, ChatModel
from memorist.models.embedder import Embedder
from memorist.results import Answer, Hits, Step

MOST_STEPS = 10


@dataclass(frozen=True, slots=True)
class AskOptions:
    """How `ask` asks a model.

    `steps` is how many searches it may take: with more than one the model is asked after each what is missing.
    `seconds` bound the whole, `tokens` what prompts and replies may take together before the last call. `now` is the
    time of the question (default: the clock's), `on_text` is called with the text as it comes, before it is checked,
    and setting `cancel` ends the call.
    """

    steps: int = 1
    seconds: float = DEFAULT_SECONDS
    tokens: int = 20_000
    now: datetime | str | None = None
    on_text: OnText | None = None
    cancel: Event | None = None

    def __post_init__(self) -> None:
        for name, most in (("steps", MOST_STEPS), ("tokens", 2**63)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
                raise InputError(f"{name}={brief(value)} is not a whole number from 1 to {most}")
        if isinstance(self.seconds, bool) or not isinstance(self.seconds, (int, float)) or not self.seconds > 0:
            raise InputError(f"seconds={brief(self.seconds)} is not a number above 0")


@dataclass(frozen=True, slots=True)
class Sources:
    """What an answer is made from: a search, the embedder, and the versions of a cube."""

    search: Callable[[str], Hits]
    embedder: Embedder
    versions: Versions


def ask(
    question: str, now: datetime, budget: int, options: AskOptions, sources: Sources, model: ChatModel | None
) -> Answer:
    """The answer by the model, or without one, with the conflicts in what it cites. Raises ModelError."""
    if model is None:
        answer = by_quotes(question, sources, options)
    else:
        asked = Asked(question, now, options.seconds, options.cancel, options.on_text)
        within = steps.Within(budget, options.steps, options.tokens)
        answer = steps.answer(asked, sources.search, model, within)
    return replace(answer, conflicts=conflicts(answer.citations, answer.hits, sources.versions))


def ask_or_quote(
    question: str, now: datetime, budget: int, options: AskOptions, sources: Sources, model: ChatModel
) -> Answer:
    """As `ask`, but an answer without the model, and why, when the model fails."""
    try:
        return ask(question, now, budget, options, sources, model)
    except ModelError as error:
        return replace(ask(question, now, budget, options, sources, None), problem=str(error))


def by_quotes(question: str, sources: Sources, options: AskOptions) -> Answer:
    """The extractive answer."""
    hits = sources.search(question)
    answer = extractive.answer(question, hits, sources.embedder)
    if options.on_text is not None:
        options.on_text(answer.text)
    return replace(answer, steps=(Step(question, len(hits)),))
