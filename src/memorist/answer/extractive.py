"""Answers without a language model: the sentences that carry the answer, dated and cited, or "I do not know"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from memorist.answer.confidence import confidence_of, evidence_of
from memorist.answer.dates import date_of, day_of
from memorist.answer.sentences import sentences
from memorist.models.embedder import Embedder, Vectors
from memorist.results import Answer, Citation, Hit, Hits, Sentence
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


@dataclass(frozen=True, slots=True)
class Weighed:
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
    lines = [line_of(sentence, when) for sentence in chosen]
    citations = tuple(
        Citation(one.hit.id, one.text, one.hit.at, one.hit.speaker, round(one.score, 4)) for one in chosen
    )
    best = ranked[0]
    return Answer(
        text="\n".join(f"{line} [{number}]" for number, line in enumerate(lines, 1)),
        citations=citations,
        method=METHOD,
        confidence=confidence,
        known=True,
        hits=hits,
        short=dates_of(best)[0] if when and dates_of(best) else best.text,
        sentences=tuple(Sentence(line, (number,), True, 1.0) for number, line in enumerate(lines, 1)),
    )


def rank(question: str, vector: Vectors, hits: Sequence[Hit], embedder: Embedder) -> list[Weighed]:
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
        ranked.append(Weighed(text, hit, score, cosine))
    return sorted(ranked, key=lambda sentence: -sentence.score)


def promising(found: Sequence[str], asked: set[int]) -> Sequence[str]:
    """Of a long turn the sentences that share most words with the question: each one weighed costs milliseconds."""
    if len(found) <= MOST_WEIGHED:
        return found
    return sorted(found, key=lambda text: -shared_words(text, asked))[:MOST_WEIGHED]


def shared_words(text: str, asked: set[int]) -> int:
    """How many of the question's terms a text holds."""
    return len(asked.intersection(query_terms(text).tolist()))


def choose(ranked: Sequence[Weighed]) -> list[Weighed]:
    """The best sentence and those that come close, in the order of time."""
    enough = [one for one in ranked if one.score >= NEAR_BEST * ranked[0].score][:MOST_CITED]
    return sorted(enough, key=lambda one: one.hit.at)


def line_of(sentence: Weighed, when: bool) -> str:
    """`Speaker, 8 May 2023: "…"`, and the date meant when the question asks for one."""
    hit = sentence.hit
    who = f"{hit.speaker}, " if hit.speaker else ""
    meant = dates_of(sentence) if when else []
    return f'{f"{meant[0]}. " if meant else ""}{who}{day_of(hit.at)}: "{sentence.text}"'


def dates_of(sentence: Weighed) -> list[str]:
    """The times that a sentence speaks of, in words."""
    return [date_of(span) for span in spans(sentence.text, sentence.hit.at)]
