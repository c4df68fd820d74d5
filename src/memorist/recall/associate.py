"""Associative recall (HippoRAG 2, Gutiérrez et al. 2025): facts that speak to the question lead to phrases, these to
passages, by personalised PageRank over both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Literal

import numpy as np
import numpy.typing as npt

from memorist.errors import ModelError, ModelMissing
from memorist.organise.fact_cube import ORIGIN
from memorist.organise.synonyms import PhraseIndex
from memorist.recall.aside import Aside
from memorist.recall.fact_graph import FactGraph
from memorist.recall.pagerank import FOLLOW, Nodes, Reals, Walk, pagerank
from memorist.recall.pool import Pool, Query
from memorist.recall.recognise import recognised
from memorist.recall.score import covered, fused, scaled
from memorist.store.bm25 import idf, saturation
from memorist.store.products import times
from memorist.store.protocol import Floats, Rows, Searcher
from memorist.store.search import best, distinct, promising

NEAR = 128
"""Facts, and passages, that are looked at by each of meaning and words."""

MORE = 4
"""So many times more passages are looked at as are wanted: the view may not show all of them."""

ENOUGH = 4_096
"""Up to this many facts are all compared in full."""

FACT_SHARES = (100, 400)
"""The shares of `promising` for facts, of which only the few best are wanted."""

SHARE = 0.7
"""Recognition without a model: a fact is kept when its score is at least this share of the best one's."""


@dataclass(frozen=True, slots=True)
class Found:
    """Facts that speak to a question, best first: places in the graph's columns, their scores and raw cosines."""

    places: Nodes
    scores: Floats
    cosines: Floats

    def at(self, chosen: npt.NDArray[np.intp]) -> Found:
        """Some of them."""
        return Found(self.places[chosen], self.scores[chosen], self.cosines[chosen])

    def of_share(self, share: float) -> Found:
        """Those with this share of the best one's score."""
        return self.at(np.flatnonzero((self.scores >= share * self.scores[0]) & (self.scores > 0)))


