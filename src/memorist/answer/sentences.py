"""A text as its sentences."""

from __future__ import annotations

import re

SENTENCE = re.compile(r"(?<=[.!?…])[\"')\]]*\s+|\n+")
LEAST_LETTERS = 2


def sentences(text: str) -> list[str]:
    """Sentences of a text, without those that hold no words."""
    parts = (part.strip() for part in SENTENCE.split(text))
    return [part for part in parts if sum(char.isalnum() for char in part) >= LEAST_LETTERS]
