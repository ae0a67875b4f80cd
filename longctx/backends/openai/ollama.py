"""The chat requests of Ollama's own protocol, and what a piece of its answers says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from longctx.backends.openai.chat import Delta, content_of, finish_of, likeliest_of, no_completion, whole
from longctx.backends.openai.client import Connection
from longctx.backends.openai.context_errors import Rejected
from longctx.engine import GenerationOptions
from longctx.errors import BadRequest, ServerFailed
from longctx.types import ThinkingMode

_LEAST_CONTEXT = 4096  # Ollama's own default


@dataclass
class OllamaChat:
    """Requests and answers of Ollama's own protocol, which takes a context length with each request.

    Ollama's OpenAI protocol does not, and cuts what is longer than 4,096 tokens, or what it was set to, without a word.

    Attributes:
        server: The connection.
        model: The model's name there.
        window: The model's context length in tokens.
        context: The context length that it is loaded with, or set to, in tokens.
        capabilities: What Ollama says that the model can do.
        family: Its architecture.
    """

    server: Connection
    model: str
    window: int | None = None
    context: int = _LEAST_CONTEXT
    capabilities: tuple[str, ...] = ()
    family: str = ""

    @classmethod
    def find(cls, server: Connection, model: str) -> OllamaChat:
        """Look up a model. Raises ServerFailed, with the command that fetches a missing model."""
        root = server.address.root
        try:
            shown = server.post(f"{root}/api/show", {"model": model})
        except Rejected as error:
            if error.status != 404:
                raise
            raise ServerFailed(f"Ollama at {root} has no model {model!r}: run `ollama pull {model}`") from error
        shown = shown if isinstance(shown, dict) else {}
        info = shown.get("model_info")
        info = info if isinstance(info, dict) else {}
        family = str(info.get("general.architecture") or "")
        stated = info.get(f"{family}.context_length")
        stated = stated or next((value for name, value in info.items() if name.endswith(".context_length")), None)
        set_to = next(
            (
                whole(words[1])
                for line in str(shown.get("parameters") or "").splitlines()
                if len(words := line.split()) == 2 and words[0] == "num_ctx"
            ),
            None,
        )
        capabilities = shown.get("capabilities")
        can = tuple(map(str, capabilities)) if isinstance(capabilities, list) else ()
        return cls(server, model, whole(stated), max(set_to or 0, _LEAST_CONTEXT), can, family)

    @property
    def url(self) -> str:
        """Where requests go."""
        return f"{self.server.address.root}/api/chat"

    @property
    def thinks(self) -> bool:
        """Whether the model thinks before it answers."""
        return "thinking" in self.capabilities

    def body(
        self, messages: Sequence[Mapping[str, str]], options: GenerationOptions, thinking: ThinkingMode, need: int
    ) -> dict[str, Any]:
        """A request; see `OpenAIChat.body`. The context length is the one in use where the prompt fits it."""
        if thinking == "on" and self.capabilities and not self.thinks:
            raise BadRequest(f"thinking is 'on', and {self.model} does not think: leave --thinking out")
        while self.context < need:  # by doubling, since Ollama loads the model anew for another context length
            self.context *= 2
        context = self.context if self.window is None else min(self.context, self.window)
        chosen = {
            "num_ctx": context,
            "num_predict": options.new_tokens,
            "temperature": options.temperature,
            "top_p": options.top_p,
            "top_k": options.top_k or None,
            "seed": options.seed,
            "stop": list(options.stop) or None,
            "repeat_penalty": options.repetition_penalty,
        }
        body: dict[str, Any] = {
            "model": self.model,
            "messages": list(messages),
            "options": {key: value for key, value in chosen.items() if value is not None},
            "truncate": False,  # an error, where the prompt is too long after all
            "shift": False,
        }
        if options.top_logprobs:  # Ollama before 0.12.11 ignores them
            body |= {"logprobs": True, "top_logprobs": options.top_logprobs}
        if self.thinks and thinking != "auto":
            levels = ("low", "medium") if self.family == "gptoss" else (False, True)
            body["think"] = levels[thinking == "on"]
        return body

    def adapts(self, error: Rejected) -> bool:
        """Whether an error is about thinking, and the request is made without from now on."""
        if error.status == 400 and "think" in error.said and self.thinks:
            self.capabilities = tuple(each for each in self.capabilities if each != "thinking")
            return True
        return False

    def delta(self, event: Any) -> Delta:
        """What an event says. Raises TypeError for what is none."""
        if event is None:
            return Delta()
        if not isinstance(event, dict) or not ("message" in event or "done" in event):
            no_completion()
        message = event.get("message")
        message = message if isinstance(message, dict) else {}
        finish = finish_of(event.get("done_reason") or "stop", self.url) if event.get("done") is True else None
        counts = whole(event.get("prompt_eval_count")), whole(event.get("eval_count"))
        text, thought = content_of(message.get("content"))[0], content_of(message.get("thinking"))[0]
        return Delta(text, thought, finish, *counts, top_logprobs=likeliest_of(event.get("logprobs")))

    def prompt_tokens(self, messages: Sequence[Mapping[str, str]]) -> int | None:
        """Have the server read a prompt; see `OpenAIChat.prompt_tokens`."""
        body = self.body(messages, GenerationOptions(1), "off" if self.thinks else "auto", 0)
        return self.delta(self.server.post(self.url, {**body, "stream": False})).prompt_tokens
