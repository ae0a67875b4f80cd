"""Choosing the next token from logits. Knows numbers; knows no model and no text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from longctx.types import SamplingOptions, check_values

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class GenerationOptions(SamplingOptions):
    """How an answer is generated: its longest length in tokens, and how each token is chosen.

    Raises:
        BadRequest: For a value out of its range.
    """

    max_new_tokens: int = 256

    def __post_init__(self) -> None:
        check_values(self, max_new_tokens=(self.max_new_tokens >= 1, "an answer needs at least 1"))
        SamplingOptions.__post_init__(self)  # super() does not work in a class with slots

    @classmethod
    def of(cls, sampling: SamplingOptions, max_new_tokens: int, stop: Sequence[str] = ()) -> GenerationOptions:
        """Sampling options for an answer of a length.

        Args:
            sampling: How each token is chosen.
            max_new_tokens: The longest answer, in tokens.
            stop: Further strings that end the answer, such as those of a prompt template.
        """
        chosen = {each.name: getattr(sampling, each.name) for each in fields(SamplingOptions)}
        return cls(max_new_tokens, **chosen | {"stop": (*sampling.stop, *stop)})


class Sampler:
    """Chooses tokens under one set of options; its random numbers are its own."""

    def __init__(self, options: GenerationOptions, device: torch.device) -> None:
        import torch

        self.options = options
        self._random = torch.Generator(device)
        if options.seed is None:
            self._random.seed()
        else:
            self._random.manual_seed(options.seed)

    def choose(self, logits: torch.Tensor, seen: Sequence[int]) -> int:
        """The next token from logits (vocabulary,), after the tokens `seen`."""
        import torch

        options, scores = self.options, logits.float()
        if options.repetition_penalty != 1.0:
            scores = penalize(scores, seen, options.repetition_penalty)
        if options.temperature == 0:
            return int(scores.argmax())
        scores = keep_likeliest(scores / options.temperature, options.top_k, options.top_p)
        return int(torch.multinomial(scores.softmax(-1), 1, generator=self._random))


def penalize(scores: torch.Tensor, seen: Sequence[int], penalty: float) -> torch.Tensor:
    """Scores (vocabulary,) with those of the tokens `seen` lowered: CTRL, Keskar et al. 2019, section 4.1."""
    import torch

    tokens = torch.tensor(sorted(set(seen)), device=scores.device)
    known = scores[tokens]
    return scores.scatter(0, tokens, torch.where(known < 0, known * penalty, known / penalty))


def keep_likeliest(scores: torch.Tensor, top_k: int, top_p: float) -> torch.Tensor:
    """Scores (vocabulary,) with all but the `top_k` likeliest, and then all past probability `top_p`, at -inf."""
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
