"""Measures of a learner on a stream, from the matrix of its scores.

`R[t][i]` is the score on part i after learning parts 0 … t, both from 0; entries with i > t are scores on what was not
learned yet. The formulas are those of the surveys of continual learning (arXiv 2302.00487 and 2404.16789); where they
differ the name or an argument says which is meant. With one part only, measures that compare parts are None.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from memorist.bench.rows import mean

Matrix = Sequence[Sequence[float]]


def average_accuracy(R: Matrix, t: int = -1) -> float:
    """AA (also OP): the mean over the parts learned by step t (default: the last)."""
    last = t % len(R)
    return mean(R[last][: last + 1])


def average_over_time(R: Matrix) -> float:
    """AIA: the mean of the average accuracies of all steps."""
    return mean([average_accuracy(R, t) for t in range(len(R))])


def backward_transfer(R: Matrix, denominator: Literal["t", "t-1"] = "t-1") -> float | None:
    """BWT: how scores changed since each part was learned; negative is forgetting. TRACE divides by t."""
    last = len(R) - 1
    if last < 1:
        return None
    changes = sum(R[last][i] - R[i][i] for i in range(last))
    return changes / (last + 1 if denominator == "t" else last)


def forgetting(R: Matrix) -> float | None:
    """F: how far the earlier parts are below their best since they were learned. The last step is not among the
    candidates for the best, so that a late gain counts as negative forgetting; F ≥ -BWT always."""
    last = len(R) - 1
    if last < 1:
        return None
    return mean([max(R[step][i] for step in range(i, last)) - R[last][i] for i in range(last)])


def forward_transfer_zero_shot(R: Matrix, before: Sequence[float]) -> float | None:
    """FWT of GEM: the score on a part just before it is learned, over that of a learner that has seen nothing."""
    if len(R) < 2:
        return None
    return mean([R[i - 1][i] - before[i] for i in range(1, len(R))])


def forward_transfer_learning(R: Matrix, alone: Sequence[float]) -> float | None:
    """FWT of the survey: the score on a part just after it is learned, over that of a fresh learner of it alone."""
    if len(R) < 2:
        return None
    return mean([R[i][i] - alone[i] for i in range(1, len(R))])


def intransigence(R: Matrix, jointly: float) -> float:
    """IM: what a learner of everything at once scores on the last part, over what this one does."""
    return jointly - R[-1][-1]


def fuar(forgotten: Sequence[float], updated: float | None, acquired: float | None) -> float | None:
    """Forgotten over updated and acquired: gaps of scores, of unchanged knowledge before minus after for each earlier
    corpus, of changed and of new knowledge after minus before. None: nothing was gained, or not measured at all."""
    gained = max(0.0, updated or 0.0) + max(0.0, acquired or 0.0)
    return sum(max(0.0, gap) for gap in forgotten) / gained if gained else None


def delta(after: Sequence[float], before: Sequence[float]) -> float:
    """TRACE's delta: the mean change on sets that are no part of the stream, such as abilities a model had before."""
    return mean([one - other for one, other in zip(after, before, strict=True)])
