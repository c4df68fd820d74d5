"""How sure an extractive answer may be, from what recall saw.

A logistic function. Its weights were fitted by `memorist bench answers` on development conversations: questions that
their memory can answer, against the same questions asked of another memory. docs/results/answers.md says how often it
is right, and that a question about something near to what was said, but never said, looks like one that was.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from memorist.results import Hits

INTERCEPT = -6.47
WEIGHTS: Mapping[str, float] = {"cosine": 13.31, "sentence": 6.94, "unheard": -5.39}


def evidence_of(hits: Hits, sentence: float) -> dict[str, float]:
    """What the confidence looks at: the best turn's cosine, the best sentence's, and whether a name is unheard of."""
    return {
        "cosine": max((float(hit.why.get("cosine", 0.0)) for hit in hits), default=0.0),
        "sentence": sentence,
        "unheard": 1.0 if hits.unheard else 0.0,
    }


def confidence_of(evidence: Mapping[str, float]) -> float:
    """0 … 1."""
    total = INTERCEPT + sum(weight * evidence[name] for name, weight in WEIGHTS.items())
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, total))))
