"""What an operator may see: a log line and a measurement for each request, never what was said in it."""

from __future__ import annotations

import json
import logging
import time
from datetime import datetime, timezone
from typing import TextIO

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger("memorist.serve")
SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 120)


class Measures:
    """Prometheus metrics of one app."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self.requests = Counter("memorist_requests_total", "Requests answered.", labels, registry=self.registry)
        self.seconds = Histogram(
            "memorist_request_seconds", "Time to answer.", ("method", "route"), buckets=SECONDS, registry=self.registry
        )
        self.running = Gauge("memorist_requests_running", "Requests being answered.", registry=self.registry)

    def text(self) -> bytes:
        """The metrics in Prometheus' text format."""
        return generate_latest(self.registry)


class Telemetry:
    """An ASGI middleware that measures and logs each request by its route, not its path: paths hold ids."""

    def __init__(self, app: ASGIApp, measures: Measures) -> None:
        self._app = app
        self._measures = measures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, begin = 500, time.perf_counter()

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            with self._measures.running.track_inprogress():
                await self._app(scope, receive, noting)
        finally:
            self._note(scope, status, time.perf_counter() - begin)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unknown")
        self._measures.requests.labels(scope["method"], route, status).inc()
        self._measures.seconds.labels(scope["method"], route).observe(seconds)
        key = scope.get("state", {}).get("key", "")
        took = {"status": status, "ms": round(1000 * seconds, 1)}
        fields = {"method": scope["method"], "route": route, **took, "key": key}
        logger.info("request", extra={"fields": fields})


LOGGERS = {
    "memorist.serve": logging.INFO,
    "uvicorn.error": logging.INFO,
    "mcp": logging.WARNING,
    "psycopg.pool": logging.ERROR,
}
"""The loggers of a server, and from which level on they are heard: at INFO, mcp tells what a tool's error said."""


def log_to(stream: TextIO) -> None:
    """Write the server's log as JSON lines, and nothing of it anywhere else."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    for name, level in LOGGERS.items():
        heard = logging.getLogger(name)
        heard.handlers, heard.propagate = [handler], False
        heard.setLevel(level)


class JsonLines(logging.Formatter):
    """A log record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        at = datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds")
        line: dict[str, object] = {"at": at, "level": record.levelname.lower(), "what": record.getMessage()}
        line |= getattr(record, "fields", {})
        caught = record.exc_info[1] if record.exc_info else None
        if caught is not None:  # its message may quote a memory: only its kind and where it was
            line |= {"error": type(caught).__name__, "where": where(caught)}
        return json.dumps(line)


def where(error: BaseException) -> list[str]:
    """The frames of an error, innermost last: file and line, without the source and the message."""
    frames = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{code.co_filename.rsplit('/', 2)[-1]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return frames[-12:]
