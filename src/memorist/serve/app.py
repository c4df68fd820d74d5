"""The app: routes, limits and measures around one open store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Route

from memorist import __version__
from memorist.memory import DEFAULT_BUDGET, Memory
from memorist.serve import health, memories, problems, recall
from memorist.serve.access import Doorman
from memorist.serve.chat import routes as chat
from memorist.serve.chat.upstream import Upstream
from memorist.serve.limits import LARGEST, SizeLimit
from memorist.serve.mcp import server as mcp
from memorist.serve.telemetry import Measures, Telemetry

ABOUT = "Memory for language models. Every request but those of health needs a key that opens one tenant or less."


def build(
    memory: Memory,
    *,
    open_without_keys: bool = False,
    largest: int = LARGEST,
    upstream: Upstream | None = None,
    budget: int = DEFAULT_BUDGET,
) -> FastAPI:
    """An ASGI app over an open store.

    `open_without_keys` admits everyone for as long as the store has no key: for this machine alone. `largest` is the
    limit of a request's body in bytes. `upstream` is the model behind OpenAI's protocol, to which up to `budget` tokens
    of memories are given; without one there is no such door.
    """
    agents = mcp.http_server(memory)

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        async with agents.session_manager.run():
            yield
        if upstream is not None:
            await upstream.close()

    app = FastAPI(
        title="Memorist",
        version=__version__,
        description=ABOUT,
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
        generate_unique_id_function=name_of,
        lifespan=running,
    )
    app.state.memory = memory
    app.state.measures = Measures()
    app.state.doorman = Doorman(memory, open_without_keys=open_without_keys)
    problems.install(app)
    for routes in (memories.router, recall.router, health.router):
        app.include_router(routes)
    if upstream is not None:
        app.state.upstream, app.state.chat_budget = upstream, budget
        app.include_router(chat.router)
    door = mcp.http_app(agents, app.state.doorman, loopback_only=open_without_keys, largest=largest)
    app.router.routes.append(Route(mcp.PATH, door))
    document = problems.described(app.openapi())
    app.openapi = lambda: document  # type: ignore[method-assign]
    app.add_middleware(SizeLimit, largest=largest)
    app.add_middleware(Telemetry, measures=app.state.measures)
    return app


def name_of(route: APIRoute) -> str:
    """What a generated client calls a route."""
    return route.name
