"""A language model picks from the hits what matters for the question (MemGAS, filter).

It names hits, it does not rewrite them: what is kept keeps its words, its date and its source, and stands there once.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Event

from memorist.errors import ModelError
from memorist.models.chat import DEFAULT_SECONDS, ChatModel, Request
from memorist.models.prompts import prompt_named
from memorist.models.structured import structured
from memorist.results import Hits, prompt_date, prompt_line

REPLY_TOKENS = 256


@dataclass
class Kept:
    """The numbers of the hits that matter, from 1."""

    keep: list[int]


def sift(hits: Hits, model: ChatModel, *, seconds: float = DEFAULT_SECONDS, cancel: Event | None = None) -> Hits:
    """The hits that the model names, in their order; all of them when it fails or names none that there is."""
    if not hits:
        return hits
    lines = [
        f"[{number}] {prompt_date(hit.at)}\n{prompt_line(hit.speaker, hit.text, hit.trust)}"
        for number, hit in enumerate(hits, 1)
    ]
    prompt = prompt_named("sift")
    request = Request(
        prompt.fill(memories="\n".join(lines), question=hits.query), max_tokens=REPLY_TOKENS, prompt=prompt.id
    )
    try:
        named = set(structured(model, request, Kept, seconds=seconds, cancel=cancel).value.keep)
    except ModelError:
        return hits
    kept = [hit for number, hit in enumerate(hits, 1) if number in named]
    return Hits(kept or list(hits), hits.query, hits.unheard)
