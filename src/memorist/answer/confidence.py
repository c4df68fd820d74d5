"""How sure an extractive answer may be, from what recall saw.

A logistic function fitted on the development conversations, with questions asked of the wrong conversation, and those
annotated as unanswerable, as the negatives. `memorist bench answers` fits and measures it; docs/results/answers.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from memorist.results import Hit

INTERCEPT = -4.0
WEIGHTS = {"cosine": 6.0, "lexical": 2.0, "sentence": 1.0, "margin": 0.0}


def evidence_of(hits: Sequence[Hit], sentence: float) -> dict[str, float]:
    """What the confidence looks at: the best cosine and coverage, the best sentence, and how it stands out."""
    cosines = sorted((float(hit.why.get("cosine", 0.0)) for hit in hits), reverse=True)
    return {
        "cosine": cosines[0] if cosines else 0.0,
        "lexical": max((float(hit.why.get("lexical", 0.0)) for hit in hits), default=0.0),
        "sentence": sentence,
        "margin": cosines[0] - cosines[min(9, len(cosines) - 1)] if cosines else 0.0,
    }


def confidence_of(hits: Sequence[Hit], sentence: float) -> float:
    """0 … 1."""
    evidence = evidence_of(hits, sentence)
    return 1 / (1 + math.exp(-(INTERCEPT + sum(WEIGHTS[name] * value for name, value in evidence.items()))))
