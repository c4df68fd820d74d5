"""Routes that ask the memory."""

from __future__ import annotations

from fastapi import APIRouter

from memorist.errors import MemoristError
from memorist.memory import Memory
from memorist.serve import shapes
from memorist.serve.access import Caller
from memorist.serve.memories import Reader, Store, failed_part
from memorist.serve.problems import Refused, responses

router = APIRouter(prefix="/v1", tags=["recall"])


@router.post("/search", response_model=shapes.HitsShape, responses=responses())
def search(asked: shapes.Searching, caller: Reader, memory: Store) -> shapes.HitsShape:
    """The episodes that speak to a question, best first, and the same as a block for a prompt."""
    return searched(caller, memory, asked)


@router.post("/search/batch", response_model=shapes.BatchShape, responses=responses())
def search_batch(asked: shapes.SearchingBatch, caller: Reader, memory: Store) -> shapes.BatchShape:
    """Several searches, each with its scope; each succeeds or fails by itself."""
    return shapes.BatchShape(items=[part(caller, memory, one) for one in asked.items])


@router.post("/ask", response_model=shapes.AnswerShape, responses=responses())
def ask(asked: shapes.Asking, caller: Reader, memory: Store) -> shapes.AnswerShape:
    """An answer from this memory with citations, or known: false when the evidence is weak."""
    scoped = caller.scoped(memory, asked.user, asked.agent, asked.session)
    return shapes.answer_shape(scoped.ask(asked.question, budget=asked.budget, where=asked.where))


def searched(caller: Caller, memory: Memory, asked: shapes.Searching) -> shapes.HitsShape:
    """The hits of a search."""
    hits = caller.scoped(memory, asked.user, asked.agent, asked.session).search(
        asked.query,
        k=asked.k,
        budget=asked.budget,
        as_of=asked.as_of,
        known_at=asked.known_at,
        where=asked.where,
        prefer=asked.prefer,
    )
    return shapes.hits_shape(hits)


def part(caller: Caller, memory: Memory, asked: shapes.Searching) -> shapes.BatchPartShape:
    """One search of a batch."""
    try:
        return shapes.BatchPartShape(status=200, result=searched(caller, memory, asked).model_dump(mode="json"))
    except (MemoristError, Refused) as error:
        return failed_part(error)
