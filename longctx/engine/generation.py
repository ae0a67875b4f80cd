"""Token-by-token generation as a stream of text.

Two things make streamed text harder than `decode(ids)`: one character may be spread over several tokens, and a stop
string over several pieces. Both are held back here until they are whole.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from typing import Any, Literal

from longctx.engine.prefill import AttentionPath, Prefill
from longctx.engine.request import PrefillCallback, Request
from longctx.engine.sampling import GenerationOptions, Sampler

_INCOMPLETE = "\ufffd"  # what a tokenizer writes for bytes that are not a whole character yet


class Generation(Iterator[str]):
    """An answer as an iterator over pieces of text; the model runs only while pieces are taken.

    Closing it, or leaving its `with` block, stops the model.

    Attributes:
        prompt_tokens: Length of the prompt in tokens.
        reused_tokens: How many of them had their keys and values in the prefix cache.
        completion_tokens: Length of the answer so far, in tokens.
        path: The attention that read the prompt; None before the first piece, and for a model on a server.
        finish: Why the answer ended: 'end' (an end-of-turn token), 'stop' (a stop string) or 'length'
            (`max_new_tokens`); None while it goes on, and if it was closed early.
    """

    def __init__(self, prompt_tokens: int, pieces: Callable[[Generation], Generator[str, None, None]]) -> None:
        self.prompt_tokens = prompt_tokens
        self.reused_tokens = 0
        self.completion_tokens = 0
        self.path: AttentionPath | None = None
        self.finish: Literal["end", "stop", "length"] | None = None
        self._pieces = pieces(self)  # it sets the attributes above as it goes

    def __next__(self) -> str:
        return next(self._pieces)

    def close(self) -> None:
        """Stop generating; keys and values of the prefix stay in the prefix cache."""
        self._pieces.close()

    def __enter__(self) -> Generation:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def generate(
    prefill: Prefill, request: Request, options: GenerationOptions, progress: PrefillCallback | None, result: Generation
) -> Generator[str, None, None]:
    """Read the prompt, then sample and decode one token at a time until the answer ends.

    Args:
        prefill: The model and its prefix cache.
        request: The prompt's token ids.
        options: Sampling, the longest answer, and the stop strings.
        progress: Called with how much of the prompt has been read.
        result: Whose attributes are kept up to date.

    Yields:
        Text that no later token can change.
    """
    decoder, stop = TokenText(prefill.tokenizer), StopText(options.stop)
    with prefill.open(request, answering=True) as sequence:
        result.reused_tokens = sequence.reused
        logits = sequence.read_prompt(progress)
        assert logits is not None  # `answering` leaves at least one token of the prompt to read
        result.path = sequence.path
        sampler, seen = Sampler(options, logits.device), list(request.ids)
        while result.finish is None:
            token = sampler.choose(logits, seen)
            seen.append(token)
            result.completion_tokens += 1
            if token in prefill.end_tokens:
                result.finish = "end"
            elif result.completion_tokens == options.max_new_tokens:
                result.finish = "length"
            piece = stop.add(decoder.add(token))
            if stop.met:
                result.finish = "stop"
            if piece:
                yield piece
            if result.finish is None:
                logits = sequence.read([token])
    if result.finish != "stop":  # outside `with`: the prefix is back in its cache before the last piece is given out
        piece = stop.add(decoder.finish()) + stop.finish()
        if stop.met:
            result.finish = "stop"
        if piece:
            yield piece


class TokenText:
    """Incremental detokenization: a character whose bytes are spread over tokens is given out once it is whole.

    Tokens cannot be decoded one by one: a tokenizer may strip or join blanks at the start of what it decodes. So the
    new text is the difference between two decodings that begin at the same earlier token. Beginning a few tokens back,
    and not at the first, keeps the cost of a token constant.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._decode = partial(tokenizer.decode, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        self._ids: list[int] = []
        self._start = 0  # where both decodings begin
        self._settled = 0  # tokens whose text has been given out

    def add(self, token: int) -> str:
        """Take one more token; returns the text that it settles, empty while a character is not whole."""
        self._ids.append(token)
        text = self.finish()
        if not text or text.endswith(_INCOMPLETE):
            return ""
        self._start, self._settled = self._settled, len(self._ids)
        return text

    def finish(self) -> str:
        """The text not given out yet, incomplete characters as the tokenizer writes them."""
        before = self._decode(self._ids[self._start : self._settled])
        text: str = self._decode(self._ids[self._start :])
        return text[len(before) :]


class StopText:
    """Text up to the first stop string, which may be spread over pieces; `met` is whether one was found."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = stops
        self._held = ""  # the end of the text, while it may be the start of a stop string
        self.met = False

    def add(self, piece: str) -> str:
        """Take one more piece; returns the text that cannot be part of a stop string any more."""
        text = self._held + piece
        found = [at for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            self.met, self._held = True, ""
            return text[: min(found)]
        starts = (stop[:size] for stop in self._stops for size in range(1, len(stop)))
        settled = len(text) - max((len(start) for start in starts if text.endswith(start)), default=0)
        self._held = text[settled:]
        return text[:settled]

    def finish(self) -> str:
        """The text held back, which turned out to be no stop string."""
        return self._held
