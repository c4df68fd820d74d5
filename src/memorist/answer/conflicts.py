"""What does not go together: a memory and the one it replaced, and passages that say nearly the same otherwise.

No model is asked. It sees "The rent is 900 euros" against "The rent is 950 euros", "I eat fish" against "I do not eat
fish", and one word in another's place. It does not see a contradiction in other words, and takes two events of one
kind for one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from memorist.answer.check import numbers
from memorist.answer.sentences import sentences
from memorist.cube import Cube
from memorist.results import Change, Citation, Conflict, Hit
from memorist.store.terms import stems, words

ALIKE = 0.6
"""Share of words in common from which two sentences speak of the same."""

LEAST_WORDS = 4
"""Sentences shorter than this differ in too much when one word differs."""

MOST_WORDS = 60
DENIALS = frozenset(("no", "not", "never", "none", "without", "cannot", "t"))
OWN = frozenset(("i", "my", "mine", "me", "we", "our", "us", "you", "your"))
"""Words that mean someone else when another says them."""

Versions = Callable[[str], Sequence[Change]]


def conflicts(cited: Sequence[Citation], shown: Sequence[Hit], versions: Versions) -> tuple[Conflict, ...]:
    """What the cited passages replaced, and which of the shown passages differ from them."""
    by_id = {hit.id: hit for hit in shown}
    found = [*superseded(cited, versions), *disputed(cited, shown, versions)]
    pairs: set[frozenset[str]] = set()
    for one in cited:
        for other in shown:
            pair = frozenset((one.id, other.id))
            if other.id == one.id or pair in pairs or not comparable(by_id.get(one.id), other):
                continue
            for told in sentences(other.text):
                if differ(one.text, told):
                    pairs.add(pair)
                    older, newer = sorted((one, Citation(other.id, told, other.at, other.speaker, 0.0)), key=said_at)
                    found.append(Conflict("differs", older, newer))
                    break
    return tuple(found)


def superseded(cited: Iterable[Citation], versions: Versions) -> Iterator[Conflict]:
    """Each cited passage against the version before it."""
    for one in cited:
        cubes: dict[str, Cube] = {change.cube.id: change.cube for change in versions(one.id)}
        order = list(cubes)
        place = order.index(one.id) if one.id in cubes else 0
        if place:
            before = cubes[order[place - 1]]
            older = Citation(before.id, before.text, before.valid_from, before.speaker, 0.0)
            yield Conflict("superseded", older, replace(one, at=cubes[one.id].valid_from))


def disputed(cited: Sequence[Citation], shown: Sequence[Hit], versions: Versions) -> Iterator[Conflict]:
    """Facts that are cited, or whose episodes are, each against those that it is in conflict with."""
    names = {one.id for one in cited}
    pairs: set[frozenset[str]] = set()
    for hit in shown:
        if hit.id not in names and names.isdisjoint(hit.episodes):
            continue
        others = hit.meta.get("conflicts")
        for id in others if isinstance(others, list) else ():
            told = [] if frozenset((hit.id, id)) in pairs else versions(id)
            pairs.add(frozenset((hit.id, id)))
            if told:
                sides = (said(told[-1].cube), Citation(hit.id, hit.text, hit.at, hit.speaker, 0.0))
                yield Conflict("disputed", *sorted(sides, key=said_at))


def said(cube: Cube) -> Citation:
    """A cube as it is cited."""
    return Citation(cube.id, cube.text, cube.at, cube.speaker, 0.0)


def comparable(one: Hit | None, other: Hit) -> bool:
    """Whether "I" means the same person in both, or is said in neither."""
    if one is None or one.speaker == other.speaker:
        return True
    return not OWN & {*words(one.text), *words(other.text)}


def said_at(citation: Citation) -> float:
    """When it was said, to sort by."""
    return citation.at.timestamp()


def differ(one: str, other: str) -> bool:
    """Whether two sentences say nearly the same, with another number, another word in one place, or a denial."""
    first, second = words(one), words(other)
    if max(len(first), len(second)) > MOST_WORDS or one.endswith("?") or other.endswith("?"):
        return False
    if replaced(first, second):
        return True
    plain, others = (set(stems(re.sub(r"\d+", " ", text))) - DENIALS for text in (one, other))
    if not plain or not others or len(plain & others) < ALIKE * len(plain | others):
        return False
    counted, other_counted = numbers(one), numbers(other)
    if counted and other_counted and not (counted <= other_counted or other_counted <= counted):
        return True
    return denied(first) != denied(second) and counted == other_counted


def replaced(first: Sequence[str], second: Sequence[str]) -> bool:
    """Whether one word that carries meaning stands in another's place, and all else is equal."""
    if len(first) != len(second) or len(first) < LEAST_WORDS:
        return False
    changed = [(a, b) for a, b in zip(first, second) if a != b]
    return len(changed) == 1 and all(stems(word) for word in changed[0])


def denied(text: Sequence[str]) -> bool:
    """Whether a sentence denies."""
    return sum(word in DENIALS for word in text) % 2 == 1
