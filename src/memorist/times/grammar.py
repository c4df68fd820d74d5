"""From the kinds of time word in a text to its times: try the rules, keep the longest, join what belongs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from datetime import date
from typing import NamedTuple

from memorist.times import dates, relative
from memorist.times.patterns import regex
from memorist.times.periods import Period, day_of, shifted, unit_of, weekday_near
from memorist.times.words import COUNT, WEEKDAY, WEEKDAY_NUMBERS, Rule, Scene, count_of

_ANCHORED = (
    rf"(?<!\w)(?:the\s+)?(?:last\s+)?(?:(?P<count>{COUNT})\s+)?"
    rf"(?P<unit>day|night|evening|morning|week|weekend|month|year|{WEEKDAY})"
    r"(?P<plural>s?)\s+(?P<side>before|after|following|prior\s+to|of)\s+(?:the\s+)?$"
)
_JOINT = r"\s+(?:to|through|until|till)\s+(?:the\s+)?"
_DASH = r"\s*[-–—]\s*"
_CHANGED = (
    r"\b(?:mov|chang|push|postpon|reschedul|shift|switch|delay|brought|went)\w*\b[^.!?]{0,40}\bfrom\s+(?:the\s+)?$"
)
_BETWEEN = r"\s+and\s+(?:the\s+)?"


class Found(NamedTuple):
    """A period and where its words stand in the text."""

    start: int
    end: int
    period: Period


def resolved(text: str, low: str, kinds: Set[str | None], day: date, question: bool) -> list[Found]:
    """The periods that the rules for these kinds of word find; `low` is the text in lower case, of the same length."""
    scene = Scene(text, low, day, question)
    found: list[Found] = []
    reached = 0
    for match, rule in sorted(_matches(low, kinds), key=lambda pair: (pair[0].start(), -pair[0].end())):
        if match.start() < reached:
            continue
        reached = match.end()
        try:
            period = rule.resolve(scene, match)
        except (ValueError, OverflowError):  # no calendar holds it: February 30, a million weeks ago
            continue
        if period and period.start < period.end:
            _append(scene, found, Found(match.start(), match.end(), period))
    return _joined(low, found)


def _matches(low: str, kinds: Set[str | None]) -> Iterator[tuple[re.Match[str], Rule]]:
    for rule in dates.RULES + relative.RULES:
        if rule.kind in kinds:
            for match in regex(rule.pattern).finditer(low):
                yield match, rule


def _append(scene: Scene, earlier: list[Found], found: Found) -> None:
    """Adds what was found, widened to words before that count from it: two weeks before 17 July, the week of May 8."""
    match = regex(_ANCHORED).search(scene.lowered, max(found.start - 60, 0), found.start)
    period = _counted_from(match, found.period) if match else None
    if match and period:
        covers = earlier and match.start() <= earlier[-1].start  # the Friday of "the Friday before Christmas"
        if covers and (len(earlier) == 1 or earlier[-2].end <= match.start()):
            earlier.pop()
        if not earlier or earlier[-1].end <= match.start():
            found = Found(match.start(), found.end, period)
    earlier.append(found)


def _counted_from(match: re.Match[str], period: Period) -> Period | None:
    """The period that the words of `match` measure from this one, or None when they do not."""
    unit, side = match["unit"], match["side"]
    unit = "day" if unit in ("night", "evening", "morning") else unit
    if match["plural"] and not match["count"]:
        return None
    if side == "of":
        if match["count"] or (period.end - period.start).days != 1 or unit not in ("week", "weekend"):
            return None
        return unit_of(unit, period.start)
    try:
        count = count_of(match["count"])[0] if match["count"] else 1
        return _beside(period, unit, count, side in ("before", "prior to"))
    except (ValueError, OverflowError):
        return None


def _beside(period: Period, unit: str, count: int, before: bool) -> Period:
    """The unit that lies `count` such units before or after the period."""
    if unit in WEEKDAY_NUMBERS:
        weekday = WEEKDAY_NUMBERS[unit]
        if before:
            return day_of(shifted(weekday_near(period.start, weekday, "last"), "week", 1 - count))
        return day_of(shifted(weekday_near(shifted(period.end, "day", -1), weekday, "next"), "week", count - 1))
    if before:
        return unit_of(unit, shifted(period.start, unit, -count))
    return unit_of(unit, shifted(shifted(period.end, "day", -1), unit, count))


def _joined(low: str, found: list[Found]) -> list[Found]:
    """Two times joined by "to", by "between" and "and", or two dates by a dash, become one that reaches over both."""
    joined: list[Found] = []
    for item in found:
        first = joined[-1] if joined else None
        if first and item.start - first.end <= 12 and first.period.start < item.period.end:
            gap = low[first.end : item.start]
            between = regex(_BETWEEN).fullmatch(gap) and low[: first.start].rstrip().endswith("between")
            dated = low[first.end - 1].isdigit() and regex(r"\d").search(low, item.start, item.end)
            # "moved from May 3 to May 10" names two dates, not what lies between.
            reaching = regex(_JOINT).fullmatch(gap) and not regex(_CHANGED).search(low, 0, first.start)
            if between or reaching or (dated and regex(_DASH).fullmatch(gap)):
                joined[-1] = Found(first.start, item.end, Period(first.period.start, item.period.end))
                continue
        joined.append(item)
    return joined
