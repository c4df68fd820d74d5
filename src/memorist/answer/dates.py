"""Times in words, as fine as they are."""

from __future__ import annotations

from datetime import datetime

from memorist.cube import TimeSpan


def day_of(at: datetime) -> str:
    """`8 May 2023`."""
    return f"{at.day} {at:%B %Y}"


def date_of(span: TimeSpan) -> str:
    """A span in words, as fine as it is."""
    days = (span.end - span.start).days
    first, last = span.start, span.end
    if days <= 1:
        return day_of(first)
    if first.day == 1 and last.day == 1:
        return f"{first:%B %Y}" if days <= 31 else f"{first:%Y}" if first.month == last.month == 1 else between(span)
    return between(span)


def between(span: TimeSpan) -> str:
    """First to last day of a span."""
    last = span.end.fromtimestamp(span.end.timestamp() - 1, span.end.tzinfo)
    return f"{day_of(span.start)} to {day_of(last)}"
