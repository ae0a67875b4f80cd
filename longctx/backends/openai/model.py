"""`ServedModel`: a model on an OpenAI-compatible server, its window and its answers."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, suppress
from functools import partial
from typing import Any, Literal

from longctx.backends.openai.client import Connection, parse_address
from longctx.backends.openai.context_errors import Refusal, Refused
from longctx.backends.openai.reading_rate import reading_speed
from longctx.backends.openai.token_counts import TokenCounter
from longctx.engine import Generation, GenerationOptions
from longctx.errors import PromptRefused, ServerFailed
from longctx.planning import ReadingSpeed

_WINDOWS: tuple[Callable[[Connection, Any], Any], ...] = (
    lambda server, listed: listed["max_model_len"],  # vLLM
    lambda server, listed: listed["meta"]["n_ctx"],  # llama.cpp's server
    lambda server, listed: server.get(f"{server.address.root}/props")["default_generation_settings"]["n_ctx"],
    lambda server, listed: listed["meta"]["n_ctx_train"],
)
"""Where servers state the context length; the last is that of the model's training, and may be more than is served."""


class ServedModel:
    """A model on a server with OpenAI's protocol. Threads may share it.

    >>> from longctx import DocumentQA, ServedModel
    >>> model = ServedModel.connect("openai:http://localhost:8000/v1")
    >>> qa = DocumentQA.open("my-index", model)

    Attributes:
        name: The model's name on the server.
        window: Context length in tokens, prompt and answer together, as far as is known: it shrinks when the server
            refuses a prompt that should fit.
        counter: Counts the tokens of prompts.
    """

    def __init__(self, server: Connection, name: str, window: int, counter: TokenCounter) -> None:
        self.name = name
        self.window = window
        self.counter = counter
        self._server = server
        self._speed: ReadingSpeed | None = None

    @classmethod
    def connect(
        cls,
        address: str,
        *,
        window: int | None = None,
        api_key: str | None = None,
        timeout: float = 600.0,
        retries: int = 2,
        allow_insecure: bool = False,
    ) -> ServedModel:
        """Connect to a model on a server.

        Args:
            address: `openai:URL#name`; the name may be left out where the server has only one model.
            window: Context length in tokens; None is what the server states.
            api_key: The server's key; None is LONGCTX_API_KEY or OPENAI_API_KEY of the environment. Most local servers
                want none.
            timeout: Seconds for which the server may be silent.
            retries: How often a request is repeated after a lost connection or an error of the server's (429, 5xx).
            allow_insecure: Whether the key is sent by http, too, to another machine than this: in the clear.

        Returns:
            The model, which has to be closed.

        Raises:
            BadRequest: For an address or a key that is none.
            ServerFailed: If the server cannot be reached, does not have the model, or does not state its window.
        """
        server = Connection.open(
            parse_address(address), api_key=api_key, timeout=timeout, retries=retries, allow_insecure=allow_insecure
        )
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
        """The server's URL."""
        return self._server.address.url

    def reading_speed(self, *, measure: bool = True) -> ReadingSpeed | None:
        """How fast the server reads prompts; measured once a day, and kept in the user's cache folder.

        Args:
            measure: Whether to measure what is not known, by four requests for an answer of one token.

        Returns:
            The speed; None if it is not known.

        Raises:
            ServerFailed: If the server does not answer, or does not count the tokens of prompts.
        """
        self._speed = self._speed or reading_speed(self._server, self.name, measure=measure)
        return self._speed

    def close(self) -> None:
        """Close the connections to the server."""
        self._server.close()

    def __enter__(self) -> ServedModel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def chat(self, messages: Sequence[Mapping[str, str]], options: GenerationOptions, planned: int) -> Generation:
        """Generate an answer to messages.

        Args:
            messages: In OpenAI's form, with `role` and `content`.
            options: Sampling, the longest answer, and stop strings.
            planned: How many tokens the messages were counted as.

        Returns:
            The pieces of the answer as they come; at its end, `prompt_tokens` and `completion_tokens` are the server's
            own counts, where it gives them. The request is made when the first piece is taken. That may raise
            PromptRefused, for a prompt that is too long, and `window` then is what the server takes; any piece may
            raise ServerFailed.
        """
        return Generation(planned, partial(self._pieces, _body(self.name, messages, options), planned))

    def _pieces(self, body: Mapping[str, Any], planned: int, result: Generation) -> Generator[str, None, None]:
        text, usage = "", None
        try:
            with closing(self._server.chat_stream({**body, "stream_options": {"include_usage": True}})) as chunks:
                for chunk in chunks:
                    piece, finish, used = self._parsed(chunk)
                    text, usage, result.finish = text + piece, used or usage, finish or result.finish
                    if piece:
                        result.completion_tokens += 1
                        yield piece
            if result.finish is None and not text:
                # there are servers that state the error only in a response that is not streamed
                self._server.chat({**body, "max_tokens": 1})
        except Refused as refused:
            raise self._refused(refused.refusal, planned, body["max_tokens"]) from refused
        if result.finish is None:
            after = f"after {len(text)} characters of" if text else "before"
            raise ServerFailed(f"{self.url} broke off {after} an answer: see what its log says, and ask again")
        if usage is not None:
            self.counter.learn(planned, usage[0])
            result.prompt_tokens, result.completion_tokens = usage
        elif self.counter.api is not None:
            [result.completion_tokens] = self.counter.count([text])

    def _parsed(self, chunk: Any) -> tuple[str, Literal["end", "length"] | None, tuple[int, int] | None]:
        """A chunk's text, why the answer ended, and the tokens of prompt and answer; the last two come at the end."""
        try:
            used = chunk.get("usage")
            usage = used and (int(used["prompt_tokens"]), int(used["completion_tokens"]))
            if not chunk["choices"]:
                return "", None, usage
            choice = chunk["choices"][0]
            finish = choice.get("finish_reason")
            return choice["delta"].get("content") or "", finish and ("length" if finish == "length" else "end"), usage
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise ServerFailed(
                f"{self.url} sends what is no chat completion: does it speak OpenAI's protocol?"
            ) from error

    def _refused(self, refusal: Refusal, planned: int, new: int) -> PromptRefused:
        """Correct the counts and the window by a refusal."""
        before, need, limit = self.window, planned + new, refusal.limit
        prompt = refusal.prompt_before(new)
        if prompt is not None and prompt > planned:  # the prompt was counted too low
            self.counter.learn(planned, prompt)
            self.window = min(before, limit or before)
        else:  # the window was taken for longer than it is; by how much, not every server says
            self.window = limit if limit is not None and limit < need else need // 2
        says = "does not say how many it takes" if limit is None else f"says that it takes {limit:,}"
        return PromptRefused(
            f"{self.url} refused a prompt that was counted as {need:,} tokens with its answer, in a window of "
            f"{before:,}, and {says}: {self.window:,} are used from now on (--window gives the real number)"
        )


def _body(name: str, messages: Sequence[Mapping[str, str]], options: GenerationOptions) -> dict[str, Any]:
    penalty = options.repetition_penalty if options.repetition_penalty != 1 else None
    body = {
        "model": name,
        "messages": list(messages),
        "max_tokens": options.max_new_tokens,
        "temperature": options.temperature,
        "top_p": options.top_p,
        "seed": options.seed,
        "stop": list(options.stop) or None,
        # the others are not OpenAI's; the last is what llama.cpp calls the one before
        "top_k": options.top_k or None,
        "repetition_penalty": penalty,
        "repeat_penalty": penalty,
    }
    return {key: value for key, value in body.items() if value is not None}


def _choose(server: Connection) -> tuple[str, Any]:
    """The model's name, and its entry in the server's list of models. Raises ServerFailed."""
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
    """The context length that the server states; None if it states none."""
    for stated in _WINDOWS:
        with suppress(ServerFailed, LookupError, TypeError, ValueError):
            if (window := int(stated(server, listed))) > 0:
                return window
    return None
