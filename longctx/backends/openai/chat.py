"""The chat requests of OpenAI's protocol, and what a piece of a server's answers says.

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
_THOUGHTS = (
    *("reasoning_content", "reasoning", "thinking", "reasoning_details", "thinking_blocks", "reasoning_text"),
    *("thoughts", "thought"),
)
_TEXTS = ("text", "thinking", "content", "summary", "value")  # where a part has its text
_DEFAULTS = ("temperature", "stream_options", "logprobs")  # fields that some servers do not take
_MOST_LOGPROBS = 5  # more than that some servers refuse


class Delta(NamedTuple):
    """What one event of an answer says.

    Attributes:
        text: More of the answer.
        thought: More of what the model thinks.
        finish: Why the answer has ended, if it has.
        prompt_tokens: Tokens of the prompt; None where it does not say.
        completion_tokens: Tokens of the answer.
        reused_tokens: How many of the prompt's were in the server's prefix cache.
        top_logprobs: The likeliest tokens in the place of its first one, with the logarithms of their probabilities.
    """

    text: str = ""
    thought: str = ""
    finish: Finish | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    reused_tokens: int | None = None
    top_logprobs: Mapping[str, float] | None = None


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
    _asks_logprobs: bool = field(default=False, init=False)  # in the last request
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
        asks = self._asks_logprobs = options.top_logprobs > 0 and "logprobs" not in self._left_out
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
            "logprobs": asks or None,
            "top_logprobs": min(options.top_logprobs, _MOST_LOGPROBS) if asks else None,
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
            if self._asks_logprobs:  # not every server names what it refuses
                self._left_out.add("logprobs")
            return self._asks_logprobs
        if self._switch + 1 == len(_SWITCHES):
            raise BadRequest(f"{self.server.address.url} has no switch for thinking: leave --thinking out") from error
        self._switch += 1
        return True

    def delta(self, event: Any) -> Delta:
        """What an event says. Raises TypeError for what is none."""
        if event is None:
            return Delta()
        usage = event.get("usage") if isinstance(event, dict) else no_completion()
        usage = usage if isinstance(usage, dict) else {}
        details = usage.get("prompt_tokens_details")
        reused = details.get("cached_tokens") if isinstance(details, dict) else None
        counts = whole(usage.get("prompt_tokens")), whole(usage.get("completion_tokens")), whole(reused)
        choices = event.get("choices")
        if not choices:
            return Delta("", "", None, *counts)
        choice = choices[0] if isinstance(choices, list) else no_completion()
        if choice is None or (isinstance(choice, dict) and choice.get("index") not in (0, "0", None)):
            return Delta("", "", None, *counts)
        said = choice if isinstance(choice, dict) else no_completion()
        said = said.get("delta") or said.get("message") or {"content": said.get("text")}
        if not isinstance(said, dict):
            no_completion()
        text, thought = content_of(said.get("content"))
        thought += next((value for name in _THOUGHTS if (value := "".join(content_of(said.get(name))))), "")
        finish = finish_of(choice.get("finish_reason"), self.url)
        told = choice.get("logprobs")
        logprobs = likeliest_of(told.get("content") if isinstance(told, dict) else None)
        return Delta(text or content_of(said.get("refusal"))[0], thought, finish, *counts, logprobs)

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


def whole(value: Any) -> int | None:
    """A number of tokens that a server states; None for what is no number above 0."""
    try:
        number = None if isinstance(value, bool) or value is None else int(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if number is not None and 0 < number < 1 << 40 else None


def finish_of(reason: Any, url: str) -> Finish | None:
    """Why an answer has ended; None if it has not. Raises ServerFailed if the server could not finish it."""
    if not reason:
        return None
    if _FAILED.search(str(reason)):
        raise ServerFailed(f"{url} ended its answer with {str(reason)!r}: see what its log says, and ask again")
    return "length" if _CUT.search(str(reason)) else "end"


def content_of(value: Any) -> tuple[str, str]:
    """Text, and thoughts, in the content of a message: a string, or a list of parts."""
    if isinstance(value, str):
        return value, ""
    text = thought = ""
    for part in value if isinstance(value, list) else [value] if isinstance(value, dict) else []:
        if isinstance(part, str | list):
            inner_text, inner_thought = content_of(part)
            text, thought = text + inner_text, thought + inner_thought
        elif isinstance(part, dict):
            inner = next((content_of(part[name])[0] for name in _TEXTS if part.get(name)), "")
            if "think" in str(part.get("type")) or "reason" in str(part.get("type")):
                thought += inner
            else:
                text += inner
    return text, thought


def likeliest_of(tokens: Any) -> dict[str, float] | None:
    """The likeliest tokens in the first of a list of places, with their log probabilities; None where none are told."""
    first = tokens[0] if isinstance(tokens, list) and tokens else None
    told = first.get("top_logprobs") if isinstance(first, dict) else None
    found: dict[str, float] = {}
    for each in told if isinstance(told, list) else ():
        token, logprob = (each.get("token"), each.get("logprob")) if isinstance(each, dict) else (None, None)
        if isinstance(token, str) and isinstance(logprob, int | float) and logprob <= 0:
            found.setdefault(token, float(logprob))
    return found or None


def no_completion() -> Any:
    """Raise TypeError: what came is no chat completion."""
    raise TypeError("no chat completion")
