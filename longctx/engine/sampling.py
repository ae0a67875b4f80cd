"""Choosing the next token from logits. Knows numbers; knows no model and no text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from longctx.errors import BadRequest

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class GenerationOptions:
    """How an answer is generated. Greedy unless `temperature` is above 0; the same `seed` gives the same tokens.

    `top_p` keeps the likeliest tokens that together have that probability, `top_k` the k likeliest (0: all),
    `repetition_penalty` above 1 makes tokens of the prompt and the answer less likely, and the answer ends before the
    first of the `stop` strings. Raises BadRequest.
    """

    max_new_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        rules = {
            "max_new_tokens": (self.max_new_tokens >= 1, "an answer needs at least 1"),
            "temperature": (0 <= self.temperature < math.inf, "give 0 for greedy, or a number above it"),
            "top_p": (0 < self.top_p <= 1, "give a probability above 0, at most 1"),
            "top_k": (self.top_k >= 0, "give 0 for all tokens, or how many"),
            "repetition_penalty": (0 < self.repetition_penalty < math.inf, "give 1 for none, or a number above it"),
            "stop": (isinstance(self.stop, tuple) and all(self.stop), "give a tuple of strings, none of them empty"),
        }
        for name, (holds, remedy) in rules.items():
            if not holds:
                raise BadRequest(f"{name} is {getattr(self, name)!r}: {remedy}")


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
