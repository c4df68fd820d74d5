"""What an extractor finds, and what of it can be used.

An extraction is input, not truth: a language model, a file from elsewhere. Each fact is looked at by itself; one that
is broken is rejected with a reason, and harms no other.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from memorist.cube import is_unicode

LONGEST_PART = 300
"""Characters of a part of a fact. What is longer is a sentence, or a fault."""

MOST_FACTS = 200
"""Facts of one text; an extractor that finds more repeats itself."""

MARKS = "".join(chr(code) for code in range(0x300, 0x2000) if unicodedata.category(chr(code)) in ("Mn", "Mc"))
"""Signs that belong to the letter before them, as vowels in Devanagari; a regular expression's word has none."""

WORD = re.compile(rf"[\w{MARKS}]+")


class Fact(NamedTuple):
    """Subject, relation and object, as the text has them."""

    subject: str
    relation: str
    object: str


@dataclass(frozen=True, slots=True)
class Extraction:
    """The facts of a text, in its order, and how often something was rejected, by reason."""

    facts: tuple[Fact, ...]
    rejected: Counter[str]


class Extractor(Protocol):
    """Finds the facts of texts, without a language model."""

    @property
    def name(self) -> str:
        """Its name and version: another name, other facts."""
        ...

    def extract(self, texts: Sequence[str]) -> list[list[Fact]]:
        """The facts of each text; a function of that text alone."""
        ...


def phrase_of(text: str) -> str:
    """How phrases and relations are compared: the words in lower case, of any script, with single spaces."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return " ".join(WORD.findall(text.casefold()))


def sound(triples: Iterable[Any]) -> Extraction:
    """The usable facts among what an extractor gave."""
    facts: dict[tuple[str, ...], Fact] = {}
    rejected: Counter[str] = Counter()
    for triple in triples:
        reason = fault(triple)
        if reason is None:
            fact = Fact(*(" ".join(part.split()) for part in triple))
            key = tuple(phrase_of(part) for part in fact)
            reason = "said before" if key in facts else "too many facts" if len(facts) >= MOST_FACTS else None
            if reason is None:
                facts[key] = fact
        if reason is not None:
            rejected[reason] += 1
    return Extraction(tuple(facts.values()), rejected)


def fault(triple: Any) -> str | None:
    """Why a triple cannot be used, if so."""
    if not isinstance(triple, (list, tuple)):
        return "not a list"
    if len(triple) != 3:
        return "not three parts"
    if not all(isinstance(part, str) for part in triple):
        return "a part is not a text"
    if any(len(part) > LONGEST_PART for part in triple):
        return f"a part over {LONGEST_PART} characters"
    if not all(is_unicode(part) for part in triple):
        return "a part is not valid Unicode"
    if not phrase_of(triple[0]) or not phrase_of(triple[2]):
        return "an empty part"
    return None


def dump_facts(facts: Sequence[Fact]) -> str:
    """Facts as JSON, for the log."""
    return json.dumps([list(fact) for fact in facts], ensure_ascii=False)


def load_facts(value: str) -> tuple[Fact, ...]:
    """The inverse of `dump_facts`."""
    return tuple(Fact(*fact) for fact in json.loads(value))
