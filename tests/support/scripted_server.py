"""A server that speaks OpenAI's protocol and answers by a script: a function from the last message to the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from loopback_server import JsonHandler, LoopbackServer, running, send_json

Script = Callable[[str], str]


class ScriptedServer(LoopbackServer):
    """Listens on loopback; `asked` are the prompts that it answered, `window` is what it says to take."""

    def __init__(self, script: Script, window: int) -> None:
        super().__init__(_Handler)
        self.script = script
        self.window = window
        self.asked: list[str] = []


class _Handler(JsonHandler):
    server: ScriptedServer

    def answer(self, body: Any) -> None:
        if self.path == "/v1/models":
            send_json(self, {"data": [{"id": "scripted", "meta": {"n_ctx": self.server.window}}]})
        elif self.path == "/v1/chat/completions":
            self.chat(body)
        else:
            send_json(self, {"error": {"message": "Not Found"}}, 404)

    def chat(self, body: Any) -> None:
        prompt = "\n".join(message["content"] for message in body["messages"])
        try:
            answer = self.server.script(prompt)
        except ConnectionError:  # the script takes the server away
            send_json(self, {"error": {"message": "gone"}}, 500)
            return
        self.server.asked.append(prompt)
        usage = {"prompt_tokens": len(prompt) // 4, "completion_tokens": len(answer) // 4}
        self.begin_events()
        self.event({"choices": [{"delta": {"content": answer}, "finish_reason": None}]})
        self.event({"choices": [{"delta": {}, "finish_reason": "stop"}]})
        self.event({"choices": [], "usage": usage})
        self.end_events()


@contextmanager
def scripted_server(script: Script, window: int = 8192) -> Iterator[ScriptedServer]:
    """Start the server, and end it on the way out."""
    server = ScriptedServer(script, window)
    with running(server):
        yield server
