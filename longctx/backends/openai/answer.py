"""A streamed answer of a server: its pieces, its thoughts, token counts, and limits that end it in any case."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from typing import Any

from longctx.backends.openai.chat import Delta, OpenAIChat
from longctx.backends.openai.client import Connection, readable
from longctx.backends.openai.events import EventStream
from longctx.backends.openai.ollama import OllamaChat
from longctx.engine import Generation, GenerationOptions
from longctx.errors import ServerFailed
from longctx.prompts import ThoughtSplitter
from longctx.types import Thought

_CHARACTERS_A_TOKEN, _FREE_CHARACTERS = 64, 4096  # more than any answer has: a server that goes on is stopped there
_ENOUGH = 8  # characters a token, from which an answer in more pieces than it may have tokens is stopped
_NOTHING = Delta()
_ONE_TOKEN = {"max_tokens": 1}


class StreamedAnswer:
    """One answer of a server, as it comes, within bounds.

    Args:
        result: Whose attributes are kept up to date.
        options: The longest answer.
        opens_thoughts: Whether the prompt opens thoughts; None where that is not known, of a model that thinks.

    Attributes:
        splitter: Tells thoughts from the answer.
        begun: Whether the server has said anything.
        prompt_tokens: The server's count of the prompt, if it gives one.
        completion_tokens: The server's count of the answer.
        reused_tokens: How many tokens of the prompt the server had in its prefix cache, if it says so.
    """

    def __init__(self, result: Generation, options: GenerationOptions, opens_thoughts: bool | None) -> None:
        self.splitter = ThoughtSplitter("<think>" if opens_thoughts else None, hold=opens_thoughts is None)
        self.begun = False
        self.prompt_tokens: int | None = None
        self.completion_tokens: int | None = None
        self.reused_tokens: int | None = None
        self._result, self._most = result, options.new_tokens
        self._pieces = self._characters = 0
        self._begun_text = False
        self._half = self._half_thought = ""  # of a character beyond U+FFFF, which a server may send in two

    def read(
        self, server: Connection, chat: OpenAIChat | OllamaChat, body: Mapping[str, Any]
    ) -> Generator[str, None, None]:
        """Take the events of an answer; yields its pieces, thoughts as `Thought`. Raises ServerFailed and Refused."""
        result = self._result
        with closing(server.stream(chat.url, body)) as events:
            for delta in self._deltas(events, server, chat):
                if delta != _NOTHING:
                    events.spoke()
                    self.begun = True
                if delta.finish:
                    result.finish = delta.finish
                    events.ends()
                self.prompt_tokens = delta.prompt_tokens or self.prompt_tokens
                self.completion_tokens = delta.completion_tokens or self.completion_tokens
                self.reused_tokens = delta.reused_tokens or self.reused_tokens
                yield from self._told(delta)
                if self._goes_on():
                    result.finish = "length"
                    break
            done = events.finished
        if result.finish is None and not self._characters and not done:
            # there are servers that state the error only in a response that is not streamed
            server.post(chat.url, {**body, "stream": False, **_ONE_TOKEN})
        if result.finish is None and not (done and self._characters):
            after = f"after {self._characters} characters of" if self._characters else "before"
            raise ServerFailed(
                f"{server.address.url} broke off {after} an answer: see what its log says, and ask again"
            )
        result.finish = result.finish or "end"
        yield from self.splitter.finish(cut=result.finish == "length")
        result.inside_thoughts = bool(self.splitter.inside or (result.thinking and not result.text.strip()))

    def _deltas(self, events: EventStream, server: Connection, chat: OpenAIChat | OllamaChat) -> Iterator[Delta]:
        """What the events say. What goes wrong behind a finished answer, where its usage stands, takes nothing away."""
        try:
            for event in events:
                try:
                    delta = chat.delta(event)
                except (AttributeError, TypeError, ValueError) as error:
                    raise ServerFailed(
                        f"{server.address.url} sends what is no chat completion: does it speak OpenAI's protocol?"
                    ) from error
                yield delta
        except ServerFailed:
            if self._result.finish is None or not self._characters:
                raise

    def _told(self, delta: Delta) -> Iterator[str]:
        """The pieces in an event."""
        thought, self._half_thought = _whole(self._half_thought + delta.thought)
        text, self._half = _whole(self._half + delta.text)
        if thought or text:
            self._result.completion_tokens += 1
            self._pieces += 1
            self._characters += len(thought) + len(text)
        if thought:
            self.splitter.told_apart()
            yield Thought(readable(thought))
        if text:
            if not self._begun_text:
                self._begun_text, self._result.top_logprobs = True, delta.top_logprobs
            for piece in self.splitter.add(readable(text)):
                self._result.taken_back = self.splitter.taken_back
                yield piece

    def _goes_on(self) -> bool:
        """Whether the answer is longer than was asked for, by far: the server does not end it."""
        most = _CHARACTERS_A_TOKEN * self._most + _FREE_CHARACTERS
        many = self._pieces > self._most + 1 and self._characters > _ENOUGH * self._most
        return many or self._characters > most


def _whole(text: str) -> tuple[str, str]:
    """A text up to its last whole character, and the half of one that stands behind it."""
    return (text[:-1], text[-1]) if "\ud800" <= text[-1:] <= "\udbff" else (text, "")
