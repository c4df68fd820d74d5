"""What goes over the wire: requests as they may be written, results as they are read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from memorist.cube import LONGEST_NAME, Cube
from memorist.lifecycle.erasing import told_to_others
from memorist.results import Answer, Change, Erasure, Hit, Hits, Receipt

Name = Annotated[str, StringConstraints(max_length=LONGEST_NAME)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=1_000_000)]
Query = Annotated[str, StringConstraints(min_length=1, max_length=20_000)]
Id = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Moment = Annotated[str, StringConstraints(max_length=64), Field(examples=["2025-05-10T12:00:00Z"])]
Number = Annotated[int, Field(ge=1, le=1_000_000)]
MOST_IN_BATCH = 100


class Asked(BaseModel):
    """A request; a field that it does not know is a mistake."""

    model_config = ConfigDict(extra="forbid")


class Scoped(Asked):
    """Whose memory. The tenant is the key's."""

    user: Name = Field("", description="The user whose memory it is; a key of a user needs none.")
    agent: Name = Field("", description="Only what this agent was told.")
    session: Name = Field("", description="Only this conversation.")


class ChatMessage(BaseModel):
    """A message in the shape of OpenAI's chat, with an optional ISO 8601 `timestamp`; further fields are kept."""

    model_config = ConfigDict(extra="allow")
    role: Annotated[str, StringConstraints(max_length=50)] = "user"
    content: Any


class Adding(Scoped):
    """Words to remember: `content` is one text, `messages` a conversation; one of them is needed."""

    content: Text | None = None
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=10_000)] | None = None
    at: Moment | None = Field(None, description="When it was said; now, if it is not given.")
    source: Annotated[str, StringConstraints(min_length=1, max_length=2_000)] | None = Field(
        None, description="Where it comes from: the same from the same source again adds nothing."
    )


class AddingBatch(Asked):
    """Several additions, each with its scope; each succeeds or fails by itself."""

    items: Annotated[list[Adding], Field(min_length=1, max_length=MOST_IN_BATCH)]


class Searching(Scoped):
    """A question to the memory. Without `k` and `budget`, what fits 1,500 tokens."""

    query: Query
    k: Number | None = Field(None, description="At most so many hits.")
    budget: Number | None = Field(None, description="As many hits as fit so many tokens as a prompt.")
    as_of: Moment | None = Field(None, description="What was true then.")
    known_at: Moment | None = Field(None, description="What was believed then.")
    where: dict[str, Any] | None = Field(
        None, description="Filters on the header.", examples=[{"speaker": "Ana", "at": {"gte": "2025-05-01"}}]
    )
    prefer: Literal["source", "model"] | None = Field(
        None, description="Have what was said, or what a model wrote of it, come first."
    )


class SearchingBatch(Asked):
    """Several searches, each with its scope."""

    items: Annotated[list[Searching], Field(min_length=1, max_length=MOST_IN_BATCH)]


class Asking(Scoped):
    """A question that wants an answer."""

    question: Query
    budget: Number = Field(1_500, description="Tokens of evidence that the answer may rest on.")
    where: dict[str, Any] | None = None


class Updating(Scoped):
    """A new version of a memory, true since `at` (now, if it is not given)."""

    text: Text | None = None
    meta: dict[str, Any] | None = None
    at: Moment | None = None


class Erasing(Scoped):
    """Memories to destroy."""

    ids: Annotated[list[Id], Field(min_length=1, max_length=1_000)]


class ReceiptShape(BaseModel):
    """What an addition did; all that it counts is on disk."""

    ids: list[str]
    state: Literal["stored", "indexed"]
    added: int
    known: int
    problem: str | None


class HitShape(BaseModel):
    """An episode that speaks to a question; `why` names what each recall stage made of it."""

    id: str
    text: str
    score: float
    at: datetime
    speaker: str | None
    role: str
    trust: str
    session: str
    episodes: list[str]
    meta: dict[str, Any]
    why: dict[str, float | str]


class HitsShape(BaseModel):
    """Hits, best first, and the same as a block for a prompt."""

    query: str
    hits: list[HitShape]
    prompt: str
    unheard: list[str]


class CitationShape(BaseModel):
    """A sentence that an answer rests on, and the episode it stands in."""

    id: str
    text: str
    at: datetime
    speaker: str | None
    score: float


class AnswerShape(BaseModel):
    """An answer with its evidence. `known` is false when the memory does not carry one; `model` names who wrote it,
    `problem` says why the configured one did not."""

    text: str
    known: bool
    confidence: float
    method: str
    model: str | None
    problem: str | None
    citations: list[CitationShape]
    hits: list[HitShape]


