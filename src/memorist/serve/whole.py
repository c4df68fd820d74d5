"""Routes over all of a user's memory at once: taking it along, and destroying it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import Field

from memorist.errors import InputError
from memorist.scoped import ScopedMemory
from memorist.serve import shapes
from memorist.serve.memories import Eraser, Reader, Store, User, erased
from memorist.serve.problems import responses

router = APIRouter(prefix="/v1", tags=["memories"])

AT_ONCE = 500
LINES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/x-ndjson": {}}, "description": "A line of JSON for each memory."}
}


class ErasingAll(shapes.Scoped):
    """Everything of a user to destroy; the name twice, so that no slip destroys another's."""

    confirm: shapes.Name = Field(description="The user's name again.")


@router.get("/export", response_class=StreamingResponse, responses={**responses(), **LINES})
def export(caller: Reader, memory: Store, user: User = "") -> StreamingResponse:
    """Everything that is kept of a user, hidden and closed memories too, as lines of JSON."""
    scoped = caller.scoped(memory, user, "", "")
    name = {"Content-Disposition": 'attachment; filename="memory.jsonl"'}
    return StreamingResponse(lines(scoped), media_type="application/x-ndjson", headers=name)


@router.post("/erase/all", response_model=shapes.ErasureShape, responses=responses(404, 409))
def erase_all(asked: ErasingAll, caller: Eraser, memory: Store) -> shapes.ErasureShape:
    """Destroy everything of a user, or of the agent and session that are named; answers when its bytes are gone."""
    scoped = caller.scoped(memory, asked.user, asked.agent, asked.session)
    if asked.confirm != scoped.scope.user:
        raise InputError("confirm is not the name of the user whose memory is to be destroyed")
    ids = scoped.browse.ids()
    if not ids:
        return shapes.ErasureShape(ids=[], counts={}, remnants=0, backups_left=[], certificate={})
    return erased(scoped, ids)


def lines(scoped: ScopedMemory) -> Iterator[str]:
    """All cubes that have words of their own: a window repeats its turns."""
    origins = dict.fromkeys(part.origin for part in scoped.browse.parts() if part.origin != "windows")
    for origin in origins:
        ids = scoped.browse.ids(origin)
        for start in range(0, len(ids), AT_ONCE):
            for cube in scoped._memory._store.get(scoped.scope, ids[start : start + AT_ONCE]):
                yield json.dumps(shapes.cube_shape(cube).model_dump(mode="json"), ensure_ascii=False) + "\n"
