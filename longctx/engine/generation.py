"""Token-by-token generation: decoding tokens to text, stop strings, and the stream of pieces."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from types import TracebackType
from typing import Any, Literal

from longctx.engine.prefill import AttentionPath, Prefill
from longctx.engine.request import PrefillCallback, Request
from longctx.engine.sampling import GenerationOptions, Sampler

_INCOMPLETE = "\ufffd"  # what a tokenizer writes for bytes that are not a whole character yet


class TokenText:
    """Text of tokens as they come. A character whose bytes are spread over tokens is given when it is whole."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        # Text is read off against the tokens before it: a tokenizer may strip or join at the start of what it decodes.
        self._context = 0
        self._given = 0

    def add(self, token: int) -> str:
        """The text that is settled by one more token; empty while a character is not whole."""
        self._ids.append(token)
        text = self._new_text()
        if text.endswith(_INCOMPLETE):
            return ""
        if text:
            self._context, self._given = self._given, len(self._ids)
        return text

    def finish(self) -> str:
        """What is left when no token follows, incomplete characters as the tokenizer writes them."""
        text = self._new_text()
        self._context = self._given = len(self._ids)
        return text

    def _new_text(self) -> str:
        before = self._decode(self._ids[self._context : self._given])
        return self._decode(self._ids[self._context :])[len(before) :]

    def _decode(self, ids: list[int]) -> str:
        text: str = self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text


class StopText:
    """Text up to the first of some stop strings, which may be spread over pieces. `met` says that one was found."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = stops
        self._pending = ""
        self.met = False

    def add(self, piece: str) -> str:
        """The text that cannot be part of a stop string any more."""
        self._pending += piece
        found = [at for stop in self._stops if (at := self._pending.find(stop)) >= 0]
        if found:
            self.met = True
            text, self._pending = self._pending[: min(found)], ""
            return text
        kept = self._possible_start()
        text, self._pending = self._pending[: len(self._pending) - kept], self._pending[len(self._pending) - kept :]
        return text

    def finish(self) -> str:
        """What was held back and turned out to be no stop string."""
        text, self._pending = self._pending, ""
        return text

    def _possible_start(self) -> int:
        """How many characters at the end may be the start of a stop string."""
        longest = max((len(stop) - 1 for stop in self._stops), default=0)
        for size in range(min(longest, len(self._pending)), 0, -1):
            if any(stop.startswith(self._pending[-size:]) for stop in self._stops):
                return size
        return 0


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
    prefill: Prefill, request: Request, options: GenerationOptions, progress: PrefillCallback | None, told: Generation
) -> Generator[str, None, None]:
    """Read the prompt, then choose token after token and give their text until the answer ends.

    Args:
        prefill: The model, and what it has read.
        request: The prompt's token ids.
        options: How tokens are chosen, how many at most, and the stop strings.
        progress: Told how much of the prompt has been read.
        told: Where the figures are kept while the answer comes.

    Yields:
        Text that no further token can change.
    """
    text, stop = TokenText(prefill.tokenizer), StopText(options.stop)
    with prefill.open(request, answering=True) as sequence:
        told.reused_tokens = sequence.reused
        logits = sequence.read_prompt(progress)
        told.path = sequence.path
        assert logits is not None  # one token of the prompt is always left to read
        sampler, seen = Sampler(options, logits.device), list(request.ids)
        while told.finish is None:
            token = sampler.choose(logits, seen)
            seen.append(token)
            told.completion_tokens += 1
            if token in prefill.end_tokens:
                told.finish = "end"
            elif told.completion_tokens == options.max_new_tokens:
                told.finish = "length"
            piece = stop.add(text.add(token))
            if stop.met:
                told.finish = "stop"
            if piece:
                yield piece
            if told.finish is None:
                logits = sequence.read([token])
    if told.finish == "stop":
        return
    piece = stop.add(text.finish())
    if stop.met:
        told.finish = "stop"
    if piece := piece + stop.finish():
        yield piece
