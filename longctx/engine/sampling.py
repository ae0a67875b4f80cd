"""Sampling: the next token from a model's logits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch

from longctx.types import SamplingOptions, check_values, is_count

_COLDEST = 1e-37  # below it, float32 has no temperature
_LARGEST = 1e38  # of scores in float32, so that two of them have a difference


@dataclass(frozen=True, slots=True)
class Thinking:
    """How a model may think before it answers.

    Attributes:
        tokens: The most tokens of thoughts; then the answer has to begin. 0 is for a model that is not expected to
            think: if it does so, its thoughts take up to half of the answer's own tokens.
        opened: The tag that the prompt has opened; None if the model opens it, or does not think.
    """

    tokens: int
    opened: str | None = None


@dataclass(frozen=True, slots=True)
class GenerationOptions(SamplingOptions):
    """How an answer is generated: its length, and how each token is chosen.

    Attributes:
        max_new_tokens: The longest answer, in tokens.
        temperature: Divides the logits; 0 is greedy decoding.
        top_p: Samples from the likeliest tokens that together have this probability (arXiv 1904.09751).
        top_k: Samples from this many of the likeliest tokens; 0 is all.
        repetition_penalty: Above 1, tokens of the prompt and the answer become less likely (arXiv 1909.05858).
        seed: The same seed gives the same tokens; None draws a new one.
        stop: Strings before the first of which the answer ends.
        prompt_lookup: Whether drafts from the prompt are checked several tokens at once; None does so where it pays.
        thinking: Tells thoughts from the answer, and limits them; None leaves the text as the model writes it.
        top_logprobs: For how many of the likeliest first tokens `Generation.top_logprobs` is to say how likely they
            are.

    Raises:
        BadRequest: For a value out of its range.
    """

    max_new_tokens: int = 256
    thinking: Thinking | None = None
    top_logprobs: int = 0

    @property
    def thoughts(self) -> int:
        """The most tokens of thoughts."""
        return 0 if self.thinking is None else self.thinking.tokens or self.max_new_tokens // 2

    def is_spent(self, tokens: int, thoughts: int) -> bool:
        """Tell whether an answer has all its tokens: expected thoughts have tokens of their own.

        Args:
            tokens: How many tokens the model has written.
            thoughts: How many of them are thoughts.

        Returns:
            Whether the answer ends for its length.
        """
        apart = thoughts if self.thinking is not None and self.thinking.tokens else 0
        return tokens - apart >= self.max_new_tokens

    @property
    def new_tokens(self) -> int:
        """The most tokens that can follow the prompt, thoughts and answer."""
        return self.max_new_tokens + (0 if self.thinking is None else self.thinking.tokens)

    def __post_init__(self) -> None:
        least = (is_count(self.max_new_tokens, 1), "an answer needs a whole number of tokens, at least 1")
        check_values(self, max_new_tokens=least, top_logprobs=(is_count(self.top_logprobs), "give 0 or more tokens"))
        SamplingOptions.__post_init__(self)  # super() does not work in a class with slots

    @classmethod
    def of(
        cls,
        sampling: SamplingOptions,
        max_new_tokens: int,
        stop: Sequence[str] = (),
        thinking: Thinking | None = None,
        top_logprobs: int = 0,
    ) -> GenerationOptions:
        """Build generation options from sampling options.

        Args:
            sampling: How each token is chosen.
            max_new_tokens: The longest answer, in tokens.
            stop: Further strings that end the answer, such as those of a prompt template.
            thinking: Tells thoughts from the answer, and limits them.
            top_logprobs: Of how many of the likeliest first tokens to say how likely they are.

        Returns:
            Options with the stop strings of both.
        """
        chosen = {each.name: getattr(sampling, each.name) for each in fields(SamplingOptions)}
        return cls(max_new_tokens, thinking, top_logprobs, **chosen | {"stop": (*sampling.stop, *stop)})


class Sampler:
    """Chooses tokens under one set of options, with a random number generator of its own."""

    def __init__(self, options: GenerationOptions, device: torch.device) -> None:
        self.options = options
        self._random = torch.Generator(device)
        if options.seed is None:
            self._random.seed()
        else:
            self._random.manual_seed(options.seed)

    def choose(self, logits: torch.Tensor, seen: Sequence[int]) -> int:
        """Choose the next token.

        Args:
            logits: Of shape (vocabulary,).
            seen: Token ids of the prompt and of the answer so far.

        Returns:
            Its token id.
        """
        options, scores = self.options, logits.float()
        if options.repetition_penalty != 1.0:
            scores = penalize(scores, seen, float(options.repetition_penalty))
        if options.temperature == 0:
            return int(scores.argmax())
        # relative to the largest, which no temperature can then make infinite
        scores = (scores - scores.max()) / max(float(options.temperature), _COLDEST)
        scores = keep_likeliest(scores, options.top_k, options.top_p)
        return int(torch.multinomial(scores.softmax(-1), 1, generator=self._random))


def penalize(scores: torch.Tensor, seen: Sequence[int], penalty: float) -> torch.Tensor:
    """Repetition penalty on scores (vocabulary,): those of the tokens `seen` are lowered (arXiv 1909.05858, 4.1)."""
    tokens = torch.tensor(sorted(set(seen)), device=scores.device)
    known = scores[tokens]
    penalized = torch.where(known < 0, known * penalty, known / penalty)
    return scores.scatter(0, tokens, penalized.clamp(-_LARGEST, _LARGEST))


def keep_likeliest(scores: torch.Tensor, top_k: int, top_p: float) -> torch.Tensor:
    """Top-k, then top-p filtering of scores (vocabulary,): those of the other tokens become -inf."""
    if 0 < top_k < scores.shape[0]:
        scores = scores.masked_fill(scores < scores.topk(top_k).values[-1], -math.inf)
    if top_p < 1:
        ordered, tokens = scores.sort()
        # Summed from the unlikeliest token up, as transformers does: float32 rounds the small sums of the tail far less
        # than sums close to 1.
        past = ordered.softmax(-1).cumsum(-1) <= 1 - top_p
        past[-1] = False  # the likeliest token is always kept
        scores = scores.scatter(0, tokens, ordered.masked_fill(past, -math.inf))
    return scores
