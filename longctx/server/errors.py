"""Errors as HTTP: the status of each, and the body that OpenAI's clients know."""

from __future__ import annotations

import logging
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from indexes import CorpusError, IndexBusy, IndexNotFound
from longctx.conversation import NoConversation
from longctx.errors import (
    BadRequest,
    BadSession,
    ContextTooLong,
    LongctxError,
    ModelUnavailable,
    NotEnoughMemory,
    ServerFailed,
)
from longctx.server.names import NotThere, without_paths
from longctx.server.turns import ServerEnds, TooBusy
from longctx.server.uploads import TooLarge

_LOG = logging.getLogger("longctx.server")
_STATUS: tuple[tuple[type[Exception], int, str], ...] = (  # the first that fits
    (TooBusy, 429, "too_busy"),
    (TooLarge, 413, "too_large"),
    (NotThere, 404, "not_found"),
    (NoConversation, 404, "not_found"),
    (ContextTooLong, 400, "context_length_exceeded"),
    (BadRequest, 400, "bad_request"),
    (NotEnoughMemory, 503, "not_enough_memory"),
    (ServerFailed, 502, "model_server_failed"),
    (ModelUnavailable, 503, "model_unavailable"),
    (BadSession, 409, "bad_conversation"),
    (ServerEnds, 503, "server_ends"),
    (LongctxError, 500, "failed"),
    (IndexBusy, 409, "index_busy"),
    (IndexNotFound, 404, "index_not_found"),
    (CorpusError, 400, "index_error"),
)
_RETRY_BUSY_INDEX = 5  # seconds


def error_body(message: str, status: int, code: str) -> dict[str, Any]:
    """The body of an error.

    Args:
        message: What is wrong and what to do.
        status: The HTTP status.
        code: A word for programs.

    Returns:
        An object as OpenAI's API has it.
    """
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def error_response(status: int, message: str, code: str = "refused") -> Response:
    """A response that refuses a request.

    Args:
        status: The HTTP status.
        message: What is wrong and what to do.
        code: A word for programs.

    Returns:
        The response.
    """
    headers = {"www-authenticate": "Bearer"} if status == 401 else {}
    return JSONResponse(error_body(message, status, code), status, headers)


class Described:
    """ASGI middleware that turns exceptions into error responses.

    Args:
        app: What is behind it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception as error:
            if begun or scope["type"] != "http":
                raise
            status, body = describe(error)
            await JSONResponse(body, status)(scope, receive, send)


def describe(error: Exception) -> tuple[int, dict[str, Any]]:
    """The status and the body of an error. An unexpected error is logged, and described in general terms.

    Args:
        error: The error.

    Returns:
        The status and the body; no path of the server's is in it.
    """
    if isinstance(error, HTTPException):
        return error.status_code, error_body(str(error.detail), error.status_code, "refused")
    for kind, status, code in _STATUS:
        if isinstance(error, kind):
            return status, error_body(without_paths(" ".join(str(error).split())), status, code)
    _LOG.error("a request failed", exc_info=error)
    return 500, error_body("the server failed: its log says why, under this request's id", 500, "internal_error")


async def handle(request: Request, error: Exception) -> Response:
    """Answer a request with an error.

    Args:
        request: The request.
        error: Why it failed.

    Returns:
        The response.
    """
    status, body = describe(error)
    headers = {}
    if isinstance(error, TooBusy):
        headers["retry-after"] = str(error.retry_after)
    elif isinstance(error, IndexBusy):
        headers["retry-after"] = str(_RETRY_BUSY_INDEX)
    return JSONResponse(body, status, headers)
