"""WordPiece with the vocabulary of all-MiniLM-L6-v2: the default embedder's input and the unit of budgets.

Written here because the usual library brings a model hub's client with it, fourteen packages and 11 MB; a test holds
it equal to that library. Words never merge across white space in this vocabulary, so the tokens of joined lines are the
sum of the lines'.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

VOCABULARY = Path(__file__).with_name("minilm-vocabulary.txt")
LONGEST_WORD = 100
BEGIN, END, UNKNOWN = "[CLS]", "[SEP]", "[UNK]"
ASCII_WORD = re.compile(r"[A-Za-z0-9]+|[!-/:-@\[-`{-~]")
CONTROLS = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 127))
CHINESE = (
    *((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F)),
    *((0x2B920, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F)),
)


def count_tokens(texts: Sequence[str]) -> list[int]:
    """Tokens of each text, without the marks for begin and end."""
    return [sum(len(pieces(word)) for word in words(text)) for text in texts]


def encode(text: str, longest: int) -> list[int]:
    """Token ids with the marks for begin and end, `longest` at most."""
    known = vocabulary()
    ids = [known[BEGIN]]
    for word in words(text):
        ids += pieces(word)
        if len(ids) >= longest:
            break
    return [*ids[: longest - 1], known[END]]


@lru_cache(maxsize=1)
def vocabulary() -> dict[str, int]:
    """Piece to id; pieces that continue a word begin with ##."""
    lines = VOCABULARY.read_text(encoding="utf-8").splitlines()
    return {piece: id for id, piece in enumerate(lines)}


@lru_cache(maxsize=100_000)
def pieces(word: str) -> tuple[int, ...]:
    """The ids of the longest pieces that make up a word, from its beginning; one UNKNOWN when none do."""
    known = vocabulary()
    if len(word) > LONGEST_WORD:
        return (known[UNKNOWN],)
    found: list[int] = []
    start = 0
    while start < len(word):
        prefix = "##" if start else ""
        for stop in range(len(word), start, -1):
            id = known.get(prefix + word[start:stop])
            if id is not None:
                break
        else:
            return (known[UNKNOWN],)
        found.append(id)
        start = stop
    return tuple(found)


def words(text: str) -> Iterator[str]:
    """Lowered words without accents, and each mark of punctuation and each Chinese character on its own."""
    if text.isascii():
        yield from ASCII_WORD.findall(text.translate(CONTROLS).lower())
        return
    folded = unicodedata.normalize("NFD", "".join(clean(char) for char in text))
    word = ""
    for char in "".join(char for char in folded if unicodedata.category(char) != "Mn").lower():
        alone = is_punctuation(char)
        if alone or char.isspace():
            if word:
                yield word
            word = ""
        if alone:
            yield char
        elif not char.isspace():
            word += char
    if word:
        yield word


@lru_cache(maxsize=10_000)
def clean(char: str) -> str:
    """White space as a space, controls as nothing, Chinese characters apart."""
    if char in "\t\n\r":
        return " "
    if char == "\ufffd" or unicodedata.category(char)[0] == "C":
        return ""
    if char.isspace():
        return " "
    code = ord(char)
    return f" {char} " if any(first <= code <= last for first, last in CHINESE) else char


@lru_cache(maxsize=10_000)
def is_punctuation(char: str) -> bool:
    """ASCII's marks, and whatever Unicode counts as punctuation."""
    return char in "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~" or unicodedata.category(char)[0] == "P"
