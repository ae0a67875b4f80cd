"""What the servers of the tests have in common: they listen on loopback, send JSON and events, and run in a thread."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class LoopbackServer(ThreadingHTTPServer):
    """A server on a free port; `address` is what longctx takes as a model."""

    daemon_threads = True

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)

    @property
    def address(self) -> str:
        return f"openai:http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # a client that has gone
            super().handle_error(request, client_address)


class JsonHandler(BaseHTTPRequestHandler):
    """Gives `answer` the body of a request, which is None for GET."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # as servers do: without it, each answer comes 40 ms later

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        self.answer(None)

    def do_POST(self) -> None:
        self.answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def answer(self, body: Any) -> None:
        raise NotImplementedError

    def begin_events(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def event(self, data: Any) -> None:
        self.chunk(f"data: {json.dumps(data)}\n\n")

    def end_events(self) -> None:
        self.chunk("data: [DONE]\n\n")
        self.chunk("")

    def chunk(self, text: str) -> None:
        self.wfile.write(f"{len(text.encode()):x}\r\n{text}\r\n".encode())


def send_json(handler: BaseHTTPRequestHandler, value: Any, status: int = 200) -> None:
    """Answer a request with a value as JSON."""
    send_text(handler, json.dumps(value), status)


def send_text(handler: BaseHTTPRequestHandler, text: str, status: int = 200) -> None:
    """Answer a request with a text under the name of JSON."""
    data = text.encode()
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(data)))
    handler.send_header("retry-after-ms", "1")
    handler.end_headers()
    handler.wfile.write(data)


@contextmanager
def running(server: LoopbackServer) -> Iterator[None]:
    """Serve in a thread, and end it on the way out."""
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
