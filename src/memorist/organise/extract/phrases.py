"""Facts of a text in any language, by its script alone: names and terms that stand near each other.

No word is understood. A phrase is a run of words that are capitalised where the script has capitals, a run of
characters where a script has no spaces, else a long word. Neighbours within a sentence are one "fact" without a
relation: what the graph needs is that both stand in the same place.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import pairwise

from memorist.organise.extract.extraction import WORD, Fact, sound

SENTENCE = re.compile(r"(?<=[.!?…。！？।؟])\s*|\n+")
TOKEN = re.compile(rf"{WORD.pattern}(?:['’-]{WORD.pattern})*")
UNSPACED = re.compile(
    "[\u0e00-\u0e7f\u0e80-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]+"  # kana and Chinese characters
)
GRAM = 2
"""Characters of a term where words are not told apart."""

LONG = 6
"""Characters from which a word without capitals is a term."""

MOST_PHRASES = 24
"""Phrases of a sentence."""


class NearbyPhrases:
    """An extractor that knows no language."""

    name = "nearby-phrases/1"

    def extract(self, texts: Sequence[str]) -> list[list[Fact]]:
        """The facts of each text."""
        return [facts_of(text) for text in texts]


def facts_of(text: str) -> list[Fact]:
    """Neighbouring phrases of each sentence, and the first phrase of the text with the first of each sentence."""
    triples: list[tuple[str, str, str]] = []
    topic = None
    for sentence in SENTENCE.split(text):
        phrases = list(dict.fromkeys(phrases_of(sentence)))[:MOST_PHRASES]
        if phrases:
            topic = topic or phrases[0]
            chain = phrases if phrases[0] == topic else [topic, *phrases]
            triples += [(one, "", other) for one, other in pairwise(chain)]
    return list(sound(triples).facts)


def phrases_of(sentence: str) -> Iterator[str]:
    """Names and terms of a sentence, in order."""
    run: list[str] = []
    for number, found in enumerate(TOKEN.finditer(sentence)):
        word = found.group()
        if UNSPACED.search(word):
            yield from joined(run)
            run = []
            for part in UNSPACED.findall(word):
                yield from (part[i : i + GRAM] for i in range(max(1, len(part) - GRAM + 1)))
        elif named(word) and (number or not run):
            run.append(word)
        else:
            yield from joined(run)
            run = []
            if caseless(word) or len(word) >= LONG:
                yield word
    yield from joined(run)


def joined(run: Sequence[str]) -> Iterator[str]:
    """A run of names as one phrase, if there is one."""
    if run:
        yield " ".join(run)


def named(word: str) -> bool:
    """Whether a word is written as names are: with a capital, or with a digit."""
    return word[0].isupper() or any(char.isdigit() for char in word)


def caseless(word: str) -> bool:
    """Whether a word's script has no capitals, as Arabic or Devanagari."""
    return any(unicodedata.category(char) == "Lo" for char in word) and len(word) > 2
