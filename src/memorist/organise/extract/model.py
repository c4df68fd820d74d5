"""Facts of a text by a language model: entities first, then triples over them, in one structured reply.

HippoRAG 2 asks twice; one reply that names the entities before the triples costs half the calls.
"""

# The annotations of `shape` are values that pydantic reads, so they are not put off here.
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any

from memorist.errors import ModelMissing
from memorist.models.chat import ChatModel, Request
from memorist.models.prompts import prompt_named
from memorist.models.structured import Structured, structured
from memorist.organise.extract.extraction import Extraction, sound

REPLY_TOKENS = 1_500
MOST_TRIPLES, MOST_ENTITIES = 40, 30
LONGEST_TEXT = 20_000
"""Characters of a text that the model is shown; the store's own parts are far shorter."""


def extractor_of(model: ChatModel) -> str:
    """What the log calls this model with this prompt."""
    return f"model:{model.identity}:{prompt_named('extract').id}"


def request_of(text: str) -> Request:
    """What the model is asked."""
    prompt = prompt_named("extract")
    shown = text[:LONGEST_TEXT].replace("</text", "‹/text")
    return Request(prompt.fill(text=shown), max_tokens=REPLY_TOKENS, prompt=prompt.id)


def stated(model: ChatModel, text: str) -> tuple[Extraction, Structured[Any]]:
    """The usable facts of a text, and the reply. Raises ModelError; a broken fact is only rejected."""
    reply = structured(model, request_of(text), shape())
    triples = reply.value.triples
    found = sound(triples[:MOST_TRIPLES])
    if len(triples) > MOST_TRIPLES:
        found.rejected["too many facts"] += len(triples) - MOST_TRIPLES
    return found, reply


@lru_cache(maxsize=1)
def shape() -> type[Any]:
    """The reply's shape: models are told of triples of texts, but one broken triple does not spoil the others."""
    try:
        from pydantic import WithJsonSchema
    except ImportError:
        raise ModelMissing("structured replies need pydantic; run: pip install 'memorist[local]'") from None
    text = {"type": "string"}
    triple = {"type": "array", "items": text, "minItems": 3, "maxItems": 3}

    @dataclass
    class Stated:
        entities: Annotated[list[Any], WithJsonSchema({"type": "array", "items": text, "maxItems": MOST_ENTITIES})]
        triples: Annotated[list[Any], WithJsonSchema({"type": "array", "items": triple, "maxItems": MOST_TRIPLES})]

    return Stated
