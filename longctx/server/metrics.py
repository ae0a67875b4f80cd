"""What is counted, for Prometheus, and the log in JSON lines with the id of each request."""

from __future__ import annotations

import json
import logging
import re
import time
import uuid
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from longctx.types import Answer

if TYPE_CHECKING:
    from longctx.server.library import Library

_REQUEST: ContextVar[str] = ContextVar("request", default="")
_ID = re.compile(r"[\w.-]{1,64}")
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_LOG = logging.getLogger("longctx.server.access")


class Metrics:
    """The figures of one server.

    Attributes:
        registry: Holds them all.
        first_token: Seconds from a question's turn to the first piece of its answer.
        search: Seconds of searches.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        made: dict[str, Any] = {"registry": self.registry}
        self._requests = Counter(
            "longctx_requests", "Requests by method, route and status.", ["method", "route", "status"], **made
        )
        self._seconds = Histogram(
            "longctx_request_seconds", "Seconds to the end of a response.", ["route"], buckets=_SECONDS, **made
        )
        self.first_token = Histogram(
            "longctx_first_token_seconds", "Seconds to the first piece of an answer.", buckets=_SECONDS, **made
        )
        self.search = Histogram("longctx_search_seconds", "Seconds of a search.", buckets=_SECONDS, **made)
        self._tokens = Counter("longctx_tokens", "Tokens read and written by the model.", ["kind"], **made)
        self._answers = Counter("longctx_answers", "Answers by route.", ["route"], **made)
        self._running = Gauge("longctx_answers_running", "Answers that are being generated.", **made)
        self._waiting = Gauge("longctx_answers_waiting", "Questions that wait for their turn.", **made)

    def watch(self, library: Library) -> None:
        """Show how long the queue of a library is."""
        self._running.set_function(lambda: library.turns.running)
        self._waiting.set_function(lambda: library.turns.waiting)

    def answered(self, answer: Answer) -> None:
        """Count an answer."""
        self._answers.labels("quoted" if answer.plan is None else answer.plan.route).inc()
        self._tokens.labels("prompt").inc(answer.usage.prompt_tokens)
        self._tokens.labels("completion").inc(answer.usage.completion_tokens)

    def responded(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a response."""
        method = method if method in _METHODS else "other"  # a client may make one up in every request
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)


class Observed:
    """ASGI middleware that gives each request an id, counts it and writes a line about it to the log.

    Args:
        app: What is behind it.
        metrics: Where requests are counted.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        identifier = given if _ID.fullmatch(given) else uuid.uuid4().hex[:16]
        _REQUEST.set(identifier)
        status, began = 499, time.monotonic()  # as nginx has it: the client went before there was a response

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = identifier
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            seconds = time.monotonic() - began
            route = getattr(scope.get("route"), "path", None) or "other"
            self._metrics.responded(scope["method"], route, status, seconds)
            _LOG.info(
                "%s %s %d",
                scope["method"],
                route,
                status,
                extra={"seconds": round(seconds, 3), "client": scope.get("state", {}).get("client", "")},
            )


class JsonLines(logging.Formatter):
    """A log record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record; the text of questions and documents is in none."""
        line: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request := _REQUEST.get():
            line["request"] = request
        line |= {name: getattr(record, name) for name in ("seconds", "client") if hasattr(record, name)}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
