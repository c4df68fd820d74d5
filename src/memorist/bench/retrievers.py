"""Passages that several retrievers rank for the same questions: for hard negatives, and to train readers on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from memorist.bench.suite import Source, drawn, records_of, shaped
from memorist.bench.suites.nq import record
from memorist.bench.system import WHEN
from memorist.bench.vectors import Remembering
from memorist.cube import Observation
from memorist.memory import Memory
from memorist.models.known import DEFAULT, embedder_named

RETRIEVERS = ("lexical", "dense", "hybrid", "default")
SPARE = 4
"""Hits asked for beyond the number wanted: a passage may come in parts."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, its right answers, and the place of the passage that was annotated to hold them."""

    question: str
    answers: tuple[str, ...]
    gold: int


@dataclass(frozen=True, slots=True)
class Passages:
    """All passages of a file, each once, and the questions drawn from it."""

    texts: tuple[str, ...]
    asked: tuple[Asked, ...]


def passages_of(path: Path, limit: int | None, seed: int) -> Passages:
    """The passages of a file in the format of NQ with annotated passages, and `limit` of its questions."""
    parsed = shaped(path, "NQ", records_of(path), record)
    places = {text: place for place, text in enumerate(dict.fromkeys(passage for _, _, passage in parsed))}
    asked = [Asked(question, answers, places[passage]) for question, answers, passage in parsed]
    return Passages(tuple(places), tuple(drawn(asked, Source((path,), limit=limit, seed=seed))))


def ranked(passages: Passages, retrievers: Sequence[str], depth: int, folder: Path) -> Mapping[str, list[list[int]]]:
    """For each retriever and question the places of its first `depth` passages, best first.

    Retrievers are recipes over one store, in which every passage is a document of its own.
    """
    path = folder / "passages.db"
    found: dict[str, list[list[int]]] = {}
    with closing(Remembering(embedder_named(DEFAULT))) as embedder:
        with Memory.open(path, embedder=embedder, clock=lambda: WHEN) as memory:
            memory.scope().add([document(place, text) for place, text in enumerate(passages.texts)])
        for retriever in retrievers:
            with Memory.open(path, embedder=embedder, recipe=retriever, clock=lambda: WHEN) as memory:
                scope = memory.scope()
                found[retriever] = []
                for one in passages.asked:
                    hits = scope.search(one.question, k=depth + SPARE)
                    places = dict.fromkeys(int(str(hit.meta["item"])) for hit in hits)
                    found[retriever].append(list(places)[:depth])
    return found


def document(place: int, text: str) -> Observation:
    """A passage as a document of its own, which shares no window with another."""
    key = str(place)
    return Observation(text, role="document", at=WHEN, session=key, key=key, meta={"item": key})
