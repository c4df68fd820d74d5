"""Times as people and programs write them, read the same under every Python version."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

from memorist.cube import parse_moment
from memorist.errors import InputError

_ISO = re.compile(
    r"(\d{4})([-/.]?)(\d\d)\2(\d\d)"
    r"(?:[T_ ]\s*(\d\d):?(\d\d)(?::?(\d\d)(?:[.,](\d{1,9}))?)?\s*(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?)?",
    re.ASCII | re.IGNORECASE,
)
_SECONDS = re.compile(r"-?\d{9,11}(?:\.\d+)?|\d{12,13}", re.ASCII)
_SPOKEN = re.compile(
    r"(\d{1,2}):(\d\d)\s*([ap])\.?m\.?,?\s+on\s+(\d{1,2})\s+([a-z]{3,9})\.?,?\s+(\d{4})", re.ASCII | re.IGNORECASE
)
_IN_A_NAME = re.compile(
    r"(?<!\d)((?:19|20)\d\d)([-_.]?)(\d\d)\2(\d\d)(?:[-_T ](\d\d)[-:.]?(\d\d)(?:[-:.]?(\d\d))?)?(?!\d)", re.ASCII
)
_MONTHS: tuple[str, ...] = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MILLISECONDS_FROM = 1e11  # as seconds this is the year 5138; programs that write it mean milliseconds


def moment(value: object, what: str = "time") -> datetime | None:
    """A time in UTC, or None for None and for blank text.

    Takes a datetime, ISO 8601, seconds or milliseconds since 1970 (number or text), and "1:56 pm on 8 May, 2023".
    A time without a zone is taken as UTC. Raises InputError naming `what`.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, datetime):
        return parse_moment(value, what)
    if isinstance(value, str):
        return _from_text(value.strip()[:100], what)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(f"{what} is {type(value).__name__}, not a time; use ISO 8601 such as 2025-05-10T12:00:00")
    return _from_seconds(value, what)


def date_in(name: str) -> datetime | None:
    """The first date in a file name or heading, with the time if one stands after it; None without a date."""
    for found in _IN_A_NAME.finditer(name):
        year, _, month, day, *clock = found.groups()
        try:
            date = datetime(int(year), int(month), int(day), tzinfo=timezone.utc)
        except ValueError:
            continue
        hour, minute, second = (int(part or 0) for part in clock)
        return date.replace(hour=hour, minute=minute, second=second) if max(hour * 2.5, minute, second) < 60 else date
    return None


def clock_hour(hour: int, half: str | None) -> int:
    """The hour of the day from 0; `half` is "a" or "p" for a twelve-hour clock. Raises ValueError beyond 12 there."""
    if not half:
        return hour
    if not 1 <= hour <= 12:
        raise ValueError("hour must be in 1..12")
    return hour % 12 + (12 if half.lower().startswith("p") else 0)


def later(start: datetime, seconds: float) -> datetime | None:
    """`start` and so many seconds; None past the last year there is."""
    try:
        return start + timedelta(seconds=seconds)
    except OverflowError:
        return None


def _from_seconds(value: float, what: str) -> datetime:
    if not abs(value) < 1e15:  # also NaN; parse_moment could not even print a number of 5000 digits
        raise InputError(f"{what} is out of range; use seconds since 1970 or ISO 8601 such as 2025-05-10T12:00:00")
    return parse_moment(value / 1000 if abs(value) >= _MILLISECONDS_FROM else value, what)


def _from_text(text: str, what: str) -> datetime:
    if _SECONDS.fullmatch(text):
        return _from_seconds(float(text), what)
    try:
        if found := _ISO.fullmatch(text):
            year, _, month, day, hour, minute, second, fraction, zone = found.groups()
            micro = int(((fraction or "") + "000000")[:6])
            numbers = (int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), micro)
            return parse_moment(datetime(*numbers, tzinfo=_zone(zone)), what)
        if found := _SPOKEN.fullmatch(text):
            hour, minute, half, day, month, year = found.groups()
            number = _MONTHS.index(month[:3].lower()) + 1
            return datetime(int(year), number, int(day), clock_hour(int(hour), half), int(minute), tzinfo=timezone.utc)
    except ValueError:  # a thirteenth month, or a month that is none
        pass
    raise InputError(f"{what}={text!r} is not a time; use ISO 8601 such as 2025-05-10T12:00:00")


def _zone(text: str | None) -> timezone:
    if not text or text[0] not in "+-":
        return timezone.utc
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]) if len(text) > 3 else 0)
    return timezone(-offset if text[0] == "-" else offset)
