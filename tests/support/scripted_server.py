"""A server that speaks OpenAI's protocol and answers by a script: a function from the last message to the answer."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Script = Callable[[str], str]


class ScriptedServer(ThreadingHTTPServer):
    """Listens on loopback; `asked` are the prompts that it answered, `window` is what it says to take."""

    daemon_threads = True

    def __init__(self, script: Script, window: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script = script
        self.window = window
        self.asked: list[str] = []

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # a client that has gone
            super().handle_error(request, client_address)

    @property
    def address(self) -> str:
        return f"openai:http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: ScriptedServer

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        if self.path != "/v1/models":
            self._send(404, {"error": {"message": "Not Found"}})
        else:
            self._send(200, {"data": [{"id": "scripted", "meta": {"n_ctx": self.server.window}}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != "/v1/chat/completions":
            self._send(404, {"error": {"message": "Not Found"}})
            return
        prompt = "\n".join(message["content"] for message in body["messages"])
        try:
            answer = self.server.script(prompt)
        except ConnectionError:  # the script takes the server away
            self._send(500, {"error": {"message": "gone"}})
            return
        self.server.asked.append(prompt)
        usage = {"prompt_tokens": len(prompt) // 4, "completion_tokens": len(answer) // 4}
        events: list[Any] = [
            {"choices": [{"delta": {"content": answer}, "finish_reason": None}]},
            {"choices": [{"delta": {}, "finish_reason": "stop"}]},
            {"choices": [], "usage": usage},
        ]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for event in events:
            self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")

    def _send(self, status: int, value: Any) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("retry-after-ms", "1")
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def scripted_server(script: Script, window: int = 8192) -> Iterator[ScriptedServer]:
    """Start the server, and end it on the way out."""
    with ScriptedServer(script, window) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
