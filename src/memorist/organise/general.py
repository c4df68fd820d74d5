"""What people in general like: MR.Rec's global memory as counts that name nobody.

It crosses users, so it may be made of two things only: the interactions that a tenant put into its shared memory (the
scope without a user, each interaction under a pseudonym), or counts that the caller has from elsewhere. A user's own
memory is never read for another. Fewer than `LEAST` people are nobody's knowledge: what they share is left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from memorist.organise.preferences import Interaction, Tastes
from memorist.store.protocol import Kept

LEAST = 3
"""People who must like an item, or both of two items, before that is known."""

MOST_LIKED = 500
"""Of someone's likings the latest count: pairs grow with their square, and nobody's taste is wider."""

PAIRS_AT_ONCE = 4_000_000

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class General:
    """How many people like each item, and each two of them.

    `people` [n] is by place in `items`; `pairs` [m, 2] are places with the lower first, `together` [m] who likes both.
    """

    items: tuple[str, ...] = ()
    people: Counts = field(default_factory=lambda: np.zeros(0, np.int64))
    pairs: Counts = field(default_factory=lambda: np.zeros((0, 2), np.int64))
    together: Counts = field(default_factory=lambda: np.zeros(0, np.int64))

    @classmethod
    def of(cls, interactions: Iterable[Interaction]) -> General:
        """Counted from interactions; those without a person are nobody's and do not count."""
        latest: dict[tuple[str, str], Interaction] = {}
        for one in sorted(interactions, key=lambda one: one.at):
            if one.person:
                latest[one.person, one.item] = one
        liked: dict[str, list[Interaction]] = defaultdict(list)
        for (person, _), one in latest.items():
            if one.liked:
                liked[person].append(one)
        return cls.counted([[one.item for one in sorted(ones, key=recent)] for ones in liked.values()])

    @classmethod
    def counted(cls, likings: Sequence[Sequence[str]]) -> General:
        """Counted from what each person likes, the latest first."""
        totals: dict[str, int] = defaultdict(int)
        for liking in likings:
            for item in set(liking):
                totals[item] += 1
        items = tuple(sorted(item for item, total in totals.items() if total >= LEAST))
        place = {item: number for number, item in enumerate(items)}
        people = np.array([totals[item] for item in items], np.int64)
        codes, together = summed(
            np.array(sorted({place[item] for item in liking[:MOST_LIKED] if item in place}), np.int64)
            for liking in likings
        )
        return cls(items, people, np.stack([codes >> 32, codes & 0xFFFFFFFF], 1), together)

    @classmethod
    def from_counts(cls, people: Mapping[str, int], together: Mapping[tuple[str, str], int]) -> General:
        """Counts that the caller has: how many like an item, and how many like both of two."""
        items = tuple(sorted(item for item, count in people.items() if count >= LEAST))
        place = {item: number for number, item in enumerate(items)}
        known = {
            (min(place[one], place[other]), max(place[one], place[other])): count
            for (one, other), count in together.items()
            if count >= LEAST and one != other and one in place and other in place
        }
        pairs = np.array(sorted(known), np.int64).reshape(-1, 2)
        counts = np.array([known[int(one), int(other)] for one, other in pairs], np.int64)
        return cls(items, np.array([people[item] for item in items], np.int64), pairs, counts)

    @cached_property
    def place(self) -> Mapping[str, int]:
        """Where an item stands."""
        return {item: number for number, item in enumerate(self.items)}

    @cached_property
    def _beside(self) -> tuple[Counts, Counts, Counts]:
        """Both directions of the pairs, by the first item: (starts [n + 1], seconds, counts)."""
        first = np.concatenate([self.pairs[:, 0], self.pairs[:, 1]])
        second = np.concatenate([self.pairs[:, 1], self.pairs[:, 0]])
        order = np.argsort(first, kind="stable")
        starts = np.searchsorted(first[order], np.arange(len(self.items) + 1))
        return starts, second[order], np.concatenate([self.together, self.together])[order]

    def with_item(self, item: str) -> tuple[Counts, Counts]:
        """Places of the items that are liked together with this one, and by how many."""
        number = self.place.get(item)
        if number is None:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        starts, seconds, counts = self._beside
        part = slice(starts[number], starts[number + 1])
        return seconds[part], counts[part]


@dataclass(frozen=True)
class Crowd:
    """A view of a tenant's shared interactions, and what is known from them in general."""

    tastes: Tastes = field(default_factory=Tastes)

    def take(self, kept: Sequence[Kept]) -> Crowd:
        """The view with these changes."""
        return Crowd(self.tastes.take(kept))

    @cached_property
    def general(self) -> General:
        """Counted when first asked for after a change."""
        return General.of(one.interaction for one in self.tastes.behaviours.values())


def recent(interaction: Interaction) -> tuple[float, str]:
    """The latest first."""
    return -interaction.at.timestamp(), interaction.item


def summed(likings: Iterable[Counts]) -> tuple[Counts, Counts]:
    """Pairs of places as one number (first << 32 | second, rising), and how many have both, where LEAST do."""
    codes, counts = np.zeros(0, np.int64), np.zeros(0, np.int64)
    waiting: list[Counts] = []
    size = 0
    for liking in likings:
        one, other = np.triu_indices(len(liking), 1)
        waiting.append(liking[one] << 32 | liking[other])
        size += len(one)
        if size > PAIRS_AT_ONCE:
            codes, counts = merged(codes, counts, waiting)
            waiting, size = [], 0
    codes, counts = merged(codes, counts, waiting)
    return codes[counts >= LEAST], counts[counts >= LEAST]


def merged(codes: Counts, counts: Counts, waiting: Sequence[Counts]) -> tuple[Counts, Counts]:
    """The counts with more pairs in them."""
    new, times = np.unique(np.concatenate([np.zeros(0, np.int64), *waiting]), return_counts=True)
    every, where = np.unique(np.concatenate([codes, new]), return_inverse=True)
    total = np.bincount(where, weights=np.concatenate([counts, times]), minlength=len(every))
    return every, total.astype(np.int64)
