"""A deadline for every byte from and to a server."""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx2


class Clock(threading.local):
    """The deadline of each thread's request."""

    deadline = math.inf

    def left(self, timeout: float | None) -> float | None:
        """Seconds until the deadline, or the timeout if that is less; None for no limit. Raises ReadTimeout."""
        import httpcore2

        left = self.deadline - time.monotonic()
        if left <= 0:
            raise httpcore2.ReadTimeout("the reply took too long")
        return timeout if left == math.inf else left if timeout is None else min(left, timeout)


def watch(client: httpx2.Client, clock: Clock) -> None:
    """Have every byte from and to the server keep to the clock, those of headers too.

    A timeout of httpx2 holds for one read. A server that sends a byte now and then would never meet it.
    """
    import httpcore2

    class Stream(httpcore2.NetworkStream):
        def __init__(self, stream: httpcore2.NetworkStream) -> None:
            self._stream = stream

        def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
            return self._stream.read(max_bytes, clock.left(timeout))

        def write(self, buffer: bytes, timeout: float | None = None) -> None:
            self._stream.write(buffer, clock.left(timeout))

        def close(self) -> None:
            self._stream.close()

        def start_tls(self, *args: Any, **kwargs: Any) -> httpcore2.NetworkStream:
            return Stream(self._stream.start_tls(*args, **kwargs))

        def get_extra_info(self, info: str) -> Any:
            return self._stream.get_extra_info(info)

    class Backend(httpcore2.SyncBackend):
        def connect_tcp(self, *args: Any, **kwargs: Any) -> httpcore2.NetworkStream:
            return Stream(super().connect_tcp(*args, **kwargs))

    for transport in (client._transport, *client._mounts.values()):
        if transport is not None:  # httpx2 offers no other way to the pool; a test sees if it is renamed
            transport._pool._network_backend = Backend()  # type: ignore[attr-defined]
