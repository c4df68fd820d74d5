"""The app: routes, limits and measures around one open store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Route

from memorist import __version__
from memorist.memory import Memory
from memorist.serve import (
    advice,
    browse,
    certificates,
    facts,
    grants,
    health,
    hints,
    life,
    mem0,
    memories,
    page,
    problems,
    recall,
    reports,
    schedule,
    streaming,
    whole,
    work,
)
from memorist.serve.access import Doorman
from memorist.serve.chat import routes as chat
from memorist.serve.chat.upstream import Door
from memorist.serve.limits import LARGEST, SizeLimit
from memorist.serve.local import Local
from memorist.serve.mcp import server as mcp
from memorist.serve.telemetry import Measures, Telemetry
from memorist.serve.tracing import Tracing

ABOUT = "Memory for language models. Every request but those of health needs a key that opens one tenant or less."


def build(
    memory: Memory,
    *,
    open_without_keys: bool = False,
    largest: int = LARGEST,
    door: Door | None = None,
    closing: Callable[[], object] = lambda: None,
    folder: Path | None = None,
) -> FastAPI:
    """An ASGI app over an open store.

    `open_without_keys` admits everyone for as long as the store has no key: for this machine alone. `largest` is the
    limit of a request's body in bytes. `door` is that of OpenAI's protocol, if there is to be one. `closing` is called
    when the app ends. `folder` holds reports of benchmarks to show.
    """
    agents = mcp.http_server(memory)

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        async with agents.session_manager.run():
            yield
        if door is not None:
            await door.upstream.close()
        closing()

    app = FastAPI(
        title="Memorist",
        version=__version__,
        description=ABOUT,
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
        generate_unique_id_function=name_of,
        lifespan=running,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # it would tell paths, queries and messages
    )
    app.state.memory = memory
    app.state.reports = folder
    app.state.measures = Measures()
    app.state.doorman = Doorman(memory, open_without_keys=open_without_keys)
    problems.install(app)
    plain = (memories, life, recall, hints, advice, streaming, browse, facts, work, schedule)
    for routes in (*plain, grants, certificates, whole, reports, mem0, health, page):
        app.include_router(routes.router)
    if door is not None:
        app.state.door = door
        app.include_router(chat.router)
    app.router.routes.append(Route(mcp.PATH, mcp.http_app(agents, app.state.doorman, largest=largest)))
    document = problems.described(app.openapi())
    app.openapi = lambda: document  # type: ignore[method-assign]
    app.add_middleware(SizeLimit, largest=largest)
    app.add_middleware(Local, is_open=app.state.doorman.is_open)
    app.add_middleware(Telemetry, measures=app.state.measures)
    app.add_middleware(Tracing)
    return app


def name_of(route: APIRoute) -> str:
    """What a generated client calls a route."""
    return route.name
