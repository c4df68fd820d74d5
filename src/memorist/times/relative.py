"""Expressions that need to know when they were said: yesterday, last week, two years ago, on Friday.

"Last" and "past" mean the one before the running week, month or year, and the latest weekday, season, month name or
feast that is over; "next" the first that has not begun. A bare weekday is the latest one, the day of speaking included,
unless the sentence is about the future. Nights and mornings are as wide as their day.
"""

from __future__ import annotations

import re
from datetime import timedelta

from memorist.times.patterns import regex
from memorist.times.periods import (
    DAY,
    SEASONS,
    Period,
    Which,
    day_of,
    months_from,
    occurrence,
    season_of,
    shifted,
    unit_of,
    weekday_near,
    weekend_of,
)
from memorist.times.words import (
    ANY_WEEKDAY,
    COUNT,
    DAYPART,
    END,
    HOLIDAY,
    MONTH_NAMES,
    MONTHS,
    PART,
    SEASON,
    START,
    WEEKDAY,
    WEEKDAY_NUMBERS,
    WEEKDAYS,
    WHICH,
    Rule,
    Scene,
    any_of,
    count_of,
    holiday_of,
    is_capital,
    measures_another,
    part_of,
)

_UNITS = "day|night|weekend|week|fortnight|month|quarter|year|decade"
_RUNNING_UNIT = r"(?P<unit>weekend|week|month|quarter|year|decade)"
_MONTH_NAME = rf"(?P<month>{any_of(MONTH_NAMES)})"
_DAYS = {"yesterday": -1, "today": 0, "tonight": 0, "tomorrow": 1, "last": -1, "this": 0}
_TODAYS_GENERAL = r"'s\s+(?:world|society|age|youth|generation|standards|day and age|economy|climate|kids)\b"
_HABIT = (
    r"(?:\b(?:every|each|any|an?|all|most|some|many|usual|typical|lazy|happy|super|ruby|easter|ash|cyber|palm|holy"
    r"|black|good|taco|through|one|that|same|following|previous|preceding)|-|day\s+to)\s*$"
)
_NOT_THE_DAY = (
    r"\s+(?:school|best|roast|blues|mass|papers?|the\s+13th|through|thru|addams|to\s+\w+day)\b"
    r"|\s*[-–]\s*\w+day\b"
)
_DURATION = (
    r"\b(?:first|best|worst|only|longest|biggest|time|times|once|twice|haven't|hasn't|hadn't|have not|never|not|been"
    r"|'ve|can|could|able|done|seen|has \w+(?:ed|en)|have \w+(?:ed|en)|finish\w*)\b"
)


def _day(scene: Scene, match: re.Match[str]) -> Period | None:
    if scene.before(match).endswith(("like ", "like just ", "like only ")):
        return None  # "it feels like yesterday"
    if regex(_TODAYS_GENERAL).match(scene.lowered, match.end()):
        return None
    return day_of(scene.day + DAY * _DAYS[match["day"].split()[0]])


def _day_beyond(scene: Scene, match: re.Match[str]) -> Period:
    return day_of(scene.day + DAY * (-2 if match["beyond"].startswith("before") else 2))


def _which(words: str) -> Which:
    if "last" in words or "past" in words:
        return "last"
    return "this" if words == "this" else "next"


def _which_unit(scene: Scene, match: re.Match[str]) -> Period | None:
    """This, last or next week, weekend, month, quarter, year or decade, or a third of it."""
    which, unit = _which(match["which"]), match["unit"]
    if (match["which"] == "next" and scene.before(match).endswith("the ")) or measures_another(scene, match):
        return None  # "the next week" continues a story; "the last week of camp" is measured on the camp
    if unit == "weekend":
        return part_of(_which_weekend(scene, match, which), match)
    step = {"last": -1, "this": 0, "next": 1}[which]
    return part_of(unit_of(unit, shifted(unit_of(unit, scene.day).start, unit, step)), match)


