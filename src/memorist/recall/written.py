"""Stages for what organisers wrote: their texts join the candidates, and what is out of date steps back."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from memorist.organise.facts import FACTS, FactsView
from memorist.organise.notes import NOTES
from memorist.recall.candidates import limit_of
from memorist.recall.pool import Pool, Query, Stage
from memorist.recall.score import covered, fused
from memorist.recall.select import taken
from memorist.store.life import COMPOSED
from memorist.store.protocol import Floats, Kept, Searcher
from memorist.store.texts import Found, Texts

STEP_BACK = 1.0
"""What an episode loses, in units of cosine, when nothing of what it states holds any more: it comes after all that
may, and is still found when nothing else is."""

SENTENCE = re.compile(r"[.!?]+\s+|\n+")


def texts_of(origin: str) -> Stage:
    """A stage that adds the best texts of an origin, scored like a turn: by cosine and coverage."""

    def stage(query: Query, pool: Pool, searcher: Searcher) -> Pool:
        view = query.view(origin, Texts)
        found = view.find(query.terms, query.vector, query.visible(origin))
        score = fused(found.cosine, found.coverage)
        best = np.sort(np.argsort(-score, kind="stable")[: limit_of(query)])
        return joined(pool, cut(found, best), score[best])

    return stage


def composed(query: Query, pool: Pool, searcher: Searcher) -> Pool:
    """What somebody composed joins the candidates of any recipe, where a turn that says as much would stand.

    Scores mean something else in each recipe, so a composed text gets the one of the candidates that cosine and
    coverage place beside it.
    """
    view = query.view(COMPOSED, Texts)
    if not view.kept or pool.features is None:
        return pool
    features = pool.features
    found = view.find(query.terms, query.vector, query.visible(COMPOSED))
    coverage = covered(features, features.counts, features.lengths)
    by_meaning, by_words = bool(features.cosine.any()) or not len(pool.rows), features.counts.shape[1] > 0
    nothing = np.zeros(len(found.rows), np.float32)
    value = fused(found.cosine if by_meaning else nothing, found.coverage if by_words else nothing)
    own = np.sort(fused(features.cosine, coverage))
    score = np.interp(value, own, np.sort(pool.columns["score"])) if len(own) else value
    # Better than every turn, or worse: in the same order, as far beyond.
    beyond = np.maximum(value - own[-1], 0) - np.maximum(own[0] - value, 0) if len(own) else nothing
    keep = np.flatnonzero(value > 0)
    return joined(pool, cut(found, keep), np.asarray(score + beyond, np.float32)[keep])


def noted(query: Query, pool: Pool, searcher: Searcher) -> Pool:
    """Episodes that have a note among the candidates make room for it; those that have none yet stay."""
    kept = query.view(NOTES, Texts).kept
    covered = {int(kept[row].members[0]) for row in pool.rows.tolist() if row in kept}
    stays = np.array([row not in covered for row in pool.rows.tolist()], np.bool_)
    return taken(pool, np.flatnonzero(stays))


def cut(found: Found, places: np.ndarray) -> Found:
    """Some of the texts."""
    columns = (found.rows, found.cosine, found.coverage, found.lengths, found.tokens)
    return Found(*(column[places] for column in columns))


def joined(pool: Pool, found: Found, score: Floats) -> Pool:
    """The pool with the texts as candidates, by rising row."""
    assert pool.features is not None
    order = np.argsort(np.concatenate([pool.rows, found.rows]), kind="stable")
    number = len(found.rows)
    own = {"cosine": found.cosine, "lexical": found.coverage, "score": score}
    nothing = np.zeros(number, np.float32)
    columns = {
        name: np.concatenate([values, own.get(name, nothing)]).astype(np.float32)[order]
        for name, values in pool.columns.items()
    }
    old = pool.features
    features = replace(
        old,
        rows=np.concatenate([old.rows, found.rows])[order],
        cosine=np.concatenate([old.cosine, found.cosine])[order],
        counts=np.concatenate([old.counts, np.zeros((number, old.counts.shape[1]), np.float32)])[order],
        lengths=np.concatenate([old.lengths, found.lengths])[order],
        tokens=np.concatenate([old.tokens, found.tokens])[order],
        after=np.concatenate([old.after, np.full((number, old.after.shape[1]), -1, old.after.dtype)])[order],
        norm=np.concatenate([old.norm, nothing])[order],
    )
    return replace(pool, rows=features.rows, columns=columns, features=features)


def current(query: Query, pool: Pool, searcher: Searcher) -> Pool:
    """Episodes of which all that they state was superseded step back, behind what holds."""
    view = query.view(FACTS, FactsView)
    visible = query.visible(FACTS)
    seen = None if visible is None else set(visible.tolist())
    suspects: dict[int, list[Kept]] = {}
    for place, row in enumerate(pool.rows.tolist()):
        facts = view.at(row)
        if facts and not any(fact.active if seen is None else fact.row in seen for fact in facts):
            suspects[place] = facts
    if not suspects:
        return pool
    loss = np.zeros(len(pool.rows), np.float32)
    cubes = query.load(pool.rows[list(suspects)].tolist())
    for place, facts in suspects.items():
        cube = cubes.get(int(pool.rows[place]))
        if cube is not None and states_nothing_else(cube.text, cube.id, facts):
            loss[place] = -STEP_BACK
    return replace(pool, columns={**pool.columns, "superseded": loss, "score": pool.columns["score"] + loss})


def states_nothing_else(text: str, id: str, facts: list[Kept]) -> bool:
    """Whether an episode has no more sentences than there are statements of it."""
    sentences = sum(bool(part.strip()) for part in SENTENCE.split(text))
    stated = sum(one["first"] == id for fact in facts for one in fact.meta["statements"])
    return bool(stated >= sentences)
