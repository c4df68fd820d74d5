"""Trust, but count: whether a system stayed within its limits, and whether what it returned is the memory's own.

What breaks a rule is shown as invalid with its reason, and never credited:

- the context, counted by our counter, holds more tokens than the budget, or there are more hits than `k`;
- a text is returned under the key of an item whose words it is not;
- a returned text does not stand in the context that was counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from memorist.bench.system import Found, Returned
from memorist.errors import brief
from memorist.models.wordpiece import count_tokens
from memorist.recall.pool import Limits

UNCOUNTED = str.maketrans("", "", "<‹")
"""A context may break what looks like its own fence; that changes no words."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What was found in what a system returned: tokens of the context, keys in the order of their first words, keys
    that stand in it whole, and what is wrong (None: nothing)."""

    tokens: int
    ranked: tuple[str, ...]
    whole: frozenset[str]
    invalid: str | None


def audit(found: Found, texts: Mapping[str, str], limits: Limits) -> Audit:
    """Check what was returned against the texts that were added (by key) and the limits."""
    (tokens,) = count_tokens([found.context])
    ranked = tuple(dict.fromkeys(key for one in found.returned for key in one.keys))
    invalid = (
        over(tokens, len(found.returned), limits) or foreign(found.returned, texts) or unseen(found, count_of(found))
    )
    whole = frozenset() if invalid else frozenset(key for key in ranked if covered(key, found.returned, texts[key]))
    return Audit(tokens, () if invalid else ranked, whole, invalid)


def over(tokens: int, hits: int, limits: Limits) -> str | None:
    """Whether the limits were passed."""
    if limits.budget is not None and tokens > limits.budget:
        return f"{tokens} tokens, over the budget of {limits.budget}"
    if limits.k is not None and hits > limits.k:
        return f"{hits} hits, more than {limits.k}"
    return None


def foreign(returned: Sequence[Returned], texts: Mapping[str, str]) -> str | None:
    """Whether a text is not the item's that it is returned as."""
    for one in returned:
        said = squeezed(one.text)
        for key in one.keys:
            if key not in texts:
                return f"the key {brief(key)} is of nothing that was added"
            own = squeezed(texts[key])
            if not said or (said not in own and own not in said):
                return f"{brief(one.text)} is not the text of {brief(key)}"
    return None


def unseen(found: Found, context: str) -> str | None:
    """Whether a returned text is missing from the context that was counted."""
    for one in found.returned:
        if squeezed(one.text) not in context:
            return f"{brief(one.text)} was returned but is not in the context"
    return None


def count_of(found: Found) -> str:
    """The context, as texts are looked for in it."""
    return squeezed(found.context)


def covered(key: str, returned: Sequence[Returned], text: str) -> bool:
    """Whether the texts returned for an item hold all of it together."""
    own = squeezed(text)
    held = bytearray(len(own))
    for said in (squeezed(one.text) for one in returned if key in one.keys):
        if own in said:
            return True
        start = own.find(said)
        while start >= 0:
            held[start : start + len(said)] = b"\x01" * len(said)
            start = own.find(said, start + 1)
    return all(held)


def squeezed(text: str) -> str:
    """The words without white space, which contexts may change."""
    return "".join(text.split()).translate(UNCOUNTED)
