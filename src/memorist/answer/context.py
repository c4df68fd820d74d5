"""What a reader sees: passages under short handles, dated, quoted as data, within a number of tokens.

Only lines that begin with a handle are ours; all that was remembered is indented, its own `[1]`s shown as `(1)`, so
that no passage can pose as another one, close the block or speak as the chat template.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from memorist.answer.dates import date_of, day_of
from memorist.results import PROMPT_BEGIN, PROMPT_END, Hit, prompt_line

Count = Callable[[Sequence[str]], list[int]]

LOOKS_LIKE_HANDLE = re.compile(r"\[\s*(\d+)\s*\]")
SAYS_THE_YEAR = re.compile(r"\d{4}")
WIDEST_HANDLE = 100
MOST_TIMES = 3
"""Resolved times shown of one passage."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A hit under its handle, a number from 1. Handles hold for one context and are never ids."""

    handle: int
    hit: Hit


@dataclass(frozen=True, slots=True)
class Context:
    """The passages in the order of time, and the block that shows them."""

    passages: tuple[Passage, ...]
    text: str

    def passage(self, handle: int) -> Passage | None:
        """The passage under a handle, None when there is none."""
        return self.passages[handle - 1] if 1 <= handle <= len(self.passages) else None


def context_of(hits: Sequence[Hit], count: Count, budget: int) -> Context:
    """The best hits that fit `budget` tokens, as `count` counts them; a hit that does not fit is passed over."""
    costs = count([PROMPT_BEGIN, PROMPT_END, *(block_of(WIDEST_HANDLE, hit) for hit in hits)])
    left = budget - sum(costs[:2])
    kept = []
    for hit, cost in zip(hits, costs[2:]):
        if cost <= left:
            left -= cost
            kept.append(hit)
    kept.sort(key=lambda hit: (hit.at, hit.session, hit.episodes))
    passages = tuple(Passage(handle, hit) for handle, hit in enumerate(kept, 1))
    blocks = [block_of(passage.handle, passage.hit) for passage in passages]
    return Context(passages, "\n".join([PROMPT_BEGIN, *blocks, PROMPT_END]))


def block_of(handle: int, hit: Hit) -> str:
    """`[1] 8 May 2023; "yesterday" means 7 May 2023`, and beneath it the quoted words."""
    meant = [f'"{" ".join(span.words.split())}" means {date_of(span)}' for span in hit.times if is_relative(span.words)]
    quoted = LOOKS_LIKE_HANDLE.sub(r"(\1)", prompt_line(hit.speaker, hit.text, hit.trust))
    return "\n".join(["; ".join([f"[{handle}] {day_of(hit.at)}", *meant[:MOST_TIMES]]), quoted])


def is_relative(words: str) -> bool:
    """Whether a time needs the date of its passage to be understood; one that names its year does not."""
    return SAYS_THE_YEAR.search(words) is None
