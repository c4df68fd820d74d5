"""Errors as problem details (RFC 9457): one shape for all, with a type that programs can tell apart."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from memorist import errors

MEDIA = "application/problem+json"

STATUS: Mapping[type[errors.MemoristError], int] = {
    errors.InputError: 422,
    errors.NotFound: 404,
    errors.NotAllowed: 403,
    errors.StateError: 409,
    errors.ModelMissing: 501,
    errors.ModelUnreachable: 504,
    errors.ModelBusy: 503,
    errors.ModelRefused: 502,
    errors.BadReply: 502,
    errors.ModelError: 502,
    errors.StoreBusy: 503,
    errors.StoreFull: 507,
    errors.StoreReadOnly: 503,
    errors.StoreUnreachable: 503,
    errors.EmbedderMismatch: 503,
    errors.StoreError: 500,
}
"""The status of each kind of error; the first class in an error's order of inheritance that stands here decides."""


WHERE: Mapping[str, str] = {"list": "GET /v1/memories", "jobs": "GET /v1/jobs", "rights list": "GET /v1/grants"}
"""Where a caller finds what a command would list."""

SEE = re.compile(rf"see: memorist ({'|'.join(WHERE)})\Z")


class Problem(BaseModel):
    """What went wrong. `type` names the kind, `detail` says what to do."""

    type: str
    title: str
    status: int
    detail: str


class Refused(Exception):
    """A request that the server itself turns down, before the memory is asked."""

    def __init__(self, status: int, kind: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail, self.headers = status, kind, detail, dict(headers or {})


TITLES: Mapping[int, str] = {
    400: "The request cannot be read",
    401: "A key is needed",
    403: "Not allowed",
    404: "Not found",
    405: "Not this method",
    409: "Not in this state",
    412: "Changed meanwhile",
    413: "Too large",
    422: "The request cannot be used",
    429: "Too many requests",
    500: "The server failed",
    501: "Not configured",
    502: "The language model failed",
    503: "Try again later",
    504: "The language model did not answer in time",
    507: "The disk is full",
}


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems of a route, for its description; every route may find the key missing or the store busy."""
    every = sorted({401, 403, 413, 422, 429, 500, 503, 507, *statuses})
    return {status: {"model": Problem, "description": TITLES[status]} for status in every}


def described(document: dict[str, Any]) -> dict[str, Any]:
    """An OpenAPI document whose problems have their own media type: FastAPI describes every model as plain JSON."""
    for path in document["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    response["content"] = {MEDIA: response["content"]["application/json"]}
    return document


def problem(status: int, kind: str, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """A response that says what went wrong."""
    body = {"type": f"urn:memorist:{kind}", "title": TITLES.get(status, "Error"), "status": status, "detail": detail}
    return JSONResponse(body, status, headers=dict(headers or {}), media_type=MEDIA)


def of_error(error: errors.MemoristError) -> JSONResponse:
    """One of our errors as a response."""
    status, headers = status_and_headers(error)
    detail = SEE.sub(lambda found: f"see: {WHERE[found[1]]}", str(error))
    return problem(status, dashed(type(error).__name__), detail, headers)


def status_and_headers(error: errors.MemoristError) -> tuple[int, dict[str, str]]:
    """The status of an error, and when to try again, where that helps."""
    kind = next(one for one in type(error).__mro__ if one in STATUS or one is errors.MemoristError)
    status = STATUS.get(kind, 500)
    if status != 503:
        return status, {}
    wait = getattr(error, "retry_after", None)
    return status, {"Retry-After": str(max(1, math.ceil(wait))) if wait else "1"}


def dashed(name: str) -> str:
    """`NotFound` as `not-found`."""
    return "".join(f"-{char.lower()}" if char.isupper() else char for char in name).lstrip("-")


def wrong_with(request: Request, found: Mapping[str, Any]) -> str:
    """What a request lacks, in words for whoever sent it: the two slips of a first try have their remedy."""
    place = ".".join(str(part) for part in found["loc"])
    if found["type"] == "json_invalid":
        return f"the body is not JSON ({found['ctx']['error']}, at character {found['loc'][-1]})"
    sent = request.headers.get("content-type", "").partition(";")[0]
    if place == "body" and found["type"] != "missing" and sent != "application/json":
        told = f"as {sent!r:.80}" if sent else "without a Content-Type"
        return f"the body was sent {told}; send JSON, with the header Content-Type: application/json"
    return f"{place}: {found['msg']}"


def install(app: FastAPI) -> None:
    """Have every error of the app end in problem details."""

    @app.exception_handler(errors.MemoristError)
    def ours(request: Request, error: errors.MemoristError) -> JSONResponse:
        return of_error(error)

    @app.exception_handler(Refused)
    def refused(request: Request, error: Refused) -> JSONResponse:
        return problem(error.status, error.kind, error.detail, error.headers)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return problem(422, "input-error", wrong_with(request, error.errors()[0]))

    @app.exception_handler(HTTPException)
    def other(request: Request, error: HTTPException) -> JSONResponse:
        kind = {404: "no-such-path", 405: "no-such-method"}.get(error.status_code, "error")
        detail = {404: "there is no such path; see /openapi.json", 405: "this path does not take this method"}
        told = detail.get(error.status_code, str(error.detail))
        return problem(error.status_code, kind, told, error.headers)

    @app.exception_handler(Exception)
    def bug(request: Request, error: Exception) -> JSONResponse:  # what it holds may be somebody's words: not shown
        return problem(500, "bug", f"unexpected {type(error).__name__}; the server's log has more")
