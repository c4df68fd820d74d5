"""Expressions that name a place in the calendar: May 3, 2023; early March; summer of 2021; Christmas; on the 14th.

What lacks a year is the latest one that has begun, or the next one in a sentence about the future. Numeric dates
with slashes or hyphens are month first (05/03/2023 is 3 May) unless the first number exceeds 12; with dots, as in
Europe, day first. Common shapes are read here; odd ones that name a month and a year go to `dateparser`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from functools import lru_cache

from memorist.times.patterns import regex
from memorist.times.periods import (
    DAY,
    Period,
    day_of,
    months_from,
    nth_weekday,
    occurrence,
    season_of,
    shifted,
)
from memorist.times.words import (
    DAYPART,
    END,
    HOLIDAY,
    MONTH,
    MONTH_NAMES,
    MONTHS,
    OF_YEAR,
    ORDINAL,
    ORDINALS,
    PART,
    PEOPLE_OR_VERBS,
    SEASON,
    START,
    WEEKDAY,
    WEEKDAYS,
    Rule,
    Scene,
    any_of,
    holiday_of,
    is_capital,
    part_of,
)

_PREPOSITION = (
    r"\b(?:in|since|until|till|during|by|before|after|from|through|throughout|around|of|to|between|and|for)\s+$"
)
_SURE_PREPOSITION = r"\b(?:in|since|until|till|during|throughout|month of|year)\s+$"
_DAY_PREPOSITION = r"\b(?:on|by|until|till|since|before|after|from)\s+$"
_YEARS_PREPOSITION = r"\b(?:from|between|in|during|of|for|\()\s*$"
_CLOSES = (
    r"\s*(?:$|[.,!?;:)\n\"]|[-–—]|\s(?:and|or|but|at|in|on|with|to|so|because|when|where|we|i|she|he|they|it|you|for|is"
    r"|was|were|will|until|till|through|as|then|that|from|after|before|by|did|do|does|have|has|had|there|my|our|her|his)\b)"
)
_COUNTED = (
    r"\s+(?:[a-z]+[\s-])?(?!(?:was|is|has|his|this|as|us|does|perhaps|always|plus|times?|years?|months)\b)[a-z]{2,}s\b"
    r"|\s+(?:people|men|women|children|dollars|euros|percent|km|kg|degrees|miles|per|or|calories|feet|meters)\b"
)
_SECOND_MONTH = rf"(?:{any_of(MONTH_NAMES)})\s+(?:to|through|and|or)\s+$"
_YEARS_AGO = r"\byears?\s+ago,?\s+(?:in|around)\s+$"
_RANGE_YEAR = (
    rf"\s*(?:to|through|until|till|and|or|-|–)\s*(?:early\s+|mid-?\s*|late\s+)?(?:{'|'.join(MONTHS)})\.?\s+(?:of\s+)?"
    r"((?:19|20)\d\d)\b"
)
_FEAST_BEFORE = r"\b(?:on|at|for|over|during|since|before|after|until|till|by|around)\s+$"
_FEAST_TRAP = (
    r"'?s?\s+(?:trees?|presents?|gifts?|cards?|carols?|songs?|movies?|lights?|decorat\w+|cookies?|dinner|party|parties"
    r"|shopping|music|markets?|spirit|sweaters?|costumes?|candy|eggs?|bunny|baskets?|turkey|break|season|feeling"
    r"|resolutions?|parade|stuff|vibes?|traditions?|island)\b"
)


def _year(scene: Scene, match: re.Match[str]) -> int | None:
    """The year the words name, or None."""
    found = match.groupdict()
    if found.get("year"):
        return int(found["year"])
    if found.get("short"):
        short = int(found["short"])
        return short + (1900 if short > scene.day.year % 100 + 20 else 2000)
    if found.get("relative"):
        return scene.day.year + {"last": -1, "this": 0, "next": 1}[found["relative"]]
    return None


def _of_year(scene: Scene, match: re.Match[str], of_year: Callable[[int], Period | None]) -> Period | None:
    """What recurs yearly, in the year the words name; without one the latest, or the next if the sentence looks ahead.

    A question about a month or a date looks back: memory holds what was said.
    """
    year = _year(scene, match)
    if year is not None:
        return of_year(year)
    if scene.question or not scene.ahead(match):
        return occurrence(of_year, scene.day, "latest")
    running = of_year(scene.day.year)
    return running if running and running.start <= scene.day < running.end else occurrence(of_year, scene.day, "next")


def _named_day(scene: Scene, match: re.Match[str]) -> Period | None:
    """May 3, the 3rd of May 2023, May 3-5."""
    found = match.groupdict()
    number, first = MONTHS[match["month"]], found.get("day")
    day = int(first) if first else ORDINALS.index(found.get("nth") or found["word"]) + 1
    last = max(int(found.get("last") or day), day)
    dated = found.get("year") or found.get("short") or found.get("relative")
    if not dated and match["month"] in PEOPLE_OR_VERBS:
        plain = first and not found.get("suffix")  # "may 3 of us come", "March 3 miles"
        if plain and (not is_capital(scene, match) or regex(_COUNTED).match(scene.lowered, match.end())):
            return None

    def of_year(year: int) -> Period | None:
        try:
            return Period(date(year, number, day), date(year, number, last) + DAY)
        except ValueError:  # 29 February
            return None

    return _on_its_weekday(scene, match, of_year) or _of_year(scene, match, of_year)


def _on_its_weekday(scene: Scene, match: re.Match[str], of_year: Callable[[int], Period | None]) -> Period | None:
    """Sunday 14 September: of last, this and next year the one nearest to today in which the day is a Sunday."""
    names = [name[:3] for name in WEEKDAYS]
    weekday = match[0].strip()[:3]
    if weekday not in names or _year(scene, match) is not None:
        return None
    periods = (of_year(scene.day.year + step) for step in (-1, 0, 1))
    fitting = [one for one in periods if one and one.start.weekday() == names.index(weekday)]
    return min(fitting, key=lambda one: abs(one.start - scene.day), default=None)


def _named_month(scene: Scene, match: re.Match[str]) -> Period | None:
    """May 2023, early March, in October."""
    if regex(_YEARS_AGO).search(scene.before(match)):
        return None  # not the latest one
    number = MONTHS[match["month"]]
    following = regex(_RANGE_YEAR).match(scene.lowered, match.end())
    if not _is_month(scene, match, following is not None):
        return None
    if following and _year(scene, match) is None:
        return part_of(months_from(int(following[1]), number, 1), match)
    return part_of(_of_year(scene, match, lambda year: months_from(year, number, 1)), match)


def _is_month(scene: Scene, match: re.Match[str], ranges: bool) -> bool:
    """True when the word can only be a month here: by its year, its part, its preposition or its capital."""
    name, before, after = match["month"], scene.before(match), scene.lowered[match.end() :][:40]
    capital = scene.written(match, "month")[0].isupper()
    ambiguous = name in PEOPLE_OR_VERBS
    if _year(scene, match) is not None:
        return capital or name not in ("may", "march", "mar") or bool(regex(_PREPOSITION).search(before))
    if match["part"] or match["edge"]:
        return capital or not ambiguous
    if name not in MONTH_NAMES:
        return capital and bool(regex(_SURE_PREPOSITION).search(before))
    if not ambiguous:
        return bool(regex(_PREPOSITION).search(before)) or (capital and bool(regex(_CLOSES).match(after)))
    if not capital or after.startswith("'s"):
        return False
    if regex(_SURE_PREPOSITION).search(before) or ranges:
        return True
    if not regex(_CLOSES).match(after):
        return False
    if before.endswith(("by ", "from ")):  # "a song by June", "a gift from April"
        return scene.foretold(match) or after.startswith((" to ", " until ", " till ", " through "))
    return before.endswith(("before ", "after ", "between ")) or regex(_SECOND_MONTH).search(before) is not None


def _season(scene: Scene, match: re.Match[str]) -> Period | None:
    return part_of(_of_year(scene, match, lambda year: season_of(match["season"], year)), match)


def _holiday(scene: Scene, match: re.Match[str]) -> Period | None:
    feast = holiday_of(match["holiday"])
    evident = _year(scene, match) is not None or regex(_FEAST_BEFORE).search(scene.before(match))
    if not evident or regex(_FEAST_TRAP).match(scene.lowered, match.end()):
        return None
    return _of_year(scene, match, lambda year: day_of(feast(year)))


def _nth_of_month(scene: Scene, match: re.Match[str]) -> Period | None:
    """On the 14th, by the 3rd of next month: the latest such day, or the next one if the sentence looks ahead."""
    if not regex(_DAY_PREPOSITION).search(scene.before(match)):
        return None
    if not regex(_CLOSES).match(scene.lowered[match.end() : match.end() + 40]):
        return None
    day, which = int(match["day"]), match["which"]
    month = months_from(scene.day.year, scene.day.month, 1).start
    if which:
        month = shifted(month, "month", {"last": -1, "this": 0, "the": 0, "next": 1}[which])
        return day_of(month.replace(day=day))
    step = 1 if scene.ahead(match) else -1
    for _ in range(4):  # at most two months in a row lack a 31st
        try:
            found = month.replace(day=day)
        except ValueError:
            found = None
        if found and (found - scene.day).days * step >= 0:
            return day_of(found)
        month = shifted(month, "month", step)
    return None


def _weekday_nth(scene: Scene, match: re.Match[str]) -> Period | None:
    """Friday the 14th: the nearest month, first on the side that the sentence looks to, where the two agree."""
    day, weekday = int(match["day"]), WEEKDAYS.index(match["weekday"])
    month = months_from(scene.day.year, scene.day.month, 1).start
    step = 1 if scene.ahead(match) else -1
    for _ in range(36):
        end = shifted(month, "month", 1)
        found = month + DAY * (day - 1)
        if day > 0 and found < end and found.weekday() == weekday and (found - scene.day).days * step >= 0:
            return day_of(found)
        month = shifted(month, "month", step)
    return None


def _nth_unit(scene: Scene, match: re.Match[str]) -> Period | None:
    """The first week of May 2023, the last Sunday in October."""
    if not is_capital(scene, match):
        return None
    number, unit = MONTHS[match["month"]], match["unit"]
    nth = -1 if match["rank"] == "last" else _RANKS.index(match["rank"]) % 5 + 1

    def of_year(year: int) -> Period | None:
        start, end = months_from(year, number, 1)
        if unit in WEEKDAYS:
            return day_of(nth_weekday(year, number, WEEKDAYS.index(unit), nth))
        if unit == "weekend":
            saturday = nth_weekday(year, number, 5, nth)
            return Period(saturday, saturday + 2 * DAY)
        days = 1 if unit == "day" else 7
        first = end - days * DAY if nth < 0 else start + (nth - 1) * days * DAY
        return Period(first, min(first + days * DAY, end)) if first < end else None

    return _of_year(scene, match, of_year)


def _nth_of_year(scene: Scene, match: re.Match[str]) -> Period | None:
    """The second half of 2021, the last week of 2019, Q3 2022."""
    found = match.groupdict()
    rank, year = found.get("rank"), int(match["year"])
    if not rank:
        return months_from(year, int(match["quarter"]) * 3 - 2, 3)
    days = {"day": 1, "week": 7}.get(match["unit"])
    months = {"half": 6, "quarter": 3, "month": 1}.get(match["unit"], 0)
    nth = _RANKS.index(rank) % 5
    start, end = months_from(year, 1, 12)
    if days:
        first = end - days * DAY if rank == "last" else start + nth * days * DAY
        return Period(first, first + days * DAY)
    return months_from(year, 13 - months if rank == "last" else 1 + nth * months, months)


def _year_alone(scene: Scene, match: re.Match[str]) -> Period | None:
    before = scene.before(match)
    sure = match["part"] or match["edge"] or regex(_SURE_PREPOSITION).search(before)
    closed = regex(_CLOSES).match(scene.lowered[match.end() : match.end() + 40])
    if not sure and not (closed and regex(_PREPOSITION).search(before)):
        return None  # "some 2000 steps"
    if regex(_COUNTED).match(scene.lowered, match.end()):
        return None
    return part_of(months_from(int(match["year"]), 1, 12), match)


def _years(scene: Scene, match: re.Match[str]) -> Period | None:
    first, last = int(match["year"]), int(match["last"])
    if last <= first or not regex(_YEARS_PREPOSITION).search(scene.before(match)):
        return None
    return months_from(first, 1, 12 * (last - first + 1))


def _decade(scene: Scene, match: re.Match[str]) -> Period | None:
    if match["tens"]:
        return part_of(months_from(int(match["tens"]) * 10, 1, 120), match)
    tens = int(match["short"])
    return part_of(months_from((200 if tens < 3 else 190) * 10 + tens * 10, 1, 120), match)


def _numeric(scene: Scene, match: re.Match[str]) -> Period | None:
    """2023-05-03, 05/03/2023, 25/12/2023, 03.05.2023, 5/3/23."""
    found = match.groupdict()
    if found.get("iso"):
        return day_of(date(int(match["iso"]), int(match["month"]), int(match["day"])))
    first, second, year = int(match["first"]), int(match["second"]), int(match["year"])
    if len(match["year"]) == 2:
        year += 1900 if year > scene.day.year % 100 + 20 else 2000
    day_first = first > 12 or (match["mark"] == "." and second <= 12)
    return day_of(date(year, second, first) if day_first else date(year, first, second))


@lru_cache(maxsize=1024)
def _library_day(words: str, day: date) -> date | None:
    import dateparser

    settings = {
        "PARSERS": ["absolute-time"],
        "REQUIRE_PARTS": ["day", "month", "year"],
        "RELATIVE_BASE": datetime(day.year, day.month, day.day),
        "TIMEZONE": "UTC",
        "DATE_ORDER": "MDY",
    }
    moment = dateparser.parse(words, languages=["en"], settings=settings)
    return moment.date() if moment else None


def _odd_date(scene: Scene, match: re.Match[str]) -> Period | None:
    found = _library_day(match[0], scene.day)
    return day_of(found) if found else None


_ANY_MONTH = rf"(?:{any_of(MONTHS)})"
_RANKS = ("first", "second", "third", "fourth", "fifth", "1st", "2nd", "3rd", "4th", "5th", "last")
_RANK = rf"(?:the\s+)?(?:very\s+)?(?P<rank>{'|'.join(_RANKS)})"
_ON_WEEKDAY = rf"(?:(?:{WEEKDAY}|mon|tues?|wed|thu(?:rs)?|fri|sat|sun)\.?,?\s+)?"
_AND_DAY = r"(?:\s+and\s+(?:the\s+)?(?P<last>\d{1,2})(?:st|nd|rd|th)?)"
_DAY = r"(?P<day>\d{1,2})(?P<suffix>\s?(?:st|nd|rd|th))?"
_TO_DAY = r"(?:(?:\s*[-–—]\s*|\s+(?:to|through|until)\s+)(?:the\s+)?(?P<last>\d{1,2})(?:st|nd|rd|th)?)"
_RUNNING_YEAR = r"(?P<relative>last|this|next)\s+year,?"
_YEAR = r"(?P<year>(?:19|20)\d\d)"
_NUMERIC_END = r"(?![\w/-]|\.\d)"

RULES = (
    Rule("month", rf"{START}{_ON_WEEKDAY}{MONTH}\s+(?:the\s+)?{_DAY}{_TO_DAY}?{OF_YEAR}?{END}", _named_day),
    Rule("month", rf"{START}{_ON_WEEKDAY}(?:the\s+)?{_DAY}{_TO_DAY}?\s+(?:of\s+)?{MONTH}{OF_YEAR}?{END}", _named_day),
    Rule("month", rf"{START}(?:the\s+)?{_DAY}{_AND_DAY}\s+(?:of\s+)?{MONTH}{OF_YEAR}?{END}", _named_day),
    Rule("month", rf"{START}{_ON_WEEKDAY}(?:the\s+)?(?P<nth>{ORDINAL})\s+of\s+{MONTH}{OF_YEAR}?{END}", _named_day),
    Rule("month", rf"{START}{_ON_WEEKDAY}{MONTH}\s+the\s+(?P<nth>{ORDINAL}){OF_YEAR}?{END}", _named_day),
    Rule("month", rf"{START}{MONTH}\s+(?P<nth>{any_of(ORDINALS[3:])}){OF_YEAR}?{END}", _named_day),
    Rule("month", rf"{START}{PART}?{MONTH}{OF_YEAR}?{END}", _named_month),
    Rule(
        "month",
        rf"{START}{_RUNNING_YEAR}\s+(?:in|around|during)\s+{PART}?{MONTH}{END}",
        _named_month,
    ),
    Rule("month", rf"{START}{_RUNNING_YEAR}\s+on\s+{MONTH}\s+{_DAY}{END}", _named_day),
    Rule(
        "month",
        rf"{START}{_RANK}\s+(?P<unit>day|week|weekend|{WEEKDAY})\s+(?:of|in)\s+{MONTH}{OF_YEAR}?{END}",
        _nth_unit,
    ),
    Rule(
        "month",
        rf"{START}(?:\d{{4}}[\s./-]+{_ANY_MONTH}[\s./-]+\d{{1,2}}|\d{{1,2}}\s?[./-]\s?{_ANY_MONTH}\s?[./-]\s?(?:\d\d){{1,2}}"
        rf"|{_ANY_MONTH}[./-]\d{{1,2}}[./-](?:\d\d){{1,2}}|\d{{1,2}}(?:st|nd|rd|th)\s+day\s+of\s+{_ANY_MONTH},?\s+\d{{4}}){END}",
        _odd_date,
    ),
    Rule("season", rf"{START}{PART}?(?P<season>{SEASON}){OF_YEAR}{END}", _season),
    Rule("season", rf"(?<=over\sthe\s)(?P<season>{SEASON}){END}(?!\s+(?:of|months))", _season),
    Rule("season", rf"(?<=during\sthe\s)(?P<season>{SEASON}){END}(?!\s+(?:of|months))", _season),
    Rule("holiday", rf"{START}{HOLIDAY}{OF_YEAR}?{DAYPART}{END}", _holiday),
    Rule(
        "nth",
        rf"{START}the\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)(?:\s+of\s+(?P<which>this|last|next|the)\s+month)?{END}",
        _nth_of_month,
    ),
    Rule("nth", rf"{START}(?P<weekday>{WEEKDAY}),?\s+the\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th){END}", _weekday_nth),
    Rule("year", rf"{START}{PART}?(?P<year>(?:18|19|20)\d\d){END}", _year_alone),
    Rule(
        "year",
        rf"{START}{_YEAR}(?:\s*[-–—]\s*|\s+(?:to|and|through|until)\s+)(?P<last>(?:19|20)\d\d){END}",
        _years,
    ),
    Rule(
        "year",
        rf"{START}{_RANK}\s+(?P<unit>day|week|month|quarter|half)\s+of\s+{_YEAR}{END}",
        _nth_of_year,
    ),
    Rule("year", rf"{START}q(?P<quarter>[1-4])(?:,|\s+of)?\s+{_YEAR}{END}", _nth_of_year),
    Rule("decade", rf"{START}{PART}?(?:(?P<tens>(?:19|20)\d)0|'(?P<short>\d)0)'?s{END}", _decade),
    Rule(
        "number",
        rf"{START}(?P<iso>(?:1[89]|20)\d\d)(?P<mark>[-/.])(?P<month>\d{{1,2}})(?P=mark)(?P<day>\d{{1,2}})(?:(?=t\d\d)|{_NUMERIC_END})",
        _numeric,
    ),
    Rule(
        "number",
        rf"{START}(?P<first>\d{{1,2}})(?P<mark>[-/.])(?P<second>\d{{1,2}})(?P=mark)(?P<year>(?:18|19|20)\d\d){_NUMERIC_END}",
        _numeric,
    ),
    Rule("number", rf"{START}(?P<first>\d\d?)(?P<mark>/)(?P<second>\d\d?)/(?P<year>\d\d){_NUMERIC_END}", _numeric),
)
"""Where two rules match at one place, the longer match wins."""
