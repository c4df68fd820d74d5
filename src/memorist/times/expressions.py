"""Finding the times that a text speaks of: a quick look for words of time, then the rules for the kinds found."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime, time, timezone
from functools import cache
from typing import NamedTuple

from memorist.cube import TimeSpan, utc
from memorist.times.periods import Period, day_of, shifted, unit_of, week_of, weekday_near, weekend_of
from memorist.times.words import COUNT, WEEKDAY, WEEKDAY_NUMBERS, Rule, Scene, count_of, regex

_UNITS = r"day|week|weekend|month|year|night|fortnight|quarter|decade"
_NAMED = (
    r"spring|summer|fall|autumn|winter|\w+day|(?:mon|tues?|wed|thu|thurs?|fri|sat|sun)\b"
    r"|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|christ|xmas|new|easter|hallo|thank"
)
_TRIGGERS = (
    r"\b(?:(?P<day>yesterday|today|tonight|tomorrow|(?:this|last) (?:morning|afternoon|evening|night))"
    rf"|(?P<which>(?:last|next|this|past|coming|upcoming)\s+(?=(?:past\s|last\s|coming\s|next\s)?(?:{_UNITS}|{_NAMED})))"
    r"|(?P<ago>ago|from (?:now|today|tomorrow|\w+day)|before last|after next)"
    rf"|(?P<in>in\s+(?=[\w' ]{{1,24}}(?:day|week|month|year|night)))"
    r"|(?P<rolling>(?:the|these|this)\s+(?:last|past|next|coming)\s)"
    r"|(?P<month>(?:jan|feb|apr|aug|sept?|oct|nov|dec)\b|january|february|mar(?:ch)?\b|april|may|june?\b|july?\b|august"
    r"|september|october|november|december)"
    r"|(?P<weekday>(?:mon|tues|wednes|thurs|fri|satur|sun)day|(?<=on )(?:mon|tues?|wed|thu|thurs?|fri|sat|sun)\b)"
    r"|(?P<weekend>the weekend)"
    r"|(?P<part>of the (?:week|month|quarter|year|decade)|(?:early|late) (?:in the )?(?:year|month|week))"
    r"|(?P<season>(?:spring|summer|fall|autumn|winter)\b)"
    r"|(?P<holiday>christmas|xmas|boxing day|new year|(?:saint|st\.?) patrick|valentine|easter|good friday|halloween"
    r"|thanksgiving|black friday|(?:mother'?s|father'?s|memorial|labou?r|independence|veteran'?s'?) day|juneteenth)"
    r"|(?P<number>\d{1,4}[-/.]\d{1,2}[-/.]\d)"
    r"|(?P<nth>\d{1,2}(?:st|nd|rd|th)\b)"
    r"|(?P<year>(?:18|19|20)\d\d(?!\d)))"
    r"|(?P<decade>'\d0s)"
)
_ANCHORED = (
    rf"(?<!\w)(?:the\s+)?(?:(?P<count>{COUNT})\s+)?(?P<unit>day|night|evening|morning|week|weekend|month|year|{WEEKDAY})"
    r"(?P<plural>s?)\s+(?P<side>before|after|following|prior\s+to|of)\s+(?:the\s+)?$"
)
_JOINT = r"\s*(?:to|through|until|till|[-–—])\s*(?:the\s+)?"
_BETWEEN = r"\s*and\s*(?:the\s+)?"


class Found(NamedTuple):
    """A period and where its words stand in the text."""

    start: int
    end: int
    period: Period


def spans(text: str, at: datetime) -> tuple[TimeSpan, ...]:
    """The times that an English text speaks of, resolved against `at`, when it was said.

    In order of appearance and not overlapping. An interval is the whole unit meant: "yesterday" is a day, "last week"
    Monday to Monday, "in May" a month. What has no certain meaning is left out; the function raises on no text.
    """
    return tuple(span_of(text, found.start, found.end, found.period) for found in find(text, utc(at).date()))


def span_of(text: str, start: int, end: int, period: Period) -> TimeSpan:
    """The period as a span of UTC, with the words text[start:end]."""
    return TimeSpan(text[start:end], _midnight(period.start), _midnight(period.end))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), timezone.utc)


def lowered(text: str) -> str:
    """The text in lower case with straight apostrophes, of the same length, so that positions hold in both."""
    low = text.lower()
    if len(low) != len(text):  # some letters, such as İ, grow
        low = "".join(letter.lower() if len(letter.lower()) == 1 else letter for letter in text)
    return low.replace("\u2019", "'")


def find(text: str, day: date, question: bool = False) -> list[Found]:
    """The periods that the text names, with their places; see `spans`."""
    low = lowered(text)
    kinds = {match.lastgroup for match in regex(_TRIGGERS).finditer(low)}
    if not kinds:
        return []
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
            found.append(_anchored(scene, found, Found(match.start(), match.end(), period)))
    return _joined(low, found)


def _matches(low: str, kinds: set[str | None]) -> Iterator[tuple[re.Match[str], Rule]]:
    for rule in _rules():
        if rule.kind in kinds:
            for match in regex(rule.pattern).finditer(low):
                yield match, rule


@cache
def _rules() -> tuple[Rule, ...]:
    from memorist.times import dates, relative  # most texts name no time and never need the rules

    return dates.RULES + relative.RULES


def _anchored(scene: Scene, earlier: list[Found], found: Found) -> Found:
    """Widens to the words before, when they count from this time: two weeks before 17 July, the week of May 8."""
    floor = max(earlier[-1].end if earlier else 0, found.start - 60)
    match = regex(_ANCHORED).search(scene.lowered, floor, found.start)
    if not match or match["plural"] and not match["count"]:
        return found
    unit, side, period = match["unit"], match["side"], found.period
    unit = "day" if unit in ("night", "evening", "morning") else unit
    single = (period.end - period.start).days == 1
    if side == "of":
        if match["count"] or not single or unit not in ("week", "weekend"):
            return found
        return Found(match.start(), found.end, week_of(period.start) if unit == "week" else weekend_of(period.start))
    try:
        count = count_of(match["count"])[0] if match["count"] else 1
        return Found(match.start(), found.end, _beside(period, unit, count, side in ("before", "prior to")))
    except (ValueError, OverflowError):
        return found


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
    """Two times joined by "to" or a dash, or by "between" and "and", become one from the first to the second."""
    joined: list[Found] = []
    for item in found:
        first = joined[-1] if joined else None
        if first and item.start - first.end <= 12 and first.period.start < item.period.end:
            gap = low[first.end : item.start]
            between = regex(_BETWEEN).fullmatch(gap) and low[: first.start].rstrip().endswith("between")
            if between or regex(_JOINT).fullmatch(gap):
                joined[-1] = Found(first.start, item.end, Period(first.period.start, item.period.end))
                continue
        joined.append(item)
    return joined
