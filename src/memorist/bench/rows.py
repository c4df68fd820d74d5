"""From records to numbers: means by category, percentiles of times, sums of costs."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from memorist.bench.records import Adding, Record

ALL = "all"
"""The category that stands for all questions with a metric."""


FAILED = "failed"
"""The metric of a system that could not be run, or broke: 1."""


@dataclass(frozen=True, slots=True)
class Row:
    """One number. `budget` is in tokens (0: does not apply), `category` one of the suite's or "all", `n` how many
    questions it is of. Of invalid records a row says how many there are, and nothing else."""

    suite: str
    recipe: str
    metric: str
    budget: int
    category: str
    value: float
    n: int


def rows_of(records: Sequence[Record]) -> list[Row]:
    """All rows of records that stand in the order of their tasks, so that a sum is the same to the last digit."""
    grouped: dict[tuple[str, str, int], list[Record]] = defaultdict(list)
    for record in records:
        grouped[record.suite, record.system, record.budget or 0].append(record)
    return [
        row for (suite, system, budget), group in grouped.items() for row in group_rows(suite, system, budget, group)
    ]


def group_rows(suite: str, system: str, budget: int, group: Sequence[Record]) -> Iterable[Row]:
    """The rows of one system at one budget."""

    def row(metric: str, value: float, n: int, category: str = ALL) -> Row:
        return Row(suite, system, metric, budget, category, value, n)

    broken = [record for record in group if record.invalid]
    if broken:
        yield row("invalid", len(broken), len(group))
        return
    for metric in dict.fromkeys(metric for record in group for metric in record.metrics):
        by_category: dict[str, list[float]] = defaultdict(list)
        for record in group:
            if metric in record.metrics:
                by_category[record.category].append(record.metrics[metric])
        values = [value for record in group if (value := record.metrics.get(metric)) is not None]
        for category in sorted(by_category.keys() - {ALL}):
            yield row(metric, mean(by_category[category]), len(by_category[category]), category)
        yield row(metric, mean(values), len(values))
    if group[0].k is None and group[0].budget is None:
        return  # nothing was searched: a reference
    yield row("tokens", mean([record.tokens for record in group]), len(group))
    searched = [record.search_ms for record in group]
    yield row("search_ms_p50", percentile(searched, 50), len(group))
    yield row("search_ms_p95", percentile(searched, 95), len(group))
    if any(record.answer is not None for record in group):
        yield row("read_ms_p50", percentile([record.read_ms for record in group], 50), len(group))
    yield row("read_calls", sum(record.calls for record in group), len(group))
    yield row("read_tokens", sum(record.prompt_tokens + record.reply_tokens for record in group), len(group))
    if all(record.cost is not None for record in group):
        yield row("read_cost", sum(record.cost or 0 for record in group), len(group))


def added_rows(suite: str, system: str, added: Adding, items: int) -> list[Row]:
    """What adding took."""
    return [
        Row(suite, system, "add_seconds", 0, ALL, added.seconds, items),
        Row(suite, system, "add_embedding_seconds", 0, ALL, added.embedding, items),
        Row(suite, system, "store_bytes", 0, ALL, float(added.bytes), items),
    ]


def mean(values: Sequence[float]) -> float:
    """The mean, exactly rounded: the same for any order."""
    return math.fsum(values) / len(values)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this share (in hundredths) lies."""
    return float(np.percentile(values, share))
