"""The app: routes, limits and measures around one open store."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.routing import APIRoute

from memorist import __version__
from memorist.memory import Memory
from memorist.serve import browse, health, memories, page, problems, recall, reports, whole, work
from memorist.serve.access import Doorman
from memorist.serve.limits import LARGEST, SizeLimit
from memorist.serve.telemetry import Measures, Telemetry

ABOUT = "Memory for language models. Every request but those of health needs a key that opens one tenant or less."


def build(
    memory: Memory, *, open_without_keys: bool = False, largest: int = LARGEST, folder: Path | None = None
) -> FastAPI:
    """An ASGI app over an open store.

    `open_without_keys` admits everyone for as long as the store has no key: for this machine alone. `largest` is the
    limit of a request's body in bytes. `folder` holds reports of benchmarks to show.
    """
    app = FastAPI(
        title="Memorist",
        version=__version__,
        description=ABOUT,
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
        generate_unique_id_function=name_of,
    )
    app.state.memory = memory
    app.state.reports = folder
    app.state.measures = Measures()
    app.state.doorman = Doorman(memory, open_without_keys=open_without_keys)
    problems.install(app)
    for routes in (memories, recall, browse, work, whole, reports, health, page):
        app.include_router(routes.router)
    document = problems.described(app.openapi())
    app.openapi = lambda: document  # type: ignore[method-assign]
    app.add_middleware(SizeLimit, largest=largest)
    app.add_middleware(Telemetry, measures=app.state.measures)
    return app


def name_of(route: APIRoute) -> str:
    """What a generated client calls a route."""
    return route.name
