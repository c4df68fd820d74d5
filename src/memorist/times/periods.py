"""Calendar arithmetic on whole units: days, weeks, weekends, months, seasons, years, holidays.

Weeks are Monday to Monday and weekends Saturday to Monday. Seasons are the meteorological ones of the northern half:
spring is March to May, and a winter bears the year in which it starts. All functions raise ValueError or OverflowError
when the result lies outside the years 1 to 9999.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from functools import lru_cache
from typing import Literal, NamedTuple

Which = Literal["last", "latest", "this", "next"]

DAY = timedelta(days=1)
WEEK = timedelta(days=7)
SEASONS = {"spring": 3, "summer": 6, "fall": 9, "autumn": 9, "winter": 12}
MONTHS_IN = {"month": 1, "quarter": 3, "year": 12, "decade": 120}


class Period(NamedTuple):
    """The days from `start` up to, not including, `end`."""

    start: date
    end: date


def day_of(day: date) -> Period:
    """The day itself."""
    return Period(day, day + DAY)


def week_of(day: date) -> Period:
    """Monday to Monday around the day."""
    monday = day - timedelta(days=day.weekday())
    return Period(monday, monday + WEEK)


def weekend_of(day: date) -> Period:
    """The weekend that closes the week of `day`."""
    end = week_of(day).end
    return Period(end - 2 * DAY, end)


def months_from(year: int, month: int, count: int) -> Period:
    """`count` whole months, the first of which is `month`."""
    last = year * 12 + month - 1 + count
    return Period(date(year, month, 1), date(last // 12, last % 12 + 1, 1))


def season_of(name: str, year: int) -> Period:
    """The three months of the season that starts in the year."""
    return months_from(year, SEASONS[name], 3)


def unit_of(unit: str, day: date) -> Period:
    """The whole unit (day, week, weekend, month, quarter, year or decade) in which `day` lies."""
    if unit == "day":
        return day_of(day)
    if unit == "week":
        return week_of(day)
    if unit == "weekend":
        return weekend_of(day)
    if unit == "decade":
        return months_from(day.year // 10 * 10, 1, 120)
    months = MONTHS_IN[unit]
    return months_from(day.year, (day.month - 1) // months * months + 1, months)


def shifted(day: date, unit: str, count: int) -> date:
    """`day` moved by `count` units; a day that the target month lacks becomes that month's last."""
    if unit == "day":
        return day + timedelta(days=count)
    if unit in ("week", "weekend"):
        return day + timedelta(weeks=count)
    index = day.year * 12 + day.month - 1 + count * MONTHS_IN[unit]
    month = months_from(index // 12, index % 12 + 1, 1)
    return min(month.start + timedelta(days=day.day - 1), month.end - DAY)


def weekday_near(day: date, weekday: int, which: Which) -> date:
    """The last (before `day`), latest (at or before), this (in the week of) or next (after) such weekday."""
    if which == "this":
        return week_of(day).start + timedelta(days=weekday)
    if which == "next":
        return day + timedelta(days=(weekday - day.weekday() - 1) % 7 + 1)
    back = (day.weekday() - weekday) % 7
    return day - timedelta(days=back or (7 if which == "last" else 0))


def occurrence(of_year: Callable[[int], Period | None], day: date, which: Which) -> Period | None:
    """The last (over by `day`), latest (begun by `day`), this (of its year) or next (not begun) of what recurs yearly.

    `of_year` gives None for the years that lack it, as 29 February does.
    """
    if which == "this":
        return of_year(day.year)
    if which == "next":
        for year in range(day.year, min(day.year + 9, 9999)):
            period = of_year(year)
            if period and period.start > day:
                return period
        return None
    for year in range(day.year, max(day.year - 9, 0), -1):
        period = of_year(year)
        if period and (period.end if which == "last" else period.start) <= day:
            return period
    return None


def third_of(period: Period, part: str) -> Period:
    """The early, mid or late third: of a year four months each, of a month the days from 1, 11 and 21."""
    length = (period.end - period.start).days
    if length in (365, 366):
        first, second = shifted(period.start, "month", 4), shifted(period.start, "month", 8)
    else:
        first, second = (period.start + timedelta(days=length // 3 * i) for i in (1, 2))
    bounds = {"early": (period.start, first), "mid": (first, second), "late": (second, period.end)}
    return Period(*bounds[part])


def nth_weekday(year: int, month: int, weekday: int, nth: int) -> date:
    """The nth such weekday of the month, the last one when `nth` is -1. Raises ValueError when there is none."""
    start, end = months_from(year, month, 1)
    if nth < 0:
        return weekday_near(end, weekday, "last")
    day = weekday_near(start, weekday, "latest")
    day += WEEK * (nth if day < start else nth - 1)
    if not start <= day < end:
        raise ValueError(f"month {year}-{month} has no weekday {weekday} number {nth}")
    return day


@lru_cache(maxsize=256)
def easter_of(year: int) -> date:
    """Easter Sunday of the western churches."""
    from dateutil.easter import easter

    return easter(year)


HOLIDAYS: dict[str, Callable[[int], date]] = {
    "christmas eve": lambda year: date(year, 12, 24),
    "christmas": lambda year: date(year, 12, 25),
    "xmas": lambda year: date(year, 12, 25),
    "boxing day": lambda year: date(year, 12, 26),
    "new years eve": lambda year: date(year, 12, 31),
    "new years": lambda year: date(year, 1, 1),
    "valentines": lambda year: date(year, 2, 14),
    "saint patricks": lambda year: date(year, 3, 17),
    "good friday": lambda year: easter_of(year) - 2 * DAY,
    "easter": easter_of,
    "easter monday": lambda year: easter_of(year) + DAY,
    "mothers day": lambda year: nth_weekday(year, 5, 6, 2),
    "memorial day": lambda year: nth_weekday(year, 5, 0, -1),
    "fathers day": lambda year: nth_weekday(year, 6, 6, 3),
    "juneteenth": lambda year: date(year, 6, 19),
    "independence day": lambda year: date(year, 7, 4),
    "labor day": lambda year: nth_weekday(year, 9, 0, 1),
    "halloween": lambda year: date(year, 10, 31),
    "veterans day": lambda year: date(year, 11, 11),
    "thanksgiving": lambda year: nth_weekday(year, 11, 3, 4),
    "black friday": lambda year: nth_weekday(year, 11, 3, 4) + DAY,
}
"""Each feast as a function of the year; where countries differ (Thanksgiving, Mother's Day) it is the American one."""
