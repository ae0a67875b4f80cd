"""Who is let in: names of this host, pages of this origin, tokens with roles; and bounds on what is sent.

It stands before everything else, so that a route that is added is locked unless it is opened here.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from typing import Any, Literal

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from longctx.backends import is_loopback
from longctx.server.errors import error_response
from longctx.server.options import ServerOptions
from longctx.server.uploads import TooLarge

Access = Literal["none", "read", "write"]

_SMALL_BODY = 10_000_000  # bytes, of everything but uploads
_OPEN = re.compile(r"/|/healthz|/docs|/openapi\.json|/page/[\w.-]+|/favicon\.ico")  # hold nothing of anybody's
_ASKING = re.compile(r"/v1/.*|/mcp/?|/api/v1/indexes/[^/]+/(?:ask|search)|/local/ask")
_UPLOAD = re.compile(r"/api/v1/indexes/[^/]+/documents")
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


class Gate:
    """ASGI middleware that refuses requests that are not allowed.

    Args:
        app: What is behind it.
        options: The tokens, the host names and the bounds.
        sockets: The paths of Unix sockets, which only this user can open.
    """

    def __init__(self, app: ASGIApp, options: ServerOptions, sockets: frozenset[str] = frozenset()) -> None:
        self._app, self._options, self._sockets = app, options, sockets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})
        reason = self._refusal(scope)
        if reason is not None:
            await error_response(*reason)(scope, receive, _with_headers(send, scope["path"]))
            return
        bound = self._options.max_upload if _UPLOAD.fullmatch(scope["path"]) else _SMALL_BODY
        length = Headers(scope=scope).get("content-length", "0")
        if length.isdigit() and int(length) > bound:
            response = error_response(413, f"the request has {int(length):,} bytes: {bound:,} are the most")
            await response(scope, receive, _with_headers(send, scope["path"]))
            return
        await self._app(scope, _bounded(receive, bound), _with_headers(send, scope["path"]))

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """The status and the reason for which a request is refused; None for none. Notes who asks."""
        path, headers = scope["path"], Headers(scope=scope)
        server = scope.get("server") or ("", 0)
        if server[1] is None and server[0] in self._sockets:
            scope["state"] |= {"client": "local", "is_local": True, "role": "write"}
            return None
        scope["state"] |= {"is_local": False, "client": "", "role": "none"}
        if path.startswith("/local/"):
            return 404, "there is nothing here"
        if not self._is_ours(headers.get("host", "")):
            return 421, f"this server is not {headers.get('host', '')[:100]!r}: name it with --allow-host"
        if not _is_same_origin(headers):
            return 403, "a page of another origin may not use this server"
        role, who = self._role(headers.get("authorization", ""))
        scope["state"] |= {"client": f"{who}@{(scope.get('client') or ('?', 0))[0]}", "role": role}
        if _OPEN.fullmatch(path) and scope["method"] in ("GET", "HEAD"):
            return None
        if role == "none":
            return 401, "a token is needed: send it as 'Authorization: Bearer TOKEN'"
        if role == "read" and _needs_write(scope["method"], path):
            return 403, "this token allows reading and asking only"
        return None

    def _is_ours(self, host: str) -> bool:
        """Whether a Host header names this server. An IP address does: rebinding DNS takes a name."""
        name = re.sub(r":\d+$", "", host).strip("[]").lower()
        if is_loopback(name) or name in (self._options.host.lower(), *map(str.lower, self._options.hosts)):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return not is_loopback(self._options.host)

    def _role(self, authorization: str) -> tuple[Access, str]:
        """The role of a token, and a short name for who has it. Every token is compared, in constant time."""
        if not self._options.tokens and not self._options.read_tokens:
            return "write", "anyone"
        kind, _, given = authorization.partition(" ")
        token = given.strip().encode() if kind.lower() == "bearer" else b""
        role: Access = "none"
        for granted, tokens in (("read", self._options.read_tokens), ("write", self._options.tokens)):
            for each in tokens:
                if hmac.compare_digest(each.encode(), token):
                    role = granted  # type: ignore[assignment]
        return role, hashlib.sha256(token).hexdigest()[:8]


def _needs_write(method: str, path: str) -> bool:
    return method not in ("GET", "HEAD") and not (method in ("POST", "DELETE") and _ASKING.fullmatch(path))


def _is_same_origin(headers: Headers) -> bool:
    """Whether a request comes from a page of this server, or from no page at all."""
    if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate":
        return False
    origin = headers.get("origin")
    if origin is None:
        return True
    return origin.partition("://")[2].lower() == headers.get("host", "").lower()


def _bounded(receive: Receive, bound: int) -> Receive:
    left = bound

    async def counted() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise TooLarge(f"the request has more than {bound:,} bytes")
        return message

    return counted


def _with_headers(send: Send, path: str) -> Send:
    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers[name] = value
            if not path.startswith("/page/"):
                headers.setdefault("cache-control", "no-store")
        await send(message)

    return with_headers


def state(scope: Any) -> dict[str, Any]:
    """What the gate has noted about a request.

    Args:
        scope: The ASGI scope.

    Returns:
        `client`, `is_local` and `role`.
    """
    noted: dict[str, Any] = scope["state"]
    return noted
