"""Whether a passage speaks of the person that a question asks about.

Who answers "What did Bo paint?" with what Ana said of her own painting has found the right words of the wrong person.
In a conversation it shows: she is the speaker, and if she says his name, then to call him.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from memorist.results import Hit

CALLS = re.compile(
    r"(?:^|[,.!?;:…]|\b(?:hey|hi|hello|thanks|thank you|wow|yeah|yep|yes|no|nope|oh|aww?|congrats|congratulations|sure"
    r"|okay|ok|bye|cool|great|nice|awesome|right|totally|absolutely|definitely|dear))\s*$",
    re.IGNORECASE,
)
CALLED = re.compile(r"\s*(?:[,.!?;:…-]|$|\[)")
CAPITALISED = re.compile(r"\b[A-Z]\w{2,}")


def asked_about(question: str, speakers: Iterable[str | None]) -> str | None:
    """The one speaker that a question names, None when it names none or several."""
    named = {one for one in speakers if one and re.search(rf"\b{re.escape(one)}\b", question)}
    return named.pop() if len(named) == 1 else None


def speaks_of(hit: Hit, person: str) -> bool:
    """Whether a person said it, or is named in it (`Mel` for Melanie, too) other than to be called."""
    if hit.speaker == person or hit.speaker is None:
        return True
    return any(
        person.lower().startswith(name[0].lower()) and not is_call(hit.text, name)
        for name in CAPITALISED.finditer(hit.text)
    )


def is_call(text: str, name: re.Match[str]) -> bool:
    """Whether a name is there to call someone: `Hey Bo,` or `…, Bo!`"""
    return CALLS.search(text[: name.start()]) is not None and CALLED.match(text, name.end()) is not None
