"""Routes for what is derived on demand: recommendations, concepts for a problem, writing by the server's model, facts
of an extraction, and the memories that are likely to be asked for next."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from memorist.lifecycle.budget import Budget
from memorist.lifecycle.writing import Options
from memorist.organise.concepts import rendered
from memorist.results import Candidate, Recommendations
from memorist.serve import shapes
from memorist.serve.memories import Reader, Store, User, Writer
from memorist.serve.problems import Refused, responses

router = APIRouter(prefix="/v1", tags=["advice"])


class CandidateShape(shapes.Asked):
    """Something to recommend: its id as interactions name it, a text about it, and its categories."""

    id: Annotated[str, Field(min_length=1, max_length=200)]
    text: shapes.Query
    categories: list[shapes.Name] = Field(default_factory=list, max_length=100)


class Recommending(shapes.Scoped):
    """What is to be ranked, and for which request; an empty one asks for whatever suits."""

    request: Annotated[str, Field(max_length=20_000)] = ""
    candidates: Annotated[list[CandidateShape], Field(min_length=1, max_length=10_000)]
    k: Annotated[int, Field(ge=1, le=1_000)] = 10
    general: bool = Field(False, description="Rank by the tenant's shared memory, too.")


class ReasonShape(BaseModel):
    """What speaks for a recommendation, and the interactions that it rests on."""

    kind: str
    text: str
    episodes: list[str]


class RecommendationShape(BaseModel):
    """A candidate with its reasons, the strongest first."""

    id: str
    text: str
    score: float
    reasons: list[ReasonShape]
    why: dict[str, float]


class RecommendationsShape(BaseModel):
    """Recommendations, best first. `known` is false when no interaction says what this user likes."""

    items: list[RecommendationShape]
    known: bool
    signals: list[str]
    problem: str | None


class SummarisedShape(BaseModel):
    """Why the model could not go on, if so."""

    problem: str | None


class RunShape(BaseModel):
    """What the model's writing came to: jobs done, failed and waiting, and why."""

    done: int
    failed: int
    waiting: int
    calls: int
    problems: list[str]


class Organising(shapes.Scoped):
    """Whose memory to write in, and the most calls of the model; what is left waits as a job."""

    calls: Annotated[int, Field(ge=1, le=1_000)] = 20


class Extracting(shapes.Scoped):
    """A ready-made extraction in the OpenIE form, matched to memories by their words."""

    docs: Annotated[list[dict[str, Any]], Field(max_length=10_000)]


class ExtractsShape(BaseModel):
    """To how many memories how many facts came; `unmatched` passages are of none, `rejected` counts broken facts."""

    episodes: int
    facts: int
    passages: int
    unmatched: int
    rejected: dict[str, int]
    problem: str | None


class SolvedShape(BaseModel):
    """A routine that solved problems: its program, in how many, and how often each cue was seen there."""

    id: str
    program: str
    used: int
    cues: dict[str, int]


class ConceptsShape(BaseModel):
    """Concepts, the likeliest to help first."""

    items: list[SolvedShape]


class MemoriesShape(BaseModel):
    """Some memories."""

    items: list[shapes.CubeShape]


@router.post("/recommend", response_model=RecommendationsShape, responses=responses())
def recommend(asked: Recommending, caller: Reader, memory: Store) -> RecommendationsShape:
    """The candidates that suit a user and the request best, with reasons that cite interactions."""
    scoped = caller.scoped(memory, asked.user, asked.agent, asked.session)
    if asked.general and (caller.user or "reveal" not in caller.rights):
        raise Refused(403, "wrong-scope", "the tenant's shared memory takes a key of the whole tenant that may reveal")
    shared = memory.scope(tenant=scoped.scope.tenant) if asked.general else None
    chosen = [Candidate(one.id, one.text, tuple(one.categories)) for one in asked.candidates]
    return recommendations_shape(scoped.recommend(asked.request, chosen, k=asked.k, general=shared))


@router.get("/concepts", response_model=ConceptsShape, responses=responses())
def concepts(
    caller: Reader,
    memory: Store,
    cue: Annotated[list[shapes.Name], Query(min_length=1, max_length=100, description="What is seen in the problem.")],
    user: User = "",
    k: Annotated[int, Query(ge=1, le=100)] = 10,
) -> ConceptsShape:
    """Routines from solved problems that are likeliest to solve one with these cues."""
    found = caller.scoped(memory, user, "", "").concepts(cue, k=k)
    return ConceptsShape(
        items=[
            SolvedShape(id=one.id, program=rendered(one.pattern), used=one.used, cues=dict(one.cues)) for one in found
        ]
    )


@router.post("/organise", response_model=RunShape, responses=responses(501))
def organise(asked: Organising, caller: Writer, memory: Store) -> RunShape:
    """Have the server's model write what its recipe derives from new memories, now rather than when a worker comes."""
    run = caller.scoped(memory, asked.user, asked.agent, asked.session).organise(Options(Budget(calls=asked.calls)))
    counts = {"done": run.done, "failed": run.failed, "waiting": run.waiting}
    return RunShape(**counts, calls=run.usage.calls, problems=list(run.problems))


@router.post("/summarise", response_model=SummarisedShape, responses=responses(501))
def summarise(asked: shapes.Scoped, caller: Writer, memory: Store) -> SummarisedShape:
    """Have the server's model write summaries and keywords of what was said since the last time (recipe memgas)."""
    return SummarisedShape(problem=caller.scoped(memory, asked.user, asked.agent, asked.session).summarise())


@router.post("/extract", response_model=ExtractsShape, responses=responses())
def extract(asked: Extracting, caller: Writer, memory: Store) -> ExtractsShape:
    """Take facts for the graph from a ready-made extraction; they replace what was extracted of these memories."""
    scoped = caller.scoped(memory, asked.user, asked.agent, asked.session)
    with TemporaryDirectory(prefix="memorist-") as folder:
        file = Path(folder) / "openie.json"
        file.write_text(json.dumps({"docs": asked.docs}), encoding="utf-8")
        made = scoped.extract(file)
    counts = {"episodes": made.episodes, "facts": made.facts, "passages": made.passages, "unmatched": made.unmatched}
    return ExtractsShape(**counts, rejected=dict(made.rejected), problem=made.problem)


@router.get("/working-set", response_model=MemoriesShape, responses=responses())
def working_set(
    caller: Reader, memory: Store, user: User = "", size: Annotated[int, Query(ge=1, le=1_000)] = 20
) -> MemoriesShape:
    """The memories that are likeliest to be asked for next, by when and how often they were recalled."""
    found = caller.scoped(memory, user, "", "").working_set(size)
    return MemoriesShape(items=[shapes.cube_shape(cube) for cube in found])


def recommendations_shape(made: Recommendations) -> RecommendationsShape:
    """Recommendations for the wire."""
    items = [
        RecommendationShape(
            id=one.id,
            text=one.text,
            score=one.score,
            reasons=[ReasonShape(kind=why.kind, text=why.text, episodes=list(why.episodes)) for why in one.reasons],
            why=dict(one.why),
        )
        for one in made
    ]
    return RecommendationsShape(items=items, known=made.known, signals=list(made.signals), problem=made.problem)
