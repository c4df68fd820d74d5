"""How a question becomes hits: what search, ask and graph have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from memorist.arguments import (
    question_of,
)
from memorist.cube import Cube, Scope, utc
from memorist.errors import (
    StateError,
)
from memorist.lifecycle.logged import Logged
from memorist.models.chat import ChatModel
from memorist.models.embedder import Embedder
from memorist.recall.associate import Associate
from memorist.recall.names import unheard
from memorist.recall.neighbourhood import Neighbourhood, neighbourhood
from memorist.recall.pool import Limits, Query, run
from memorist.recall.prefer import Prefer
from memorist.results import (
    Hit,
    Hits,
)
from memorist.store.protocol import Rows, Searcher, Selection

if TYPE_CHECKING:
    from memorist.memory import Memory


class Recalling:
    """Runs the recipe's stages over one scope of a memory."""

    def __init__(self, memory: Memory, scope: Scope) -> None:
        self._memory = memory
        self._scope = scope

    def found(
        self, query: str, limits: Limits, selection: Selection, now: datetime, prefer: Prefer | None = None
    ) -> tuple[Hits, list[int]]:
        """What a recall finds for a question asked at `now`, and its rows in the store."""
        memory = self._memory
        text = question_of(query)
        memory.settle(self._scope)
        found = memory._steadily(partial(self._recalled, (text, query), limits, selection, now, prefer))
        memory._usage.record(self._scope, found[1], utc(memory._clock()))
        memory._recent.record(self._scope, found[1])
        return found

    def _recalled(
        self,
        question: tuple[str, str],
        limits: Limits,
        selection: Selection,
        now: datetime,
        prefer: Prefer | None,
        embedder: Embedder,
    ) -> tuple[Hits, list[int]]:
        """The hits for a question, which is given as checked and as it was asked, and their rows in the store."""
        text, query = question
        asked, searcher = self._asked(text, limits, selection, now, embedder, prefer)
        pool = run(self._memory._recipe.stages, asked, searcher)
        hits = [hit_of(cube, place, pool) for place, cube in enumerate(pool.cubes)]
        return Hits(hits, query, unheard(text, searcher)), pool.rows.tolist()

    def neighbourhood(self, text: str, limits: Limits) -> Neighbourhood:
        """What lies between a question and its hits in the graph. Raises StateError for a recipe without one."""
        memory = self._memory
        if not any(isinstance(stage, Associate) for stage in memory._recipe.stages):
            raise StateError('there is no graph in this recipe; open the memory with recipe="hipporag2"')
        memory.settle(self._scope)
        return memory._steadily(partial(self._around, text, limits, utc(memory._clock())))

    def _around(self, text: str, limits: Limits, now: datetime, embedder: Embedder) -> Neighbourhood:
        """The neighbourhood of a question that is checked."""
        asked, searcher = self._asked(text, limits, Selection(), now, embedder)
        return neighbourhood(asked, run(self._memory._recipe.stages, asked, searcher))

    def _asked(
        self,
        text: str,
        limits: Limits,
        selection: Selection,
        now: datetime,
        embedder: Embedder,
        prefer: Prefer | None = None,
    ) -> tuple[Query, Searcher]:
        """A question and a view for the stages."""
        memory = self._memory
        asked = Query(
            text,
            embed=embedder.embed,
            load=lambda rows: memory._store.cubes(self._scope, rows),
            view=partial(memory._views.of, self._scope),
            visible=self._visible(selection),
            now=now,
            limits=limits,
            model=self._recogniser(),
            prefer=prefer,
        )
        return asked, memory._store.search(self._scope, selection)

    def _recogniser(self) -> Callable[[Sequence[int]], ChatModel] | None:
        """The memory's model for a recall that rests on some rows."""
        memory, model = self._memory, self._memory._model
        if model is None:
            return None
        return lambda rows: Logged(model, memory._store, self._scope, "recall", rows, memory._clock)

    def _visible(self, selection: Selection) -> Callable[[str], Rows | None]:
        """Which cubes of an origin a search may see."""
        if selection == Selection() and not (self._scope.agent or self._scope.session):
            return lambda origin: None
        return partial(self._memory._store.visible, self._scope, selection)


def hit_of(cube: Cube, place: int, pool: Any) -> Hit:
    """A hit with what each stage made of it."""
    why: dict[str, float | str] = {
        name: round(float(values[place]), 4) for name, values in pool.columns.items() if name != "score"
    }
    row = int(pool.rows[place])
    told = {name: by_row.get(row) for name, by_row in pool.notes.items()}
    why |= {name: note for name, note in told.items() if note is not None}
    return Hit(
        id=cube.id,
        text=cube.text,
        score=round(float(pool.columns["score"][place]), 6),
        at=cube.at,
        speaker=cube.speaker,
        role=cube.role,
        trust=cube.trust,
        session=cube.scope.session,
        episodes=cube.episodes,
        times=cube.times,
        meta=cube.meta,
        why=why,
        origin=cube.origin,
    )
