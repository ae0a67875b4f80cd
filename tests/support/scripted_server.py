"""A server that speaks OpenAI's protocol and answers by a script: a function from the last message to the answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

from loopback_server import LoopbackServer, running, send_json

Script = Callable[[str], str]


class ScriptedServer(LoopbackServer):
    """Listens on loopback; `asked` are the prompts that it answered, `window` is what it says to take."""

    def __init__(self, script: Script, window: int) -> None:
        super().__init__(_Handler)
        self.script = script
        self.window = window
        self.asked: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    server: ScriptedServer

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        if self.path != "/v1/models":
            send_json(self, {"error": {"message": "Not Found"}}, 404)
        else:
            send_json(self, {"data": [{"id": "scripted", "meta": {"n_ctx": self.server.window}}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != "/v1/chat/completions":
            send_json(self, {"error": {"message": "Not Found"}}, 404)
            return
        prompt = "\n".join(message["content"] for message in body["messages"])
        try:
            answer = self.server.script(prompt)
        except ConnectionError:  # the script takes the server away
            send_json(self, {"error": {"message": "gone"}}, 500)
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


@contextmanager
def scripted_server(script: Script, window: int = 8192) -> Iterator[ScriptedServer]:
    """Start the server, and end it on the way out."""
    server = ScriptedServer(script, window)
    with running(server):
        yield server
