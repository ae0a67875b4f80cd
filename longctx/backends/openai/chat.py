"""The chat requests of servers, and what a piece of their answers says: OpenAI's protocol, and Ollama's own.

What comes from a server is taken as far as it makes sense: fields may be missing, null, or of another type.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from longctx.backends.openai.client import Connection
from longctx.backends.openai.context_errors import Rejected
from longctx.engine import GenerationOptions
from longctx.errors import BadRequest, ServerFailed
from longctx.types import ThinkingMode

Finish = Literal["end", "length"]

_CUT = re.compile(r"(?i)length|max.*tokens?|token_limit|context|truncat|incomplete|^limit$")
_FAILED = re.compile(r"(?i)^(?:error|abort(?:ed)?|cancel+ed|failed|insufficient_\w+)$")
_THOUGHTS = ("reasoning_content", "reasoning", "thinking", "reasoning_details", "reasoning_text", "thoughts", "thought")
_DEFAULTS = ("temperature", "stream_options")  # fields that some servers do not take
_LEAST_CONTEXT = 4096  # Ollama's own default


class Delta(NamedTuple):
    """What one event of an answer says.

    Attributes:
        text: More of the answer.
        thought: More of what the model thinks.
        finish: Why the answer has ended, if it has.
        prompt_tokens: Tokens of the prompt; None where it does not say.
        completion_tokens: Tokens of the answer.
        reused_tokens: How many of the prompt's were in the server's prefix cache.
    """

    text: str = ""
    thought: str = ""
    finish: Finish | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    reused_tokens: int | None = None


@dataclass
class OpenAIChat:
    """Requests and answers of OpenAI's protocol.

    Attributes:
        server: The connection.
        model: The model's name there.
    """

    server: Connection
    model: str
    _switch: int = field(default=0, init=False)  # which of the ways to turn thinking on and off the server takes
    _limit: str = field(default="max_tokens", init=False)  # what it calls the longest answer
    _left_out: set[str] = field(default_factory=set, init=False)  # defaults that it does not want to be told

    @property
    def url(self) -> str:
        """Where requests go."""
        return f"{self.server.address.url}/chat/completions"

    def body(
        self, messages: Sequence[Mapping[str, str]], options: GenerationOptions, thinking: ThinkingMode, need: int
    ) -> dict[str, Any]:
        """A request.

        Args:
            messages: In OpenAI's form.
            options: Sampling, the longest answer, and stop strings.
            thinking: Whether the model is to think.
            need: Tokens of prompt and answer, as far as they are known.

        Returns:
            Its fields.
        """
        penalty = options.repetition_penalty if options.repetition_penalty != 1 else None
        body = {
            "model": self.model,
            "messages": list(messages),
            self._limit: options.new_tokens,
            "temperature": options.temperature,
            "top_p": options.top_p if options.top_p != 1 else None,
            "seed": options.seed,
            "stop": list(options.stop) or None,
            # the others are not OpenAI's; the last is what llama.cpp calls the one before
            "top_k": options.top_k or None,
            "repetition_penalty": penalty,
            "repeat_penalty": penalty,
            "stream_options": {"include_usage": True},
        }
        if thinking != "auto":
            body |= _SWITCHES[self._switch][thinking == "on"]
        left_out = {name for name in self._left_out if name != "temperature" or not options.temperature}
        return {key: value for key, value in body.items() if value is not None and key not in left_out}

    def adapts(self, error: Rejected) -> bool:
        """Whether an error is about a field of the request that can be written in another way, and is from now on."""
        if error.status not in (400, 422):
            return False
        if "max_completion_tokens" in error.said and self._limit == "max_tokens":  # OpenAI's newer models
            self._limit = "max_completion_tokens"
            return True
        unwanted = next((name for name in _DEFAULTS if name in error.said and name not in self._left_out), None)
        if unwanted is not None:
            self._left_out.add(unwanted)
            return True
        if not any(name in error.said for name in _SWITCHES[self._switch][True]):
            return False
        if self._switch + 1 == len(_SWITCHES):
            raise BadRequest(f"{self.server.address.url} has no switch for thinking: leave --thinking out") from error
        self._switch += 1
        return True

    def delta(self, event: Any) -> Delta:
        """What an event says. Raises TypeError for what is none."""
        if event is None:
            return Delta()
        usage = event.get("usage") if isinstance(event, dict) else _no_completion()
        usage = usage if isinstance(usage, dict) else {}
        details = usage.get("prompt_tokens_details")
        reused = details.get("cached_tokens") if isinstance(details, dict) else None
        counts = whole(usage.get("prompt_tokens")), whole(usage.get("completion_tokens")), whole(reused)
        choices = event.get("choices")
        if not choices:
            return Delta("", "", None, *counts)
        choice = choices[0] if isinstance(choices, list) else _no_completion()
        if choice is None or (isinstance(choice, dict) and choice.get("index") not in (0, None)):
            return Delta("", "", None, *counts)
        said = choice if isinstance(choice, dict) else _no_completion()
        said = said.get("delta") or said.get("message") or {"content": said.get("text")}
        if not isinstance(said, dict):
            _no_completion()
        text, thought = _content(said.get("content"))
        thought += next((value for name in _THOUGHTS if (value := "".join(_content(said.get(name))))), "")
        finish = _finish(choice.get("finish_reason"), self.url)
        return Delta(text or _content(said.get("refusal"))[0], thought, finish, *counts)

    def prompt_tokens(self, messages: Sequence[Mapping[str, str]]) -> int | None:
        """Have the server read a prompt, for an answer of one token; returns how many tokens it was, if it says so."""
        request = {"model": self.model, "messages": messages, "max_tokens": 1, "temperature": 0.0}
        return self.delta(self.server.chat(request)).prompt_tokens


# how thinking is turned (off, on), in the order in which it is tried
_SWITCHES: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
    (  # variables of the chat template: vLLM, SGLang, llama.cpp's server
        {"chat_template_kwargs": {"enable_thinking": False, "thinking": False}},
        {"chat_template_kwargs": {"enable_thinking": True, "thinking": True}},
    ),
    ({"reasoning_effort": "none"}, {"reasoning_effort": "medium"}),
    ({"reasoning_effort": "low"}, {"reasoning_effort": "medium"}),
)


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
        """Look a model up. Raises ServerFailed, with the command that fetches a model that is not there."""
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
            _no_completion()
        message = event.get("message")
        message = message if isinstance(message, dict) else {}
        finish = _finish(event.get("done_reason") or "stop", self.url) if event.get("done") is True else None
        counts = whole(event.get("prompt_eval_count")), whole(event.get("eval_count"))
        return Delta(_content(message.get("content"))[0], _content(message.get("thinking"))[0], finish, *counts)

    def prompt_tokens(self, messages: Sequence[Mapping[str, str]]) -> int | None:
        """Have the server read a prompt; see `OpenAIChat.prompt_tokens`."""
        body = self.body(messages, GenerationOptions(1), "off" if self.thinks else "auto", 0)
        return self.delta(self.server.post(self.url, {**body, "stream": False})).prompt_tokens


def whole(value: Any) -> int | None:
    """A number of tokens that a server states; None for what is no number above 0."""
    try:
        number = None if isinstance(value, bool) or value is None else int(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if number is not None and 0 < number < 1 << 40 else None


def _finish(reason: Any, url: str) -> Finish | None:
    """Why an answer has ended; None if it has not. Raises ServerFailed if the server could not finish it."""
    if not reason:
        return None
    if _FAILED.search(str(reason)):
        raise ServerFailed(f"{url} ended its answer with {str(reason)!r}: see what its log says, and ask again")
    return "length" if _CUT.search(str(reason)) else "end"


def _content(value: Any) -> tuple[str, str]:
    """Text, and thoughts, in the content of a message: a string, or a list of parts."""
    if isinstance(value, str):
        return value, ""
    text = thought = ""
    for part in value if isinstance(value, list) else [value] if isinstance(value, dict) else []:
        if isinstance(part, str | list):
            inner_text, inner_thought = _content(part)
            text, thought = text + inner_text, thought + inner_thought
        elif isinstance(part, dict):
            inner = next((_content(part[name])[0] for name in ("text", "thinking", "content") if part.get(name)), "")
            if "think" in str(part.get("type")) or "reason" in str(part.get("type")):
                thought += inner
            else:
                text += inner
    return text, thought


def _no_completion() -> Any:
    raise TypeError("no chat completion")
