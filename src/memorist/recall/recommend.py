"""Ranking candidates by what someone likes, what goes with it in general, and what the request says (MR.Rec).

Every signal is scaled over the candidates and added with its weight; a signal that says nothing of anyone is left out.
The reasons of a recommendation are the signals that raised it, with the interactions they rest on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from memorist.cube import is_unicode
from memorist.errors import InputError, brief
from memorist.models.embedder import Vectors
from memorist.organise.general import General
from memorist.organise.preferences import Behaviour
from memorist.recall.select import said
from memorist.results import Candidate, Reason, Recommendation
from memorist.store.protocol import Floats

WEIGHTS: Mapping[str, float] = {
    "crowd": 1.0,
    "category": 0.4,
    "alike": 0.3,
    "popular": 0.1,
    "request": 1.0,
    "profile": 0.3,
}
"""Of the signals, each in standard deviations over the candidates. The first four were chosen on MovieLens ratings
before those that are tested; see docs/results/preferences.md. The last two are plain choices:
no data at hand have requests."""

DAMPED = 20
"""People that two items seem to share at least: a small overlap of rare items is no evidence."""

NEUTRAL = 3.5
"""The rating that neither speaks for an item nor against it: a liking counts by what it has above."""

CITED = 3
"""Interactions that a reason cites."""

REASONS = 3
"""Reasons that a recommendation gives."""


@dataclass(frozen=True)
class Asked:
    """What is to be ranked, for whom (`behaviours`, oldest first), and what is known in general."""

    request: str
    candidates: Sequence[Candidate]
    behaviours: Sequence[Behaviour]
    general: General | None
    embed: Callable[[Sequence[str]], Vectors]

    @cached_property
    def likings(self) -> list[Behaviour]:
        """The interactions that speak for their item, oldest first."""
        return [one for one in self.behaviours if one.interaction.liked]

    @cached_property
    def strength(self) -> Floats:
        """How much each liking speaks for its item, [likings]."""
        rated = [one.interaction.rating for one in self.likings]
        return np.array([1.0 if one is None else one - NEUTRAL for one in rated], np.float32)

    @cached_property
    def vectors(self) -> Vectors:
        """Unit vectors of the candidates, [n, dimension]."""
        return self.embed([described(one) for one in self.candidates])

    @cached_property
    def alike(self) -> Floats:
        """Cosine of each candidate and each liking, [n, likings]; 0 for the same item."""
        dimension = self.vectors.shape[1]
        liked = [one.vector if one.vector is not None else np.zeros(dimension, np.float32) for one in self.likings]
        return self._others(self.vectors @ np.stack(liked).T)

    @cached_property
    def crowd(self) -> Floats:
        """How much the people who like a candidate are those who like what this one likes, [n, likings]."""
        assert self.general is not None
        general = self.general
        numbers = np.array([general.place.get(one.id, -1) for one in self.candidates], np.int64)
        near = np.zeros((len(self.candidates), len(self.likings)), np.float32)
        for column, liking in enumerate(self.likings):
            others, counts = general.with_item(liking.interaction.item)
            if len(others):
                own = general.people[general.place[liking.interaction.item]]
                every = np.zeros(len(general.items) + 1, np.float32)  # the last is for items that nobody knows
                every[others] = counts / (np.sqrt(own * general.people[others]) + DAMPED)
                near[:, column] = every[numbers]
        return self._others(near)

    def _others(self, columns: Floats) -> Floats:
        """Zero where a candidate is the liked item itself."""
        items = np.array([one.interaction.item for one in self.likings])
        columns[np.array([one.id for one in self.candidates])[:, None] == items] = 0
        return columns


def candidates_of(given: Sequence[Candidate | Mapping[str, Any] | str]) -> list[Candidate]:
    """What the caller wants ranked. Raises InputError that names the one that cannot be."""
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise InputError(f"candidates={brief(given)} is not a list of candidates")
    made = [candidate_of(one) for one in given]
    twice = [id for id, times in Counter(one.id for one in made).items() if times > 1]
    if not made or twice:
        problem = f"name {brief(twice[0])} twice; give each id once" if twice else "are empty; give what to choose from"
        raise InputError(f"the candidates {problem}")
    return made


def candidate_of(given: Candidate | Mapping[str, Any] | str) -> Candidate:
    """A candidate from a text that is its own id, or from an object with id, text and category (parted by |)."""
    if isinstance(given, str):
        given = Candidate(given, given)
    if isinstance(given, Mapping):
        odd = given.keys() - {"id", "text", "category"}
        if odd:
            raise InputError(f"the candidate {brief(given)} has {brief(min(map(str, odd)))}; use id, text and category")
        id, category = given.get("id", given.get("text")), given.get("category", "")
        id = str(id) if isinstance(id, int) and not isinstance(id, bool) else id
        parts = category.split("|") if isinstance(category, str) else [category]
        named = (one.strip() if isinstance(one, str) else one for one in parts)
        given = Candidate(id, given.get("text", id), tuple(one for one in named if one != ""))
    if not isinstance(given, Candidate):
        raise InputError(
            f"the candidate {brief(given)} is a {type(given).__name__}; pass a text, an object or a Candidate"
        )
    texts = (given.id, given.text, *given.categories)
    if not all(isinstance(one, str) and is_unicode(one) and "\x00" not in one for one in texts) or not given.id.strip():
        raise InputError(f"the candidate {brief(given)} needs an id, a text and categories that are texts")
    return given


def signals(asked: Asked) -> dict[str, Floats]:
    """What speaks for each candidate, a column of [n] for each signal that knows something."""
    found: dict[str, Floats] = {}
    if asked.likings:
        found["alike"] = asked.alike.max(1)
        found["category"] = of_category(asked)
        if asked.general is not None:
            found["crowd"] = asked.crowd @ asked.strength
    if asked.general is not None:
        people = asked.general.people
        numbers = (asked.general.place.get(one.id, -1) for one in asked.candidates)
        found["popular"] = np.array([np.log1p(people[number]) if number >= 0 else 0 for number in numbers], np.float32)
    if asked.request:
        found["request"] = near_to(asked, asked.request) + named(asked)
    return {name: column for name, column in found.items() if float(np.ptp(column)) > 0}


def near_to(asked: Asked, text: str) -> Floats:
    """Cosine of each candidate and a text, [n]."""
    (vector,) = asked.embed([text])
    return np.asarray(asked.vectors @ vector, np.float32)


def of_category(asked: Asked) -> Floats:
    """Cosine of a candidate's categories and those of the likings, [n]."""
    names = {name: place for place, name in enumerate(sorted({c for one in asked.candidates for c in one.categories}))}
    taste = np.zeros(len(names), np.float32)
    for liking in asked.likings:
        for category in liking.interaction.categories:
            if category in names:
                taste[names[category]] += 1
    held = np.zeros((len(asked.candidates), len(names)), np.float32)
    for row, one in enumerate(asked.candidates):
        for category in one.categories:
            held[row, names[category]] = 1
    return np.asarray(held @ taste / np.maximum(np.linalg.norm(held, axis=1), 1e-9), np.float32)


