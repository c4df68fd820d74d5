"""An answer that a language model writes from a context, each sentence checked against what it cites."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from threading import Event
from typing import Any

from memorist.answer.check import support
from memorist.answer.context import Context, Passage, context_of, is_relative
from memorist.answer.dates import date_of, day_of
from memorist.answer.extractive import UNKNOWN
from memorist.answer.sentences import sentences
from memorist.answer.shown import OnText, Shown
from memorist.answer.whose import asked_about, speaks_of
from memorist.errors import ModelRefused
from memorist.models.chat import DEFAULT_SECONDS, ChatModel, Message, Request, Usage
from memorist.models.prompts import prompt_named
from memorist.models.structured import structured
from memorist.results import Answer, Citation, Hit, Hits, Sentence
from memorist.times import intent

METHOD = "model"
PROMPT = "answer"
REPLY_TOKENS = 400
SPARE_TOKENS = 32
"""For what a chat template adds around messages."""

MOST_SENTENCES, MOST_SOURCES = 3, 4
LONGEST_ANSWER, LONGEST_SENTENCE = 200, 300
UNSUPPORTED_MARK = "[?]"
HANDLES = re.compile(r"\s*[\[(]\s*(\d+(?:\s*,\s*\d+)*)\s*[\])]")


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence of the reply and the handles it cites."""

    text: str
    sources: list[int]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reader replies: whether the memories hold the answer, the answer alone, and the sentences that give it."""

    known: bool
    answer: str
    sentences: list[Said]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, the time it is asked, and within what: seconds of a call, a signal to stop, who watches."""

    question: str
    now: datetime
    seconds: float = DEFAULT_SECONDS
    cancel: Event | None = None
    on_text: OnText | None = None

    @property
    def fields(self) -> Mapping[str, str]:
        """What every prompt says of the question."""
        spans = [span for span in intent(self.question, self.now).spans if is_relative(span.words)]
        meant = "".join(f' In the question, "{span.words.strip()}" means {date_of(span)}.' for span in spans)
        return {"question": self.question, "today": day_of(self.now), "meant": meant}


def read(asked: Asked, hits: Hits, model: ChatModel, budget: int) -> Answer:
    """The model's answer from the hits that fit `budget` tokens. Raises ModelError."""
    context = fitted(asked, hits, model, budget, PROMPT)
    if not context.passages:
        return Answer(UNKNOWN, (), METHOD, 0.0, False, hits, model=model.name)
    prompt = prompt_named(PROMPT)
    request = Request(prompt.fill(memories=context.text, **asked.fields), max_tokens=REPLY_TOKENS, prompt=prompt.id)
    reading = Shown(model, schema_for(len(context.passages)), "text", asked.on_text)
    made = structured(reading, request, Reading, seconds=asked.seconds, cancel=asked.cancel)
    return checked(asked.question, made.value, context, hits, made.replies[-1].model, made.usage)


def fitted(asked: Asked, hits: Sequence[Hit], model: ChatModel, budget: int, prompt: str, **fields: str) -> Context:
    """The context that fits the budget, and, with prompt and reply, the model."""
    if not hits:
        return Context((), "")
    room = budget
    if model.context:
        empty = prompt_named(prompt).fill(memories="", **asked.fields, **fields)
        room = min(budget, model.context - REPLY_TOKENS - SPARE_TOKENS - total(model, empty))
    context = context_of(hits, model.count, room)
    if not context.passages and room < budget:
        raise ModelRefused(
            f"{model.name} takes {model.context} tokens, too few for the question and a memory; "
            "use a model with a longer context",
            model.name,
        )
    return context


def total(model: ChatModel, messages: Iterable[Message]) -> int:
    """Tokens of messages."""
    return sum(model.count([message.content for message in messages]))


def schema_for(handles: int) -> dict[str, Any]:
    """The shape of Reading with only handles that exist, and bounds that keep a small model from running on."""
    source = {"type": "integer", "enum": list(range(1, handles + 1))}
    sentence = closed(
        text={"type": "string", "maxLength": LONGEST_SENTENCE},
        sources={"type": "array", "items": source, "maxItems": MOST_SOURCES},
    )
    return closed(
        known={"type": "boolean"},
        answer={"type": "string", "maxLength": LONGEST_ANSWER},
        sentences={"type": "array", "items": sentence, "maxItems": MOST_SENTENCES},
    )


