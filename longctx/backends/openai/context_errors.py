"""Reading the errors of servers about prompts that are too long, and the limits that they state.

OpenAI's protocol has no field for either: the numbers are in the prose of the message, which differs between servers
and between their versions.
"""

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


def _patterns(*texts: str) -> list[re.Pattern[str]]:
    return [re.compile(text.replace("NUMBER", r"(\d[\d,]*)"), re.IGNORECASE) for text in texts]


# vLLM, llama.cpp, llama-cpp-python and OpenAI itself, in the words of 2026 and of the years before. A message may state
# several numbers: the first pattern that matches counts.
_LIMITS = _patterns(
    r"'n_ctx': NUMBER",
    r"context[ _](?:length|size|window)\D{0,24}NUMBER",
    r"max_model_len\D{0,24}NUMBER",
    r"maximum (?:input |sequence )?length\D{0,24}NUMBER",
    r"NUMBER maximum",
)
_PROMPTS = _patterns(
    r"'n_prompt_tokens': NUMBER",
    r"\(NUMBER in the messages",
    r"passed NUMBER input tokens",
    r"request \(NUMBER tokens",
    r"requested tokens \(NUMBER\)",
    r"prompt contains (?:at least )?NUMBER",
    r"input length \(NUMBER\)",
    r"too long: NUMBER",
)
_TOTALS = _patterns(r"requested NUMBER tokens")


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a server says about a prompt that is too long. None is what it does not say.

    Attributes:
        limit: The context length in tokens, prompt and answer together.
        prompt: Tokens of the prompt that was sent.
        total: Tokens of the prompt and the answer that was asked for.
    """

    limit: int | None
    prompt: int | None
    total: int | None = None

    def prompt_before(self, new: int) -> int | None:
        """Tokens of the prompt, given that an answer of at most `new` tokens was asked for."""
        return self.prompt if self.prompt is not None or self.total is None else self.total - new


class Refused(ServerFailed):
    """A server refused a prompt for its length."""

    def __init__(self, refusal: Refusal, message: str) -> None:
        super().__init__(message)
        self.refusal = refusal


def refusal_in(status: int, body: Any, message: str) -> Refusal | None:
    """Read a refusal from an error of a server.

    Args:
        status: The HTTP status.
        body: The body of the response.
        message: The message of the error.

    Returns:
        The refusal; None if the error is about something else.
    """
    said = f"{message} {body}"
    if status not in _STATUSES or not _TOO_LONG.search(said):
        return None
    return Refusal(_first(_LIMITS, said), _first(_PROMPTS, said), _first(_TOTALS, said))


def _first(patterns: Iterable[re.Pattern[str]], text: str) -> int | None:
    found = next((match for pattern in patterns if (match := pattern.search(text))), None)
    return None if found is None else int(found[1].replace(",", ""))