def named(asked: Asked) -> Floats:
    """The share of what the request names that a candidate has, [n]: words count by how few candidates have them."""
    words = [said(described(one)) for one in asked.candidates]
    wanted = sorted(said(asked.request))
    has = np.array([[word in own for word in wanted] for own in words], np.float32).reshape(len(words), -1)
    rarity = np.log((len(words) + 1) / (has.sum(0) + 1)) * (has.sum(0) > 0)
    return np.asarray(has @ rarity / max(float(rarity.sum()), 1e-9), np.float32)


def scored(columns: Mapping[str, Floats], size: int) -> tuple[Floats, dict[str, Floats]]:
    """The weighted sum, and each signal's part of it, [size]."""
    parts = {name: WEIGHTS[name] * standard(column) for name, column in columns.items()}
    return np.sum([*parts.values(), np.zeros(size, np.float32)], axis=0).astype(np.float32), parts


def standard(column: Floats) -> Floats:
    """Mean 0, deviation 1."""
    return np.asarray((column - column.mean()) / max(float(column.std()), 1e-9), np.float32)


def ranked(asked: Asked, columns: Mapping[str, Floats], k: int, profile: Reason | None = None) -> list[Recommendation]:
    """The best `k` candidates with their reasons; equals in the order given. `profile` is the reason of that signal."""
    total, parts = scored(columns, len(asked.candidates))
    order = np.argsort(-total, kind="stable")[:k]
    return [
        Recommendation(
            asked.candidates[place].id,
            asked.candidates[place].text,
            round(float(total[place]), 6),
            tuple(reasons(asked, int(place), speaking(columns, parts, int(place)), profile)),
            {name: round(float(part[place]), 4) for name, part in parts.items()},
        )
        for place in order
    ]


