"""`ServedModel`: a model on an OpenAI-compatible server, its window and its answers."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from functools import partial

from longctx.backends.openai.address import parse_address
from longctx.backends.openai.answer import StreamedAnswer
from longctx.backends.openai.chat import OpenAIChat
from longctx.backends.openai.client import Connection
from longctx.backends.openai.context_errors import Interrupted, Refusal, Refused, Rejected
from longctx.backends.openai.lookup import choose, is_ollama, stated_window
from longctx.backends.openai.ollama import OllamaChat
from longctx.backends.openai.reading_rate import reading_speed
from longctx.backends.openai.token_counts import TokenCounter, Wrapping
from longctx.engine import Generation, GenerationOptions
from longctx.errors import BadRequest, PromptRefused, ServerFailed
from longctx.planning import ReadingSpeed
from longctx.types import ThinkingMode, Thought, is_count

_THINKERS = re.compile(
    r"(?i)(?:^|[^a-z])(?:r1|qwq|k1\.5|think(?:ing)?|reason(?:ing|er)?|magistral|gpt-oss)(?:[^a-z]|$)"
)
"""Names of models that think; whether others do is seen when they answer."""


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
        thinks: Whether it thinks before it answers, as far as is known.
    """

    def __init__(
        self, server: Connection, name: str, window: int, counter: TokenCounter, chat: OpenAIChat | OllamaChat
    ) -> None:
        self.name = name
        self.window = window
        self.counter = counter
        self.thinks = chat.thinks if isinstance(chat, OllamaChat) else _THINKERS.search(name) is not None
        # whether it is the prompt that opens the thoughts; Ollama tells them apart itself
        self._opens_thoughts: bool | None = None if self.thinks and isinstance(chat, OpenAIChat) else False
        self._server, self._chat = server, chat
        self._speed: ReadingSpeed | None = None
        self._taken, self._stated = 0, window  # tokens: the longest prompt and answer that it took; what it says

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
            address: `openai:URL#name`, a bare URL, `ollama:NAME` or `lmstudio:NAME`; the name may be left out where
                the server has only one model.
            window: Context length in tokens; None is what the server states.
            api_key: The server's key; None is LONGCTX_API_KEY or OPENAI_API_KEY of the environment. Most local servers
                want none.
            timeout: Seconds for which the server may be silent.
            retries: How often a request is repeated after a lost connection or an error of the server's (429, 5xx), and
                an answer that breaks off is asked for again.
            allow_insecure: Whether the key is sent by http, too, to another machine than this: in the clear.

        Returns:
            The model, which has to be closed.

        Raises:
            BadRequest: For an address or a key that is none, and for numbers that make no sense.
            ServerFailed: If the server cannot be reached, does not have the model, or does not state its window.
        """
        if window is not None and not is_count(window, 1):
            raise BadRequest(f"window is {window!r}: give a whole number of tokens above 0")
        server = Connection.open(
            parse_address(address), api_key=api_key, timeout=timeout, retries=retries, allow_insecure=allow_insecure
        )
        try:
            name, listed = choose(server)
            stated = None if is_ollama(server, listed) else window or stated_window(server, listed)
            chat: OpenAIChat | OllamaChat = OpenAIChat(server, name)
            if stated is None and is_ollama(server, listed):
                chat = OllamaChat.find(server, name)
                stated = chat.window = window or chat.window
            if stated is None:
                raise ServerFailed(f"{server.address.url} does not say how long the window of {name} is: give --window")
            counter = (
                TokenCounter.find(server, name) if isinstance(chat, OpenAIChat) else TokenCounter(None, Wrapping())
            )
            return cls(server, name, stated, counter, chat)
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
        key = f"{self.url}#{self.name}"
        self._speed = self._speed or reading_speed(key, self._chat.prompt_tokens, self.url, measure=measure)
        return self._speed

    def close(self) -> None:
        """Close the connections to the server."""
        self._server.close()

    def __enter__(self) -> ServedModel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def chat(
        self,
        messages: Sequence[Mapping[str, str]],
        options: GenerationOptions,
        planned: int,
        thinking: ThinkingMode = "auto",
    ) -> Generation:
        """Generate an answer to messages.

        Args:
            messages: In OpenAI's form, with `role` and `content`.
            options: Sampling, the longest answer, and stop strings.
            planned: How many tokens the messages were counted as.
            thinking: Whether the model is to think before it answers.

        Returns:
            The pieces of the answer as they come; at its end, `prompt_tokens` and `completion_tokens` are the server's
            own counts, where it gives them. The request is made when the first piece is taken. That may raise
            PromptRefused, for a prompt that is too long, and `window` then is what the server takes; any piece may
            raise ServerFailed. An answer that breaks off is asked for again, since another server may stand behind the
            address, and goes on where it was if the new one begins alike.
        """
        pieces = partial(self._pieces, messages, options, planned, thinking, self._server.retries)
        return Generation(planned, pieces)

    def _pieces(
        self,
        messages: Sequence[Mapping[str, str]],
        options: GenerationOptions,
        planned: int,
        thinking: ThinkingMode,
        retries: int,
        result: Generation,
    ) -> Generator[str, None, None]:
        body = self._chat.body(messages, options, thinking, planned + options.new_tokens)
        answer = StreamedAnswer(result, options, False if thinking == "off" else self._opens_thoughts)
        try:
            yield from answer.read(self._server, self._chat, body)
        except Rejected as error:
            if answer.begun or not self._chat.adapts(error):
                raise
            yield from self._pieces(messages, options, planned, thinking, retries, result)
            return
        except Interrupted as lost:
            if not retries or result.taken_back:
                raise
            pieces = partial(self._pieces, messages, options, planned, thinking, retries - 1)
            yield from _resumed(lost, result, Generation(planned, pieces))
            return
        except Refused as refused:
            raise self._refused(refused.refusal, planned, options.new_tokens) from refused
        if result.thinking:
            self.thinks = True
            self._opens_thoughts = answer.splitter.opened_unseen
        elif self._opens_thoughts is None and result.text:
            self._opens_thoughts = False
        self._taken = max(self._taken, planned + options.new_tokens)
        if self.window < self._stated and self._taken >= 0.9 * self.window:  # and more may be taken
            self._widen()
        self._count(answer, planned, result)

    def _count(self, answer: StreamedAnswer, planned: int, result: Generation) -> None:
        """The tokens of prompt and answer: the server's own counts, or ours."""
        if answer.prompt_tokens is not None:
            self.counter.learn(planned, answer.prompt_tokens)
            result.prompt_tokens = answer.prompt_tokens
        result.reused_tokens = answer.reused_tokens or 0
        if answer.completion_tokens is not None:
            result.completion_tokens = answer.completion_tokens
        elif self.counter.api is not None:
            with suppress(ServerFailed):  # a finished answer is not lost for its count
                written = [result.text, *filter(None, [result.thinking])]
                result.completion_tokens = sum(self.counter.count(written))

    def _refused(self, refusal: Refusal, planned: int, new: int) -> PromptRefused:
        """Correct the counts and the window by a refusal."""
        before, need, limit = self.window, planned + new, refusal.window(new)
        prompt = refusal.prompt_before(new)
        if prompt is not None and prompt > planned:  # the prompt was counted too low
            self.counter.learn(planned, prompt)
            self.window = min(before, limit or before)
        elif limit is not None and limit < need:  # the window was taken for longer than it is
            self.window = self._stated = limit
        else:  # by how much, not every server says: what it took before, or half, and more once that was taken
            self._stated = min(self._stated, need - 1)
            self.window = self._taken if 0 < self._taken < need else need // 2
        says = "does not say how many it takes" if limit is None else f"says that it takes {limit:,}"
        return PromptRefused(
            f"{self.url} refused a prompt that was counted as {need:,} tokens with its answer, in a window of "
            f"{before:,}, and {says}: {self.window:,} are tried now (--window gives the real number)"
        )

    def _widen(self) -> None:
        """After a refusal without a number, go halfway to what was refused, as long as that is a step of a tenth."""
        halfway = (self._taken + self._stated) // 2
        if halfway > 1.05 * self.window:
            self.window = halfway


def _resumed(lost: Interrupted, result: Generation, again: Generation) -> Generator[str, None, None]:
    """Request an answer again, and yield what the interrupted one lacks. Raises `lost` if its beginning differs."""
    again.shows_thinking = True
    given: dict[type[str], str] = {Thought: result.thinking, str: result.text}
    with again:
        try:
            for piece in again:
                kind = Thought if isinstance(piece, Thought) else str
                known = min(len(piece), len(given[kind]))
                if again.taken_back or piece[:known] != given[kind][:known]:
                    break
                given[kind] = given[kind][known:]
                if piece[known:]:
                    yield kind(piece[known:])
        except ServerFailed as error:
            raise lost from error
    if any(given.values()):  # it is shorter, or another one
        raise lost
    result.finish, result.inside_thoughts = again.finish, again.inside_thoughts
    result.prompt_tokens, result.completion_tokens = again.prompt_tokens, again.completion_tokens
    result.reused_tokens = again.reused_tokens
