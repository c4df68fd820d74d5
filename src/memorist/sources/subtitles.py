"""Subtitles: SRT and WebVTT, with WebVTT's `<v Name>` for who speaks."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from datetime import datetime

from memorist.cube import Observation
from memorist.errors import InputError
from memorist.sources.file import SourceFile
from memorist.sources.moment import date_in, later, moment
from memorist.sources.text import paragraphs

_CLOCK = r"(?:([0-9]{1,4}):)?([0-9]{1,2}):([0-9]{2})[.,]([0-9]{1,3})"
_TIMING = re.compile(rf"\s*{_CLOCK}\s+-->\s+{_CLOCK}(?:\s.*)?")
_VOICE = re.compile(r"<v(?:\.[^\s>]{1,100})*[ \t]+([^>\n]{1,200})>")
_TAG = re.compile(r"</?(?:[ibucv]|ruby|rt|lang|font)(?:[.\s][^<>]{0,200})?>|<[0-9:.]{1,20}>|\{\\an?[0-9]{1,2}\}")
_NOTE_DATE = re.compile(r"NOTE\s+date:\s*(\S.*)", re.IGNORECASE)


def recognise(file: SourceFile) -> bool:
    """By the extension, the word WEBVTT, or a time line among the first lines."""
    if file.suffix in (".srt", ".vtt"):
        return True
    lines = [line.rstrip("\r") for line in file.head[:500].decode("utf-8", "replace").strip().split("\n")[:2]]
    return re.match(r"WEBVTT\b", lines[0]) is not None or any(_TIMING.fullmatch(line) for line in lines)


def read(file: SourceFile) -> Iterator[Observation]:
    """One observation for each cue, or each voice in it; meta {"offset": seconds from the beginning}.

    `at` is the offset counted from a date in "NOTE date: ISO", in the WEBVTT header or in the file name, else None.
    """
    start = date_in(file.path.name)
    for line, block in paragraphs(file.lines()):
        lines = block.split("\n")
        word = lines[0].split(" ")[0].split("\t")[0]
        if word == "WEBVTT":
            start = date_in(lines[0]) or start
        elif word == "NOTE":
            start = _noted(file, line, block) or start
        elif word not in ("STYLE", "REGION"):
            yield from _cue(file, line, lines, start)


def _noted(file: SourceFile, line: int, block: str) -> datetime | None:
    found = _NOTE_DATE.match(block)
    try:
        return moment(found[1], "NOTE date") if found else None
    except InputError as error:
        file.bad(line, str(error))
        return None


def _cue(file: SourceFile, line: int, lines: list[str], start: datetime | None) -> Iterator[Observation]:
    # A cue is its number or name (or neither), its time, its text.
    found = next(((i, timing) for i, each in enumerate(lines[:2]) if (timing := _TIMING.fullmatch(each))), None)
    if found is None:
        file.bad(line, 'a cue without a time such as "00:00:01,000 --> 00:00:04,000"')
        return
    hours, minutes, seconds, thousandths = found[1].groups()[:4]
    offset = int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds) + int(thousandths.ljust(3, "0")) / 1000
    at = None if start is None else later(start, offset)
    for speaker, text in _voices("\n".join(lines[found[0] + 1 :])):
        yield Observation(text, speaker=speaker, at=at, source=file.name, meta={"offset": round(offset, 3)})


def _voices(text: str) -> Iterator[tuple[str | None, str]]:
    """Who says what in the text of a cue; markup is taken out."""
    before, *rest = _VOICE.split(text)
    for speaker, said in [(None, before), *zip(rest[::2], rest[1::2], strict=True)]:
        words = html.unescape(_TAG.sub("", said)).strip()
        if words:
            yield (html.unescape(speaker).strip() or None if speaker else None), words
