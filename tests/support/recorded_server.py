"""A server that answers with what real servers were recorded or documented to send, byte for byte."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from loopback_server import JsonHandler, LoopbackServer, running, send_json

Reply = Callable[[Any, Any], None]  # (handler, body of the request)


class RecordedServer(LoopbackServer):
    """Replies by method and path; `asked` are the requests as (path, body, headers)."""

    def __init__(self, replies: dict[str, Any]) -> None:
        super().__init__(_Handler)
        self.replies = replies
        self.asked: list[tuple[str, Any, Any]] = []

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def bodies(self, path: str) -> list[Any]:
        return [body for asked, body, _ in self.asked if asked == path]


class _Handler(JsonHandler):
    protocol_version = "HTTP/1.0"
    server: RecordedServer

    def answer(self, body: Any) -> None:
        self.server.asked.append((self.path, body, self.headers))
        reply = self.server.replies.get(f"{self.command} {self.path}", (404, {"error": "Not Found"}))
        if isinstance(reply, list):  # one after another
            reply = reply.pop(0) if len(reply) > 1 else reply[0]
        if callable(reply):
            reply(self, body)
        elif isinstance(reply, tuple):
            send_json(self, reply[1], reply[0])
        else:
            send_json(self, reply)


def raw(text: str | bytes, kind: str = "text/event-stream", status: int = 200, **headers: str) -> Reply:
    """A reply of these bytes, which ends with the connection."""

    def send(handler: Any, _: Any) -> None:
        data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(data)

    return send


def events(*values: Any, done: bool = True) -> Reply:
    """Server-sent events; strings are sent as they are."""
    lines = [value if isinstance(value, str) else f"data: {json.dumps(value)}" for value in values]
    return raw("".join(f"{line}\n\n" for line in [*lines, *(["data: [DONE]"] if done else [])]))


def said(text: Any, **more: Any) -> dict[str, Any]:
    """A chunk of an answer in OpenAI's protocol."""
    return {"choices": [{"index": 0, "delta": {"content": text, **more}, "finish_reason": None}]}


def ended(reason: str = "stop") -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}


@contextmanager
def recorded_server(replies: dict[str, Any]) -> Iterator[RecordedServer]:
    """Start the server, and end it on the way out."""
    server = RecordedServer(replies)
    with running(server):
        yield server
