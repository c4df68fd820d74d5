"""What someone likes: MR.Rec's local memory, kept at its three levels (section "Local memory").

An episode is an interaction when its metadata name an `item`: what was bought, watched or reviewed. `rating` is on a
scale of 1 to 5 (without one the interaction counts as liking), `category` may hold several names parted by `|`,
`title` is what the item is called. An episode of a tenant's shared memory also names the `person`, by a pseudonym.

    behavior    one interaction
    pattern     what the interactions with one category say together
    profile     what all of them say

Patterns and the profile are counted, not written by a model: a count cannot invent a taste, needs no call, and stays
right when an interaction is erased. Nobody's taste is made of a tenant's shared interactions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np

from memorist.cube import Scope, Trust
from memorist.ids import derived_id
from memorist.models.embedder import Vectors
from memorist.organise.protocol import Around
from memorist.organise.windows import TRUST_ORDER
from memorist.store.protocol import Derived, Kept, Organised, Stretch, Turn

NAME = "preferences"

LIKED = 4.0
"""The lowest rating that means liking."""

BEST = 3
"""Items that a pattern names."""


@dataclass(frozen=True, slots=True)
class Interaction:
    """Someone had to do with an item. `rating` is on a scale of 1 to 5, None where there was none.

    `person` is whoever it was, for `General`; empty in a user's own memory.
    """

    item: str
    at: datetime
    rating: float | None = None
    categories: tuple[str, ...] = ()
    title: str = ""
    person: str = ""

    @property
    def liked(self) -> bool:
        """Whether it speaks for the item."""
        return self.rating is None or self.rating >= LIKED


@dataclass(frozen=True, slots=True)
class Behaviour:
    """An interaction as it is remembered: the row and id of its episode, and what a view needs of its cube."""

    row: int
    id: str
    episode: str
    interaction: Interaction
    text: str
    vector: Vectors | None
    agent: str
    session: str
    trust: Trust


@dataclass(frozen=True)
class Tastes:
    """A view of someone's preferences: behaviours and patterns by row of their cubes."""

    behaviours: Mapping[int, Behaviour] = field(default_factory=dict)
    summaries: Mapping[int, Kept] = field(default_factory=dict)

    def take(self, kept: Sequence[Kept]) -> Tastes:
        """The view with these changes."""
        behaviours, summaries = dict(self.behaviours), dict(self.summaries)
        for one in kept:
            behaviours.pop(one.row, None)
            summaries.pop(one.row, None)
            if one.active and one.meta["level"] == "behavior":
                behaviours[one.row] = behaviour_of(one)
            elif one.active:
                summaries[one.row] = one
        return Tastes(behaviours, summaries)

    def within(self, scope: Scope) -> list[Behaviour]:
        """The latest interaction with each item that a scope may see, oldest first."""
        seen = (
            one
            for one in self.behaviours.values()
            if scope.agent in ("", one.agent) and scope.session in ("", one.session)
        )
        latest = {one.interaction.item: one for one in sorted(seen, key=age)}
        return sorted(latest.values(), key=age)


class Preferences:
    """The organiser of preferences."""

    name = NAME
    reach = 0
    batch = 512

    def organise(self, stretches: Sequence[Stretch], changed: frozenset[int], around: Around) -> Organised:
        """A behaviour for each changed interaction, and anew the patterns of their categories and the profile."""
        turns = [turn for stretch in stretches for turn in stretch.turns]
        fresh = [made for turn in turns if (made := observed(turn)) is not None]
        if not fresh:
            return Organised()
        members = {one.row for one in fresh}
        known = [one for one in around.view(NAME, Tastes).behaviours.values() if one.row not in members | changed]
        own = [one for one in (*known, *fresh) if not one.interaction.person]
        touched = {name for one in fresh if not one.interaction.person for name in one.interaction.categories}
        groups = [(name, [one for one in own if name in one.interaction.categories]) for name in sorted(touched)]
        if any(not one.interaction.person for one in fresh):
            groups.append(("", own))
        written = [summary_of(around.scope, name, sorted(group, key=age)) for name, group in groups]
        vectors = around.embedder.embed([one.text for one in written]) if written else ()
        summaries = [replace(one, vector=vector) for one, vector in zip(written, vectors)]
        return Organised((*(cube_of(one) for one in fresh), *summaries))


