"""Server-sent events, and work that stops when the client goes.

Streams are written here and not with sse-starlette, which cuts every stream off when the server is told to end, where
answers are to be finished.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from typing import Any, TypeVar

import anyio
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

T = TypeVar("T")

_PING = 15.0  # seconds of silence after which a comment is sent, so that no proxy takes the stream for dead
_COMMENT = ": still here\n\n"


class ClientGone(Exception):
    """The client has disconnected."""


def event(data: Any, name: str = "") -> str:
    """Write a server-sent event.

    Args:
        data: The data; text as it is, anything else as JSON.
        name: The kind of the event; empty for none.

    Returns:
        Its lines.
    """
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    return f"event: {name}\ndata: {text}\n\n" if name else f"data: {text}\n\n"


class EventResponse(StreamingResponse):
    """A response of server-sent events.

    Args:
        events: The events as text. It is closed when it ends, and when the client goes.
        close: Awaited after that, also if nothing was sent.
        media_type: Another type, for lines that are no events.
        headers: Further headers.
    """

    def __init__(
        self,
        events: AsyncIterator[str],
        close: Callable[[], Awaitable[None]] | None = None,
        media_type: str = "text/event-stream",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._events, self._close = _kept_alive(events, _COMMENT if media_type == "text/event-stream" else "\n"), close
        unbuffered = {"cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(self._events, media_type=media_type, headers=unbuffered | dict(headers or {}))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events, and close what they come from."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                await self._events.aclose()
                if self._close is not None:
                    await self._close()


async def _kept_alive(events: AsyncIterator[str], comment: str) -> AsyncGenerator[str, None]:
    waiting: asyncio.Task[str] | None = None
    try:
        while True:
            waiting = waiting or asyncio.ensure_future(_next(events))
            done, _ = await asyncio.wait([waiting], timeout=_PING)
            if not done:
                yield comment
                continue
            task, waiting = waiting, None
            try:
                text = task.result()
            except StopAsyncIteration:
                return
            yield text
    finally:
        with anyio.CancelScope(shield=True):
            if waiting is not None:
                waiting.cancel()
                await asyncio.wait([waiting])
            close = getattr(events, "aclose", None)
            if close is not None:
                await close()


async def _next(events: AsyncIterator[str]) -> str:
    return await anext(events)


async def until_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Await something, and cancel it if the client goes meanwhile.

    Args:
        request: The request, whose body has been read.
        work: What to await.

    Returns:
        What it returns.

    Raises:
        ClientGone: If the client has gone.
    """
    doing = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait([doing, watching], return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            return doing.result()
        raise ClientGone
    finally:
        for each in (doing, watching):
            if not each.done():
                each.cancel()
        await asyncio.wait([doing, watching])


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
