"""Finding text again that was not kept: keyed hashes of short stretches of bytes, searched for all over a file.

The hash of a stretch is a polynomial over its bytes modulo 2**64, so those of all stretches of a file come from four
steps, each of which joins the hashes of two neighbours. Its base is the store's secret, and what is written down is
masked with a stream of that secret: without the store, a list of prints can confirm no guess.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

STRETCH = 16
"""Bytes of a stretch. A shorter text has no print: it would be found by chance."""

SECRET = "secret"
SIEVE = 20
"""Bits by which nearly all places of a file are passed over."""

Hashes = npt.NDArray[np.uint64]


def secret_of(db: sqlite3.Connection) -> bytes:
    """The store's secret, made when first asked for, in a transaction that writes."""
    found = db.execute("SELECT value FROM meta WHERE name = ?", (SECRET,)).fetchone()
    if found:
        return bytes.fromhex(found[0])
    made = secrets.token_bytes(32)
    if db.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (SECRET, made.hex())).rowcount != 1:
        return secret_of(db)  # another process was quicker
    return made


def print_of(secret: bytes, id: str) -> str:
    """What stands for a cube's id."""
    return hashlib.blake2b(id.encode("utf-8", "replace"), digest_size=8, key=secret).hexdigest()


def stretches(text: bytes) -> list[bytes]:
    """The begin, the middle and the end of a text: a long one lies in several pages, its whole is nowhere."""
    last = len(text) - STRETCH
    return [text[start : start + STRETCH] for start in dict.fromkeys((0, last // 2, last))] if last >= 0 else []


@dataclass(frozen=True, slots=True)
class Prints:
    """How a store's secret hashes and masks."""

    secret: bytes

    @property
    def base(self) -> int:
        """An odd number below 2**64."""
        return int.from_bytes(hashlib.blake2b(b"base", digest_size=8, key=self.secret).digest(), "big") | 1

    def hashes(self, content: bytes) -> Hashes:
        """The hash of the stretch at each place, uint64 [len(content) - STRETCH + 1]."""
        found = np.frombuffer(content, np.uint8).astype(np.uint64)
        width = 1
        while width < STRETCH:
            factor = np.uint64(pow(self.base, width, 1 << 64))
            found = found[:-width] * factor + found[width:]
            width *= 2
        return found

    def masked(self, texts: Iterable[bytes], number: str) -> list[str]:
        """The prints of texts, as they are written down in the certificate of this number."""
        every = dict.fromkeys(stretch for text in texts for stretch in stretches(text))
        found = [int(self.hashes(stretch)[0]) for stretch in every]
        return [f"{one ^ mask:016x}" for one, mask in zip(found, self.stream(number))]

    def unmasked(self, written: Sequence[str], number: str) -> Hashes:
        """The inverse of `masked`, rising. Raises ValueError for what was never written."""
        found = [int(one, 16) ^ mask for one, mask in zip(written, self.stream(number))]
        return np.sort(np.array(found, np.uint64))

    def stream(self, number: str) -> Iterator[int]:
        """Numbers below 2**64 that only the secret tells."""
        place = 0
        while True:
            block = hashlib.blake2b(f"{number} {place}".encode(), key=self.secret).digest()
            yield from (int.from_bytes(block[start : start + 8], "big") for start in range(0, 64, 8))
            place += 1


def found_in(pieces: Iterable[bytes], prints: Prints, wanted: Hashes) -> Iterator[bytes]:
    """The distinct stretches of pieces of bytes that have one of the hashes, which rise."""
    if not len(wanted):
        return
    sieve = np.zeros(1 << SIEVE, np.bool_)
    sieve[wanted >> np.uint64(64 - SIEVE)] = True
    seen: set[bytes] = set()
    for piece in pieces:
        if len(piece) < STRETCH:
            continue
        hashes = prints.hashes(piece)
        likely = np.flatnonzero(sieve[hashes >> np.uint64(64 - SIEVE)])
        place = np.minimum(np.searchsorted(wanted, hashes[likely]), len(wanted) - 1)
        for start in likely[wanted[place] == hashes[likely]].tolist():
            stretch = piece[start : start + STRETCH]
            if stretch not in seen:
                seen.add(stretch)
                yield stretch
