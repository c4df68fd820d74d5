"""Routes for problems: what may help with one, and how it went."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, StringConstraints

from memorist.recall.hint import Hint
from memorist.serve import shapes
from memorist.serve.attempts import once
from memorist.serve.memories import Once, Reader, Store, Writer
from memorist.serve.problems import responses

router = APIRouter(prefix="/v1", tags=["problems"])

Hinted = Annotated[str, StringConstraints(max_length=100_000)]


class Hinting(shapes.Scoped):
    """A problem that wants a hint."""

    problem: shapes.Query = Field(description="The problem, in words.")
    k: Annotated[int, Field(ge=1, le=100, description="At most so many lessons, and as many concepts.")] = 5
    failed: shapes.Query | None = Field(None, description="An attempt that did not solve it.")


class Attempting(shapes.Scoped):
    """How a problem was gone about."""

    problem: shapes.Query = Field(description="Its name, or its words.")
    text: shapes.Text = Field(description="What was tried, and how it went.")
    solved: bool = Field(True, description="Whether that solved it; the caller decides.")
    hinted: Hinted = Field("", description="`hinted` of the hint that was shown, if one was.")
    at: shapes.Moment | None = Field(None, description="When it was; now, if it is not given.")


class LessonShape(BaseModel):
    """In such a situation, this is what to try. `problem` is the one that taught it."""

    id: str
    situation: str
    suggestion: str
    problem: str


class ParameterShape(BaseModel):
    """What a concept takes."""

    name: str
    typing: str
    description: str


class ConceptShape(BaseModel):
    """A structure to be seen or a routine to be done; `used` is in how many problems."""

    id: str
    name: str
    kind: str
    typing: str
    parameters: list[ParameterShape]
    description: str
    cues: list[str]
    implementation: list[str]
    used: int


class HintShape(BaseModel):
    """What may help. `text` is all of it as a solver reads it, empty when nothing is known that may help; `hinted` goes
    with the attempt that follows. `problem` says why a model's choice is missing."""

    text: str
    hinted: str
    lessons: list[LessonShape]
    concepts: list[ConceptShape]
    others: list[str]
    problem: str | None


@router.post("/hint", response_model=HintShape, responses=responses())
def hint(asked: Hinting, caller: Reader, memory: Store) -> HintShape:
    """Lessons and concepts from solved problems that may help with a new one."""
    scoped = caller.scoped(memory, asked.user, asked.agent, asked.session)
    return hint_shape(scoped.hint(asked.problem, k=asked.k, failed=asked.failed))


@router.post("/attempts", status_code=201, response_model=shapes.ReceiptShape, responses=responses(409))
def attempt(asked: Attempting, caller: Writer, memory: Store, key: Once = None) -> JSONResponse:
    """Remember how a problem was gone about, and whether that solved it."""
    scoped = caller.scoped(memory, asked.user, asked.agent, asked.session)
    return once(
        memory,
        caller,
        key,
        "attempt",
        asked,
        lambda first: shapes.receipt_shape(
            scoped.attempt(asked.problem, asked.text, solved=asked.solved, hinted=asked.hinted, at=asked.at or first)
        ),
    )


def hint_shape(made: Hint) -> HintShape:
    """A hint for the wire."""
    return HintShape(
        text=made.text,
        hinted=made.hinted,
        lessons=[
            LessonShape(id=one.id, situation=one.situation, suggestion=one.suggestion, problem=one.problem)
            for one in made.lessons
        ],
        concepts=[
            ConceptShape(
                id=one.id,
                name=one.name,
                kind=one.kind,
                typing=one.typing,
                parameters=[
                    ParameterShape(name=part.name, typing=part.typing, description=part.description)
                    for part in one.parameters
                ],
                description=one.description,
                cues=list(one.cues),
                implementation=list(one.implementation),
                used=one.used,
            )
            for one in made.concepts
        ],
        others=list(made.others),
        problem=made.problem,
    )
