"""Traces of requests by OpenTelemetry: nothing unless a collector is named, and never a word of a memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.propagate import extract
from opentelemetry.trace import SpanKind, StatusCode
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from memorist import __version__
from memorist.errors import InputError

NAME = "memorist"


@contextmanager
def span(name: str) -> Iterator[trace.Span]:
    """A step of a request. An error's message may quote a memory: it is not recorded."""
    tracer = trace.get_tracer(NAME, __version__)
    with tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False) as made:
        yield made


class Tracing:
    """An ASGI middleware that makes a span of each request, within the caller's trace, by its route."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        method = scope["method"]
        with trace.get_tracer(NAME, __version__).start_as_current_span(
            method,
            context=extract(Headers(scope=scope)),
            kind=SpanKind.SERVER,
            record_exception=False,
            set_status_on_exception=False,
        ) as made:
            try:
                await self._app(scope, receive, noting)
            finally:
                route = getattr(scope.get("route"), "path", "unknown")
                made.update_name(f"{method} {route}")
                made.set_attributes(
                    {
                        "http.request.method": method,
                        "http.route": route,
                        "http.response.status_code": status,
                        "memorist.key": scope.get("state", {}).get("key", ""),
                    }
                )
                if status >= 500:
                    made.set_status(StatusCode.ERROR)


def export_to(collector: str) -> Callable[[], None]:
    """Send the traces of this process to a collector, by OTLP over HTTP. Returns what sends the last ones, at the end.

    Raises InputError without the libraries.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise InputError(f"traces need {error.name}; install it: pip install 'memorist[otel]'") from None
    provider = TracerProvider(resource=Resource.create({"service.name": NAME, "service.version": __version__}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=collector)))
    trace.set_tracer_provider(provider)
    return provider.shutdown
