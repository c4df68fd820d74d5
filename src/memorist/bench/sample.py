"""The sample that writers are measured on: messages of the package's own conversation, solved problems, interactions,
and a key written by hand of what is worth writing down of them (`data/writers.json`)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from memorist.cube import Observation, parse_moment

Words = tuple[tuple[str, ...], ...]
"""A text tells something when it has one of each group, in any case."""


@dataclass(frozen=True, slots=True)
class KeyFact:
    """Something that a message tells; `ended` when a later message of the sample says that it holds no longer."""

    name: str
    words: Words
    message: int
    ended: bool


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem with its way to the solution; `particular` are words that nothing general says."""

    name: str
    text: str
    words: Words
    particular: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wish:
    """A request for a recommendation, the best candidate, and what a description of what fits has to say."""

    text: str
    best: str
    words: Words


@dataclass(frozen=True)
class Sample:
    """All of it. `links` are pairs of messages that belong together. `shared` names what two problems' solutions have
    in common; `unsolved` is an attempt that failed, of which nothing may be written: none of the words `forbidden`."""

    messages: Mapping[int, Observation]
    facts: tuple[KeyFact, ...]
    links: tuple[tuple[int, int], ...]
    problems: tuple[Problem, ...]
    unsolved: Observation
    forbidden: tuple[str, ...]
    shared: tuple[Words, tuple[str, ...]]
    interactions: tuple[Observation, ...]
    candidates: tuple[Mapping[str, str], ...]
    wishes: tuple[Wish, ...]


@cache
def sample() -> Sample:
    """As it is in the package."""
    folder = files("memorist") / "data"
    key = json.loads((folder / "writers.json").read_text(encoding="utf-8"))
    conversation = (folder / "demo.jsonl").read_text(encoding="utf-8").splitlines()
    group, problems = key["shared"]
    return Sample(
        messages={number: message_of(json.loads(conversation[number])) for number in key["messages"]},
        facts=tuple(fact_of(one) for one in key["facts"]),
        links=tuple((first, second) for first, second in key["links"]),
        problems=tuple(
            Problem(one["problem"], one["text"], words_of(one["key"]), tuple(one["particular"]))
            for one in key["problems"]
        ),
        unsolved=attempt_of(key["unsolved"], 9, solved=False),
        forbidden=tuple(key["forbidden"]),
        shared=(words_of([group]), tuple(problems)),
        interactions=tuple(interaction_of(one, place) for place, one in enumerate(key["interactions"], 1)),
        candidates=tuple(key["candidates"]),
        wishes=tuple(Wish(one["text"], one["best"], words_of(one["key"])) for one in key["requests"]),
    )


def message_of(line: Mapping[str, str]) -> Observation:
    """A message of the conversation."""
    at = parse_moment(line["timestamp"], "timestamp")
    return Observation(line["content"], speaker=line["name"], at=at, session=line["session"])


def fact_of(found: Mapping[str, Any]) -> KeyFact:
    """A fact of the key."""
    return KeyFact(found["name"], words_of(found["words"]), found["message"], "ended_by" in found)


def attempt_of(found: Mapping[str, str], day: int, *, solved: bool) -> Observation:
    """An attempt at a problem as an episode."""
    meta = {"problem": found["problem"], "solved": solved}
    return Observation(found["text"], at=parse_moment(f"2025-02-{day:02}", "day"), session="problems", meta=meta)


def interaction_of(found: Mapping[str, Any], day: int) -> Observation:
    """An interaction with an item as an episode."""
    meta = {name: found[name] for name in ("item", "title", "category", "rating")}
    return Observation(found["text"], at=parse_moment(f"2025-01-{day:02}", "day"), session="films", meta=meta)


def solved(problem: Problem, place: int) -> Observation:
    """A solved problem as an episode."""
    return attempt_of({"problem": problem.name, "text": problem.text}, place, solved=True)


def words_of(groups: Sequence[Sequence[str]]) -> Words:
    """Groups of words as they are compared."""
    return tuple(tuple(word.casefold() for word in group) for group in groups)


def tells(text: str, words: Words) -> bool:
    """Whether a text has one word of each group."""
    low = text.casefold()
    return all(any(word in low for word in group) for group in words)


def names_any(text: str, words: Sequence[str]) -> bool:
    """Whether a text has one of the words."""
    return tells(text, (tuple(words),))
