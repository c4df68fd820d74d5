"""Ready-made extractions: files in the form that OpenIE pipelines for HippoRAG write, matched to episodes by text.

A file is one JSON object whose `docs` each have `extracted_triples` and the text, as `passage`, or as `title` and
`text`. Texts are compared by their words. A passage that was too long for one episode is found by its parts, and a
part has the facts whose ends it names.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memorist.errors import InputError
from memorist.ids import digest
from memorist.organise.extract.extraction import Fact, dump_facts, phrase_of, sound
from memorist.sources.pieces import split_text
from memorist.store.keys import key_of
from memorist.store.protocol import Extracted


@dataclass(frozen=True, slots=True)
class Matched:
    """What of a file belongs to which episodes, by row; how many of its texts belong to none, and what was rejected."""

    found: Mapping[int, Extracted]
    facts: int
    passages: int
    unmatched: int
    rejected: Counter[str]


def match(path: Path, episodes: Iterable[tuple[int, str]]) -> Matched:
    """Give each episode (row, text) the facts that the file has of it. Raises InputError for a file of another form."""
    content, docs = read(path)
    rows: dict[int, list[tuple[int, str]]] = {}
    for row, text in episodes:
        rows.setdefault(key_of(phrase_of(text)), []).append((row, text))
    name = f"openie:{path.name}:{content}"
    found: dict[int, Extracted] = {}
    rejected: Counter[str] = Counter()
    facts = unmatched = 0
    for doc in docs:
        extraction = sound(triples_of(doc))
        rejected += extraction.rejected
        parts = next((parts for parts in partings(doc) if all(key_of(phrase_of(part)) in rows for part in parts)), ())
        unmatched += not parts
        for part, own in zip(parts, shared_out(extraction.facts, parts)):
            facts += len(own)
            for row, text in rows[key_of(phrase_of(part))]:
                found[row] = Extracted(name, digest(text), dump_facts(own))
    return Matched(found, facts, len(docs), unmatched, rejected)


def read(path: Path) -> tuple[str, Sequence[Mapping[str, Any]]]:
    """A digest of the file's content, and its docs. Raises InputError."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        docs = json.loads(text)["docs"]
        if not isinstance(docs, list) or not all(isinstance(doc, dict) for doc in docs):
            raise TypeError("its docs are not a list of objects")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            f"{path} is not an OpenIE file ({type(error).__name__}: {error}); it needs an object with a list `docs`"
        ) from error
    return digest(text)[:8], docs


def triples_of(doc: Mapping[str, Any]) -> Sequence[Any]:
    """The triples of a doc; what is no list counts as one that is broken."""
    triples = doc.get("extracted_triples", [])
    return triples if isinstance(triples, list) else [triples]


def partings(doc: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    """The texts that a doc may have become: whole, or in the parts in which long texts are kept."""
    title, text, passage = (doc.get(name) for name in ("title", "text", "passage"))
    joined = f"{title}\n{text}" if isinstance(title, str) and isinstance(text, str) else None
    for whole in (passage, joined, text):
        if isinstance(whole, str) and whole.strip():
            yield (whole.strip(),)
            yield split_text(whole.strip())


def shared_out(facts: Sequence[Fact], parts: Sequence[str]) -> list[list[Fact]]:
    """The facts of each part: those whose ends stand in it; one that fits none goes to the first."""
    if len(parts) < 2:
        return [list(facts) for _ in parts]
    said = [f" {phrase_of(part)} " for part in parts]
    own: list[list[Fact]] = [[] for _ in parts]
    for fact in facts:
        ends = [f" {phrase_of(end)} " for end in (fact.subject, fact.object)]
        places = [place for place, text in enumerate(said) if all(end in text for end in ends)] or [0]
        for place in places:
            own[place].append(fact)
    return own
