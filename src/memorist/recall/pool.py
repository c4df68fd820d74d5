"""The seam for recall: a query and a pool of candidates that stages add to, score, order and cut."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, partial
from typing import Literal, Protocol

import numpy as np

from memorist.cube import Cube
from memorist.models.chat import ChatModel
from memorist.models.embedder import Vectors
from memorist.recall.aside import Aside
from memorist.store.protocol import Features, Floats, Rows, Searcher, Terms
from memorist.store.search import distinct
from memorist.store.terms import query_terms
from memorist.store.views import Viewing
from memorist.times import TimeIntent, intent


class Query:
    """A question, and what stages need of it, each made when first asked for."""

    def __init__(
        self,
        text: str,
        *,
        embed: Callable[[Sequence[str]], Vectors],
        load: Callable[[Sequence[int]], dict[int, Cube]],
        view: Viewing,
        visible: Callable[[str], Rows | None],
        now: datetime,
        limits: Limits,
        model: Callable[[Sequence[int]], ChatModel] | None = None,
        prefer: Literal["source", "model"] | None = None,
    ) -> None:
        self.text = text
        self.now = now
        self.limits = limits
        self.load = load
        self.view = view
        """`view(origin, make)`: the owner's derived cubes of an origin as a `View`, current."""
        self.model = model
        """`model(rows)`: the memory's language model, its replies logged as resting on these rows; None without one."""
        self.prefer = prefer
        """Whether what was said, or what a model wrote of it, comes first."""
        self.visible = visible
        """`visible(origin)`: rows of an origin's cubes that may be seen, rising; None is all that hold."""
        self._embed = embed
        self._ahead: Aside[Floats] | None = None

    def embed_ahead(self) -> None:
        """Begin to embed the question beside what a stage does without its vector."""
        if self._ahead is None and "vector" not in self.__dict__:
            self._ahead = Aside(partial(self.embed, self.text))

    @cached_property
    def vector(self) -> Floats:
        """The unit vector of the question."""
        return self.embed(self.text) if self._ahead is None else self._ahead.result()

    def embed(self, text: str) -> Floats:
        """The unit vector of a text."""
        return np.asarray(self._embed([text])[0], np.float32)

    @cached_property
    def terms(self) -> Terms:
        """The terms of the question."""
        return query_terms(self.text)

    @cached_property
    def intent(self) -> TimeIntent:
        """What the question says about time."""
        return intent(self.text, self.now)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much to return: at most `k` hits, and at most `budget` tokens when shown as a prompt. None is no limit."""

    k: int | None
    budget: int | None

    @property
    def wanted(self) -> int:
        """How many hits may fit, to size the candidate lists; turns of under 12 tokens are rare."""
        by_budget = 10_000 if self.budget is None else self.budget // 12 + 1
        return min(10_000 if self.k is None else self.k, by_budget)


@dataclass(frozen=True, slots=True)
class Pool:
    """Candidates. `rows` rise until a stage orders them; `columns` hold what stages found, a value for each row."""

    rows: Rows
    columns: Mapping[str, Floats] = field(default_factory=dict)
    features: Features | None = None
    cubes: Sequence[Cube] = ()
    notes: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    """What stages have to say of rows in words, by the name it has in `Hit.why`."""

    def with_rows(self, rows: Rows) -> Pool:
        """The pool with more candidates; stages that score come later."""
        return Pool(distinct(np.concatenate([self.rows, rows])))


class Stage(Protocol):
    """A step from query to ranked cubes."""

    def __call__(self, query: Query, pool: Pool, searcher: Searcher) -> Pool:
        """The pool after this step."""
        ...


def run(stages: Sequence[Stage], query: Query, searcher: Searcher) -> Pool:
    """All stages in turn, from an empty pool."""
    pool = Pool(np.empty(0, np.int64))
    for stage in stages:
        pool = stage(query, pool, searcher)
    return pool
