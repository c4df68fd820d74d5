"""Names in a question that the memory has never heard: the surest sign that it cannot answer."""

from __future__ import annotations

import re

import numpy as np

from memorist.store.protocol import Searcher
from memorist.store.terms import query_terms

# A capital that does not begin the sentence. The language knows no better sign of a name, and needs no model for it.
NAME = re.compile(r"(?<=[\w,;:]\s)[A-Z][\w'’-]+")
CALENDAR = frozenset(
    [
        "I",
        "I'm",
        "I've",
        "I'd",
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
        "Monday",
        "Tuesday",
        "Wednesday",
        "Thursday",
        "Friday",
        "Saturday",
        "Sunday",
    ]
)


def unheard(question: str, searcher: Searcher) -> tuple[str, ...]:
    """The names in the question of which no word stands anywhere in the owner's memory."""
    names = [name for name in dict.fromkeys(NAME.findall(question)) if name not in CALENDAR]
    nothing = np.empty(0, np.int64)
    found = []
    for name in names:
        terms = query_terms(re.sub(r"['’]s?$", "", name))
        if len(terms) and not searcher.features(nothing, terms, None).frequency.any():
            found.append(name)
    return tuple(found)
