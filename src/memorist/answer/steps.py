"""Searching again for what the first search did not bring: the model says what is missing, until nothing new comes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from memorist.answer.reader import Asked, fitted, read
from memorist.errors import BadReply
from memorist.models.chat import ChatModel, Request, Usage
from memorist.models.prompts import prompt_named
from memorist.models.structured import structured
from memorist.results import Answer, Hit, Hits, Step
from memorist.store.terms import stems

PROMPT = "missing"
REPLY_TOKENS = 80
LONGEST_QUERY = 300


@dataclass(frozen=True, slots=True)
class Missing:
    """What a model replies when asked what to look for: whether there is enough, else the next query."""

    enough: bool
    query: str


@dataclass(frozen=True, slots=True)
class Within:
    """How far to go: tokens of passages in a prompt, searches, and tokens of prompts and replies of all calls."""

    budget: int
    steps: int
    tokens: int


def answer(asked: Asked, search: Callable[[str], Hits], model: ChatModel, within: Within) -> Answer:
    """The model's answer after as many searches as it takes, each on record in `Answer.steps`. `asked.seconds` bound
    all of it. Raises ModelError."""
    deadline = time.monotonic() + asked.seconds
    searches = [search(asked.question)]
    steps = [Step(asked.question, len(searches[0]))]
    while len(steps) < within.steps:
        limited = replace(asked, seconds=max(0.0, deadline - time.monotonic()))
        query, usage = missing(limited, merged(searches), model, within.budget, [step.query for step in steps])
        steps[-1] = replace(steps[-1], usage=steps[-1].usage + usage)
        used = spent(steps)
        if query is None or used.prompt_tokens + used.reply_tokens >= within.tokens:
            break
        known = {hit.id for hits in searches for hit in hits}
        searches.append(search(query))
        new = sum(hit.id not in known for hit in searches[-1])
        steps.append(Step(query, new))
        if not new:
            break
    limited = replace(asked, seconds=max(0.0, deadline - time.monotonic()))
    found = read(limited, merged(searches), model, within.budget)
    return replace(found, steps=tuple(steps), usage=found.usage + spent(steps))


def missing(
    asked: Asked, hits: Hits, model: ChatModel, budget: int, searched: Sequence[str]
) -> tuple[str | None, Usage]:
    """What to search for next, None when the model has enough, asks for what was searched, or makes no sense."""
    so_far = "; ".join(searched)
    context = fitted(asked, hits, model, budget, PROMPT, searched=so_far)
    prompt = prompt_named(PROMPT)
    messages = prompt.fill(memories=context.text, searched=so_far, **asked.fields)
    request = Request(messages, max_tokens=REPLY_TOKENS, prompt=prompt.id)
    try:
        made = structured(model, request, Missing, seconds=asked.seconds, cancel=asked.cancel)
    except BadReply:
        return None, Usage()
    query = " ".join(made.value.query.split())[:LONGEST_QUERY]
    terms = set(stems(query))
    repeated = not terms or any(terms == set(stems(earlier)) for earlier in searched)
    return (None if made.value.enough or repeated else query), made.usage


def merged(searches: Sequence[Hits]) -> Hits:
    """All hits once: the best of each search, then the second best of each, and so on."""
    first = searches[0]
    found: dict[str, Hit] = {}
    for row in zip_longest(*searches):
        for hit in row:
            if hit is not None:
                found.setdefault(hit.id, hit)
    return Hits(list(found.values()), first.query, first.unheard)


def spent(steps: Sequence[Step]) -> Usage:
    """What the steps took together."""
    return sum((step.usage for step in steps), Usage())
