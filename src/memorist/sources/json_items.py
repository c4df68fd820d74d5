"""JSON files record by record: the elements of a top-level list, or one top-level object.

The scanner only finds where an element begins and ends, `json.loads` reads it. So memory is bounded by one element, a
broken element does not end the reading, errors have a line, and what stands in the file is what is read. (A streaming
parser on yajl turns a lone surrogate into "?" without a word, and 100 kB of "[" take all of its memory.)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple, NoReturn

from memorist.errors import InputError
from memorist.sources import file as limits
from memorist.sources.file import SourceFile

DEEPEST: int = 100
"""How deep an element may be nested."""

_INSIDE_STRING = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
_BETWEEN_ELEMENTS = re.compile(rb'["{}\[\],]')
_INSIDE_ELEMENT = re.compile(rb'["{}\[\]]')


class Record(NamedTuple):
    """An element: the line it begins on, its number from 1, and what it is."""

    line: int
    number: int
    value: Any


class Element(NamedTuple):
    """An element not yet parsed: the line it begins on and its bytes, or what is wrong with it."""

    line: int
    raw: bytes
    problem: str | None


def records(file: SourceFile) -> Iterator[Record]:
    """The records of a JSON file; those that cannot be read are reported as bad.

    Raises InputError when the file does not begin like JSON.
    """
    for number, element in enumerate(elements(file), 1):
        try:
            value = _parse(file, element)
        except InputError as error:
            file.bad(element.line, f"record {number}: {error}")
        else:
            yield Record(element.line, number, value)


def first_record(file: SourceFile) -> Any:
    """The first of the leading records that can be read, or None. Raises InputError saying what is wrong with all."""
    problem: str | None = None
    for number, element in enumerate(elements(file), 1):
        try:
            return _parse(file, element)
        except InputError as error:
            problem = problem or f"{file.name}, line {element.line}: {error}"
        if number == 20:
            break
    if problem:
        raise InputError(problem)
    return None


def load(text: str) -> Any:
    """Parse JSON. Raises InputError for what is not JSON, for NaN and infinity, and for nesting that is too deep."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except InputError:
        raise
    except RecursionError:
        raise InputError("nested too deep; flatten it") from None
    except json.JSONDecodeError as error:
        raise InputError(f"not valid JSON: {error.msg} at position {error.pos + 1}") from None
    except ValueError as error:
        raise InputError(f"not valid JSON: {error}") from None


def elements(file: SourceFile) -> Iterator[Element]:
    """The unparsed elements. Raises InputError when the file does not begin with a list or an object."""
    with file.open() as stream:
        scanner: _Scanner | None = None
        line = 1
        while chunk := stream.read(limits.CHUNK):
            if scanner is None:
                start = chunk.lstrip()[:1]
                if start and start not in b"[{":
                    raise InputError(f"{file.name} is not a JSON list or object; it begins with {start!r}")
                scanner = _Scanner(start == b"[", line) if start else None
                line += chunk.count(b"\n")
            if scanner is not None:
                yield from scanner.feed(chunk)
        if scanner is not None:
            yield from scanner.finish()


class _Scanner:
    """Where elements begin and end, from chunks of any size. It counts brackets outside of strings, and no more."""

    def __init__(self, in_list: bool, line: int) -> None:
        self._in_list = in_list
        self._depth = 0
        self._in_string = self._escaped = self._done = False
        self._emitted = 0
        self._line = line
        self._clear()

    def _clear(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._blank = True
        self._newlines_before = self._newlines = 0
        self._problem: str | None = None

    def feed(self, chunk: bytes) -> Iterator[Element]:
        """Take in the next bytes; yields the elements that end in them."""
        mark = position = 0
        while position < len(chunk):
            if self._in_string:
                position = self._through_string(chunk, position)
                continue
            between = self._in_list and self._depth <= 1
            found = (_BETWEEN_ELEMENTS if between else _INSIDE_ELEMENT).search(chunk, position)
            if found is None:
                break
            position, byte = found.end(), found.group()
            if byte == b'"':
                self._in_string = True
            elif byte in b"[{":
                mark = self._opened(chunk, mark, position)
            else:
                if byte != b",":
                    self._depth -= 1
                if byte == b"," or self._depth <= 0:
                    self._keep(chunk[mark : position if not self._in_list else found.start()])
                    mark = position
                    yield from self._end(byte)
        self._keep(chunk[mark:])

    def finish(self) -> Iterator[Element]:
        """The end of the file; yields the element that it cut short, or what stood after the end."""
        if not self._done:
            problem = self._problem or "the file ends before this record does; it is cut short"
            yield Element(self._first_line(), b"", problem)
        elif not self._blank:
            yield Element(self._first_line(), b"", "text after the end of the JSON value; remove it")

    def _through_string(self, chunk: bytes, position: int) -> int:
        if self._escaped:  # the backslash was the last byte of the chunk before
            self._escaped = False
            return position + 1
        found = _INSIDE_STRING.match(chunk, position)
        end = found.end() if found else position
        if end < len(chunk):
            self._in_string = chunk[end : end + 1] != b'"'
            self._escaped = self._in_string
            end += 1
        return end

    def _opened(self, chunk: bytes, mark: int, position: int) -> int:
        """Go one level down; returns where the bytes that are still to be kept begin."""
        self._depth += 1
        if self._in_list and self._depth == 1 and not self._done:
            self._line += chunk.count(b"\n", mark, position)  # the bracket of the list itself
            return position
        if self._depth > DEEPEST and self._problem is None:
            self._spoil(f"nested deeper than {DEEPEST} levels; flatten it")
        return mark

    def _keep(self, part: bytes) -> None:
        if self._blank:
            start = part.lstrip()
            self._newlines_before += part.count(b"\n", 0, len(part) - len(start))
            self._blank = not start
        self._newlines += part.count(b"\n")
        self._size += len(part)
        if self._problem is None and self._size > limits.LARGEST:
            self._spoil(f"longer than {limits.LARGEST} bytes; break it into smaller records")
        if self._problem is None:
            self._parts.append(part)

    def _spoil(self, problem: str) -> None:
        self._problem = problem
        self._parts = []

    def _end(self, byte: bytes) -> Iterator[Element]:
        if self._done:
            return  # what follows the end is gathered and reported by finish()
        is_empty_list = byte == b"]" and not self._emitted and self._blank
        if not is_empty_list:
            raw = b"".join(self._parts)
            problem = self._problem or ("an empty place between commas" if self._blank else None)
            if self._in_list and byte == b"}":
                problem = "a } that nothing opened; the list is broken here"
            yield Element(self._first_line(), raw, problem)
            self._emitted += 1
        self._line += self._newlines
        self._done = byte != b"," or not self._in_list
        self._clear()

    def _first_line(self) -> int:
        return self._line + self._newlines_before


def _parse(file: SourceFile, element: Element) -> Any:
    if element.problem:
        raise InputError(element.problem)
    try:
        text = element.raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(file.undecodable(element.raw, error.start)) from None
    return load(text)


def _refuse_constant(name: str) -> NoReturn:
    raise InputError(f"{name} is not a number that can be stored; use null or text")
