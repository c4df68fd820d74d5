"""Markdown: a section for each heading, each section in pieces that begin with the path of headings above it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from memorist.cube import Document, Observation
from memorist.errors import InputError
from memorist.sources.file import GATHERED, SourceFile
from memorist.sources.message import check_text, flat
from memorist.sources.pieces import LONGEST, in_parts, split_long, split_text

Path = tuple[str, ...]

_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*")
_UNDERLINE = re.compile(r" {0,3}(={3,}|-{3,})[ \t]*")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")


def recognise(file: SourceFile, first: Any) -> bool:
    """By the extension alone: too much plain text has a line that begins with a hash."""
    return file.suffix in (".md", ".markdown", ".mdown", ".mkd")


def read(file: SourceFile) -> Iterator[Observation]:
    """The pieces of each section; role "document"."""
    template = Observation("", role="document", source=file.name)
    for path, body in sections(line for _, line in file.lines()):
        yield from _pieces(template, path, body)


def from_document(document: Document) -> Iterator[Observation]:
    """The observations of a document, at most LONGEST characters each; role "document".

    Each begins with the path of headings it stands under, such as "Guide > Install". The title is the first of the
    path, unless the document's own heading says it already. A section in several pieces has meta `part` and `parts`.
    Raises InputError for a text that cannot be stored.
    """
    if not isinstance(document.text, str) or not isinstance(document.title, (str, type(None))):
        raise InputError("a document's text and title must be strings")
    check_text(document.text, "the document")
    title = (document.title or "").strip()
    check_text(title, "the document's title")
    template = Observation(
        "", role="document", at=document.at, source=document.source, trust=document.trust, meta=flat(document.meta)
    )
    return _of_document(template, title, document.text)


def _of_document(template: Observation, title: str, text: str) -> Iterator[Observation]:
    for path, body in sections(text.split("\n")):
        if title and (not path or path[0].casefold() != title.casefold()):
            path = (title, *path)
        yield from _pieces(template, path, body)


def sections(lines: Iterable[str]) -> Iterator[tuple[Path, str]]:
    """Heading paths and the text under them.

    A heading with nothing under it is a section when it has no headings under it either. A section of over GATHERED
    characters comes as several, so that a file without headings is not held whole.
    """
    path: dict[int, str] = {}
    unsaid = False  # the last heading has shown up in no section yet
    body = _Body()
    for raw in lines:
        line = raw.rstrip("\r\n")
        heading = None if body.is_code(line) else _heading(line, body)
        if heading is None:
            body.add(line)
            if body.size > GATHERED and (not line.strip() or body.size > 2 * GATHERED):
                yield tuple(path.values()), body.take()
                unsaid = False
            continue
        level, title = heading
        text = body.take()
        if text or (unsaid and level <= max(path)):
            yield tuple(path.values()), text
        path = {above: name for above, name in path.items() if above < level}
        if title:
            path[level] = title
        unsaid = bool(title)
    text = body.take()
    if text or unsaid:
        yield tuple(path.values()), text


class _Body:
    """The lines since the last heading."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.size = 0
        self._fence = ""

    def add(self, line: str) -> None:
        self.lines.append(line)
        self.size += len(line) + 1

    def take(self) -> str:
        text = "\n".join(self.lines).strip("\n")
        self.lines, self.size = [], 0
        return text if text.strip() else ""

    def is_code(self, line: str) -> bool:
        """Whether the line is in a fenced block of code, or opens or closes one: there a hash is no heading."""
        found = _FENCE.match(line)
        if self._fence:
            if found and found[1].startswith(self._fence) and not line[found.end() :].strip():
                self._fence = ""
            return True
        if found and "`" in line[found.end() :]:  # code in a line of text
            return False
        if found:
            self._fence = found[1]
        return bool(found)

    def alone(self) -> str | None:
        """The last line when it is a paragraph by itself."""
        if not self.lines or not self.lines[-1].strip() or (len(self.lines) > 1 and self.lines[-2].strip()):
            return None
        return self.lines[-1]


def _heading(line: str, body: _Body) -> tuple[int, str] | None:
    """Level and words of the heading that ends with this line, if one does."""
    if len(line) > LONGEST:
        return None
    if found := _HEADING.fullmatch(line):
        return len(found[1]), (found[2] or "").strip()
    if found := _UNDERLINE.fullmatch(line):
        words = body.alone()
        if words is not None and not _UNDERLINE.fullmatch(words):
            body.size -= len(body.lines.pop()) + 1
            return (1 if found[1].startswith("=") else 2), words.strip()
    return None


def _pieces(template: Observation, path: Path, body: str) -> Iterator[Observation]:
    above = " > ".join(path)
    prefix = above + "\n\n" if above and body else above
    if len(prefix) > LONGEST // 2:  # a heading that long is a text of its own
        yield from split_long([replace(template, text=prefix + body)])
        return
    texts = split_text(body, LONGEST - len(prefix)) if body else [""]
    yield from in_parts(template, [prefix + text for text in texts])
