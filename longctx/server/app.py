"""The application: every route behind the gate, and what is opened and closed with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from indexes import CorpusError
from longctx.errors import LongctxError
from longctx.server import api_asking, api_documents, local_api, openai_api, responses_api
from longctx.server.context import Context, Server
from longctx.server.errors import Described, error_body, error_response, handle
from longctx.server.library import Library
from longctx.server.metrics import Metrics, Observed
from longctx.server.security import Gate
from longctx.server.streams import ClientGone
from longctx.server.turns import TooBusy
from longctx.server.watching import watching
from longctx.version import __version__

_PAGE = Path(__file__).parent / "page"
_KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_CLIENT_GONE = 499  # as nginx has it


def create_app(library: Library, sockets: frozenset[str] = frozenset()) -> FastAPI:
    """Make the ASGI application of a server.

    Args:
        library: The indexes and the model; opened and closed with the application.
        sockets: The paths of Unix sockets that are served too, to clients of the same user.

    Returns:
        The application.
    """
    context = Context(library, Metrics(), library.options)
    mcp = _mcp(context)
    context.metrics.watch(library)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as running:
            await library.open()
            running.push_async_callback(library.close)
            if library.options.watch:
                await running.enter_async_context(watching(library))
            if mcp is not None:
                await running.enter_async_context(mcp.session_manager.run())
            yield

    app = FastAPI(title="longctx", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.context = context
    for router in (api_documents.router, api_asking.router, openai_api.router, responses_api.router, local_api.router):
        app.include_router(router)
    _add_pages(app)
    if mcp is not None:
        app.router.routes.extend(_mcp_routes(mcp))
    for kind in (LongctxError, CorpusError, TooBusy, HTTPException):
        app.add_exception_handler(kind, handle)
    app.add_exception_handler(RequestValidationError, _refuse_body)
    app.add_exception_handler(ValidationError, _refuse_body)
    for gone in (ClientGone, ClientDisconnect):
        app.add_exception_handler(gone, _nobody)
    app.add_middleware(Described)
    app.add_middleware(Gate, options=library.options, sockets=sockets)
    app.add_middleware(Observed, metrics=context.metrics)
    return app


def _mcp(context: Context) -> Any:
    """The MCP server, where its package is installed."""
    if find_spec("mcp") is None:
        return None
    from longctx.server.mcp_server import create_mcp

    return create_mcp(context)


def _mcp_routes(mcp: Any) -> list[Any]:
    from mcp.server.transport_security import TransportSecuritySettings

    unchecked = TransportSecuritySettings(enable_dns_rebinding_protection=False)  # the gate has checked
    routes: list[Any] = mcp.streamable_http_app(stateless_http=True, transport_security=unchecked).routes
    return routes


def _add_pages(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return _static("index.html")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return _static("docs.html")

    @app.get("/page/{name}", include_in_schema=False)
    async def static(name: str) -> Response:
        return _static(name)

    @app.get("/favicon.ico", include_in_schema=False)
    async def icon() -> Response:
        return _static("icon.svg")

    @app.get("/healthz", include_in_schema=False)
    async def health() -> Response:
        return PlainTextResponse("ok\n")

    @app.get("/metrics", include_in_schema=False)
    async def metrics(server: Server) -> Response:
        return Response(generate_latest(server.metrics.registry), media_type=CONTENT_TYPE_LATEST)


def _static(name: str) -> Response:
    path = _PAGE / name
    if path.parent != _PAGE or path.suffix not in _KINDS or not path.is_file():
        return error_response(404, f"there is no {name[:100]!r} here", "not_found")
    headers = {"cache-control": "no-cache"}  # asked for again each time, and answered with 304
    return FileResponse(path, media_type=_KINDS[path.suffix], headers=headers)


async def _refuse_body(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError | ValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path"))
    message = f"{where or 'the request'}: {first['msg'].lower()}"
    if first["type"] == "json_invalid":
        message = f"the request's body is not JSON: {first['ctx']['error'].lower()} at character {first['loc'][-1]}"
    return JSONResponse(error_body(message, 400, "bad_request"), 400)


async def _nobody(_: Request, __: Exception) -> Response:
    return Response(status_code=_CLIENT_GONE)