@dataclass(frozen=True, slots=True)
class Associate:
    """The stage. The paper's defaults; each switch is an ablation.

    facts         how many of the best facts are looked at
    phrases       how many of their phrases become seeds
    passages      weight of a passage's own score as a seed beside the phrases; 0 has no passage seeds
    follow        the walk's probability to go on
    start         from facts (the paper), or from the phrases nearest to the question (its ablation)
    specificity   a phrase counts less the more passages it stands in (the authors' code, not their paper)
    synonyms      walk along synonyms, too
    recognise     keep facts with this share of the best one's score; 0 keeps all; or "model": ask a language model
    words         judge facts and passages by words and meaning, as the default recipe does; else by meaning alone
    """

    facts: int = 5
    phrases: int = 5
    passages: float = 0.05
    follow: float = FOLLOW
    start: Literal["facts", "phrases"] = "facts"
    specificity: bool = True
    synonyms: bool = True
    recognise: float | Literal["model"] = SHARE
    words: bool = True

    def __call__(self, query: Query, pool: Pool, searcher: Searcher) -> Pool:
        """Score passages by where the walk ends; without a fact to start from, by their own score."""
        query.embed_ahead()
        graph = query.view(ORIGIN, FactGraph)
        near = max(NEAR, query.limits.wanted)
        rows = pool.rows
        cover = Covering.nothing()
        if self.words:
            rows = np.concatenate([rows, searcher.lexical(query.terms, near)])
            cover = covering(query, graph, searcher)
        facts = Aside(partial(near_facts, graph, query.vector))
        rows = distinct(np.concatenate([rows, searcher.dense(query.vector, near)]))
        candidates = self.judged(query, searcher, rows)
        found = best_facts(query, graph, searcher, (facts.result(), cover), self.facts)
        found, doubt = self.recognised(query, graph, found)
        seeds, mass = self.seeds(query, graph, found)
        if not len(seeds) or not len(rows):
            return candidates
        own = self.passages * scaled(candidates.columns["score"]).astype(np.float64)
        nodes = graph.passages(rows)
        inside = (nodes >= 0) & (own > 0)
        rank = self.walk(graph, np.concatenate([seeds, nodes[inside]]), np.concatenate([mass, own[inside]]))
        every = distinct(np.concatenate([rows, self.reached(graph, rank, searcher, near)]))
        nodes = graph.passages(every)
        walked = np.where(nodes >= 0, rank.at(nodes), 0).astype(np.float32)
        alone = nodes < 0  # without a fact, and so without edges: a walk that starts there starts anew
        started = own[np.searchsorted(rows, every[alone])] / (mass.sum() + own[inside].sum())
        walked[alone] = (1 - self.follow) * started
        judged = self.judged(query, searcher, every)
        notes = {**judged.notes, "facts": Paths(query, graph, found, frozenset(seeds.tolist()))}
        if doubt is not None:
            notes["recognised"] = dict.fromkeys(every.tolist(), doubt)
        return replace(judged, columns={**judged.columns, "graph": walked, "score": walked}, notes=notes)

    def walk(self, graph: FactGraph, seeds: Nodes, mass: Reals) -> Walk:
        """Where the walk is."""
        if self.synonyms:
            parts, degree = (*graph.said, *graph.alike), graph.said_degree + graph.alike_degree
        else:
            parts, degree = graph.said, graph.said_degree
        return pagerank(parts, degree, seeds, mass, follow=self.follow)

    def recognised(self, query: Query, graph: FactGraph, found: Found) -> tuple[Found, str | None]:
        """The facts worth starting from, and why no model chose them when one should have. Raises ModelMissing."""
        if not len(found.places):
            return found, None
        if self.recognise != "model":
            return found.of_share(self.recognise), None
        if query.model is None:
            raise ModelMissing(
                "the recipe hipporag2:model has a language model choose facts; open the memory with model=, or take"
                " hipporag2"
            )
        rows = graph.ledger.sources[found.places].tolist()
        try:
            keep = recognised(query.text, lines_of(query, graph, found.places), query.model(rows))
        except ModelError as error:  # recall goes on by the rule
            return found.of_share(SHARE), f"not by the model: {type(error).__name__}: {error}"
        return found.at(np.array(keep, np.intp)), None

    def seeds(self, query: Query, graph: FactGraph, found: Found) -> tuple[Nodes, Reals]:
        """Phrases to start from, and their weights: the mean of their facts' scores, the best fact's being 1."""
        if self.start == "phrases":
            keys, cosines = query.view(ORIGIN, PhraseIndex).nearest(query.vector, self.phrases)
            nodes = np.array([graph.ledger.phrases[key] for key in keys.tolist()], np.int64)
            weights = cosines.astype(np.float64) / max(float(cosines.max(initial=0)), 1e-9)
        elif not len(found.places):
            return np.empty(0, np.int64), np.empty(0)
        else:
            ends = graph.ledger.ends[found.places]
            twice = np.repeat(found.scores.astype(np.float64) / float(found.scores[0]), 2)
            twice[1::2][ends[:, 0] == ends[:, 1]] = 0  # both ends are one phrase, which counts once
            flat, inverse = np.unique(ends.ravel()[twice > 0], return_inverse=True)
            weights = np.bincount(inverse, weights=twice[twice > 0]) / np.bincount(inverse)
            nodes = flat
        if self.specificity:
            weights = weights / np.maximum(graph.mentions[nodes], 1)
        chosen = np.argsort(-weights, kind="stable")[: self.phrases]
        return nodes[chosen], weights[chosen]

    def judged(self, query: Query, searcher: Searcher, rows: Rows) -> Pool:
        """A pool of the rows, scored by themselves."""
        features = searcher.features(rows, query.terms, query.vector)
        if not self.words:
            return Pool(rows, {"cosine": features.cosine, "score": features.cosine}, features)
        lexical = covered(features, features.counts, features.lengths)
        columns = {"cosine": features.cosine, "lexical": lexical, "score": fused(features.cosine, lexical)}
        return Pool(rows, columns, features)

    def reached(self, graph: FactGraph, rank: Walk, searcher: Searcher, limit: int) -> Rows:
        """The passages of the searcher's view where the walk is most often."""
        inside = np.flatnonzero((rank.shares > 0) & (graph.ledger.episodes[rank.nodes] >= 0))
        nodes = best(rank.nodes[inside], rank.shares[inside].astype(np.float32), MORE * limit)
        rows = searcher.allowed(np.asarray(graph.ledger.episodes[nodes], np.int64))
        return rows[:limit]


@dataclass(frozen=True, slots=True)
class Covering:
    """Facts that hold a word of the question: places, rising, and the share of its information that each covers."""

    places: Nodes
    shares: Floats

    @classmethod
    def nothing(cls) -> Covering:
        """What no fact covers."""
        return cls(np.empty(0, np.int64), np.empty(0, np.float32))

    def at(self, places: Nodes) -> Floats:
        """float32 [places]: what some facts cover; most that are not here cover nothing."""
        if not len(self.places):
            return np.zeros(len(places), np.float32)
        found = np.minimum(np.searchsorted(self.places, places), len(self.places) - 1)
        return np.where(self.places[found] == places, self.shares[found], np.float32(0))


def covering(query: Query, graph: FactGraph, searcher: Searcher) -> Covering:
    """What facts cover of the question. Only those that hold a word are touched."""
    ledger, size = graph.ledger, len(graph.alive)
    nothing = searcher.features(np.empty(0, np.int64), query.terms, None)
    weights = idf(nothing.documents, nothing.frequency)
    weights = weights / np.float32(max(float(weights.sum()), 1e-9))
    held, gained = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
    for term, weight in zip(query.terms, weights):
        places, counts = ledger.postings.of(term)
        known = (places < size) & graph.alive[np.minimum(places, size - 1)]
        places, counts = places[known], counts[known]
        held.append(places)
        gained.append(weight * saturation(counts, ledger.lengths[places], ledger.mean_length))
    every, gains = np.concatenate(held), np.concatenate(gained)
    places = distinct(every)
    shares = np.bincount(np.searchsorted(places, every), weights=gains, minlength=len(places))
    return Covering(places, shares.astype(np.float32))


