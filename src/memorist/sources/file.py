"""One file on the way in: its encoding, its lines, and where its broken records go.

Whatever the encoding, the readers see UTF-8 bytes or strings. Nothing here reads a file whole.
"""

from __future__ import annotations

import codecs
import io
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

from memorist.cube import is_unicode
from memorist.errors import InputError, RecordError

LARGEST: int = 64 * 1024 * 1024
"""The most bytes that one record (a line, a JSON object) may have."""

GATHERED: int = 64 * 1024
"""The most characters of running text that a reader holds back while it looks for the end of a paragraph or section."""

CHUNK: int = 64 * 1024

_BOMS: tuple[tuple[bytes, str], ...] = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is its beginning
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

_KNOWN_BINARY: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "a zip archive (or office document); unpack it, or save it as text, and pass the files inside"),
    (b"\x1f\x8b", "gzip compressed; unpack it first (gunzip)"),
    (b"%PDF-", "a PDF; convert it to text first (pdftotext)"),
    (b"SQLite format 3\x00", "an SQLite database; export the table as CSV or JSON lines first"),
)

_CONTROL: bytes = bytes(c for c in [*range(32), 127] if c not in b"\t\n\v\f\r\x1b\b")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A readable text file.

    `name` is the absolute path, `encoding` what its byte order mark says (else UTF-8), `head` its first bytes as UTF-8
    without the mark. `columns` maps fields to the headers of a CSV.
    """

    path: Path
    name: str
    encoding: str
    head: bytes
    columns: Mapping[str, str] | None = None
    on_bad: Callable[[RecordError], None] | None = None

    @property
    def suffix(self) -> str:
        """The extension in lower case, with its dot, or the empty string."""
        return self.path.suffix.lower()

    def bad(self, line: int, problem: str) -> None:
        """Report a record that cannot be read: to `on_bad` when there is one, else by raising RecordError."""
        error = RecordError(self.name, line, problem)
        if self.on_bad is None:
            raise error
        self.on_bad(error)

    def open(self) -> BinaryIO:
        """The file as UTF-8 bytes without a byte order mark. Raises InputError when it cannot be opened."""
        return _open(self.path, self.name, self.encoding)

    def lines(self) -> Iterator[tuple[int, str]]:
        """The lines with their numbers from 1; line ends are kept.

        A line that is too long, not UTF-8 or has a NUL character is reported as bad and left out.
        """
        with self.open() as stream:
            number = 0
            while raw := stream.readline(LARGEST + 1):
                number += 1
                if len(raw) > LARGEST:
                    _skip_line(stream, raw)
                    self.bad(number, f"longer than {LARGEST} bytes; break it into smaller records")
                    continue
                try:
                    line = raw.decode("utf-8")
                except UnicodeDecodeError as error:
                    self.bad(number, self.undecodable(raw, error.start))
                    continue
                if "\x00" in line:
                    self.bad(number, nul_problem("the line", line.index("\x00")))
                    continue
                yield number, line

    def undecodable(self, raw: bytes, position: int) -> str:
        """What to say about the byte of `raw` at `position` that is not UTF-8."""
        if self.encoding != "utf-8":
            return f"broken {self.encoding.upper()} near byte {position + 1}; save the file as UTF-8"
        return (
            f"byte 0x{raw[position]:02x} at position {position + 1} is not UTF-8; "
            f"convert the file: iconv -f WINDOWS-1252 -t utf-8 {self.path.name!r} > converted{self.path.suffix}"
        )


def open_source(
    path: str | os.PathLike[str],
    columns: Mapping[str, str] | None = None,
    on_bad: Callable[[RecordError], None] | None = None,
) -> SourceFile:
    """Look at a file without reading it all. Raises InputError when it is not a text file with something in it."""
    place, name = _place(path)
    _check_is_file(place, name)
    encoding = _encoding(place, name)
    with _open(place, name, encoding) as stream:
        head = stream.read(CHUNK)
        blank = not head.strip()
        while blank and (more := stream.read(CHUNK)):
            blank = not more.strip()
    if blank:
        raise InputError(f"{name} is empty; there is nothing to read")
    _refuse_binary(name, head)
    return SourceFile(place, name, encoding, head, columns, on_bad)


def nul_problem(what: str, position: int) -> str:
    """What to say about a NUL character at the 0-based position."""
    return f"{what} has a NUL character at position {position + 1}, which cannot be stored; remove it"


def _place(path: str | os.PathLike[str]) -> tuple[Path, str]:
    try:
        place = Path(os.path.abspath(os.fsdecode(path)))  # noqa: PTH100 (resolve would follow links: another name)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path!r:.200} is not a path to a file: {error}") from None
    name = str(place)
    if "\x00" in name or not is_unicode(name):
        raise InputError(f"the file name {name!a} is not valid Unicode text; rename the file")
    return place, name


def _check_is_file(place: Path, name: str) -> None:
    try:
        mode = place.stat().st_mode
    except FileNotFoundError:
        raise InputError(f"{name} does not exist; check the path") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{name} cannot be read: {error}") from None
    if stat.S_ISDIR(mode):
        raise InputError(f"{name} is a folder; pass the files in it, for example {name}/*.md")
    if not stat.S_ISREG(mode):
        raise InputError(f"{name} is not a regular file; write its content to a file and pass that")


def _encoding(place: Path, name: str) -> str:
    with _open_bytes(place, name) as stream:
        start = stream.read(4)
    encoding = next((encoding for mark, encoding in _BOMS if start.startswith(mark)), "utf-8")
    if encoding == "utf-32":
        raise InputError(f"{name} is UTF-32; convert it: iconv -f UTF-32 -t utf-8 {place.name!r} > converted")
    return encoding


def _open_bytes(place: Path, name: str) -> BinaryIO:
    try:
        return place.open("rb")
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror or error}") from None


def _open(place: Path, name: str, encoding: str) -> BinaryIO:
    stream = _open_bytes(place, name)
    if encoding == "utf-8":
        if stream.read(3) != codecs.BOM_UTF8:
            stream.seek(0)
        return stream
    stream.read(2)
    return io.BufferedReader(_Recoded(stream, encoding), CHUNK)


class _Recoded(io.RawIOBase):
    """UTF-16 bytes read as UTF-8 bytes. What is not valid stays invalid, so that the reader of the line reports it."""

    def __init__(self, stream: IO[bytes], encoding: str) -> None:
        super().__init__()
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while not self._ready:
            chunk = self._stream.read(CHUNK)
            try:
                text = self._decoder.decode(chunk, final=not chunk)
                self._ready = text.encode("utf-8", "surrogatepass")
            except UnicodeDecodeError:  # half a character at the end of the file
                self._decoder.reset()
                self._ready = b"\xff"
            if not chunk:
                break
        part, self._ready = self._ready[: len(buffer)], self._ready[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)

    def close(self) -> None:
        self._stream.close()
        super().close()


def _skip_line(stream: BinaryIO, raw: bytes) -> None:
    while raw and not raw.endswith(b"\n"):
        raw = stream.readline(CHUNK)


def _refuse_binary(name: str, head: bytes) -> None:
    for start, what in _KNOWN_BINARY:
        if head.startswith(start):
            raise InputError(f"{name} is {what}")
    controls = len(head) - len(head.translate(None, _CONTROL))
    if controls > 8 and controls * 20 > len(head):
        first = next(i for i, byte in enumerate(head) if byte in _CONTROL)
        raise InputError(
            f"{name} is a binary file, not text (control character 0x{head[first]:02x} at byte {first + 1}, {controls} "
            f"in the first {len(head)} bytes); export it as text. If it is UTF-16: iconv -f UTF-16LE -t utf-8"
        )
