"""The reading rate of a model on a server: how many tokens of a prompt it reads in a second."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from longctx.errors import ServerFailed
from longctx.models import speed_of
from longctx.planning import ReadingSpeed

_OLDEST = 86_400.0  # seconds: a server may move to another machine
_FEW, _MANY = 4, 44  # words; those drawn here have about three tokens each
_RUNS = 2  # the faster one counts: the first may have to load the model
_SHORTEST = 1e-3  # seconds between the two, so that a rate is never infinite


Ask = Callable[[Sequence[Mapping[str, str]]], int | None]


def reading_speed(key: str, ask: Ask, url: str, *, measure: bool) -> ReadingSpeed | None:
    """How fast a server reads prompts.

    Args:
        key: What the rate is kept under.
        ask: Has the server read messages for an answer of one token, and returns how many tokens they were.
        url: The server's URL, for messages.
        measure: Whether to measure what is not known, or was measured more than a day ago.

    Returns:
        The speed; None if it is not known.

    Raises:
        ServerFailed: If the server does not answer, or does not count the tokens of prompts.
    """
    return speed_of(key, measure=partial(_measured, ask, url) if measure else None, oldest=_OLDEST)


def _measured(ask: Ask, url: str) -> float:
    """Tokens per second, from prompts of two lengths: what a request costs beside the reading is in both."""
    runs = [(_timed(ask, _FEW), _timed(ask, _MANY)) for _ in range(_RUNS)]
    short, long = min(few.seconds for few, _ in runs), min(many.seconds for _, many in runs)
    tokens = runs[-1][1].tokens - runs[-1][0].tokens
    if tokens <= 0:
        raise ServerFailed(f"{url} does not count the tokens of prompts: give --prompt-tokens")
    return tokens / max(long - short, _SHORTEST)


class _Timed(NamedTuple):
    tokens: int  # of the prompt, by the server's count; 0 if it counts none
    seconds: float  # to the first token


def _timed(ask: Ask, words: int) -> _Timed:
    """Have the server read a prompt."""
    # drawn anew each time, or the server would have the keys and values of the prompt before
    text = " ".join(secrets.token_hex(2) for _ in range(words))
    began = time.perf_counter()
    tokens = ask([{"role": "user", "content": text}])
    return _Timed(tokens or 0, time.perf_counter() - began)
