"""Chat logs: "[2024-05-10 12:03] Ana: text", "12:03 Ana: text", and WhatsApp's "10/05/2024, 12:03 - Ana: text".

A line without a time goes on with the message before it. 10/05 may be May or October: when any date of the file has a
number over 12 in one of the two places, that place is the day; when none has, the day is first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from memorist.cube import Observation
from memorist.sources.file import GATHERED, SourceFile
from memorist.sources.moment import clock_hour, date_in

_SPACE = r"[ \t\u00a0\u202f]"
_DATE = r"(?P<one>[0-9]{1,4})[-/.](?P<two>[0-9]{1,2})[-/.](?P<three>[0-9]{1,4})"
_HALF = rf"(?:{_SPACE}?(?P<half>[AaPp])\.?[Mm]\.?)?"
_TIME = rf"(?P<hour>[0-9]{{1,2}}):(?P<minute>[0-9]{{2}})(?::(?P<second>[0-9]{{2}}))?{_HALF}"
_STAMPS: tuple[re.Pattern[str], ...] = (
    re.compile(rf"\[(?:{_DATE}(?:,{_SPACE}*|T|{_SPACE}+))?{_TIME}Z?\]{_SPACE}*(?P<rest>.*)", re.DOTALL),
    re.compile(rf"{_DATE}(?:,{_SPACE}*|{_SPACE}+){_TIME}{_SPACE}+[-\u2013]{_SPACE}+(?P<rest>.*)", re.DOTALL),
    re.compile(rf"(?:{_DATE}(?:,{_SPACE}*|T|{_SPACE}+))?{_TIME}{_SPACE}+(?P<rest>[^:\n]{{1,80}}:(?:\s.*|))", re.DOTALL),
)
_SAID = re.compile(r"(?P<speaker>[^:\n]{1,80}):(?:\s(?P<text>.*)|)", re.DOTALL)
_MARKS = "\u200e\u200f\u202a\u202b\u202c\ufeff"  # of writing direction, which WhatsApp puts before its stamps


@dataclass(slots=True)
class _Message:
    line: int
    speaker: str | None
    at: datetime | None
    clock: str | None
    lines: list[str] = field(default_factory=list)
    size: int = 0
    broken: bool = False


def recognise(file: SourceFile) -> bool:
    """At least two of the first lines, and a fifth of them, are stamped; or the only line is."""
    lines = file.head.decode("utf-8", "replace").split("\n")[:200]
    lines = [line for line in lines if line.strip()]
    stamped = sum(1 for line in lines if _stamp(line))
    return stamped >= min(2, len(lines)) and stamped * 5 >= len(lines)


def read(file: SourceFile) -> Iterator[Observation]:
    """One observation for each message.

    A notice of the program has the role "system", lines before the first message "document".

    A message whose stamp has no date takes it from the lines before the first message or from the file name; when
    there is none, `at` is None. Its time is in meta {"time": "12:03"}.
    """
    reader = _Reader(file, _day_first(file))
    for number, line in file.lines():
        if done := reader.take(number, line.rstrip("\r\n")):
            yield done
    if done := reader.end():
        yield done


class _Reader:
    def __init__(self, file: SourceFile, day_first: bool) -> None:
        self._file = file
        self._day_first = day_first
        self._day = date_in(file.path.name)
        self._last: datetime | None = None
        self._message: _Message | None = None

    def take(self, number: int, line: str) -> Observation | None:
        """Take in the next line; returns the message that ended before it."""
        found = _stamp(line)
        if found is None:
            return self._go_on(number, line)
        done = self.end()
        try:
            at = self._at(found)
        except ValueError as error:
            self._file.bad(number, f"{line[:40]!r} has no such date or time: {error}")
            self._message = _Message(number, None, None, None, broken=True)
            return done
        clock = None if found["one"] else f"{int(found['hour']):02}:{found['minute']}"
        said = _SAID.fullmatch(found["rest"])
        speaker = said["speaker"].strip(_MARKS + " ~\u00a0\u202f") or None if said else None
        text = (said["text"] or "") if said else found["rest"]
        self._message = _Message(number, speaker, at, clock)
        self._add(text.lstrip(_MARKS) if text.startswith(tuple(_MARKS)) else text)
        return done

    def end(self) -> Observation | None:
        """The message gathered so far, if there is one."""
        message, self._message = self._message, None
        text = "\n".join(message.lines).strip("\n") if message else ""
        if message is None or message.broken or not text.strip():
            return None
        if message.at is None and message.clock is None:
            return Observation(text, role="document", source=self._file.name)
        meta = {} if message.clock is None else {"time": message.clock}
        role = "user" if message.speaker else "system"
        return Observation(text, message.speaker, role, message.at, source=self._file.name, meta=meta)  # type: ignore[arg-type]

    def _go_on(self, number: int, line: str) -> Observation | None:
        done = None
        if self._message is None:
            self._message = _Message(number, None, None, None)
        elif self._message.size > GATHERED:  # a file that is no chat log after all is not held whole
            before = self._message
            done = self.end()
            self._message = _Message(number, before.speaker, before.at, before.clock, broken=before.broken)
        if self._message.at is None and self._message.clock is None and not self._message.broken:
            self._day = date_in(line) or self._day
        self._add(line)
        return done

    def _add(self, line: str) -> None:
        if self._message is not None and not self._message.broken:
            self._message.lines.append(line)
            self._message.size += len(line) + 1

    def _at(self, found: re.Match[str]) -> datetime | None:
        """When the stamp says. Raises ValueError for a time that does not exist."""
        clock = clock_hour(int(found["hour"]), found["half"]), int(found["minute"]), int(found["second"] or 0)
        if found["one"]:
            return datetime(*_date(found, self._day_first), *clock, tzinfo=timezone.utc)
        at = datetime(2000, 1, 1, *clock)  # a clock without a day must still be one
        if self._day is None:
            return None
        at = datetime.combine(self._day.date(), at.time(), timezone.utc)
        if self._last is not None:
            at += timedelta(days=(self._last - at) // timedelta(days=1))
            if self._last - at > timedelta(hours=12):  # past midnight
                at += timedelta(days=1)
        self._last = at
        return at


def _stamp(line: str) -> re.Match[str] | None:
    line = line.rstrip("\r").lstrip(_MARKS)
    if line[:1] not in "[0123456789":
        return None
    return next((found for stamp in _STAMPS if (found := stamp.fullmatch(line))), None)


def _day_first(file: SourceFile) -> bool:
    """Whether 10/05 is the tenth of May in this file. It looks at all dates, in bounded memory."""
    for _, line in SourceFile(file.path, file.name, file.encoding, file.head, on_bad=lambda error: None).lines():
        found = _stamp(line.rstrip("\n"))
        if found and found["one"] and len(found["one"]) < 3:
            if int(found["one"]) > 12:
                return True
            if int(found["two"]) > 12:
                return False
    return True


def _date(found: re.Match[str], day_first: bool) -> tuple[int, int, int]:
    one, two, three = int(found["one"]), int(found["two"]), int(found["three"])
    if len(found["one"]) > 2:
        return one, two, three
    year = three + 2000 if three < 100 else three
    return (year, two, one) if day_first else (year, one, two)