def speaking(columns: Mapping[str, Floats], parts: Mapping[str, Floats], place: int) -> list[str]:
    """The signals that speak for a candidate, and more than for the rest: the strongest first."""
    raised = (name for name, part in parts.items() if part[place] > 0 and columns[name][place] > 0)
    return sorted(raised, key=lambda name: -parts[name][place])[:REASONS]


def reasons(asked: Asked, place: int, names: Sequence[str], profile: Reason | None) -> Iterator[Reason]:
    """Why a candidate stands where it does, a reason for each signal."""
    for name in names:
        if name == "crowd":
            yield because_of_crowd(asked, place)
        elif name == "alike":
            (near,) = strongest(asked, asked.alike[place], 1)
            yield Reason(name, f"like {near.interaction.title}{rated(near)}", (near.episode,))
        elif name == "category":
            yield because_of_category(asked, asked.candidates[place])
        elif name == "popular":
            assert asked.general is not None
            people = int(asked.general.people[asked.general.place[asked.candidates[place].id]])
            yield Reason(name, f"liked by {people} people")
        elif name == "request":
            shared = sorted(said(asked.request) & said(described(asked.candidates[place])))
            yield Reason(name, f"has {', '.join(shared)}" if shared else "reads like the request")
        elif profile is not None:
            yield profile


def because_of_crowd(asked: Asked, place: int) -> Reason:
    """The likings that others share who like the candidate."""
    assert asked.general is not None
    near = strongest(asked, asked.crowd[place] * asked.strength, CITED)
    others, counts = asked.general.with_item(near[0].interaction.item)
    (both,) = counts[others == asked.general.place[asked.candidates[place].id]]
    shown = f"{both} people like both this and {near[0].interaction.title}{rated(near[0])}"
    return Reason("crowd", shown, tuple(one.episode for one in near))


def because_of_category(asked: Asked, candidate: Candidate) -> Reason:
    """The candidate's category that is liked most often."""
    liked = {
        name: [one for one in asked.likings if name in one.interaction.categories] for name in candidate.categories
    }
    name = max(liked, key=lambda name: len(liked[name]))
    seen = sum(name in one.interaction.categories for one in asked.behaviours)
    best = sorted(liked[name], key=lambda one: (-(one.interaction.rating or 0), -one.interaction.at.timestamp()))
    text = f"liked {len(liked[name])} of {seen} with {name}"
    return Reason("category", text, tuple(one.episode for one in best[:CITED]))


def strongest(asked: Asked, values: Floats, most: int) -> list[Behaviour]:
    """The likings with the highest values above 0."""
    return [asked.likings[place] for place in np.argsort(-values, kind="stable")[:most] if values[place] > 0]


def rated(behaviour: Behaviour) -> str:
    """The rating in brackets, when there is one."""
    rating = behaviour.interaction.rating
    return "" if rating is None else f" (rated {rating:g})"


def described(candidate: Candidate) -> str:
    """A candidate as it is embedded and searched for words."""
    return f"{candidate.text} {', '.join(candidate.categories)}".strip()
