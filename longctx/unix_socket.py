"""HTTP over a Unix socket."""

from __future__ import annotations

import http.client
import socket
from pathlib import Path


class UnixConnection(http.client.HTTPConnection):
    """A connection to a server that listens on a Unix socket.

    Args:
        path: The socket.
        seconds_to_connect: How long connecting may take; None is for ever.
    """

    def __init__(self, path: Path, seconds_to_connect: float | None = None) -> None:
        super().__init__("localhost")
        self._path, self._seconds = path, seconds_to_connect

    def connect(self) -> None:
        """Connect. Raises OSError if nobody listens there."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self._seconds)
        self.sock.connect(str(self._path))
        self.sock.settimeout(None)
