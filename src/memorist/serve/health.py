"""Routes for whoever runs the server."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from memorist import __version__
from memorist.serve.problems import Problem

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """The server is there."""

    status: str
    version: str


@router.get("/health/live", response_model=Health)
def live() -> Health:
    """Whether the process answers."""
    return Health(status="ok", version=__version__)


@router.get("/health/ready", response_model=Health, responses={503: {"model": Problem}, 500: {"model": Problem}})
def ready(request: Request) -> Health:
    """Whether the store can be read: send no requests here while it cannot."""
    request.app.state.memory._store.embedder()
    return Health(status="ok", version=__version__)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def metrics(request: Request) -> Response:
    """Counts and times of requests, in Prometheus' text format."""
    return Response(request.app.state.measures.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
