"""Long texts cut at natural borders, so that each piece can be found and quoted by itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from memorist.cube import Observation

LONGEST: int = 1200
"""The most characters that the text of an observation has after splitting."""

_BORDERS: tuple[re.Pattern[str], ...] = (
    re.compile(r"\n[^\S\n]*\n\s*"),  # paragraph
    re.compile(r"[.!?…][\"'”’)\]]*\s+|[。！？]+|\n\s*"),  # sentence, line
    re.compile(r"\s+"),  # word
)


def split_text(text: str, longest: int = LONGEST) -> list[str]:
    """Cut a text into pieces of at most `longest` characters, which join to exactly the text.

    The last paragraph border in reach is taken, else the last sentence border, else the last space. White space stays
    at the end of the piece before it. No piece is blank unless the text is: a run of white space too long for a piece
    makes its piece longer.
    """
    spans: list[tuple[int, int]] = []
    start = 0
    open_blank = False  # the first span is blank yet: it takes in what follows
    while start < len(text):
        end = start + longest
        end = _border(text, start, end) if end < len(text) else len(text)
        blank = text[start:end].isspace()
        if spans and (blank or open_blank):
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
        open_blank = blank and (start == 0 or open_blank)
        start = end
    return [text[start:end] for start, end in spans]


def split_long(observations: Iterable[Observation]) -> Iterator[Observation]:
    """The observations, those over LONGEST characters replaced by consecutive parts of them.

    The texts of the parts join to exactly the original. Each part's meta gains `part` (from 1) and `parts`, its key
    the suffix `#part`.
    """
    for observation in observations:
        if len(observation.text) <= LONGEST:
            yield observation
        else:
            yield from in_parts(observation, split_text(observation.text))


def in_parts(observation: Observation, texts: list[str]) -> Iterator[Observation]:
    """The observation once with each of the texts, numbered when there are several."""
    if len(texts) == 1:
        yield replace(observation, text=texts[0])
        return
    for part, text in enumerate(texts, 1):
        meta = {**observation.meta, "part": part, "parts": len(texts)}
        key = None if observation.key is None else f"{observation.key}#{part}"
        yield replace(observation, text=text, key=key, meta=meta)


def _border(text: str, start: int, end: int) -> int:
    """The best place to cut text[start:] at `end` or before it."""
    # A border in the first third would leave a crumb; a lesser border further on is better.
    least = start + (end - start) // 3
    for border in _BORDERS:
        ends = [found.end() for found in border.finditer(text, least, end)]
        if ends:
            return ends[-1]
    return end
