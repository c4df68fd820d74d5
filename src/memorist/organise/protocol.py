"""The seam for organisers: turns in conversation order go in, derived cubes come out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Literal, Protocol, TypeVar, runtime_checkable

from memorist.cube import Scope
from memorist.errors import ModelError
from memorist.models.chat import ChatModel, Reply, Request
from memorist.models.embedder import Embedder
from memorist.store.protocol import Extracted, Organised, Stretch, Turn
from memorist.store.views import V, Viewing


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
    model: Callable[[Sequence[int]], ChatModel] | None
    """`model(rows)`: the memory's language model, its replies logged as resting on these rows; None where none may be
    asked."""
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


@runtime_checkable
class Mending(Protocol):
    """An organiser whose cubes name one another, and that sets them right when one is gone."""

    def mend(self, around: Around) -> Organised:
        """What to write and withdraw, of the cubes alone; empty when all is as it should be."""
        ...


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Task(Generic[T]):
    """What a writer asks a model for: the name of its prompt file, the shape of a reply, and how long one may be."""

    prompt: str
    shape: type[T]
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One question of a task. `rows` are the cubes that its `fields` quote: erasing one of them erases the reply.
    `handles` are those that fields of the reply may name."""

    task: Task[T]
    fields: Mapping[str, str]
    rows: tuple[int, ...]
    handles: Mapping[str, Sequence[str]] = field(default_factory=dict)


class Desk(Protocol):
    """What a writer works with: whose memory it is, what was derived before, and a model that is paid for by a run."""

    scope: Scope
    embedder: Embedder
    model: ChatModel

    def view(self, origin: str, make: Callable[[], V]) -> V:
        """The owner's derived cubes of an origin as a `View`, current."""
        ...

    def turns(self, rows: Sequence[int]) -> list[Turn]:
        """Episodes by row; those that are not current are left out."""
        ...

    def ask(self, calls: Sequence[Call[T]]) -> list[T | ModelError]:
        """The replies, or why there is none, in the order of the calls; these run side by side.

        A reply that does not fit its shape was shown what is wrong, once. A call whose reply is in the log costs
        nothing. Raises BudgetSpent when the run may ask for no more.
        """
        ...

    def together(self, rows: Sequence[int]) -> list[tuple[int, ...]]:
        """Episodes that this writer was shown for the first time in one call whose reply is in the log, for each call
        that any of these was news to, in order: asked about in the same company again, they cost nothing."""
        ...

    def chat(self, request: Request, rows: tuple[int, ...]) -> Reply | ModelError:
        """A reply to a request of the writer's own, such as one with tools."""
        ...


@dataclass(frozen=True, slots=True)
class Written:
    """What a writer made of a job: what to change, the episodes that are `left` for another attempt, and why."""

    organised: Organised
    left: tuple[int, ...] = ()
    reason: str | None = None
    fault: ModelError | None = None


class Writer(Protocol):
    """An organiser that asks a model: it works in background jobs, and nothing waits for it.

    What a model replies is input: a writer takes from it only what fits the shape and names handles that it gave out.
    """

    name: str
    """The kind of its jobs."""

    origin: str
    """The origin of its cubes."""

    reach: int
    """How many turns around a changed one it needs to see. 0: only those that changed."""

    batch: int
    """How many changed episodes make a job; what it derives from them is one transaction."""

    def write(self, stretches: Sequence[Stretch], changed: frozenset[int], desk: Desk) -> Written:
        """What to write and withdraw; `stretches` and `changed` as for a `RecipeOrganiser`. A job may be done again
        after it was killed or overtaken: the replies are then in the log."""
        ...
