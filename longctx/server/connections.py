"""Connections that are given up when their client stands still, and of which there are not too many.

uvicorn bounds the time between two requests, and nothing else: a head or a body may come a byte a minute, a client need
never read, and connections that say nothing take file descriptors until none are left.
"""

from __future__ import annotations

import asyncio
import resource
import socket
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

BACKLOG = 64  # connections that are accepted before the first of them can be given up
_SLOWEST = 1000  # bytes a second of a body or a response
_UNSENT = 1 << 14  # bytes in the kernel: with more, what a slow client reads is seen in steps of a megabyte


class BoundedConnection(H11Protocol):
    """A connection over HTTP/1.1 that is closed when its client sends or reads too slowly, or others need its place.

    Args:
        patience: The seconds in which a head arrives. A body has these, and a second for each 1,000 bytes; so has what
            a client has yet to read.
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
        transport.set_write_buffer_limits(high=0)  # nothing is added to what the client has not read
        if (made := transport.get_extra_info("socket")).family != socket.AF_UNIX:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT)
        self._await_request()
        self._checking = self.loop.call_later(self._patience, self._check)
        if len(self.connections) > self._most:
            there = (each for each in self.connections if isinstance(each, BoundedConnection))
            waiting = (each for each in there if not each.is_answering)  # this one at least
            min(waiting, key=lambda each: each.since).give_up()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop looking at the client."""
        self._checking.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what the client sends."""
        self._received += len(data)
        super().data_received(data)

    def pause_writing(self) -> None:
        """Note what the client has yet to read."""
        self._unread_since, self._unread = self.loop.time(), self.transport.get_write_buffer_size()
        super().pause_writing()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self._await_request()
        super().on_response_complete()

    @property
    def is_answering(self) -> bool:
        """Whether a request has begun that has no whole response yet."""
        return self.cycle is not None and not self.cycle.response_complete

    def give_up(self) -> None:
        """Close the connection at once."""
        self.connections.discard(self)
        self.transport.abort()

    def _await_request(self) -> None:
        self.since, self._received = self.loop.time(), 0

    def _check(self) -> None:
        if self._is_late():
            self.give_up()
        else:
            self._checking = self.loop.call_later(self._patience, self._check)

    def _is_late(self) -> bool:
        """Whether the client should have sent or read more by now."""
        if unread := self.transport.get_write_buffer_size():
            since, moved = self._unread_since, self._unread - unread
        elif not self.is_answering:
            since, moved = self.since, 0  # what is left of a body is of no use
        elif self.conn.their_state is h11.SEND_BODY:
            since, moved = self.since, self._received
        else:
            return False
        return self.loop.time() - since >= self._patience + moved / _SLOWEST
