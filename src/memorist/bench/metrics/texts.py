"""How near an answer is to those that are right, without a judge.

Normalisation is SQuAD's (lower case, no punctuation, no articles, single spaces); of several right answers the nearest
counts.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence

ARTICLES = re.compile(r"\b(?:a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)
CLOSED = frozenset(("yes", "no", "noanswer"))


def normalised(text: str) -> str:
    """Lower case, without punctuation and articles, single spaces."""
    return " ".join(ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split())


def exact(said: str, gold: str) -> float:
    """Whether both are the same after normalisation."""
    return float(normalised(said) == normalised(gold))


def contains(said: str, gold: str) -> float:
    """Whether the right answer stands in what was said, in letters (MemoryAgentBench's SubEM: "4" stands in "43")."""
    return float(normalised(gold) in normalised(said))


def states(said: str, gold: str) -> float:
    """Whether the right answer stands in what was said as whole words."""
    return float(f" {normalised(gold)} " in f" {normalised(said)} ")


def token_f1(said: str, gold: str) -> float:
    """Harmonic mean of precision and recall over words as often as they stand; yes and no only match themselves."""
    one, other = normalised(said), normalised(gold)
    if one != other and (one in CLOSED or other in CLOSED):
        return 0.0
    words, wanted = one.split(), other.split()
    if not words or not wanted:
        return float(words == wanted)
    return harmonic(sum((Counter(words) & Counter(wanted)).values()), len(words), len(wanted))


def set_f1(said: str, gold: str) -> float:
    """The F1 over sets of words, as published LoCoMo scripts of memory systems have it: repeated words count once."""
    words, wanted = set(normalised(said).split()), set(normalised(gold).split())
    if not words or not wanted:
        return float(words == wanted)
    return harmonic(len(words & wanted), len(words), len(wanted))


def rouge_l(said: str, gold: str) -> float:
    """F1 over the longest common subsequence of words."""
    words, wanted = normalised(said).split(), normalised(gold).split()
    if not words or not wanted:
        return float(words == wanted)
    longest = [0] * (len(wanted) + 1)
    for word in words:
        before = 0
        for place, other in enumerate(wanted, 1):
            before, longest[place] = (
                longest[place],
                (before + 1 if word == other else max(longest[place], longest[place - 1])),
            )
    return harmonic(longest[-1], len(words), len(wanted))


def harmonic(shared: int, one: int, other: int) -> float:
    """The harmonic mean of shared/one and shared/other."""
    return 2 * shared / (one + other) if shared else 0.0


def best(metric: Callable[[str, str], float], said: str, golds: Sequence[str]) -> float:
    """The metric's best over the right answers; 0 when there are none."""
    return max((metric(said, gold) for gold in golds), default=0.0)