def _which_weekend(scene: Scene, match: re.Match[str], which: Which) -> Period:
    """The coming weekend has not begun; this weekend is the one just over when the sentence looks back on it."""
    running = weekend_of(scene.day)
    if match["which"] in ("coming", "upcoming", "this coming") and scene.day < running.start:
        return running
    if which == "this":
        return weekend_of(running.start - 7 * DAY) if scene.day < running.start and scene.behind(match) else running
    return weekend_of(running.start + 7 * DAY * (-1 if which == "last" else 1))


def _which_weekday(scene: Scene, match: re.Match[str]) -> Period | None:
    which = _which(match["which"])
    if measures_another(scene, match) or not _spelt(scene, match):
        return None
    day = weekday_near(scene.day, WEEKDAY_NUMBERS[match["weekday"]], which)
    if which == "this" and day < scene.day and scene.ahead(match):
        day += 7 * DAY
    return day_of(day)


def _spelt(scene: Scene, match: re.Match[str]) -> bool:
    """False for "sun" and "sat", which are words: a shortened weekday has its capital."""
    return match["weekday"] in WEEKDAYS or scene.written(match, "weekday")[0].isupper()


def _which_recurring(scene: Scene, match: re.Match[str]) -> Period | None:
    """This, last or next spring, May or Christmas."""
    which, found = _which(match["which"]), match.groupdict()
    if found.get("month"):
        if not is_capital(scene, match):
            return None
        number = MONTHS[match["month"]]
        return part_of(occurrence(lambda year: months_from(year, number, 1), scene.day, which), match)
    if measures_another(scene, match):
        return None
    if found.get("season"):
        return part_of(_which_season(scene, match["season"], which), match)
    feast = holiday_of(match["holiday"])
    return occurrence(lambda year: day_of(feast(year)), scene.day, which)


def _which_season(scene: Scene, name: str, which: Which) -> Period | None:
    """The season of the running year; this winter is the running one or, from March on, the nearer of the two."""
    day = scene.day
    if which == "this" and SEASONS[name] == 12:
        return season_of(name, day.year - 1 if day.month <= 6 else day.year)
    return occurrence(lambda year: season_of(name, year), day, which)


def _running_part(scene: Scene, match: re.Match[str]) -> Period | None:
    return part_of(unit_of(match["unit"], scene.day), match)


def _before_last(scene: Scene, match: re.Match[str]) -> Period | None:
    """The week before last, the summer before last, the Friday after next."""
    count = 2 if match["side"].startswith("after") else -2
    return _stepped(scene, match["what"], count, count)


def _stepped(scene: Scene, what: str, first: int, last: int) -> Period | None:
    """From the `first` to the `last` such unit, weekday or season counted from now; negative ones lie in the past."""
    what = "day" if what == "night" else what
    if what == "fortnight":
        what, first, last = "week", first * 2, last * 2
    return Period(_step(scene, what, first).start, _step(scene, what, last).end)


def _step(scene: Scene, what: str, count: int) -> Period:
    if what in WEEKDAYS:
        day = weekday_near(scene.day, WEEKDAY_NUMBERS[what], "last" if count < 0 else "next")
        return day_of(day + 7 * DAY * (count + 1 if count < 0 else count - 1))
    if what in SEASONS:
        season = occurrence(lambda year: season_of(what, year), scene.day, "last" if count < 0 else "next")
        year = season.start.year if season else scene.day.year
        return season_of(what, year + (count + 1 if count < 0 else count - 1))
    if what == "weekend":  # said on a Saturday, the running weekend does not count
        return weekend_of(shifted(scene.day, "week", count))
    return unit_of(what, shifted(scene.day, what, count))


