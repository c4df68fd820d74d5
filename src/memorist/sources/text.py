"""Plain text: paragraphs, small neighbours together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from memorist.cube import Observation
from memorist.sources.file import GATHERED, SourceFile

_SMALL = 600  # neighbours are gathered up to here: a piece with too little in it is hard to find and says little


def recognise(file: SourceFile, first: Any) -> bool:
    """Anything that is text."""
    return True


def read(file: SourceFile) -> Iterator[Observation]:
    """One observation for each paragraph, or run of paragraphs that are small together; role "document"."""
    gathered: list[str] = []
    size = 0
    for _, paragraph in paragraphs(file.lines()):
        if gathered and size + len(paragraph) > _SMALL:
            yield Observation("\n\n".join(gathered), role="document", source=file.name)
            gathered, size = [], 0
        gathered.append(paragraph)
        size += len(paragraph) + 2
    if gathered:
        yield Observation("\n\n".join(gathered), role="document", source=file.name)


def paragraphs(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Runs of lines without a blank one between them, joined with newlines, each with the number of its first line.

    A run of over GATHERED characters is cut at a line, so that a file without blank lines is not held whole.
    """
    gathered: list[str] = []
    first = size = 0
    for number, line in lines:
        line = line.rstrip("\r\n")
        blank = not line.strip()
        if gathered and (blank or size > GATHERED):
            yield first, "\n".join(gathered)
            gathered, size = [], 0
        if not blank:
            first = first if gathered else number
            gathered.append(line)
            size += len(line) + 1
    if gathered:
        yield first, "\n".join(gathered)
