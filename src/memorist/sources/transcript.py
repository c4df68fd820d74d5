"""What was said, line by line: subtitles (SRT, WebVTT) and chat logs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from memorist.cube import Observation
from memorist.sources import chatlog, subtitles
from memorist.sources.file import SourceFile


def recognise(file: SourceFile, first: Any) -> bool:
    """Subtitles or a chat log."""
    return subtitles.recognise(file) or chatlog.recognise(file)


def read(file: SourceFile) -> Iterator[Observation]:
    """The observations of the one or the other."""
    return subtitles.read(file) if subtitles.recognise(file) else chatlog.read(file)
