"""Refusals of a prompt for its length, and the limit that a server states in them. Knows what servers say."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from longctx.errors import ServerFailed

_STATUSES = (400, 413, 422, 500)
_TOO_LONG = re.compile(
    r"(?i)context[ _-]?(length|size|window)|exceed_context|max_model_len|maximum (input |sequence )?length"
    r"|(prompt|input)\b.{0,40}\btoo (long|many tokens)"
)
_NUMBER = r"(\d[\d,]*)"
# vLLM, llama.cpp, llama-cpp-python and OpenAI itself, in the words of 2026 and of the years before
_LIMITS = tuple(
    re.compile(pattern.replace("NUMBER", _NUMBER), re.IGNORECASE)
    for pattern in (
        r"'n_ctx': NUMBER",
        r"context[ _](?:length|size|window)\D{0,24}NUMBER",
        r"max_model_len\D{0,24}NUMBER",
        r"maximum (?:input |sequence )?length\D{0,24}NUMBER",
        r"NUMBER maximum",
    )
)
_PROMPTS = tuple(
    re.compile(pattern.replace("NUMBER", _NUMBER), re.IGNORECASE)
    for pattern in (
        r"'n_prompt_tokens': NUMBER",
        r"\(NUMBER in the messages",
        r"passed NUMBER input tokens",
        r"request \(NUMBER tokens",
        r"requested tokens \(NUMBER\)",
        r"prompt contains (?:at least )?NUMBER",
        r"input length \(NUMBER\)",
        r"too long: NUMBER",
    )
)
_TOTALS = (re.compile(rf"requested {_NUMBER} tokens", re.IGNORECASE),)


@dataclass(frozen=True, slots=True)
class Refusal:
    """How many tokens a server says that it takes, prompt and answer, and how many were sent; None: not said."""

    limit: int | None
    prompt: int | None
    total: int | None = None

    def prompt_before(self, new: int) -> int | None:
        """How many tokens the prompt has, where an answer of `new` tokens was asked for."""
        return self.prompt if self.prompt is not None or self.total is None else self.total - new


class Refused(ServerFailed):
    """A server refused a prompt for its length."""

    def __init__(self, refusal: Refusal, message: str) -> None:
        super().__init__(message)
        self.refusal = refusal


def refusal_in(status: int, body: Any, message: str) -> Refusal | None:
    """The refusal that an error is, if it is one."""
    said = f"{message} {body}"
    if status not in _STATUSES or not _TOO_LONG.search(said):
        return None
    return Refusal(_first(_LIMITS, said), _first(_PROMPTS, said), _first(_TOTALS, said))


def _first(patterns: Iterable[re.Pattern[str]], text: str) -> int | None:
    found = next((match for pattern in patterns if (match := pattern.search(text))), None)
    return None if found is None else int(found[1].replace(",", ""))
