"""Which lessons and concepts to show a solver with a new problem (ArcMemo, reading).

Two steps, as a library grows beyond a prompt: words and meaning find the lessons and concepts near the problem, and
types lead from these to routines that fit them; then a model, when there is one, picks from them. What was shown to
failing attempts alone is rested. A model that picks nothing gets nothing shown: an empty hint is an answer, too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from memorist.errors import ModelError
from memorist.models.chat import DEFAULT_SECONDS, ChatModel, Request
from memorist.models.embedder import Embedder
from memorist.models.prompts import prompt_named
from memorist.models.structured import structured
from memorist.organise.attempts import ATTEMPTS, Attempts, visible
from memorist.organise.lessons import LESSONS, Lesson, lesson_of
from memorist.organise.typed import TypedConcept, key_of, type_name
from memorist.organise.typed_shown import compact, full
from memorist.organise.typed_writer import TYPED, typed_of
from memorist.recall.score import fused
from memorist.store.protocol import Kept
from memorist.store.terms import query_terms
from memorist.store.texts import Texts
from memorist.store.views import Viewing

CANDIDATES = 30
"""Lessons, and concepts, that a model picks from."""

LONGEST_PROBLEM = 8_000
"""Characters that are shown of a problem and of a failed attempt."""


@dataclass
class Picked:
    """The handles of what may help."""

    handles: list[str]


@dataclass(frozen=True, slots=True)
class Hint:
    """What may help with a problem. `others` are names of concepts that were not picked; `problem` says why a model's
    choice is missing. Give `hinted` to the episode of the attempt, solved or not: so memory learns what helps."""

    lessons: tuple[Lesson, ...]
    concepts: tuple[TypedConcept, ...]
    others: tuple[str, ...]
    problem: str | None = None

    @property
    def hinted(self) -> str:
        """The ids of all that is shown, for an attempt's metadata."""
        return "|".join([*(one.id for one in self.lessons), *(one.id for one in self.concepts)])

    @property
    def text(self) -> str:
        """The hint as a solver reads it; empty when nothing was picked."""
        if not (self.lessons or self.concepts):
            return ""
        lines = [f"{number}. When {one.situation}: {one.suggestion}" for number, one in enumerate(self.lessons, 1)]
        parts = ["Lessons from problems solved before:\n" + "\n".join(lines)] if lines else []
        parts += [full(self.concepts)] if self.concepts else []
        parts += [f"Also known by name: {'; '.join(self.others)}"] if self.others else []
        return "\n\n".join([*parts, "This is not all there is to know: the problem may need something new."])


def hint(
    problem: str,
    k: int,
    view: Viewing,
    embedder: Embedder,
    model: Callable[[Sequence[int]], ChatModel] | None,
    failed: str | None = None,
    seconds: float = DEFAULT_SECONDS,
) -> Hint:
    """At most `k` lessons and `k` concepts for a problem; `model(rows)` is a model that is shown these cubes.

    `failed` is an attempt that did not solve it: another choice may then be better.
    """
    idle = view(ATTEMPTS, Attempts).idle()
    asked = problem if failed is None else f"{problem}\n{failed}"
    wanted = CANDIDATES if model is not None else k
    found = [cube for cube in nearest(asked, LESSONS, view, embedder) if cube.id not in idle]
    lessons = [made for cube in found if (made := lesson_of(cube)) is not None][:wanted]
    library = [cube for cube in nearest(asked, TYPED, view, embedder) if cube.id not in idle]
    every = [one for cube in library if (one := typed_of(cube)) is not None]
    concepts = with_fitting(every, wanted)
    if model is None or not (lessons or concepts):
        return Hint(tuple(lessons), tuple(concepts), others(every, concepts))
    rows = sorted({cube.row for cube in (*found, *library)})
    try:
        kept = picked(problem, failed, lessons, concepts, model(rows), seconds)
    except ModelError as error:
        near, fitting = lessons[:k], with_fitting(every, k)
        return Hint(tuple(near), tuple(fitting), others(every, fitting), f"{type(error).__name__}: {error}")
    chosen = [one for one in concepts if one.id in kept][:k]
    return Hint(tuple(one for one in lessons if one.id in kept)[:k], tuple(chosen), others(every, chosen))


def nearest(text: str, origin: str, view: Viewing, embedder: Embedder) -> list[Kept]:
    """The current cubes of an origin, the one nearest to a text first."""
    texts = view(origin, Texts)
    found = texts.find(query_terms(text), embedder.embed([text])[0])
    order = np.argsort(-fused(found.cosine, found.coverage), kind="stable")
    return [texts.kept[int(found.rows[place])] for place in order]


def with_fitting(ranked: Sequence[TypedConcept], most: int) -> list[TypedConcept]:
    """The first concepts, each followed by the best that gives what one of its parameters takes; at most so many."""
    made: dict[str, TypedConcept] = {}
    for one in ranked:
        for wanted in (one, *fitting(one, ranked)[:1]):
            if len(made) < most:
                made.setdefault(wanted.id, wanted)
    return list(made.values())


def fitting(concept: TypedConcept, ranked: Sequence[TypedConcept]) -> list[TypedConcept]:
    """Routines that can be passed to a concept: of the type of a parameter, or of the group that is named so."""
    wanted = {type_name(part.typing) for part in concept.parameters if part.typing}
    groups = {key_of(name) for name in wanted if name}
    return [
        one
        for one in ranked
        if one.id != concept.id and ((one.typing and type_name(one.typing) in wanted) or key_of(one.subtype) in groups)
    ]


def picked(
    problem: str,
    failed: str | None,
    lessons: Sequence[Lesson],
    concepts: Sequence[TypedConcept],
    model: ChatModel,
    seconds: float,
) -> set[str]:
    """The ids that a model picks; handles that were not given out count for nothing. Raises ModelError."""
    by_lesson = {f"l{number}": one for number, one in enumerate(lessons, 1)}
    by_concept = {f"c{number}": one for number, one in enumerate(concepts, 1)}
    lines = [f"{handle} when {one.situation}: {one.suggestion}" for handle, one in by_lesson.items()]
    memory = "\n".join(filter(None, ["\n".join(lines), compact(concepts, by_concept)]))
    tried = json.dumps(visible(failed, LONGEST_PROBLEM), ensure_ascii=False) if failed else "(none)"
    asked = json.dumps(visible(problem, LONGEST_PROBLEM), ensure_ascii=False)
    prompt = prompt_named("hint")
    request = Request(prompt.fill(memory=memory, problem=asked, failed=tried), max_tokens=400, prompt=prompt.id)
    shown = {"handles": [*by_lesson, *by_concept]}
    said = structured(model, request, Picked, handles=shown, seconds=seconds).value.handles
    ids = {handle: one.id for handle, one in by_lesson.items()} | {handle: one.id for handle, one in by_concept.items()}
    return {ids[handle] for handle in said if handle in ids}


def others(every: Sequence[TypedConcept], chosen: Sequence[TypedConcept]) -> tuple[str, ...]:
    """Names of concepts that are not shown whole, so that a solver knows that there are such."""
    names = {one.id for one in chosen}
    return tuple(one.name for one in every if one.id not in names)[: 2 * CANDIDATES]
