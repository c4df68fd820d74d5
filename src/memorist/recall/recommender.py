"""A recommendation: the measured signals, and what a language model adds to them when there is one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from memorist.cube import Scope
from memorist.errors import ModelError, ModelMissing
from memorist.models.chat import ChatModel
from memorist.models.embedder import Embedder, Vectors
from memorist.organise.general import General
from memorist.organise.preferences import Behaviour, Tastes
from memorist.recall.recommend import Asked, near_to, ranked, signals
from memorist.results import Candidate, Reason, Recommendations
from memorist.store.protocol import Store

MOST_CACHED = 20_000
"""Vectors of candidates' texts that stay in memory: a catalogue is asked for again and again."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a scope may know of its user: the latest interaction with each item, and summaries of them all."""

    scope: Scope
    tastes: Tastes

    @property
    def behaviours(self) -> list[Behaviour]:
        """Oldest first."""
        return self.tastes.within(self.scope)

    @property
    def whole(self) -> bool:
        """Whether the scope sees everything of its user, as the summaries speak of everything."""
        return not (self.scope.agent or self.scope.session)


class Recommender:
    """Ranks candidates for one store; keeps the vectors of candidates it has seen."""

    def __init__(self, store: Store, embedder: Embedder) -> None:
        self._store = store
        self._embedder = embedder
        self._vectors: OrderedDict[str, Vectors] = OrderedDict()

    def recommend(
        self,
        request: str,
        candidates: Sequence[Candidate],
        k: int,
        known: Known,
        general: General | None,
        model: Callable[[Sequence[int]], ChatModel] | None,
    ) -> Recommendations:
        """The best `k`; `model(rows)` is a model that is shown these cubes. One that fails changes nothing but
        `problem`."""
        asked = Asked(request, candidates, known.behaviours, general, self.embed)
        columns = signals(asked)
        reason = problem = None
        if model is not None:
            try:
                reason = self._ideal(model, asked, known)
                columns["profile"] = near_to(asked, reason.text)
            except ModelError as error:
                reason, problem = None, f"{type(error).__name__}: {error}"
        best = ranked(asked, columns, k, reason)
        profile = reason.text if reason else None
        return Recommendations(tuple(best), request, bool(asked.likings), tuple(columns), profile, problem)

    def _ideal(self, model: Callable[[Sequence[int]], ChatModel], asked: Asked, known: Known) -> Reason:
        """What a language model would look for. Raises ModelError."""
        try:
            from memorist.recall.profile import Entry, profile_of
        except ImportError:
            raise ModelMissing("structured replies need pydantic; run: pip install 'memorist[local]'") from None
        entries = [
            Entry(one.text, one.vector, one.trust, (one.episode,)) for one in asked.behaviours if one.vector is not None
        ]
        if known.whole:
            episode_of = {one.row: one.episode for one in known.tastes.behaviours.values()}
            entries += [
                Entry(one.text, one.vector, one.trust, tuple(episode_of[row] for row in one.members.tolist()))
                for one in known.tastes.summaries.values()
                if one.vector is not None
            ]
        kinds = sorted({category for one in asked.candidates for category in one.categories})
        rows = {one.row for one in asked.behaviours}
        if known.whole:
            rows.update(row for one in known.tastes.summaries.values() for row in one.members.tolist())
        made = profile_of(model(sorted(rows)), self._embedder, asked.request, kinds, entries)
        return Reason("profile", made.text, made.episodes)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, [texts, dimension]; what was embedded before is not embedded again."""
        found = {text: self._vectors[text] for text in texts if text in self._vectors}
        missing = list(dict.fromkeys(text for text in texts if text not in found))
        if missing:
            found.update(zip(missing, self._embedder.embed(missing)))
        for text in missing:
            self._vectors[text] = found[text]
        while len(self._vectors) > MOST_CACHED:
            self._vectors.popitem(last=False)
        return np.stack([found[text] for text in texts])
