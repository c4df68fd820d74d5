"""What a stretch of conversation says in short: its telling sentences and its keywords, without a language model.

Both are functions of the turns alone, so they never change because something else was remembered. How rare a word is
comes from the embedder's vocabulary, which stands in the order of frequency.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from memorist.answer.sentences import sentences
from memorist.models.wordpiece import count_tokens, pieces, vocabulary
from memorist.store.protocol import Turn
from memorist.store.terms import STOP_WORDS, stems, words
from memorist.text import shown

SUMMARY_TOKENS = 120
KEYWORDS = 15

FIRST_WORD = 1_996
"""The vocabulary's id of its most frequent word; marks and single characters come before it."""

MODEST = 8
"""Terms added to a sentence's length, so that the shortest do not win by being short."""

SHORTEST_KEYWORD = 3


@dataclass(frozen=True, slots=True)
class Digest:
    """A summary in sentences, and keywords, the most telling first."""

    summary: str
    keywords: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence that may stand in a summary."""

    place: int
    line: str
    terms: frozenset[str]


def digest_of(turns: Sequence[Turn]) -> Digest:
    """The digest of these turns."""
    return Digest(summary_of(turns), keywords_of(turns))


def summary_of(turns: Sequence[Turn], most: int = SUMMARY_TOKENS) -> str:
    """Sentences in their order that together hold most of what is told, within `most` tokens.

    Greedy coverage (Lin & Bilmes 2011): each next sentence is the one with the most weight of terms that none before
    it holds, for its length. A term weighs by how often it comes and how rare the word is. Questions tell nothing.
    """
    candidates = [
        Candidate(place, shown(turn.speaker, text), frozenset(stems(text)))
        for place, (turn, text) in enumerate((turn, text) for turn in turns for text in sentences(turn.text))
        if not text.endswith("?")
    ]
    weights = term_weights([turn.text for turn in turns])
    chosen: list[Candidate] = []
    told: set[str] = set()
    while candidates and most > 0:
        best = max(candidates, key=lambda one: (gain(one, told, weights), -one.place))
        if gain(best, told, weights) <= 0:
            break
        candidates.remove(best)
        (cost,) = count_tokens([best.line])
        if cost <= most:
            chosen.append(best)
            told |= best.terms
            most -= cost
    return "\n".join(one.line for one in sorted(chosen, key=lambda one: one.place))


def gain(candidate: Candidate, told: set[str], weights: dict[str, float]) -> float:
    """The weight of what a sentence would add, for its length."""
    added = sum(weights.get(term, 0.0) for term in candidate.terms - told)
    return added / math.sqrt(len(candidate.terms) + MODEST)


def keywords_of(turns: Sequence[Turn], most: int = KEYWORDS) -> tuple[str, ...]:
    """The words of most weight, each in the form it came first; equal weights in the order of the alphabet."""
    forms: dict[str, str] = {}
    for turn in turns:
        for word in words(turn.text):
            if word not in STOP_WORDS and len(word) >= SHORTEST_KEYWORD and not word.isdigit():
                forms.setdefault(stem_of(word), word)
    weights = term_weights([turn.text for turn in turns])
    ranked = sorted(forms, key=lambda stem: (-weights.get(stem, 0.0), stem))
    return tuple(forms[stem] for stem in ranked[:most])


def term_weights(texts: Sequence[str]) -> dict[str, float]:
    """The weight of each stem: (1 + ln count) times how rare the word is."""
    counts = Counter(word for text in texts for word in words(text) if word not in STOP_WORDS)
    by_stem: Counter[str] = Counter()
    rare: dict[str, float] = {}
    for word, count in counts.items():
        stem = stem_of(word)
        by_stem[stem] += count
        rare[stem] = min(rarity(word), rare.get(stem, math.inf))
    return {stem: (1 + math.log(count)) * rare[stem] for stem, count in by_stem.items()}


@lru_cache(maxsize=100_000)
def stem_of(word: str) -> str:
    """The stem of a lowered word."""
    return (stems(word) or [word])[0]


@lru_cache(maxsize=100_000)
def rarity(word: str) -> float:
    """The logarithm of a word's rank by frequency; a word that the vocabulary has only in pieces is the rarest."""
    parts = pieces(word)
    rank = parts[0] - FIRST_WORD + 2 if len(parts) == 1 else len(vocabulary())
    return math.log(max(rank, 2))