def _ago(scene: Scene, match: re.Match[str]) -> Period | None:
    least, most = count_of(match["count"])
    if match["to"]:
        most = max(least, count_of(match["to"])[1])
    what = match["what"]
    if what == "year" and "half" in (match["half"] or match["rest"] or ""):
        what, least, most = "month", 12 * least + 6, 12 * most + 6
    if match["exact"] and what in ("week", "month", "year"):
        return day_of(shifted(scene.day, what, -least) + DAY * _DAYS[match["exact"]])
    return _stepped(scene, what, -most, -least)


def _half_year(scene: Scene, match: re.Match[str]) -> Period:
    return unit_of("month", shifted(scene.day, "month", -6))


def _or_two_ago(scene: Scene, match: re.Match[str]) -> Period | None:
    """A year or two ago, a month or so ago."""
    most = 1 if match["to"] == "so" else count_of(match["to"])[1]
    return _stepped(scene, match["what"], -most, -1)


def _from_now(scene: Scene, match: re.Match[str]) -> Period | None:
    least, most = count_of(match["count"])
    base = match["base"]
    if base in ("now", "today"):
        return _stepped(scene, match["what"], least, most)
    start = scene.day + DAY if base == "tomorrow" else weekday_near(scene.day, WEEKDAY_NUMBERS[base], "next")
    return day_of(shifted(start, match["what"], least))


def _in_units(scene: Scene, match: re.Match[str]) -> Period | None:
    """In three weeks. After a past or a perfect, or with "can", it tells how long something took: no time."""
    before, after = scene.before(match), scene.lowered[match.end() : match.end() + 4]
    if after.startswith(" of ") or (not match["time"] and (regex(_DURATION).search(before) or scene.behind(match))):
        return None
    if match["count"] in ("a", "an", "one") and not match["time"] and not scene.ahead(match):
        return None  # "three cups in a day"
    least, most = count_of(match["count"])
    return _stepped(scene, match["what"], least, most)


def _rolling(scene: Scene, match: re.Match[str]) -> Period | None:
    """Over the last three months: that long, up to and with today; the next two weeks: from today on."""
    if scene.lowered.startswith(" of ", match.end()):
        return None
    unit, most = match["what"], count_of(match["count"] or "one")[1]
    if unit == "fortnight":
        unit, most = "week", most * 2
    unit = "day" if unit == "night" else unit
    if match["way"] in ("last", "past"):
        return Period(shifted(scene.day, unit, -most), scene.day + DAY)
    return Period(scene.day, shifted(scene.day, unit, most) + DAY)


def _bare_weekday(scene: Scene, match: re.Match[str]) -> Period | None:
    if (
        not _spelt(scene, match)
        or regex(_HABIT).search(scene.before(match))
        or regex(_NOT_THE_DAY).match(scene.lowered, match.end())
    ):
        return None
    weekday, which = WEEKDAY_NUMBERS[match["weekday"]], match["which"]
    if which:
        base = scene.day + timedelta(weeks={"last": -1, "this": 0, "next": 1}[which])
        return day_of(weekday_near(base, weekday, "this"))
    return day_of(weekday_near(scene.day, weekday, "next" if scene.ahead(match) else "latest"))


def _bare_weekend(scene: Scene, match: re.Match[str]) -> Period | None:
    """Over the weekend: the running one, else the last, or the coming one in a sentence about the future."""
    running = weekend_of(scene.day)
    if scene.day >= running.start or scene.ahead(match):
        return running
    return weekend_of(running.start - 7 * DAY)


_WHAT = rf"(?P<what>{_UNITS}|{WEEKDAY}|{SEASON})"
_RUNNING_WEEK = r"(?P<which>last|this|next)\s+week"

