"""The seam for organisers: turns in conversation order go in, derived cubes come out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from memorist.cube import Scope
from memorist.models.chat import ChatModel
from memorist.models.embedder import Embedder
from memorist.store.protocol import Extracted, Organised, Stretch
from memorist.store.views import Viewing


class Organiser(Protocol):
    """Derives cubes from stretches of conversation.

    It must be a function of the turns alone, whatever batches they came in, and give what it derives ids that depend
    only on what it is about: so that the same memory grows live, in bulk or rebuilt.
    """

    name: str
    """The origin of its cubes."""

    reach: int
    """How many turns around a new one it needs to see."""

    def organise(self, stretches: Sequence[Stretch]) -> Organised:
        """What to write and withdraw, given the current turns around what changed, a stretch for each session."""
        ...


@runtime_checkable
class OwnVectors(Protocol):
    """An organiser whose cubes' vectors are not simply those of their texts.

    When the store's embedder changes they cannot be made from the cubes, so it derives them again.
    """

    own_vectors: Literal[True]


@dataclass(frozen=True, slots=True)
class Around:
    """What a recipe's organiser may use beside the turns: whose they are, models, and what was derived before."""

    scope: Scope
    embedder: Embedder
    model: ChatModel | None
    view: Viewing
    """`view(origin, make)`: the owner's derived cubes of an origin as a `View`, current."""
    extracted: Callable[[Sequence[int], Sequence[str]], Mapping[int, Extracted]]
    """`extracted(rows, digests)`: what is logged of episodes, whose words have these digests."""


class RecipeOrganiser(Protocol):
    """An organiser of a recipe: it runs after the episodes are indexed, and keeps a mark of how far it came.

    So a store that was filled under another recipe is caught up when this one is first used.
    """

    name: str
    """The origin of its cubes."""

    reach: int
    """How many turns around a changed one it needs to see. 0: only those that changed."""

    batch: int
    """How many changed episodes it takes at a time; what it derives from them is one transaction."""

    def organise(self, stretches: Sequence[Stretch], changed: frozenset[int], around: Around) -> Organised:
        """What to write and withdraw. `changed` are the rows that changed, of which some may be gone from the turns.

        What was derived from an episode that is no longer current is hidden already, and what shared it with others
        has those among the changed.
        """
        ...