def near_facts(graph: FactGraph, vector: Floats) -> Nodes:
    """The places of the NEAR facts that are nearest to a vector; of few facts, those of all."""
    ledger, alive = graph.ledger, graph.alive
    if len(alive) <= ENOUGH:
        return np.flatnonzero(alive)
    places = promising(ledger.words[:, : len(alive)], alive, vector, NEAR, FACT_SHARES)
    return best(places, times(ledger.vectors[places], vector), NEAR)


def best_facts(
    query: Query, graph: FactGraph, searcher: Searcher, candidates: tuple[Nodes, Covering], count: int
) -> Found:
    """The `count` best facts by meaning and words that passages of the searcher's view say, each once."""
    ledger, (near, cover) = graph.ledger, candidates
    places = distinct(np.concatenate([near, best(cover.places, cover.shares, NEAR)]))
    places = places[np.isin(ledger.rows[places], searcher.allowed(distinct(ledger.rows[places])))]
    if not len(places):
        return Found(places, np.empty(0, np.float32), np.empty(0, np.float32))
    cosines = times(ledger.vectors[places], query.vector)
    scores = fused(cosines, cover.at(places))
    order = np.argsort(-scores, kind="stable")
    _, first = np.unique(ledger.keys[places[order]], return_index=True)
    chosen = order[np.sort(first)][:count]
    return Found(places[chosen].astype(np.int64), scores[chosen], cosines[chosen])


class Paths(Mapping[int, str]):
    """Which facts led to a passage, by its row; told only when asked."""

    def __init__(self, query: Query, graph: FactGraph, found: Found, seeds: frozenset[int]) -> None:
        self._query, self._graph, self._found = query, graph, found
        self.seeds = seeds
        """The phrases that the walk started from."""

    def __getitem__(self, row: int) -> str:
        told = "; ".join(self._tell(row))
        if not told:
            raise KeyError(row)
        return told

    def __iter__(self) -> Iterator[int]:
        return iter(self._graph.ledger.passages)

    def __len__(self) -> int:
        return len(self._graph.ledger.passages)

    def _tell(self, row: int) -> Iterator[str]:
        """Each fact with the phrase by which it reaches the passage, or with a step, whose end stands in it."""
        node = self._graph.passage(row)
        if node < 0:
            return
        names = self._graph.ledger.names
        inside = self._graph.joined_to(node, self._graph.said)
        within = set(inside.tolist())
        steps: dict[int, tuple[int, str] | None] = {}
        for fact, start in zip(self.facts, self._starts):
            direct = next((end for end in start if end in within), None)
            if direct is not None:
                yield f"{fact} (by {names[direct]})"
                continue
            for end in start:
                if end not in steps:
                    steps[end] = self._step(end, inside)
                if (step := steps[end]) is not None:
                    yield f"{fact} (by {names[end]} {step[1]} {names[step[0]]})"
                    break

    def _step(self, start: int, inside: Nodes) -> tuple[int, str] | None:
        """A step (to, sign) from a phrase to one of those inside, if there is one."""
        for sign, reached in zip("→~", self._reached[start]):
            if len(reached):
                found = inside[reached[np.minimum(np.searchsorted(reached, inside), len(reached) - 1)] == inside]
                if len(found):
                    return int(found[0]), sign
        return None

    @cached_property
    def facts(self) -> list[str]:
        """The facts as their passages say them."""
        return lines_of(self._query, self._graph, self._found.places)

    @cached_property
    def _starts(self) -> list[list[int]]:
        """Of each fact, the phrases that the walk starts from."""
        ends = self._graph.ledger.ends[self._found.places].tolist()
        return [[end for end in dict.fromkeys(both) if end in self.seeds] for both in ends]

    @cached_property
    def _reached(self) -> dict[int, tuple[Nodes, Nodes]]:
        """Of each phrase that the walk starts from, what it is joined to by relations, and by synonyms."""
        graph, ends = self._graph, {end for start in self._starts for end in start}
        return {end: (graph.joined_to(end, graph.said), graph.joined_to(end, graph.alike)) for end in ends}


def lines_of(query: Query, graph: FactGraph, places: Nodes) -> list[str]:
    """Facts as a person reads them."""
    ledger = graph.ledger
    rows = ledger.sources[places].tolist()
    cubes = query.load(rows)
    lines = [cubes[row].text.splitlines() if row in cubes else [] for row in rows]
    orders = ledger.orders[places].tolist()
    return [line[order] if order < len(line) else "a fact that is gone" for line, order in zip(lines, orders)]
