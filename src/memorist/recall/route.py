"""Which granularity to trust, and what its sittings lead to (MemGAS, read path).

Each sitting is compared with the question at four granularities. How unevenly a granularity's similarities are spread
says how well it tells sittings apart: the less its entropy, the more its weight. The best nodes then pass a little of
their score on along the edges between sittings. What a sitting gains that way, its turns gain.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from memorist.organise.association import (
    EACH,
    GRANULARITIES,
    KEYWORDS,
    ORIGIN,
    SUMMARY,
    TURNS,
    Places,
    Sittings,
)
from memorist.recall.pool import Pool, Query
from memorist.recall.score import covered, fused
from memorist.store.products import times
from memorist.store.protocol import Features, Floats, Rows, Searcher

Doubles = npt.NDArray[np.float64]

SHARE = 0.1
"""What a sitting's score is worth to its turns, in units of theirs; more loses (docs/results/granularity.md)."""

SEEDS = 15
"""Nodes that pass their score on."""

FOLLOWED = 0.1
"""How much of a node's score follows its edges. Not the share that is put back, which is the rest."""

LEAST_ENTROPY = 1e-3

MEAN_ENTROPY = 0.95
"""The temperature is the one at which the granularities' entropies, over the greatest possible, have this mean: then it
fits the spread of the similarities, whatever the embedder."""

COLDEST, HOTTEST, HALVINGS = 1e-4, 1e2, 30
SETTLED, MOST_ROUNDS = 1e-9, 100


def routed(query: Query, pool: Pool, searcher: Searcher) -> Pool:
    """Raise each turn by what its sitting is worth. The pool's score so far is that of the turns."""
    sittings = query.view(ORIGIN, Sittings)
    members = Members.of(sittings, searcher)
    if not len(pool.rows) or not members.present.any():
        return pool
    similar = similarities(query, pool, searcher, sittings, members)
    weights = router(similar[members.present])
    value, led = spread_over(sittings, similar * weights, members.present)
    unit = members.unit_of(pool.rows)
    inside = unit >= 0
    spot = np.where(inside, unit, 0)
    gain = np.where(inside, SHARE * value[spot], 0).astype(np.float32)
    columns = {name: np.where(inside, similar[spot, place], 0) for place, name in enumerate(GRANULARITIES)}
    route = ", ".join(f"{name} {weight:.2f}" for name, weight in zip(GRANULARITIES, weights))
    leading = {place: named(sittings, led[place]) for place in set(unit[inside].tolist()) if led[place] >= 0}
    rows = pool.rows.tolist()
    notes = {
        "route": dict.fromkeys(pool.rows[inside].tolist(), route),
        "associated": {row: leading[place] for row, place in zip(rows, unit.tolist()) if place in leading},
    }
    scores = {"granularity": gain, "score": pool.columns["score"] + gain}
    return replace(pool, columns={**pool.columns, **columns, **scores}, notes={**pool.notes, **notes})


@dataclass(frozen=True, slots=True)
class Members:
    """The turns of sittings that a search may see: rising `rows`, the sitting of each, and which sittings have any."""

    rows: Rows
    units: Places
    present: npt.NDArray[np.bool_]

    @staticmethod
    def of(sittings: Sittings, searcher: Searcher) -> Members:
        """The members of all sittings."""
        rows = np.concatenate([np.empty(0, np.int64), *(unit.members for unit in sittings.units)])
        units = np.repeat(np.arange(len(sittings.units)), [len(unit.members) for unit in sittings.units])
        order = np.argsort(rows, kind="stable")
        rows, units = rows[order], units[order]
        seen = np.isin(rows, searcher.allowed(rows))
        present = np.zeros(len(sittings.units), np.bool_)
        present[units[seen]] = True
        return Members(rows[seen], units[seen], present)

    def unit_of(self, rows: Rows) -> Places:
        """The sitting of each row; -1 for those of none."""
        place = np.minimum(np.searchsorted(self.rows, rows), len(self.rows) - 1)
        return np.where(self.rows[place] == rows, self.units[place], -1)


def similarities(query: Query, pool: Pool, searcher: Searcher, sittings: Sittings, members: Members) -> Doubles:
    """How near each sitting is to the question at each granularity, [sittings, EACH].

    As for turns, it is the cosine and the share of the question's information that the words cover. The turns are worth
    what the best of them is.
    """
    count = len(sittings.units)
    cosine = times(sittings.vectors, query.vector).reshape(count, EACH)
    features = searcher.features(members.rows, query.terms, None)
    similar = np.zeros((count, EACH))
    for place, name in enumerate(GRANULARITIES):
        if name == TURNS:
            similar[:, place] = best_turns(pool, members, cosine[:, place])
        elif name in (SUMMARY, KEYWORDS):
            similar[:, place] = fused(cosine[:, place], words_of(features, sittings, place, query))
        else:
            similar[:, place] = fused(cosine[:, place], together(features, members, count))
    return similar


