"""Errors in the shape of OpenAI's, which is all that its clients read."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from memorist.errors import MemoristError
from memorist.serve.problems import Refused, dashed, status_and_headers


class ChatRoute(APIRoute):
    """A route whose errors, also those of its key, have OpenAI's shape."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with its errors caught."""
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handle(request)
            except Refused as error:
                return shaped(error.status, error.kind, str(error), error.headers)
            except MemoristError as error:
                status, headers = status_and_headers(error)
                return shaped(status, dashed(type(error).__name__), str(error), headers)

        return handled


def shaped(status: int, kind: str, told: str, headers: dict[str, str]) -> JSONResponse:
    """An error of ours; `code` tells it from one of the upstream."""
    error = {"message": told, "type": "memorist", "code": kind, "param": None}
    return JSONResponse({"error": error}, status, headers)
