"""The reading rate of a model on a server: how many tokens of a prompt it reads in a second."""

from __future__ import annotations

import secrets
import time
from contextlib import suppress
from typing import Any

from longctx.backends.openai.client import Connection
from longctx.errors import ServerFailed
from longctx.models import keep_rate, kept_rate
from longctx.planning import ReadingSpeed

_OLDEST = 86_400.0  # seconds: a server may move to another machine
_FEW, _MANY = 4, 64  # words; those drawn here have about two tokens each
_RUNS = 2  # the faster one counts: the first may have to load the model
_SHORTEST = 1e-3  # seconds between the two, so that a rate is never infinite


def reading_speed(server: Connection, model: str, *, measure: bool) -> ReadingSpeed | None:
    """How fast a server reads prompts.

    Args:
        server: The server.
        model: The model's name there.
        measure: Whether to measure what is not known, or was measured more than a day ago.

    Returns:
        The speed; None if it is not known.

    Raises:
        ServerFailed: If the server does not answer, or does not count the tokens of prompts.
    """
    key = f"{server.address.url}#{model}"
    rate = kept_rate(key, _OLDEST)
    if rate is None and measure:
        rate = _measured(server, model)
        keep_rate(key, rate)
    return None if rate is None else ReadingSpeed(rate)


def _measured(server: Connection, model: str) -> float:
    """Tokens per second, from prompts of two lengths: what a request costs beside the reading is in both."""
    runs = [[_timed(server, model, words) for words in (_FEW, _MANY)] for _ in range(_RUNS)]
    short, long = (min(seconds for _, seconds in same) for same in zip(*runs, strict=True))
    [(few, _), (many, _)] = runs[-1]
    if many <= few:
        raise ServerFailed(f"{server.address.url} does not count the tokens of prompts: give --prompt-tokens")
    return float(many - few) / max(long - short, _SHORTEST)


def _timed(server: Connection, model: str, words: int) -> tuple[int, float]:
    """Length of a prompt in tokens by the server's count, and seconds to its first token."""
    # drawn anew each time, or the server would have the keys and values of the prompt before
    text = " ".join(secrets.token_hex(2) for _ in range(words))
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 1}
    began = time.perf_counter()
    response = server.chat(body)
    seconds = time.perf_counter() - began
    with suppress(LookupError, TypeError, ValueError):
        return int(response["usage"]["prompt_tokens"]), seconds
    return 0, seconds
