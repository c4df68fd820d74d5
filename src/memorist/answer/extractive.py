"""Answers without a language model: the sentences that carry the answer, dated and cited, or "I do not know"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from memorist.answer.confidence import confidence_of
from memorist.cube import TimeSpan
from memorist.models.embedder import Embedder, Vectors
from memorist.results import Answer, Citation, Hit, Hits
from memorist.store.terms import query_terms
from memorist.text import indexed
from memorist.times import intent, spans

READ = 6
"""Hits whose sentences are weighed."""

MOST_CITED = 3
NEAR_BEST = 0.85
"""A further sentence is cited when it scores at least this share of the best."""

KNOWN = 0.5
"""Confidence from which an answer is given; `memorist bench answers` measures what it does."""

UNKNOWN = "I do not know."
METHOD = "extractive"
SENTENCE = re.compile(r"(?<=[.!?…])[\"')\]]*\s+|\n+")
LEAST_LETTERS = 2


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a hit, with its score for the question."""

    text: str
    hit: Hit
    score: float


def answer(question: str, hits: Hits, embedder: Embedder) -> Answer:
    """The best supporting sentences of the hits, or UNKNOWN when the evidence is weak."""
    if not hits:
        return Answer(UNKNOWN, (), METHOD, 0.0, False, hits)
    vector, *_ = embedder.embed([question])
    ranked = rank(question, vector, hits, embedder)
    confidence = confidence_of(hits, ranked[0].score if ranked else 0.0)
    if confidence < KNOWN or not ranked:
        return Answer(UNKNOWN, (), METHOD, confidence, False, hits)
    chosen = choose(ranked)
    when = intent(question, hits[0].at).asks_when
    lines = [line_of(sentence, number, when) for number, sentence in enumerate(chosen, 1)]
    citations = tuple(
        Citation(one.hit.id, one.text, one.hit.at, one.hit.speaker, round(one.score, 4)) for one in chosen
    )
    return Answer("\n".join(lines), citations, METHOD, confidence, True, hits)


def rank(question: str, vector: Vectors, hits: Sequence[Hit], embedder: Embedder) -> list[Sentence]:
    """Sentences of the best hits by how near they are in meaning and words, with the weight of their hit."""
    found = [(text, hit) for hit in hits[:READ] for text in sentences(hit.text)]
    if not found:
        return []
    vectors = embedder.embed([indexed(hit.speaker, text, hit.at) for text, hit in found])
    asked = set(query_terms(question).tolist())
    best = max(hit.score for hit in hits[:READ])
    ranked = []
    for (text, hit), one in zip(found, vectors):
        shared = len(asked.intersection(query_terms(text).tolist())) / max(len(asked), 1)
        score = float(one @ vector) + 0.3 * shared + 0.5 * hit.score / max(best, 1e-6)
        if text.endswith("?"):
            score -= 0.2  # a question seldom carries an answer
        ranked.append(Sentence(text, hit, score))
    return sorted(ranked, key=lambda sentence: -sentence.score)


def choose(ranked: Sequence[Sentence]) -> list[Sentence]:
    """The best sentence and those that come close, in the order of time."""
    enough = [one for one in ranked if one.score >= NEAR_BEST * ranked[0].score][:MOST_CITED]
    return sorted(enough, key=lambda one: one.hit.at)


def sentences(text: str) -> list[str]:
    """Sentences of a text, without those that hold no words."""
    parts = (part.strip() for part in SENTENCE.split(text))
    return [part for part in parts if sum(char.isalnum() for char in part) >= LEAST_LETTERS]


def line_of(sentence: Sentence, number: int, when: bool) -> str:
    """`Speaker, 8 May 2023: "…" [1]`, and the date meant when the question asks for one."""
    hit = sentence.hit
    who = f"{hit.speaker}, " if hit.speaker else ""
    meant = spans(sentence.text, hit.at) if when else ()
    answer = f"{date_of(meant[0])}. " if meant else ""
    return f'{answer}{who}{hit.at.day} {hit.at:%B %Y}: "{sentence.text}" [{number}]'


def date_of(span: TimeSpan) -> str:
    """A span in words, as fine as it is."""
    days = (span.end - span.start).days
    first, last = span.start, span.end
    if days <= 1:
        return f"{first.day} {first:%B %Y}"
    if first.day == 1 and last.day == 1:
        return f"{first:%B %Y}" if days <= 31 else f"{first:%Y}" if first.month == last.month == 1 else between(span)
    return between(span)


def between(span: TimeSpan) -> str:
    """First to last day of a span."""
    last = span.end.fromtimestamp(span.end.timestamp() - 1, span.end.tzinfo)
    return f"{span.start.day} {span.start:%B %Y} to {last.day} {last:%B %Y}"

