"""Token-by-token generation as a stream of text.

Two things make streamed text harder than `decode(ids)`: one character may be spread over several tokens, and a stop
string over several pieces. Both are held back here until they are whole.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import torch

from longctx.engine.prefill import AttentionPath, Prefill
from longctx.engine.prompt_lookup import PromptLookup
from longctx.engine.request import PrefillCallback, Request
from longctx.engine.sampling import GenerationOptions, Sampler
from longctx.prompts import ThoughtSplitter, control_tokens, delimiters
from longctx.types import Thought

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
        thinking: What the model has thought so far, where thoughts are told from the answer.
        text: The answer so far.
        taken_back: Whether what was given out first has turned out to be thoughts; it is no longer in `text`.
        inside_thoughts: Whether the text ended in thoughts, before an answer.
        shows_thinking: Whether thoughts are given out, too, as pieces of type `Thought`.
        top_logprobs: The likeliest first tokens as text, with the natural logarithms of their probabilities before any
            sampling; None where nobody asked (`GenerationOptions.top_logprobs`), and where a server does not tell.
    """

    def __init__(self, prompt_tokens: int, pieces: Callable[[Generation], Generator[str, None, None]]) -> None:
        self.prompt_tokens = prompt_tokens
        self.reused_tokens = 0
        self.completion_tokens = 0
        self.path: AttentionPath | None = None
        self.finish: Literal["end", "stop", "length"] | None = None
        self.thinking = self.text = ""
        self.taken_back = self.inside_thoughts = self.shows_thinking = False
        self.top_logprobs: Mapping[str, float] | None = None
        self._pieces = pieces(self)  # it sets the attributes above as it goes

    def __next__(self) -> str:
        for piece in self._pieces:
            if not isinstance(piece, Thought):
                self.text += piece
                return piece
            if self.taken_back and self.text:
                self.text = ""
            self.thinking += piece
            if self.shows_thinking:
                return piece
        raise StopIteration

    def rest(self) -> str:
        """The whole answer; pieces that have not been taken yet are taken first."""
        for _ in self:
            pass
        return self.text

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
    """Read the prompt, then sample and decode until the answer ends, one token at a time or a draft of several.

    Args:
        prefill: The model and its prefix cache.
        request: The prompt's token ids.
        options: Sampling, the longest answer, and the stop strings.
        progress: Called with how much of the prompt has been read.
        result: Whose attributes are kept up to date.

    Yields:
        Text that no later token can change.
    """
    writer = _Writer(prefill.tokenizer, options, result)
    with prefill.open(request, answering=True) as sequence:
        result.reused_tokens = sequence.reused
        logits = sequence.read_prompt(progress)
        assert logits is not None  # `answering` leaves at least one token of the prompt to read
        result.path = sequence.path
        if options.top_logprobs:
            result.top_logprobs = likeliest(prefill.tokenizer, logits, options.top_logprobs)
        sampler, seen = Sampler(options, logits.device), list(request.ids)
        lookup = PromptLookup(request.ids, prefill.longest_draft(options.prompt_lookup))
        rows, draft = logits.unsqueeze(0), list[int]()  # the logits after the last token, and after each of a draft
        while result.finish is None:
            for right in range(len(rows)):
                token = sampler.choose(rows[right], seen)
                tokens = [token, *writer.closing(token)]
                if token in prefill.end_tokens:
                    result.finish = "end"
                for place, each in enumerate(tokens):
                    seen.append(each)
                    lookup.add(each)
                    yield from writer.add(each, closing=place > 0)
                if result.finish is not None or draft[right : right + 1] != tokens:
                    break
            if result.finish is None:
                sequence.take_back(len(draft) - right)
                lookup.learn(len(draft), right)
                draft = lookup.draft(request.length - sequence.done - len(tokens))
                rows = sequence.read_each(tokens, draft)
    yield from writer.finish()  # outside `with`: the prefix is back in its cache before the last piece is given out


def likeliest(tokenizer: Any, logits: torch.Tensor, count: int) -> dict[str, float]:
    """The likeliest next tokens.

    Args:
        tokenizer: Decodes them.
        logits: Of shape (vocabulary,).
        count: How many of them.

    Returns:
        Their texts with the natural logarithms of their probabilities; of tokens with the same text, the likeliest.
    """
    values, tokens = logits.float().log_softmax(-1).topk(min(count, logits.shape[-1]))
    texts = (tokenizer.decode([token]) for token in tokens.tolist())
    return dict(reversed([*zip(texts, values.tolist(), strict=True)]))


class _Writer:
    """From tokens to pieces of text: thoughts apart, up to a stop string, within the budgets."""

    def __init__(self, tokenizer: Any, options: GenerationOptions, result: Generation) -> None:
        self._decoder, self._stop = TokenText(tokenizer), StopText(options.stop)
        self._thinking, self._options, self._result = options.thinking, options, result
        self._tokenizer = tokenizer
        self._thoughts = 0  # tokens
        self._splitter: ThoughtSplitter | None = None
        self._delimiters: dict[int, str] = {}
        if self._thinking is not None:
            self._splitter = ThoughtSplitter(self._thinking.opened)
            self._delimiters = delimiters(control_tokens(tokenizer))

    def closing(self, token: int) -> list[int]:
        """Tokens that follow a token in the model's place: what closes thoughts that have used up their budget."""
        if self._splitter is None or self._thinking is None or not self._splitter.inside:
            return []
        closing = self._tokenizer(self._splitter.closing, add_special_tokens=False)["input_ids"]
        spent = self._thoughts + 1 + len(closing) >= self._options.thoughts
        return list(closing) if spent and token not in closing and self._result.finish is None else []

    def add(self, token: int, *, closing: bool) -> Iterator[str]:
        """Take one more token, of the model's or of those that close its thoughts; yields the text that it settles."""
        result = self._result
        result.completion_tokens += 1
        self._thoughts += closing or (self._splitter is not None and self._splitter.inside)
        if result.finish is None and self._options.is_spent(result.completion_tokens, self._thoughts):
            result.finish = "length"
        if token in self._delimiters:  # the decoder leaves special tokens out
            yield from self._pieces(self._decoder.finish() + self._delimiters[token])
            self._decoder = TokenText(self._tokenizer)
        else:
            yield from self._pieces(self._decoder.add(token))

    def finish(self) -> Iterator[str]:
        """End the text; yields what was held back."""
        if self._result.finish != "stop":
            yield from self._pieces(self._decoder.finish())
        if self._result.finish != "stop":
            for piece in self._splitter.finish() if self._splitter is not None else ():
                yield from self._stopped(piece)
        if self._result.finish != "stop" and (piece := self._stop.finish()):
            yield piece
        if self._splitter is not None:
            self._result.inside_thoughts = self._splitter.inside

    def _pieces(self, text: str) -> Iterator[str]:
        for piece in (text,) if self._splitter is None else self._splitter.add(text):
            self._result.taken_back = self._splitter is not None and self._splitter.taken_back
            yield from self._stopped(piece)

    def _stopped(self, piece: str) -> Iterator[str]:
        """A piece up to a stop string, which is looked for in the answer only."""
        if isinstance(piece, Thought):
            yield piece
        elif self._result.finish != "stop":
            settled = self._stop.add(piece)
            if self._stop.met:
                self._result.finish = "stop"
            if settled:
                yield settled


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