RULES = (
    Rule("day", rf"{START}(?P<day>yesterday|today|tomorrow){DAYPART}{END}", _day),
    Rule("day", rf"{START}(?P<day>tonight|(?:this|last)\s+(?:morning|afternoon|evening|night)){END}(?!\s+of\b)", _day),
    Rule("day", rf"{START}(?:the\s+)?day\s+(?P<beyond>before\s+yesterday|after\s+tomorrow){END}", _day_beyond),
    Rule("which", rf"{START}{PART}?{WHICH}\s+{_RUNNING_UNIT}{END}", _which_unit),
    Rule("which", rf"{START}{WHICH}\s+(?P<weekday>{ANY_WEEKDAY}){DAYPART}{END}", _which_weekday),
    Rule("which", rf"{START}{PART}?{WHICH}\s+(?P<season>{SEASON}){END}", _which_recurring),
    Rule("which", rf"{START}{PART}?{WHICH}\s+{_MONTH_NAME}(?!\.?,?\s+\d){END}", _which_recurring),
    Rule("which", rf"{START}{WHICH}\s+{HOLIDAY}(?!\s+\d){END}", _which_recurring),
    Rule("part", rf"{START}{PART}(?<=the\s)(?P<unit>week|month|quarter|year|decade){END}", _running_part),
    Rule("ago", rf"{START}(?:the\s+)?{_WHAT}\s+(?P<side>before\s+last|after\s+next){END}", _before_last),
    Rule(
        "ago",
        rf"{START}(?P<count>{COUNT})(?:(?:\s+(?:or|to)\s+|\s*[-–]\s*)(?P<to>{COUNT}))?(?P<half>\s+and\s+a\s+half)?"
        rf"\s+{_WHAT}s?(?P<rest>\s+and\s+a\s+half|\s+or\s+so)?\s+ago(?:\s+(?P<exact>today|yesterday))?{END}",
        _ago,
    ),
    Rule("ago", rf"{START}half\s+a\s+year\s+ago{END}", _half_year),
    Rule("ago", rf"{START}an?\s+{_WHAT}\s+or\s+(?P<to>two|so|three)\s+ago{END}", _or_two_ago),
    Rule(
        "ago",
        rf"{START}(?P<count>{COUNT})\s+(?P<what>day|week|month|year)s?\s+from\s+"
        rf"(?P<base>now|today|tomorrow|{WEEKDAY}){END}",
        _from_now,
    ),
    Rule(
        "in",
        rf"{START}in\s+(?:about\s+|around\s+|just\s+|another\s+)?(?P<count>{COUNT})\s+"
        rf"(?P<what>day|night|week|fortnight|month|year)s?(?P<time>'?\s+time)?{END}",
        _in_units,
    ),
    Rule(
        "rolling",
        rf"{START}(?:the|these|this)\s+(?P<way>last|past|next|coming)\s+(?P<count>{COUNT})\s+"
        rf"(?P<what>day|night|week|fortnight|month|year)s?{END}",
        _rolling,
    ),
    Rule(
        "rolling",
        rf"{START}(?:over|in|during|within|for|throughout)\s+the\s+(?P<way>last|past|next|coming)\s+(?P<count>)"
        rf"(?P<what>day|night|week|fortnight|month|year){END}",
        _rolling,
    ),
    Rule("weekday", rf"{START}(?P<weekday>{WEEKDAY}){DAYPART}(?:\s+(?:of\s+)?{_RUNNING_WEEK})?{END}", _bare_weekday),
    Rule("weekday", rf"{START}{_RUNNING_WEEK}(?:'s|,)?\s+(?:on\s+)?(?P<weekday>{WEEKDAY}){END}", _bare_weekday),
    Rule("weekday", rf"(?<=on\s)(?P<weekday>{ANY_WEEKDAY})(?P<which>){END}", _bare_weekday),
    Rule("weekend", rf"(?<=over\s)the\s+weekend{END}(?!\s+of\b)", _bare_weekend),
    Rule("weekend", rf"(?<=(?:on|at)\s)the\s+weekend{END}(?!\s+of\b)", _bare_weekend),
    Rule("weekend", rf"(?<=during\s)the\s+weekend{END}(?!\s+of\b)", _bare_weekend),
)
"""Where two rules match at one place, the longer match wins."""
