"""Writes that may come again: the same Idempotency-Key gives the same answer and writes once, also after a crash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel

from memorist.errors import InputError, NotFound, StateError
from memorist.memory import Memory
from memorist.serve.access import Caller
from memorist.serve.problems import Refused

LONGEST = 200


def once(
    memory: Memory,
    caller: Caller,
    name: str | None,
    route: str,
    asked: BaseModel,
    write: Callable[[datetime], BaseModel | dict[str, Any]],
    status: int = 201,
) -> JSONResponse:
    """The answer of `write` with a status, or the one that was given before under this name.

    `write` is told when the request came first: what it adds is said then, so that a repetition after a crash finds
    it there. Raises Refused (409) when the name was used for another request.
    """
    now = memory.now()
    if name is None:
        return JSONResponse(plain(write(now)), status)
    if not 1 <= len(name) <= LONGEST or not name.isprintable():
        raise InputError(f"an Idempotency-Key has 1 to {LONGEST} printable characters")
    store, digest = memory._store, fingerprint(route, asked)
    began = store.attempt(caller.id, name, digest, now)
    if began.digest != digest:
        raise Refused(409, "key-used-before", "this Idempotency-Key was used for another request; choose a new one")
    if began.status is not None:
        return JSONResponse(began.body, began.status, headers={"Idempotency-Replayed": "true"})
    try:
        body = plain(write(began.at))
    except (InputError, NotFound, StateError, Refused):
        store.abandoned(caller.id, name)
        raise
    store.answered(caller.id, name, status, body)
    return JSONResponse(body, status)


def plain(answer: BaseModel | dict[str, Any]) -> dict[str, Any]:
    """An answer as JSON has it."""
    return answer if isinstance(answer, dict) else answer.model_dump(mode="json")


def fingerprint(route: str, asked: BaseModel) -> str:
    """A hash of what is asked."""
    content: Any = asked.model_dump(mode="json")
    return hashlib.sha256(json.dumps([route, content], sort_keys=True).encode()).hexdigest()
