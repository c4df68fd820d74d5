"""Whether the passages that a sentence cites really carry it: by words, numbers and dates, without a model.

The rule was chosen on development conversations; docs/results/reading.md has its error rates. It sees what is missing
from a passage. It does not see who did what to whom, nor a "not".
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from memorist.answer.dates import date_of
from memorist.cube import TimeSpan
from memorist.results import Hit
from memorist.store.terms import stems, words
from memorist.text import indexed

CARRIED = 0.42
"""The least share of a sentence's words that the passages hold."""

NEW_CARRIED = 0.5
"""The least share of those words among them that the question did not bring."""

NUMBER = re.compile(r"\d+")
NUMBER_WORDS = {
    word: number
    for number, word in enumerate("two three four five six seven eight nine ten eleven twelve".split(), 2)  # noqa: SIM905
}
"""Without "one", which seldom counts."""


@dataclass(frozen=True, slots=True)
class Support:
    """How far passages carry a sentence. `share` is of its words; `carried` the verdict."""

    share: float
    carried: bool


def support(sentence: str, hits: Sequence[Hit], question: str = "") -> Support:
    """How far these passages together carry the sentence, an answer to the question."""
    said = stems(sentence)
    if not hits or not said:
        return Support(0.0, False)
    held = words_of(hits)
    share = share_of(said, held)
    asked = set(stems(question))
    new = [word for word in said if word not in asked]
    enough = share >= CARRIED and (not new or share_of(new, held) >= NEW_CARRIED)
    return Support(share, enough and numbers(sentence) <= numbers_of(hits))


def share_of(words: Collection[str], held: set[str]) -> float:
    """The share of distinct words that are held."""
    distinct = set(words)
    return len(distinct & held) / len(distinct)


def words_of(hits: Iterable[Hit]) -> set[str]:
    """The stems of passages as they are shown: speaker, date, words, and the dates that these mean."""
    return {
        stem
        for hit in hits
        for stem in stems(f"{indexed(hit.speaker, hit.text, hit.at)} {' '.join(map(date_of, hit.times))}")
    }


def numbers(text: str) -> set[int]:
    """The numbers in a text; small ones may be words."""
    found = {int(number[:18]) for number in NUMBER.findall(text) if number.isascii()}
    return found | {NUMBER_WORDS[word] for word in words(text) if word in NUMBER_WORDS}


def numbers_of(hits: Iterable[Hit]) -> set[int]:
    """The numbers that passages hold, with those of their dates."""
    found: set[int] = set()
    for hit in hits:
        found |= numbers(hit.text) | {hit.at.day, hit.at.month, hit.at.year}
        for span in hit.times:
            found |= numbers_of_span(span)
    return found


def numbers_of_span(span: TimeSpan) -> set[int]:
    """Day, month and year of the first and the last day."""
    last = span.end - timedelta(seconds=1)
    return {number for day in (span.start, last) for number in (day.day, day.month, day.year)}
