"""The times that a text speaks of: a quick look for words of time, and the grammar only for texts that have some."""

from __future__ import annotations

from datetime import date, datetime, time, timezone
from typing import TYPE_CHECKING

from memorist.cube import TimeSpan, utc
from memorist.times.patterns import regex

if TYPE_CHECKING:
    from memorist.times.grammar import Found

_UNITS = r"day|week|weekend|month|year|night|fortnight|quarter|decade"
_NAMED = (
    r"spring|summer|fall|autumn|winter|\w+day|(?:mon|tues?|wed|thu|thurs?|fri|sat|sun)\b"
    r"|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|christ|xmas|new|easter|hallo|thank"
)
_TRIGGERS = (
    r"\b(?:(?P<day>yesterday|today|tonight|tomorrow|(?:this|last) (?:morning|afternoon|evening|night))"
    rf"|(?P<which>(?:last|next|this|past|coming|upcoming)\s+(?=(?:past\s|last\s|coming\s|next\s)?(?:{_UNITS}|{_NAMED})))"
    r"|(?P<ago>ago|from (?:now|today|tomorrow|\w+day)|before (?=last\b)|after (?=next\b))"
    rf"|(?P<in>in\s+(?=[\w' ]{{1,24}}(?:day|week|month|year|night)))"
    r"|(?P<rolling>(?:the|these|this)\s+(?=(?:last|past|next|coming)\s))"
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
    r"|(?P<year>(?:18|19|20)\d\d(?!\d|'?s)))"
    r"|(?P<decade>\d0'?s)"
)


def spans(text: str, at: datetime) -> tuple[TimeSpan, ...]:
    """The times that an English text speaks of, resolved against `at`, when it was said.

    In order of appearance and not overlapping. An interval is the whole unit meant: "yesterday" is a day, "last week"
    Monday to Monday, "in May" a month. What has no certain meaning is left out; the function raises on no text.
    """
    return tuple(span_of(text, found) for found in find(text, utc(at).date()))


def span_of(text: str, found: Found) -> TimeSpan:
    """What was found as a span of UTC with its words."""
    return TimeSpan(text[found.start : found.end], _midnight(found.period.start), _midnight(found.period.end))


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
    from memorist.times.grammar import resolved  # most texts name no time and never need it

    return resolved(text, low, kinds, day, question)
