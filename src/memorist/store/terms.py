"""Text to terms: words, lowered, without stop words, stemmed, hashed to 32 bits.

Hashed terms keep a posting at five bytes and mean that no query is ever a syntax: whatever a user types is words.
"""

from __future__ import annotations

import re
import threading
import unicodedata
import zlib
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import Stemmer

WORD = re.compile(r"\w+")
LONGEST_WORD = 64
MOST_COUNTED = 255

STOP_WORDS = frozenset(
    """a about all also am an and any are as at be because been being both but by can could d did do does doing don
    each few for from further had has have having he her here hers herself him himself his how i if in into is it its
    itself just ll m me more most my myself no nor not of off on once only or other our ours ourselves out over own re
    s same she should so some such t than that the their theirs them themselves then there these they this those to
    too up ve very was we were what when where which while who whom why will with would you your yours yourself
    yourselves""".split()  # noqa: SIM905
)

_local = threading.local()


def _stemmer() -> Stemmer.Stemmer:
    """One stemmer a thread: the library's objects are not safe to share."""
    found: Stemmer.Stemmer | None = getattr(_local, "stemmer", None)
    if found is None:
        import Stemmer

        found = _local.stemmer = Stemmer.Stemmer("english")
    return found


def words(text: str) -> list[str]:
    """Lowered words in order, compatibility forms folded (so that full-width and ligature forms match)."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return [word[:LONGEST_WORD] for word in WORD.findall(text.lower())]


def stems(text: str) -> list[str]:
    """Stemmed words in order, without stop words."""
    stemmed: list[str] = _stemmer().stemWords([word for word in words(text) if word not in STOP_WORDS])
    return stemmed


@lru_cache(maxsize=200_000)
def term_of(stem: str) -> int:
    """The 32-bit term of a stem."""
    return zlib.crc32(stem.encode())


def query_terms(text: str) -> npt.NDArray[np.uint32]:
    """The distinct terms of a query, in order; when it is all stop words, those are used."""
    found = stems(text) or words(text)
    return np.array([term_of(stem) for stem in dict.fromkeys(found)], np.uint32)


def pack_terms(text: str) -> bytes:
    """The terms of a text with their counts: uint32 terms, then a uint8 count for each."""
    counts = Counter(map(term_of, stems(text)))
    terms = np.fromiter(counts.keys(), np.uint32, len(counts))
    numbers = np.fromiter((min(count, MOST_COUNTED) for count in counts.values()), np.uint8, len(counts))
    return terms.tobytes() + numbers.tobytes()
