"""Answers without a language model: the sentences that carry the answer, dated and cited, or "I do not know"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from memorist.answer.confidence import confidence_of, evidence_of
from memorist.cube import TimeSpan
from memorist.models.embedder import Embedder, Vectors
from memorist.results import Answer, Citation, Hit, Hits
from memorist.store.terms import query_terms
from memorist.text import indexed
from memorist.times import intent, spans

READ = 6
"""Hits whose sentences are weighed."""

MOST_WEIGHED = 4
"""Sentences of one hit that are weighed."""

MOST_CITED = 3
NEAR_BEST = 0.85
"""A further sentence is cited when it scores at least this share of the best."""

KNOWN = 0.5
"""Confidence from which an answer is given; `memorist bench answers` measures what it does."""

SHARED_WORDS, HIT_SHARE, QUESTION = 0.3, 0.5, 0.2
"""What a sentence gains from the question's words it holds, and from its hit, and loses by being a question."""

UNKNOWN = "I do not know."
METHOD = "extractive"
SENTENCE = re.compile(r"(?<=[.!?…])[\"')\]]*\s+|(?<=[。！？])|\n+")
LEAST_LETTERS = 2


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a hit, with its score for the question; `cosine` is how near it is in meaning."""

    text: str
    hit: Hit
    score: float
    cosine: float


def answer(question: str, hits: Hits, embedder: Embedder) -> Answer:
    """The best supporting sentences of the hits, or UNKNOWN when the evidence is weak."""
    if not hits:
        return Answer(UNKNOWN, (), METHOD, 0.0, False, hits)
    (vector,) = embedder.embed([question])
    ranked = rank(question, vector, hits, embedder)
    confidence = confidence_of(evidence_of(hits, ranked[0].cosine if ranked else 0.0))
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
    asked = set(query_terms(question).tolist())
    found = [(text, hit) for hit in hits[:READ] for text in promising(sentences(hit.text), asked)]
    if not found:
        return []
    vectors = embedder.embed([indexed(hit.speaker, text, hit.at) for text, hit in found])
    best = max(hit.score for hit in hits[:READ])
    ranked = []
    for (text, hit), one in zip(found, vectors):
        shared = shared_words(text, asked) / max(len(asked), 1)
        cosine = float(one @ vector)
        score = cosine + SHARED_WORDS * shared + HIT_SHARE * max(0.0, min(1.0, hit.score / best if best > 0 else 0.0))
        if text.endswith("?"):
            score -= QUESTION  # it seldom carries an answer
        ranked.append(Sentence(text, hit, score, cosine))
    return sorted(ranked, key=lambda sentence: -sentence.score)


def promising(found: Sequence[str], asked: set[int]) -> Sequence[str]:
    """Of a long turn the sentences that share most words with the question: each one weighed costs milliseconds."""
    if len(found) <= MOST_WEIGHED:
        return found
    return sorted(found, key=lambda text: -shared_words(text, asked))[:MOST_WEIGHED]


def shared_words(text: str, asked: set[int]) -> int:
    """How many of the question's terms a text holds."""
    return len(asked.intersection(query_terms(text).tolist()))


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
