"""Is what `secure_delete` should have zeroed zero? Bytes of what was deleted would lie there.

A page of SQLite's file is a node of a tree, an overflow page of a long cell, or free. Zero must be a node's freed
blocks, what follows a cell's end on its last overflow page, and free pages. Between a node's cell pointers and its
cells SQLite leaves copies of cells that it moved; only rewriting the file (`compact`) takes them away.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from memorist.store.rawfile import at, head, reading

HEADER = 100
INNER_INDEX, INNER_TABLE, LEAF_INDEX, LEAF_TABLE = 0x02, 0x05, 0x0A, 0x0D


def dirty_pages(db: sqlite3.Connection, path: Path) -> list[int]:
    """Numbers of the pages with bytes that should be zero. The caller's transaction must keep the file as it is.

    Raises ValueError when the file is not as SQLite describes it.
    """
    roots = [1, *(root for (root,) in db.execute("SELECT rootpage FROM sqlite_master WHERE rootpage > 0"))]
    with reading(path) as descriptor:
        pages = Pages(descriptor, head(path, HEADER))
        found = {number for number, free in pages.spare(roots) if any(free)}
    return sorted(found)


class Pages:
    """The pages of one file, and what in them is free."""

    def __init__(self, descriptor: int, first: bytes) -> None:
        size = int.from_bytes(first[16:18], "big")
        self.size = 65_536 if size == 1 else size
        self.usable = self.size - first[20]
        self.free = int.from_bytes(first[32:36], "big")
        self._descriptor = descriptor

    def page(self, number: int) -> bytes:
        """A page, from 1."""
        content = at(self._descriptor, (number - 1) * self.size, self.size) if number > 0 else b""
        if len(content) < self.size:
            raise ValueError(f"the file has no page {number}")
        return content

    def spare(self, roots: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """Page and content of what must be zero in the trees of these roots and in the list of free pages."""
        waiting = list(roots)
        while waiting:
            number = waiting.pop()
            page = self.page(number)
            start = HEADER if number == 1 else 0
            kind, count = page[start], short(page, start + 3)
            cells = start + (12 if kind in (INNER_INDEX, INNER_TABLE) else 8)
            pointers = [short(page, cells + 2 * place) for place in range(count)]
            for block, size in blocks(page, short(page, start + 1)):
                yield number, page[block + 4 : block + size]
            if kind in (INNER_INDEX, INNER_TABLE):
                waiting += [long(page, start + 8), *(long(page, cell) for cell in pointers)]
            if kind != INNER_TABLE:
                for cell in pointers:
                    yield from self.behind(page, kind, cell)
        yield from self.unused()

    def behind(self, page: bytes, kind: int, cell: int) -> Iterator[tuple[int, bytes]]:
        """What follows a cell's end on the last of its overflow pages."""
        size, place = varint(page, cell + (4 if kind == INNER_INDEX else 0))
        most = self.usable - 35 if kind == LEAF_TABLE else (self.usable - 12) * 64 // 255 - 23
        if size <= most:
            return
        if kind == LEAF_TABLE:
            _, place = varint(page, place)
        least = (self.usable - 12) * 32 // 255 - 23
        local = least + (size - least) % (self.usable - 4)
        local = local if local <= most else least
        number, left = long(page, place + local), size - local
        while number:
            overflow = self.page(number)
            if left < self.usable - 4:
                yield number, overflow[4 + max(left, 0) : self.usable]
            number, left = long(overflow, 0), left - (self.usable - 4)

    def unused(self) -> Iterator[tuple[int, bytes]]:
        """The pages that are free; those that name others hold numbers of pages and nothing else."""
        number = self.free
        while number:
            trunk = self.page(number)
            named = [long(trunk, 8 + 4 * place) for place in range(long(trunk, 4))]
            for leaf in named:
                yield leaf, self.page(leaf)
            number = long(trunk, 0)


def blocks(page: bytes, first: int) -> Iterator[tuple[int, int]]:
    """Place and size of a node's freed blocks."""
    while first:
        yield first, short(page, first + 2)
        following = short(page, first)
        if following and following <= first:
            raise ValueError("freed blocks are out of order")
        first = following


def short(page: bytes, place: int) -> int:
    """Two bytes."""
    return int.from_bytes(page[place : place + 2], "big")


def long(page: bytes, place: int) -> int:
    """Four bytes."""
    return int.from_bytes(page[place : place + 4], "big")


def varint(page: bytes, place: int) -> tuple[int, int]:
    """SQLite's integer of one to nine bytes, and where it ends."""
    value = 0
    for step in range(8):
        byte = page[place + step]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + step + 1
    return value << 8 | page[place + 8], place + 9