def best_turns(pool: Pool, members: Members, mean: Floats) -> Floats:
    """The best score of a candidate of each sitting, at least the cosine of all its turns together."""
    best = np.array(mean)
    unit = members.unit_of(pool.rows)
    np.maximum.at(best, unit[unit >= 0], pool.columns["score"][unit >= 0])
    return best


def together(features: Features, members: Members, count: int) -> Floats:
    """What all turns of each sitting cover; its length is compared with that of the mean sitting."""
    counts = np.zeros((count, features.counts.shape[1]), np.float32)
    lengths = np.zeros(count, np.float32)
    np.add.at(counts, members.units, features.counts)
    np.add.at(lengths, members.units, features.lengths)
    return covered(features, counts, relative(lengths, features))


def words_of(features: Features, sittings: Sittings, place: int, query: Query) -> Floats:
    """What the text of a granularity covers."""
    texts = [sittings.terms[unit.cubes[place].row] for unit in sittings.units]
    terms = query.terms.tolist()
    counts = np.array([[text.get(term, 0) for term in terms] for text in texts], np.float32)
    lengths = np.array([sum(text.values()) for text in texts], np.float32)
    return covered(features, counts.reshape(len(texts), len(terms)), relative(lengths, features))


def relative(lengths: Floats, features: Features) -> Floats:
    """Lengths as if their mean were that of a turn."""
    return np.asarray(lengths * (features.mean_length / max(float(lengths.mean()), 1e-6)), np.float32)


def entropies(similar: Doubles, temperature: float) -> Doubles:
    """The entropy in nats of each column's softmax at a temperature; [g] from [n, g]."""
    scaled = (similar - similar.max(0)) / temperature
    share = np.exp(scaled)
    total = share.sum(0)
    return np.asarray(np.log(total) - (share * scaled).sum(0) / total, np.float64)


def calibrated(similar: Doubles) -> float:
    """The temperature of MEAN_ENTROPY."""
    most = math.log(len(similar))
    low, high = math.log(COLDEST), math.log(HOTTEST)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if float(entropies(similar, math.exp(middle)).mean()) > MEAN_ENTROPY * most:
            high = middle
        else:
            low = middle
    return math.exp(high)


def router(similar: Doubles, temperature: float | None = None) -> Doubles:
    """The weight of each granularity, [g] from similarities [n, g]; without a temperature, the calibrated one.

    The weights are as 1/H, with H kept from 0: one minus H, as some have it, turns the order around beyond one nat.
    """
    if len(similar) < 2:
        return np.full(similar.shape[1], 1 / similar.shape[1])
    entropy = entropies(similar, temperature or calibrated(similar))
    weight = 1 / np.maximum(entropy, LEAST_ENTROPY)
    return np.asarray(weight / weight.sum(), np.float64)


def spread_over(sittings: Sittings, scores: Doubles, present: npt.NDArray[np.bool_]) -> tuple[Doubles, Places]:
    """What each sitting is worth when the best nodes pass on their scores, and the node that led there (-1: none)."""
    scores = np.where(present[:, None], np.maximum(scores, 0), 0).ravel()
    seeds = np.zeros_like(scores)
    best = np.argsort(-scores, kind="stable")[:SEEDS]
    seeds[best] = scores[best]
    source, target = sittings.edges
    shown = present[source // EACH] & present[target // EACH]
    source, target = source[shown], target[shown]
    value = propagated(seeds, source, target)
    return value.reshape(-1, EACH).sum(1), leading_to(value, source, target)


def propagated(seeds: Doubles, source: Places, target: Places, followed: float = FOLLOWED) -> Doubles:
    """Personalised PageRank, with the sum of the seeds kept: `followed` of what a node has goes along its edges, the
    rest back to the seeds. A node without edges gives all back."""
    total = float(seeds.sum())
    if not total or not len(source):
        return seeds
    degree = np.bincount(source, minlength=len(seeds))
    rest = seeds / total
    share = followed / np.maximum(degree, 1)
    value = rest
    for _ in range(MOST_ROUNDS):
        along = np.bincount(target, weights=(value * share)[source], minlength=len(seeds))
        moved = along + (1 - along.sum()) * rest
        settled = float(np.abs(moved - value).sum()) < SETTLED
        value = moved
        if settled:
            break
    return np.asarray(total * value, np.float64)


def leading_to(value: Doubles, source: Places, target: Places) -> Places:
    """For each sitting the node that an edge brought it most from; -1 where none brought anything."""
    brought = value[source] / np.maximum(np.bincount(source, minlength=len(value)), 1)[source]
    led = np.full(len(value) // EACH, -1)
    order = np.lexsort((source, brought))
    order = order[brought[order] > 0]
    led[target[order] // EACH] = source[order]  # of several the last is kept, which brought most
    return led


def named(sittings: Sittings, node: int) -> str:
    """A node in words: `summary of session_3, 8 May 2023`."""
    unit = sittings.units[node // EACH]
    return f"{GRANULARITIES[node % EACH]} of {unit.session}, {unit.at.day} {unit.at:%B %Y}"
