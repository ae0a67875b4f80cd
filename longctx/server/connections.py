"""Connections that are given up when their client stands still, and of which there are not too many.

uvicorn bounds the time between two requests, and nothing else: a head or a body may come a byte a minute, a client need
never read, and connections that say nothing take file descriptors until none are left.
"""

from __future__ import annotations

import asyncio
import resource
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

BACKLOG = 64  # connections that are accepted before the first of them can be given up
_SLOWEST = 1000  # bytes a second of a body or a response


class BoundedConnection(H11Protocol):
    """A connection over HTTP/1.1 that is closed when its client sends or reads too slowly, or others need its place.

    Args:
        patience: The seconds in which a head arrives. A body has these, and a second for each 1,000 bytes.
        most: How many connections there may be; half of the file descriptors that the process may have, if those are
            fewer. One more takes the place of the one that has waited longest without a request.
        given: What uvicorn gives every connection.
    """

    def __init__(self, *, patience: float, most: int, **given: Any) -> None:
        super().__init__(**given)
        self._patience = patience
        self._most = min(most, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, and close the one that has waited longest for a request if there are too many."""
        super().connection_made(transport)
        self._unsent, self._caught_up = 0, False
        self._await_request()
        self._checking = self.loop.call_later(self._patience, self._check)
        there = [each for each in self.connections if isinstance(each, BoundedConnection) and each.is_open]
        if len(there) > self._most:
            min((each for each in there if not each.is_answering), key=lambda each: each.since).transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop looking at the client."""
        self._checking.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what the client sends."""
        self._received += len(data)
        super().data_received(data)

    def resume_writing(self) -> None:
        """Note that the client has read."""
        self._caught_up = True
        super().resume_writing()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self._await_request()
        super().on_response_complete()

    @property
    def is_open(self) -> bool:
        """Whether it has not been given up."""
        return not self.transport.is_closing()

    @property
    def is_answering(self) -> bool:
        """Whether a request has begun that has no whole response yet."""
        return self.cycle is not None and not self.cycle.response_complete

    def _await_request(self) -> None:
        self.since, self._received = self.loop.time(), 0

    def _check(self) -> None:
        if self._is_late() or self._is_stuck():
            self.transport.abort()
        else:
            self._checking = self.loop.call_later(self._patience, self._check)

    def _is_late(self) -> bool:
        """Whether the rest of a request should have arrived by now."""
        if self.is_answering and self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            return False
        body = self._received if self.is_answering else 0  # what comes after its response is of no use
        return self.loop.time() - self.since >= self._patience + body / _SLOWEST

    def _is_stuck(self) -> bool:
        """Whether the client has read almost nothing since the last time."""
        before, self._unsent = self._unsent, self.transport.get_write_buffer_size()
        caught_up, self._caught_up = self._caught_up, False
        return before > 0 and not caught_up and self._unsent > max(0, before - _SLOWEST * self._patience)
