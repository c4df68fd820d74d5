"""An answer as it is written: server-sent events with its words, and last the whole of it, checked."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from memorist.answer.asking import AskOptions
from memorist.errors import MemoristError
from memorist.scoped import ScopedMemory
from memorist.serve import shapes
from memorist.serve.memories import Reader, Store
from memorist.serve.problems import of_error, problem, responses

logger = logging.getLogger("memorist.serve")
router = APIRouter(prefix="/v1", tags=["recall"])

EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"text/event-stream": {}},
        "description": "Events `text` ({text}), then one `answer` (as of /v1/ask) or `problem`.",
    }
}


@router.post("/ask/stream", response_class=StreamingResponse, responses={**responses(), **EVENTS})
def ask_stream(asked: shapes.Asking, caller: Reader, memory: Store) -> StreamingResponse:
    """An answer as it is written. Its words may still change: the last event has them checked, with citations."""
    scoped = caller.scoped(memory, asked.user, asked.agent, asked.session)
    return StreamingResponse(
        events(scoped, asked), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
    )


def events(scoped: ScopedMemory, asked: shapes.Asking) -> Iterator[str]:
    """The events; who stops reading them ends the model's call."""
    told: SimpleQueue[str | None] = SimpleQueue()
    cancel = Event()
    Thread(target=work, args=(scoped, asked, told, cancel), daemon=True).start()
    try:
        while (one := told.get()) is not None:
            yield one
    finally:
        cancel.set()


def work(scoped: ScopedMemory, asked: shapes.Asking, told: SimpleQueue[str | None], cancel: Event) -> None:
    """Ask, and tell of it. Every error is an event: there is no status left to give."""
    options = AskOptions(on_text=lambda text: told.put(event("text", {"text": text})), cancel=cancel)
    try:
        answer = scoped.ask(asked.question, budget=asked.budget, where=asked.where, options=options)
        told.put(event("answer", shapes.answer_shape(answer).model_dump(mode="json")))
    except MemoristError as error:
        told.put(event("problem", json.loads(bytes(of_error(error).body))))
    except Exception as error:
        logger.exception("answering failed")
        detail = f"unexpected {type(error).__name__}; the server's log has more"
        told.put(event("problem", json.loads(bytes(problem(500, "bug", detail).body))))
    finally:
        told.put(None)


def event(name: str, data: dict[str, Any]) -> str:
    """One event."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