def interaction_of(meta: Mapping[str, Any], text: str, at: datetime) -> Interaction | None:
    """The interaction that an episode's metadata speak of; None when they name no item or an impossible rating."""
    item, rating = meta.get("item"), meta.get("rating")
    if isinstance(item, bool) or not isinstance(item, (str, int)) or item == "":
        return None
    if rating is not None:
        plain = isinstance(rating, (int, float)) and not isinstance(rating, bool) and math.isfinite(rating)
        if not plain or not 0 <= rating <= 5:
            return None
    categories = (name.strip() for name in str(meta.get("category") or "").split("|"))
    title = str(meta.get("title") or "") or " ".join(text.split())[:60]
    person = str(meta.get("person") or "")
    given = None if rating is None else float(rating)
    return Interaction(str(item), at, given, tuple(dict.fromkeys(filter(None, categories))), title, person)


def observed(turn: Turn) -> Behaviour | None:
    """A turn as a behaviour, if it is one."""
    found = interaction_of(turn.meta, turn.text, turn.at)
    if found is None:
        return None
    id = derived_id(NAME, turn.id)
    return Behaviour(turn.row, id, turn.id, found, turn.text, turn.vector, turn.agent, turn.session, turn.trust)


def behaviour_of(kept: Kept) -> Behaviour:
    """A behaviour from its cube."""
    found = interaction_of(kept.meta, kept.text, kept.at)
    assert found is not None  # it was one when the cube was written
    row, episode = int(kept.members[0]), str(kept.meta["episode"])
    return Behaviour(row, kept.id, episode, found, kept.text, kept.vector, kept.agent, kept.session, kept.trust)


def cube_of(behaviour: Behaviour) -> Derived:
    """The cube of a behaviour."""
    seen = behaviour.interaction
    named = {"rating": seen.rating, "category": "|".join(seen.categories), "title": seen.title, "person": seen.person}
    meta = {"level": "behavior", "episode": behaviour.episode, "item": seen.item} | {
        name: value for name, value in named.items() if value not in (None, "")
    }
    return Derived(
        behaviour.id, NAME, behaviour.text, (behaviour.row,), behaviour.trust, behaviour.agent, behaviour.session,
        seen.at, seen.at, meta=meta, vector=behaviour.vector,
    )  # fmt: skip


def summary_of(scope: Scope, category: str, behaviours: Sequence[Behaviour]) -> Derived:
    """The pattern of a category, or the profile (category ""), from all its behaviours in the order of time."""
    seen = [one.interaction for one in behaviours]
    level = "pattern" if category else "profile"
    meta = {"level": level, "category": category, "liked": sum(one.liked for one in seen), "seen": len(seen)}
    return Derived(
        derived_id(NAME, scope.tenant, scope.user, level, category),
        NAME,
        f"{category}: {counted(seen)}" if category else profile_of(seen),
        tuple(one.row for one in behaviours),
        min((one.trust for one in behaviours), key=TRUST_ORDER.index),
        "",
        "",
        seen[-1].at,
        seen[0].at,
        meta={name: value for name, value in meta.items() if value != ""},
    )


def counted(seen: Sequence[Interaction]) -> str:
    """How much of it was liked, since when, and what most."""
    rated = [one.rating for one in seen if one.rating is not None]
    mean = f", {np.mean(rated):.1f} of 5 on average" if rated else ""
    last = seen[-1].at
    return (
        f"liked {sum(one.liked for one in seen)} of {len(seen)}{mean}, last on {last.day} {last:%B %Y}{best_of(seen)}."
    )


def best_of(seen: Iterable[Interaction]) -> str:
    """The best rated, the latest of them first."""
    liked = sorted((one for one in seen if one.liked), key=lambda one: (-(one.rating or LIKED), -one.at.timestamp()))
    return "; best: " + ", ".join(one.title for one in liked[:BEST]) if liked else ""


def profile_of(seen: Sequence[Interaction]) -> str:
    """All interactions in a sentence, with the categories that are liked more, and less, often than the rest."""
    rate = sum(one.liked for one in seen) / len(seen)
    gains: dict[str, float] = {}
    for one in seen:
        for name in one.categories:
            gains[name] = gains.get(name, 0.0) + one.liked - rate
    ranked = sorted(gains, key=lambda name: (-gains[name], name))
    above = [name for name in ranked if gains[name] > 0][:BEST]
    below = [name for name in reversed(ranked) if gains[name] < 0][:BEST]
    parts = [
        f"likes {', '.join(above)} more than the rest" if above else "",
        f"{', '.join(below)} less" if below else "",
    ]
    said = "; ".join(part for part in parts if part)
    return f"All interactions: {counted(seen)}" + (f" {said.capitalize()}." if said else "")


def age(behaviour: Behaviour) -> tuple[datetime, str]:
    """The order of time, the same whatever order they came in."""
    return behaviour.interaction.at, behaviour.id