class CubeShape(BaseModel):
    """A memory with its header."""

    id: str
    user: str
    agent: str
    session: str
    text: str
    origin: str
    kind: str
    state: str
    trust: str
    role: str
    speaker: str | None
    source: str | None
    at: datetime
    valid_from: datetime
    valid_to: datetime | None
    recorded_at: datetime
    superseded_at: datetime | None
    updated_at: datetime
    expires_at: datetime | None
    semantic_type: str
    priority: int
    sensitivity: list[str]
    recalls: int
    recalled_at: datetime | None
    fingerprint: str
    meta: dict[str, Any]
    episodes: list[str]


class PageShape(BaseModel):
    """Some memories, newest first; `next` is the cursor of the following page, null at the end."""

    items: list[CubeShape]
    next: str | None


class ChangeShape(BaseModel):
    """Something that happened to a memory."""

    at: datetime
    what: str
    memory: CubeShape


class HistoryShape(BaseModel):
    """All versions of a memory and what happened to them, oldest first."""

    items: list[ChangeShape]


class ErasureShape(BaseModel):
    """What was destroyed. `remnants` counts erased texts whose bytes were still found: 0 is the proof.

    `certificate` says so without any of what was erased; /v1/certificates/check tells later whether it holds.
    """

    ids: list[str]
    counts: dict[str, int]
    remnants: int
    backups_left: list[str]
    certificate: dict[str, Any]


class ScopeShape(BaseModel):
    """A user with the number of their episodes."""

    user: str
    episodes: int


class ScopesShape(BaseModel):
    """The users of the key's tenant."""

    items: list[ScopeShape]


class BatchPartShape(BaseModel):
    """One of a batch: its result, or what was wrong with it."""

    status: int
    result: Any = None
    problem: dict[str, Any] | None = None


class BatchShape(BaseModel):
    """The results of a batch, in its order."""

    items: list[BatchPartShape]


def receipt_shape(receipt: Receipt) -> ReceiptShape:
    """A receipt for the wire."""
    return ReceiptShape(
        ids=list(receipt.ids),
        state=receipt.state,
        added=receipt.added,
        known=receipt.known,
        problem=receipt.problem,
    )


def hit_shape(hit: Hit) -> HitShape:
    """A hit for the wire."""
    return HitShape(
        id=hit.id,
        text=hit.text,
        score=hit.score,
        at=hit.at,
        speaker=hit.speaker,
        role=hit.role,
        trust=hit.trust,
        session=hit.session,
        episodes=list(hit.episodes),
        meta=dict(hit.meta),
        why=dict(hit.why),
    )


def hits_shape(hits: Hits) -> HitsShape:
    """Hits for the wire."""
    shapes = [hit_shape(hit) for hit in hits]
    return HitsShape(query=hits.query, hits=shapes, prompt=hits.prompt(), unheard=list(hits.unheard))


def answer_shape(answer: Answer) -> AnswerShape:
    """An answer for the wire."""
    citations = [
        CitationShape(id=one.id, text=one.text, at=one.at, speaker=one.speaker, score=one.score)
        for one in answer.citations
    ]
    return AnswerShape(
        text=answer.text,
        known=answer.known,
        confidence=answer.confidence,
        method=answer.method,
        model=answer.model,
        problem=answer.problem,
        citations=citations,
        hits=[hit_shape(hit) for hit in answer.hits],
    )


def cube_shape(cube: Cube) -> CubeShape:
    """A cube for the wire; its tenant is the key's."""
    same = ("id", "text", "origin", "kind", "state", "trust", "role", "speaker", "source", "at")
    times = ("valid_from", "valid_to", "recorded_at", "superseded_at", "updated_at", "expires_at", "recalled_at")
    more = ("semantic_type", "priority", "recalls", "fingerprint")
    header: Mapping[str, Any] = {name: getattr(cube, name) for name in same + times + more}
    scope = cube.scope
    owner: Mapping[str, Any] = {"user": scope.user, "agent": scope.agent, "session": scope.session}
    return CubeShape(
        **header, **owner, meta=dict(cube.meta), episodes=list(cube.episodes), sensitivity=list(cube.sensitivity)
    )


def change_shape(change: Change) -> ChangeShape:
    """A change for the wire."""
    return ChangeShape(at=change.at, what=change.what, memory=cube_shape(change.cube))


def erasure_shape(erasure: Erasure) -> ErasureShape:
    """An erasure for the wire; of backups only the names, not where they are."""
    left = [path.name for path in erasure.backups_left]
    return ErasureShape(
        ids=list(erasure.ids),
        counts=dict(erasure.counts),
        remnants=erasure.remnants,
        backups_left=left,
        certificate=told_to_others(erasure.certificate),
    )
