"""A server with OpenAI's protocol whose replies follow what it is sent: it reads passages and notes as a model would."""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from loopback_server import JsonHandler, LoopbackServer, running, send_json

PASSAGE = re.compile(r"^\[(\d+)\]\n(.*?)(?=^\[\d+\]\n|^</document>)", re.MULTILINE | re.DOTALL)
TOKEN = re.compile(r"\w+|[^\w\s]")
EACH_MESSAGE = 4


def tokens(text: str) -> int:
    return len(TOKEN.findall(text))


@dataclass
class Asked:
    """A prompt: a part with its passages by number, or notes as lines, and what was asked about them."""

    text: str
    new_tokens: int
    passages: dict[int, str]
    notes: list[str]

    @property
    def is_last(self) -> bool:
        return "from them and from nothing else" in self.text or "メモだけをもとに" in self.text

    @property
    def stage(self) -> str:
        if any(
            said in self.text for said in ("yes or no", "Reply yes only", "「はい」か「いいえ」", "「いいえ」と答え")
        ):
            return "confirm"
        return "part" if self.passages else "last" if self.is_last else "merge"


Script = Callable[[Asked], str | float]
"""A reply, or the log-odds of yes over no, of which the reply and the probability of its first token are made."""


def parsed(text: str, new_tokens: int) -> Asked:
    label, _, rest = text.partition("\n")
    passages = (
        {int(n): passage.strip() for n, passage in PASSAGE.findall(rest)} if label.startswith(("Pass", "資料")) else {}
    )
    above = re.split(r"^(?:Above (?:are|is)|Question:|上は|質問：)", rest, maxsplit=1, flags=re.MULTILINE)[0]
    return Asked(text, new_tokens, passages, [] if passages else above.strip().splitlines())


def noting(find: Callable[[str], Iterable[str]]) -> Callable[[Asked], str]:
    """Notes on a part: what `find` sees in each passage, with the passage's mark."""

    def take(asked: Asked) -> str:
        lines = [f"- {item} [{n}]" for n, passage in asked.passages.items() for item in find(passage)]
        return "\n".join(lines) or "NONE"

    return take


@dataclass
class State:
    window: int
    says: int
    script: dict[str, Script]
    asked: list[Asked] = field(default_factory=list)
    fails_at: int = 0
    waits_at: int = 0
    waiting: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)

    def at(self, stage: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.stage == stage]


class ScriptedServer(LoopbackServer):
    def __init__(self) -> None:
        super().__init__(Handler)
        self.state = State(0, 0, {})

    def play(
        self,
        window: int,
        part: Script,
        last: Script = lambda asked: " ".join(asked.notes),
        merge: Script = lambda asked: "NONE",
        confirm: Script = lambda asked: "Yes",
        says: int = 0,
    ) -> State:
        """Begin a new play with a window of so many tokens; the server may say that it has another."""
        self.state = State(window, says or window, {"part": part, "last": last, "merge": merge, "confirm": confirm})
        return self.state


class Handler(JsonHandler):
    server: ScriptedServer

    def answer(self, body: Any) -> None:
        if self.path == "/v1/models":
            send_json(self, {"data": [{"id": "scripted", "max_model_len": self.server.state.says}]})
        elif self.path == "/tokenize" and ("messages" in body or "prompt" in body):
            messages = body.get("messages", [])
            count = tokens(body.get("prompt", "")) + sum(tokens(m["content"]) + EACH_MESSAGE for m in messages)
            send_json(self, {"count": count})
        elif self.path == "/v1/chat/completions":
            self.chat(body)
        else:
            send_json(self, {"error": {"message": "Not Found"}}, 404)

    def chat(self, body: Any) -> None:
        state = self.server.state
        asked = parsed(body["messages"][-1]["content"], body["max_tokens"])
        used = sum(tokens(m["content"]) + EACH_MESSAGE for m in body["messages"])
        if used + body["max_tokens"] > state.window:
            limit = (
                f"maximum context length is {state.window} tokens. However, you requested {used + body['max_tokens']}"
            )
            return send_json(self, {"error": {"message": f"This model's {limit} tokens"}}, 400)
        state.asked.append(asked)
        parts_read = len(state.at("part")) if asked.stage == "part" else 0
        if parts_read and parts_read == state.fails_at:
            return send_json(self, {"error": {"message": "out of memory"}}, 500)
        if parts_read and parts_read == state.waits_at:
            state.waiting.set()
            state.go_on.wait()
        reply, told = state.script[asked.stage](asked), {}
        if not isinstance(reply, str):
            if body.get("logprobs"):
                yes = -math.log1p(math.exp(-reply))
                told = {"Yes": yes, " no": yes - reply}
            reply = "Yes" if reply > 0 else " no"
        words = re.findall(r"\S+\s*|\s+", reply)
        cut = len(words) > body["max_tokens"]
        self.stream("".join(words[: body["max_tokens"]]), "length" if cut else "stop", used, told)
        return None

    def stream(self, text: str, finish: str, used: int, told: Mapping[str, float]) -> None:
        self.begin_events()
        likeliest = [{"token": token, "logprob": logprob} for token, logprob in told.items()]
        logprobs = {"content": [{**likeliest[0], "top_logprobs": likeliest}]} if likeliest else None
        for piece in re.findall(r".{1,7}", text, re.DOTALL):
            self.event({"choices": [{"delta": {"content": piece}, "finish_reason": None, "logprobs": logprobs}]})
        self.event({"choices": [{"delta": {}, "finish_reason": finish}]})
        self.event({"choices": [], "usage": {"prompt_tokens": used, "completion_tokens": tokens(text)}})
        self.end_events()


@contextmanager
def serving() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    with running(server):
        try:
            yield server
        finally:
            server.state.go_on.set()
