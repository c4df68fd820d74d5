"""How good a ranking is, given the keys that should be in it."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence


def recall_at(ranked: Sequence[str], gold: Collection[str], k: int) -> float:
    """The share of the gold among the first `k`."""
    return len(set(ranked[:k]) & set(gold)) / len(set(gold))


def hit_at(ranked: Sequence[str], gold: Collection[str], k: int) -> float:
    """Whether any of the gold is among the first `k`."""
    return float(bool(set(ranked[:k]) & set(gold)))


def precision_at(ranked: Sequence[str], gold: Collection[str], k: int) -> float:
    """The share of gold among the first `k`, places without a hit counting as wrong."""
    return len(set(ranked[:k]) & set(gold)) / k


def ndcg_at(ranked: Sequence[str], gold: Collection[str], k: int) -> float:
    """Discounted gain of the first `k` over that of the best ranking, each gold key being worth one."""
    gained = sum(1 / math.log2(place + 2) for place, key in enumerate(ranked[:k]) if key in gold)
    return gained / sum(1 / math.log2(place + 2) for place in range(min(k, len(set(gold)))))


def reciprocal_rank(ranked: Sequence[str], gold: Collection[str]) -> float:
    """One over the place of the first gold key; 0 without one."""
    return next((1 / place for place, key in enumerate(ranked, 1) if key in gold), 0.0)
