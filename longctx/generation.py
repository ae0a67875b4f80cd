"""Generating an answer, token by token, as text. Knows logits, tokens and a tokenizer; knows no model."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal

from longctx.reading import AttentionPath, Reading
from longctx.requests import ProgressCallback
from longctx.sampling import GenerationOptions, Sampler
from longctx.text_stream import StopText, TokenText


@dataclass(frozen=True, slots=True)
class Speaker:
    """How logits become text: the options, the tokenizer, and the tokens that end a turn."""

    options: GenerationOptions
    tokenizer: Any
    ends: frozenset[int]


class Generation(Iterator[str]):
    """Pieces of an answer as they come. Closing it, or leaving its `with` block, stops the work.

    `reused_tokens` of the `prompt_tokens` needed no reading, `completion_tokens` are those of the answer so far, `path`
    is the attention that was used, and `finish` says why it ended: 'end' (the model ended its turn), 'stop' (a stop
    string) or 'length'; None while it goes on and when it was closed.
    """

    def __init__(self, prompt_tokens: int, pieces: Callable[[Generation], Generator[str, None, None]]) -> None:
        self.prompt_tokens = prompt_tokens
        self.reused_tokens = 0
        self.completion_tokens = 0
        self.path: AttentionPath | None = None
        self.finish: Literal["end", "stop", "length"] | None = None
        self._pieces = pieces(self)

    def __next__(self) -> str:
        return next(self._pieces)

    def close(self) -> None:
        """Stop here."""
        self._pieces.close()

    def __enter__(self) -> Generation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def generate(
    reading: Reading, speaker: Speaker, progress: ProgressCallback | None, told: Generation
) -> Generator[str, None, None]:
    """Read the prompt, then choose tokens and give their text until one of the ends is reached."""
    text, stop = TokenText(speaker.tokenizer), StopText(speaker.options.stop)
    for token in _tokens(reading, speaker, progress, told):
        if piece := stop.add(text.add(token)):
            yield piece
        if stop.met:
            told.finish = "stop"
            return
    piece = stop.add(text.finish())
    if stop.met:
        told.finish = "stop"
    if piece := piece + stop.finish():
        yield piece


def _tokens(
    reading: Reading, speaker: Speaker, progress: ProgressCallback | None, told: Generation
) -> Generator[int, None, None]:
    """The tokens of the answer as the model chooses them."""
    told.reused_tokens = reading.reused
    logits = reading.read_prompt(progress)
    told.path = reading.path
    assert logits is not None  # one token of the prompt is always left to read
    sampler = Sampler(speaker.options, logits.device)
    seen = list(reading.request.ids)
    while True:
        token = sampler.choose(logits, seen)
        seen.append(token)
        told.completion_tokens += 1
        if token in speaker.ends:
            told.finish = "end"
        elif told.completion_tokens == speaker.options.max_new_tokens:
            told.finish = "length"
        yield token
        if told.finish is not None:
            return
        logits = reading.read([token])
