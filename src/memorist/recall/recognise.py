"""Recognition memory (HippoRAG 2): a language model looks at the few best facts and keeps those that are to the point.

It names facts by number, so it can neither change one nor invent one; a number that was not given is passed over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from memorist.models.chat import ChatModel, Request
from memorist.models.prompts import prompt_named
from memorist.models.structured import structured

MOST = 4
"""Facts that are kept, as in the paper's prompt."""

REPLY_TOKENS = 64


@dataclass
class Kept:
    """The numbers of the facts to the point, from 1."""

    keep: list[int]


def recognised(question: str, facts: Sequence[str], model: ChatModel) -> list[int]:
    """Which facts the model keeps: their places, rising; perhaps none. Raises ModelError."""
    prompt = prompt_named("recognise")
    lines = (f"[{number}] {' '.join(fact.split())}" for number, fact in enumerate(facts, 1))
    shown = "\n".join(lines).replace("</facts", "‹/facts")
    request = Request(prompt.fill(facts=shown, question=question), max_tokens=REPLY_TOKENS, prompt=prompt.id)
    named = dict.fromkeys(structured(model, request, Kept).value.keep)
    return sorted([number - 1 for number in named if 1 <= number <= len(facts)][:MOST])
