"""The bodies of OpenAI's protocol, as far as longctx serves it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from longctx.errors import BadRequest
from longctx.server.schemas import AskFields
from longctx.types import Message

# What clients send along and what changes nothing here: about billing, caches and who they are; tools that a model may
# leave alone, which chat interfaces offer with every question.
_IGNORED = {
    "user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "reasoning_effort",
    "verbosity", "tools", "functions", "parallel_tool_calls", "max_tool_calls", "model_item_id", "include", "reasoning",
    "truncation",
}  # fmt: skip
# What would change the answer and is not there: refused, unless the value says that it is not wanted.
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "tool_choice": ("none", "auto"),
    "function_call": ("none", "auto"),
    "response_format": ({"type": "text"},),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "modalities": (["text"],),
    "text": ({}, {"format": {"type": "text"}}),
    "background": (False,),
}


_TEXT_PARTS = ("text", "input_text", "output_text")


class ChatPart(BaseModel):
    """A part of a message's content."""

    type: str
    text: str = ""


class ChatMessage(BaseModel):
    """A message."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[ChatPart] | None = None

    @property
    def text(self) -> str:
        """The text. Raises BadRequest for parts that are no text."""
        if not isinstance(self.content, list):
            return self.content or ""
        if odd := [part.type for part in self.content if part.type not in _TEXT_PARTS]:
            raise BadRequest(f"a message has a part of type {odd[0]!r}: only text is read")
        return "\n".join(part.text for part in self.content)


class StreamOptions(BaseModel):
    """What a stream has besides the answer."""

    model_config = ConfigDict(extra="allow")

    include_usage: bool = False


class ChatBody(BaseModel):
    """A request for a chat completion; `longctx` has the options that OpenAI's API does not know."""

    model_config = ConfigDict(extra="allow")

    model: str
    messages: list[ChatMessage] = Field(min_length=1)
    stream: bool = False
    stream_options: StreamOptions | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    stop: str | list[str] | None = None
    longctx: AskFields | None = None

    def check(self) -> None:
        """Refuse parameters that would change the answer and are not supported. Raises BadRequest."""
        for name, value in (self.model_extra or {}).items():
            if value is None or name in _IGNORED:
                continue
            if name not in _NEUTRAL:
                raise BadRequest(f"there is no parameter {name!r}: leave it out (longctx's own go into 'longctx')")
            if value not in _NEUTRAL[name]:
                raise BadRequest(f"{name} is not served here: leave it out")

    def fields(self) -> AskFields:
        """The options of the request under longctx's names."""
        given = {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "seed": self.seed,
            "max_new_tokens": self.max_completion_tokens or self.max_tokens,
            "stop": [self.stop] if isinstance(self.stop, str) else self.stop,
            "system": "\n\n".join(m.text for m in self.messages if m.role in ("system", "developer")) or None,
        }
        own = {} if self.longctx is None else self.longctx.model_dump(exclude_unset=True)
        return AskFields(**{name: value for name, value in given.items() if value is not None} | own)

    def question(self) -> tuple[str, tuple[Message, ...]]:
        """The last message, and the questions and answers before it. Raises BadRequest if the last is no user's."""
        said = [m for m in self.messages if m.role in ("user", "assistant")]
        if not said or said[-1].role != "user":
            raise BadRequest("the last message is not the user's: put the question there")
        turns: list[Message] = []
        for message in said:
            if turns and turns[-1].role == message.role:  # two in a row are one
                turns[-1] = Message(turns[-1].role, f"{turns[-1].content}\n{message.text}")
            elif turns or message.role == "user":
                turns.append(Message(message.role, message.text))  # type: ignore[arg-type]
            else:  # a greeting: a turn begins with a question
                turns += [Message("user", ""), Message("assistant", message.text)]
        return turns[-1].content, tuple(turns[:-1])


class ResponsesBody(BaseModel):
    """A request of the Responses API; `longctx` has the options that the API does not know."""

    model_config = ConfigDict(extra="allow")

    model: str
    input: str | list[ChatMessage] = Field(min_length=1)
    instructions: str | None = None
    stream: bool = False
    temperature: float | None = None
    top_p: float | None = None
    max_output_tokens: int | None = Field(default=None, ge=1)
    previous_response_id: str | None = None
    longctx: AskFields | None = None

    def chat(self) -> ChatBody:
        """The same request for a chat completion; what else it has is judged there."""
        said = [ChatMessage(role="user", content=self.input)] if isinstance(self.input, str) else self.input
        told = [] if self.instructions is None else [ChatMessage(role="system", content=self.instructions)]
        meant: dict[str, Any] = {
            "model": self.model,
            "messages": [*told, *said],
            "stream": self.stream,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_tokens": self.max_output_tokens,
            "longctx": self.longctx,
        }
        further = self.model_extra or {}
        if doubled := sorted(meant.keys() & further.keys()):
            raise BadRequest(f"there is no parameter {doubled[0]!r} in the Responses API: leave it out")
        return ChatBody(**meant, **further)


class EmbeddingsBody(BaseModel):
    """A request for embeddings."""

    model_config = ConfigDict(extra="forbid")

    model: str
    input: str | list[str] | list[int] | list[list[int]]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = None
    user: str | None = None
