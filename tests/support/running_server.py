"""A longctx server in a thread, on a free port of loopback, as `longctx serve` runs it in a process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from longctx import Engine, LoadedModel
from longctx.server import Library, Model, Server, ServerOptions


@dataclass
class Running:
    """A server that is running; `http` is a client of it."""

    url: str
    http: httpx.Client
    library: Library
    server: Server
    thread: threading.Thread

    def job(self, identifier: str, index: str = "index") -> dict[str, Any]:
        """A job, when it is over."""
        path = f"/api/v1/indexes/{index}/jobs/{identifier}"
        until(lambda: self.http.get(path).json()["state"] in ("done", "failed", "cancelled"))
        return self.http.get(path).json()


def until(holds: Any, seconds: float = 60, tell: Any = str) -> None:
    """Wait until something holds; if it never does, `tell` says how things are."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"it never came to hold: {tell()}"
        time.sleep(0.02)


@contextmanager
def running(*paths: Path, model: LoadedModel | None = None, **options: Any) -> Iterator[Running]:
    """Serve indexes, and end as on SIGTERM."""
    given = ServerOptions(**{"port": 0} | options)
    engine = None if model is None else Engine(model, prefix_bytes=1 << 24)
    server = Server([*paths], Model(engine), given)
    thread = threading.Thread(target=server.run)
    thread.start()
    until(lambda: server.started or not thread.is_alive())
    assert thread.is_alive(), "the server did not start"
    token = next(iter((*given.tokens, *given.read_tokens)), "")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with httpx.Client(base_url=server.address, headers=headers, timeout=60) as http:
            yield Running(server.address, http, server.library, server, thread)
    finally:
        server.end()
        thread.join(60)
        assert not thread.is_alive()