def closed(**properties: Any) -> dict[str, Any]:
    """An object with these properties in this order, all of them and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def checked(question: str, reading: Reading, context: Context, hits: Hits, model: str, usage: Usage) -> Answer:
    """The reading as an answer: unknown handles removed, every sentence weighed, refused when nothing carries it."""
    invented = 0
    marked: dict[str, tuple[Sentence, tuple[Passage, ...]]] = {}
    for said in reading.sentences or [Said(reading.answer, [])]:
        text, named = without_handles(said.text, said.sources)
        passages = tuple(passage for handle in named if (passage := context.passage(handle)))
        invented += len(named) - len(passages)
        for one in sentences(text):
            marked.setdefault(one, weighed(one, passages, context, question))
    citations, placed = numbered(marked.values())
    who = asked_about(question, (hit.speaker for hit in hits))
    holding = [hit for sentence, passages in marked.values() if sentence.supported for hit in hits_of(passages)]
    known = reading.known and any(who is None or speaks_of(hit, who) for hit in holding)
    answer = Answer(UNKNOWN, (), METHOD, 0.0, False, hits, model=model, usage=usage, invented=invented)
    if not known:
        return replace(answer, sentences=placed if reading.known else ())
    return replace(
        answer,
        text=" ".join(map(cited, placed)),
        citations=citations,
        confidence=min(sentence.support if sentence.supported else 0.0 for sentence in placed),
        known=True,
        short=reading.answer.strip() or placed[0].text,
        sentences=placed,
    )


def weighed(
    text: str, passages: tuple[Passage, ...], context: Context, question: str
) -> tuple[Sentence, tuple[Passage, ...]]:
    """A sentence with its support by the passages that it cites, or by the one shown that carries it when these do
    not."""
    found = support(text, hits_of(passages), question)
    if not found.carried:
        others = [(support(text, [passage.hit], question), passage) for passage in context.passages]
        best, passage = max(others, key=lambda one: (one[0].carried, one[0].share))
        if best.carried:
            return Sentence(text, (), True, round(best.share, 4), recited=True), (passage,)
    return Sentence(text, (), found.carried, round(found.share, 4)), passages


def numbered(
    marked: Iterable[tuple[Sentence, tuple[Passage, ...]]],
) -> tuple[tuple[Citation, ...], tuple[Sentence, ...]]:
    """Citations in the order of their first use, and the sentences with the places of theirs."""
    citations: dict[str, Citation] = {}
    placed = []
    for sentence, passages in marked:
        for hit in hits_of(passages):
            citations.setdefault(hit.id, citation_of(sentence.text, hit))
        places = tuple(sorted({list(citations).index(hit.id) + 1 for hit in hits_of(passages)}))
        placed.append(replace(sentence, citations=places))
    return tuple(citations.values()), tuple(placed)


def citation_of(sentence: str, hit: Hit) -> Citation:
    """The sentence of a hit that says most of what an answer's sentence says."""
    told = sentences(hit.text) or [hit.text]
    shares = [support(sentence, [replace(hit, text=text)]).share for text in told]
    best = max(range(len(told)), key=lambda place: shares[place])
    return Citation(hit.id, told[best], hit.at, hit.speaker, round(shares[best], 4))


def hits_of(passages: Iterable[Passage]) -> list[Hit]:
    """What stands under the handles."""
    return [passage.hit for passage in passages]


def without_handles(text: str, sources: Sequence[int]) -> tuple[str, list[int]]:
    """A sentence without the handles that a model wrote into it, and all that it cites."""
    inline = [int(handle[:9]) for group in HANDLES.findall(text) if "[" in text for handle in group.split(",")]
    plain = HANDLES.sub(lambda mark: "" if "[" in mark[0] else mark[0], text) if inline else text
    return " ".join(plain.split()), list(dict.fromkeys([*sources, *inline]))


def cited(sentence: Sentence) -> str:
    """`The rent is 950 euros. [1]`, with a mark when nothing carries it."""
    marks = "".join(f"[{place}]" for place in sentence.citations) if sentence.supported else UNSUPPORTED_MARK
    return f"{sentence.text} {marks}"
