"""A model on a server: connected, with its window, and asked. Knows messages; knows no documents."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, NoReturn

from longctx.backends.openai.client import Connection, parse_address
from longctx.backends.openai.context_errors import Refusal, Refused
from longctx.backends.openai.token_counts import TokenCounter
from longctx.engine import Generation, GenerationOptions
from longctx.errors import PromptRefused, ServerFailed

_WINDOWS: tuple[Callable[[Connection, Any], Any], ...] = (
    lambda server, listed: listed["max_model_len"],  # vLLM
    lambda server, listed: listed["meta"]["n_ctx"],  # llama.cpp's server
    lambda server, listed: server.get(f"{server.address.root}/props")["default_generation_settings"]["n_ctx"],
    lambda server, listed: listed["meta"]["n_ctx_train"],
)
"""Where servers say how long the window is; the last is what the model was trained with, and may be too much."""


class ServedModel:
    """A model on a server that speaks OpenAI's protocol. Threads may share it.

    >>> from longctx import DocumentQA, ServedModel
    >>> model = ServedModel.connect("openai:http://localhost:8000/v1")
    >>> qa = DocumentQA.open("my-index", model)

    `window` is how many tokens it takes, prompt and answer together, as far as is known: it shrinks when the server
    refuses what it should take.
    """

    def __init__(self, server: Connection, name: str, window: int, counter: TokenCounter) -> None:
        self.name = name
        self.window = window
        self.counter = counter
        self._server = server

    @classmethod
    def connect(
        cls,
        address: str,
        *,
        window: int | None = None,
        api_key: str | None = None,
        timeout: float = 600.0,
        retries: int = 2,
    ) -> ServedModel:
        """Connect to `openai:URL#name`; without a name, to the only model that the server has.

        `window` is in tokens and goes before what the server says. `api_key` is that of LONGCTX_API_KEY, or of
        OPENAI_API_KEY, where it is None; local servers mostly want none. `timeout` is how many seconds the server may
        be silent; what fails by a lost connection or an error of the server's (429, 5xx) is tried `retries` times more.
        Raises BadRequest for an address that is none; ServerFailed.
        """
        server = Connection.open(parse_address(address), api_key=api_key, timeout=timeout, retries=retries)
        try:
            name, listed = _choose(server)
            window = window or _window(server, listed)
            if window is None:
                raise ServerFailed(f"{server.address.url} does not say how long the window of {name} is: give --window")
            return cls(server, name, window, TokenCounter.find(server, name))
        except BaseException:
            server.close()
            raise

    @property
    def url(self) -> str:
        """Where the server is."""
        return self._server.address.url

    def close(self) -> None:
        """Close what is open to the server."""
        self._server.close()

    def __enter__(self) -> ServedModel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def chat(self, messages: Sequence[Mapping[str, str]], options: GenerationOptions, planned: int) -> Generation:
        """What the model answers to messages, as it comes; `planned` is how many tokens they were counted to have.

        At its end its tokens are the server's own counts, where it gives them. Raises, before the first piece,
        PromptRefused if there are too many, and then `window` is how many there may be; at any time, ServerFailed.
        """
        body = _body(self.name, messages, options)

        def pieces(told: Generation) -> Generator[str, None, None]:
            try:
                yield from self._pieces(body, told)
            except Refused as refused:
                raise self._refused(refused.refusal, planned, options.max_new_tokens) from refused

        return Generation(planned, pieces)

    def _pieces(self, body: Mapping[str, Any], told: Generation) -> Generator[str, None, None]:
        text, usage = "", None
        with self._server.chat_stream({**body, "stream_options": {"include_usage": True}}) as chunks:
            for chunk in map(self._chunk, chunks):
                text, usage, told.finish = text + chunk.text, chunk.usage or usage, chunk.finish or told.finish
                told.completion_tokens += bool(chunk.text)
                if chunk.text:
                    yield chunk.text
        if told.finish is None:
            self._broke_off(body, text)
        if usage is not None:
            self.counter.learn(told.prompt_tokens, usage[0])
            told.prompt_tokens, told.completion_tokens = usage
        elif self.counter.kind is not None:
            [told.completion_tokens] = self.counter.count([text])

    def _chunk(self, chunk: Any) -> _Chunk:
        try:
            return _Chunk.of(chunk)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise ServerFailed(
                f"{self.url} sends what is no chat completion: does it speak OpenAI's protocol?"
            ) from error

    def _broke_off(self, body: Mapping[str, Any], text: str) -> NoReturn:
        """Raise for an answer without an end; asked in another way, the server may say why."""
        if not text:
            self._server.chat({**body, "max_tokens": 1})
        after = f"after {len(text)} characters of" if text else "before"
        raise ServerFailed(f"{self.url} broke off {after} an answer: see what its log says, and ask again")

    def _refused(self, refusal: Refusal, planned: int, new: int) -> PromptRefused:
        """Learn what a refusal says; where that explains nothing, the window is half of what was refused."""
        before, need, limit = self.window, planned + new, refusal.limit
        had = refusal.prompt_before(new)
        if had is not None and had > planned:
            self.counter.learn(planned, had)
            self.window = min(before, limit or before)
        else:
            self.window = limit if limit is not None and limit < need else need // 2
        says = "does not say how many it takes" if limit is None else f"says that it takes {limit:,}"
        return PromptRefused(
            f"{self.url} refused a prompt that was counted as {need:,} tokens with its answer, in a window of "
            f"{before:,}, and {says}: {self.window:,} are used from now on (--window gives the real number)"
        )


@dataclass(frozen=True, slots=True)
class _Chunk:
    """A piece of an answer; the last ones say why it ended, and how many tokens prompt and answer have."""

    text: str = ""
    finish: Literal["end", "length"] | None = None
    usage: tuple[int, int] | None = None

    @classmethod
    def of(cls, chunk: Any) -> _Chunk:
        """Read a chunk. Raises what Python does for one that is none."""
        used = chunk.get("usage")
        usage = used and (int(used["prompt_tokens"]), int(used["completion_tokens"]))
        if not chunk["choices"]:
            return cls(usage=usage)
        choice = chunk["choices"][0]
        finish = choice.get("finish_reason")
        return cls(choice["delta"].get("content") or "", finish and ("length" if finish == "length" else "end"), usage)


def _body(name: str, messages: Sequence[Mapping[str, str]], options: GenerationOptions) -> dict[str, Any]:
    body = {
        "model": name,
        "messages": list(messages),
        "max_tokens": options.max_new_tokens,
        "temperature": options.temperature,
        "top_p": options.top_p,
    }
    optional = {
        "seed": options.seed,
        "stop": list(options.stop) or None,
        "top_k": options.top_k or None,  # this and the next are not OpenAI's; the last is what llama.cpp calls it
        "repetition_penalty": options.repetition_penalty if options.repetition_penalty != 1 else None,
        "repeat_penalty": options.repetition_penalty if options.repetition_penalty != 1 else None,
    }
    return body | {key: value for key, value in optional.items() if value is not None}


def _choose(server: Connection) -> tuple[str, Any]:
    """The model's name, and what the list of models says of it. Raises ServerFailed."""
    url, wanted = f"{server.address.url}/models", server.address.name
    try:
        listed = {str(entry["id"]): entry for entry in server.get(url)["data"]}
    except (LookupError, TypeError) as error:
        raise ServerFailed(f"{url} lists no models: is the address right (most end in /v1)?") from error
    names = ", ".join(sorted(listed)) or "none"
    if wanted is None and len(listed) != 1:
        raise ServerFailed(f"{url} lists {len(listed)} models: put one after the address with # ({names})")
    if wanted is not None and wanted not in listed:
        raise ServerFailed(f"{url} lists no model {wanted!r}: put another after the # ({names})")
    name = wanted or next(iter(listed))
    return name, listed[name]


def _window(server: Connection, listed: Any) -> int | None:
    """How many tokens a model takes; None if the server does not say."""
    for stated in _WINDOWS:
        with suppress(ServerFailed, LookupError, TypeError, ValueError):
            if (window := int(stated(server, listed))) > 0:
                return window
    return None
