"""The engine as a llama-index `LLM`, for its query engines and chat engines.

The asynchronous methods run the model in threads, one step in each, so that a task that is cancelled stops the model at
its next token and not at the end of the answer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Literal, TypeVar

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    LLMMetadata,
    MessageRole,
    TextBlock,
)
from llama_index.core.bridge.pydantic import ConfigDict, Field, PrivateAttr
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.llm import LLM

from longctx.engine import Engine, Generation, GenerationOptions
from longctx.errors import BadRequest
from longctx.models import FASTEST, LoadedModel, load_model
from longctx.prompts import PromptTemplate, TokenIds, TokenWriter, choose_template, prompt_texts
from longctx.types import Message
from rope_scaling import RopeScaling

_OPTIONS = ("max_new_tokens", "temperature", "top_p", "top_k", "repetition_penalty", "seed", "stop")
_ROLES: dict[MessageRole, Literal["system", "user", "assistant"]] = {
    MessageRole.SYSTEM: "system",
    MessageRole.DEVELOPER: "system",
    MessageRole.USER: "user",
    MessageRole.ASSISTANT: "assistant",
    MessageRole.CHATBOT: "assistant",
    MessageRole.MODEL: "assistant",
}
Response = TypeVar("Response", ChatResponse, CompletionResponse)


class LongContextLLM(LLM):
    """A model as llama-index's `LLM`, with its RoPE scaling and a prefix cache.

    Messages are written in the chat template; completions get none. In both, text cannot become control tokens.
    A prompt that is too long raises ContextTooLong.

    >>> llm = LongContextLLM(load_model("path/to/llama", scaling="yarn"))
    >>> engine = index.as_query_engine(llm=llm)

    Args:
        model: An engine, a loaded model, or a folder or hub name for `load_model`.
        template: The chat template or its name; None is what fits the model.
        loading: Further options of `load_model`.
        options: Fields of `GenerationOptions`, by name. Each call can override them.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    model: str = Field(description="The model's folder or hub name.")
    template: str = Field(description="How conversations are written.")
    loading: dict[str, Any] = Field(default_factory=dict, description="Further options of `load_model`.")
    max_new_tokens: int = Field(default=256, description="The longest answer, in tokens.")
    temperature: float = Field(default=0.0, description="0 is greedy.")
    top_p: float = Field(default=1.0, description="Sample from the likeliest tokens with this total probability.")
    top_k: int = Field(default=0, description="Sample from so many of the likeliest tokens; 0 is all.")
    repetition_penalty: float = Field(default=1.0, description="Above 1, tokens used before become less likely.")
    seed: int | None = Field(default=None, description="The same seed gives the same tokens.")
    stop: tuple[str, ...] = Field(default=(), description="Strings before which an answer ends.")

    _engine: Engine = PrivateAttr()
    _writer: TokenWriter = PrivateAttr()

    def __init__(
        self,
        model: Engine | LoadedModel | str | Path,
        *,
        template: str | PromptTemplate | None = None,
        loading: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        engine = _engine(model, loading or {})
        loaded = engine.loaded
        chosen = choose_template(template, loaded.name, loaded.tokenizer)
        named: dict[str, Any] = {"model": loaded.name, "template": chosen.name, "loading": _loading(loaded)}
        super().__init__(**named, **options)
        self._engine, self._writer = engine, TokenWriter(loaded.tokenizer, chosen)
        self._options({})  # an option out of its range is an error now, and not at the first call

    @classmethod
    def class_name(cls) -> str:
        """The name that llama-index knows the class by."""
        return "LongContextLLM"

    @property
    def metadata(self) -> LLMMetadata:
        """The window, in tokens, and how much of it is left for the answer."""
        return LLMMetadata(
            context_window=self._engine.loaded.window,
            num_output=self.max_new_tokens,
            is_chat_model=self.template != "plain",
            model_name=self.model,
        )

    def tokenize(self, text: str) -> list[int]:
        """Tokenize a text; as `Settings.tokenizer`, it lets llama-index count the model's tokens.

        Args:
            text: The text.

        Returns:
            Token ids, without special tokens.
        """
        ids: list[int] = self._engine.loaded.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return ids

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """The answer to a conversation. Consecutive messages of one role are one turn."""
        return _last(self._chat(messages, kwargs))

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Generator[ChatResponse, None, None]:
        """As `chat`, in pieces; the last has no text and all figures."""
        return self._chat(messages, kwargs)

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """`chat`, in a thread; when it is cancelled, the model stops at its next token."""
        return await _alast(_in_threads(await asyncio.to_thread(self._chat, messages, kwargs)))

    @llm_chat_callback()
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> AsyncGenerator[ChatResponse, None]:
        """`stream_chat`, in threads."""
        return _in_threads(await asyncio.to_thread(self._chat, messages, kwargs))

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """The text that follows `prompt`, which no template is put around."""
        return _last(self._complete(prompt, kwargs))

    @llm_completion_callback()
    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> Generator[CompletionResponse, None, None]:
        """As `complete`, in pieces; the last has no text and all figures."""
        return self._complete(prompt, kwargs)

    @llm_completion_callback()
    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """`complete`, in a thread; when it is cancelled, the model stops at its next token."""
        return await _alast(_in_threads(await asyncio.to_thread(self._complete, prompt, kwargs)))

    @llm_completion_callback()
    async def astream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> AsyncGenerator[CompletionResponse, None]:
        """`stream_complete`, in threads."""
        return _in_threads(await asyncio.to_thread(self._complete, prompt, kwargs))

    def _chat(self, messages: Sequence[ChatMessage], given: dict[str, Any]) -> Generator[ChatResponse, None, None]:
        options = self._options(given, self._writer.template.stops)
        generation = self._engine.stream(self._conversation(*_turns(messages)), (), options=options)
        return _grown(generation, _chat_response)

    def _complete(self, prompt: str, given: dict[str, Any]) -> Generator[CompletionResponse, None, None]:
        generation = self._engine.stream(self._writer.completion(prompt), (), options=self._options(given))
        return _grown(generation, CompletionResponse)

    def _conversation(self, system: str, turns: Sequence[Message]) -> TokenIds:
        label = prompt_texts(turns[-1].content if turns else "").question
        # Where an answer ends at the label of the next question, the model has to see that questions have this label
        if f"\n{label}" in self._writer.template.stops:
            turns = [Message(m.role, f"{label} {m.content}") if m.role == "user" else m for m in turns]
        return self._writer.conversation(system, turns)

    def _options(self, given: dict[str, Any], stops: Sequence[str] = ()) -> GenerationOptions:
        if strange := sorted(set(given) - set(_OPTIONS)):
            raise BadRequest(f"{strange[0]} is no option of a call: use {', '.join(_OPTIONS)}")
        options = {name: getattr(self, name) for name in _OPTIONS} | given
        own = (options["stop"],) if isinstance(options["stop"], str) else tuple(options["stop"] or ())
        return GenerationOptions(**options | {"stop": (*own, *stops)})


def _engine(model: Engine | LoadedModel | str | Path, loading: dict[str, Any]) -> Engine:
    if isinstance(model, Engine):
        return model
    if isinstance(model, LoadedModel):
        return Engine(model)
    scaling = loading.get("scaling")
    known = RopeScaling(**scaling) if isinstance(scaling, dict) else scaling
    return Engine(load_model(model, **FASTEST | loading | {"scaling": known}))


def _loading(loaded: LoadedModel) -> dict[str, Any]:
    """The options of `load_model` for the same model, as plain values, which llama-index can serialize."""
    scaling = loaded.scaling
    return {
        "dtype": str(loaded.model.dtype).removeprefix("torch."),
        "scaling": scaling.model_dump(exclude_none=True) if isinstance(scaling, RopeScaling) else scaling,
        "quantization": loaded.quantization,
        "adapter": loaded.adapter,
        "native_window": loaded.native_window,
    }


def _turns(messages: Sequence[ChatMessage]) -> tuple[str, list[Message]]:
    """The system prompt, and turns in which user and assistant alternate."""
    system, turns = list[str](), list[Message]()
    for message in messages:
        role, text = _ROLES.get(message.role), _text(message)
        if role == "system":
            system.append(text)
        elif role is None:
            raise BadRequest(f"a message is of the role {message.role.value!r}: use system, user or assistant")
        elif turns and turns[-1].role == role:
            turns[-1] = Message(role, f"{turns[-1].content}\n\n{text}")
        else:
            turns.append(Message(role, text))
    return "\n\n".join(system), turns


def _text(message: ChatMessage) -> str:
    other = next((block for block in message.blocks if not isinstance(block, TextBlock)), None)
    if other is not None:
        raise BadRequest(f"a message holds a {type(other).__name__}: the model reads text alone")
    return message.content or ""


def _grown(generation: Generation, respond: Callable[..., Response]) -> Generator[Response, None, None]:
    """A response for each piece, with the text so far; the last is empty, and has the final figures."""
    text = ""
    with generation:
        for piece in chain(generation, [""]):
            text += piece
            prompt, completion = generation.prompt_tokens, generation.completion_tokens
            figures = {  # under the names that llama-index's own counters look for
                "prompt_tokens": prompt,
                "completion_tokens": completion,
                "total_tokens": prompt + completion,
                "reused_tokens": generation.reused_tokens,
                "finish_reason": generation.finish,
            }
            yield respond(text=text, delta=piece, raw={"usage": figures}, additional_kwargs=figures)


def _chat_response(text: str, **fields: Any) -> ChatResponse:
    return ChatResponse(message=ChatMessage(role=MessageRole.ASSISTANT, content=text), **fields)


def _last(responses: Iterable[Response]) -> Response:
    [last] = deque(responses, maxlen=1)
    return last.model_copy(update={"delta": None})


async def _alast(responses: AsyncGenerator[Response, None]) -> Response:
    async for response in responses:
        last = response
    return last.model_copy(update={"delta": None})


async def _in_threads(responses: Generator[Response, None, None]) -> AsyncGenerator[Response, None]:
    """The values of a generator, each computed in a thread; it is closed when the task is cancelled."""

    def close(step: asyncio.Future[Any]) -> None:
        if not step.cancelled():
            step.exception()  # retrieved, or asyncio would log it as never retrieved
        responses.close()

    while True:
        # A thread cannot be cancelled, and a generator not closed while it runs. So the step is shielded: on
        # cancellation it goes on to the end of its token, and the generator is closed then.
        step = asyncio.ensure_future(asyncio.to_thread(next, responses, None))
        try:
            response = await asyncio.shield(step)
            if response is None:
                return
            yield response
        except BaseException:
            step.add_done_callback(close)
            raise
