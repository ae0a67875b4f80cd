"""Counting tokens where the tokenizer is on a server: by the server itself, or by an estimate.

OpenAI's protocol has no request for it. What a server offers beside the protocol is found by trying, once, when a model
is connected.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from threading import Lock
from typing import Any

from longctx.backends.openai.client import Connection
from longctx.backends.openai.context_errors import Refused
from longctx.errors import ServerFailed

_AT_ONCE = 8  # requests, where a server counts one text in each
_CUT = -1  # between texts that llama.cpp's server counts together: it passes numbers on as they are
_REMEMBERED = 16_384  # texts whose counts are kept
_TRUNCATED = 0.5  # of a prompt: a server that read less has left out what was too long
_TRIED = "How long is this?\n"
_WORD, _DIGIT_OR_SIGN, _OTHER = re.compile(r"[A-Za-z\s]+"), re.compile(r"[!-@\[-`{-~]"), re.compile(r"[^\x00-\x7f]+")


class TokenizeApi(ABC):
    """The requests that count tokens on one kind of server."""

    def __init__(self, server: Connection, model: str) -> None:
        self.server, self.model = server, model

    @abstractmethod
    def texts(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text, without special tokens."""

    def messages(self, messages: Sequence[Mapping[str, str]]) -> int:
        """Count the tokens of messages in the chat template, by asking for an answer of one token."""
        request = {"model": self.model, "messages": messages, "max_tokens": 1, "temperature": 0.0}
        return int(self.server.chat(request)["usage"]["prompt_tokens"])

    def works(self) -> bool:
        """Whether the server has these requests, and they count."""
        try:
            once, twice = self.texts((_TRIED, _TRIED * 2))
        except (ServerFailed, LookupError, TypeError, ValueError):
            return False
        return 0 < once < twice <= 2 * once + 1

    def _post(self, path: str, **fields: Any) -> Any:
        return self.server.post(f"{self.server.address.root}/{path}", {"model": self.model, **fields})

    def _each(self, path: str, field: str, texts: Sequence[str], **fields: Any) -> list[int]:
        """Counts of texts, for a server that takes one in a request."""
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            return list(threads.map(lambda text: int(self._post(path, **{field: text}, **fields)["count"]), texts))


class _LlamaCpp(TokenizeApi):
    def texts(self, texts: Sequence[str]) -> list[int]:
        tokens = self._post("tokenize", content=[piece for text in texts for piece in (text, _CUT)])["tokens"]
        cuts = [place for place, token in enumerate(tokens) if token == _CUT]
        return [cut - before - 1 for before, cut in zip([-1, *cuts], cuts, strict=False)]

    def messages(self, messages: Sequence[Mapping[str, str]]) -> int:
        prompt = self._post("apply-template", messages=messages)["prompt"]
        return len(self._post("tokenize", content=prompt, add_special=True)["tokens"])


class _Vllm(TokenizeApi):
    def texts(self, texts: Sequence[str]) -> list[int]:
        return self._each("tokenize", "prompt", texts, add_special_tokens=False)

    def messages(self, messages: Sequence[Mapping[str, str]]) -> int:
        return int(self._post("tokenize", messages=messages)["count"])


class _LlamaCppPython(TokenizeApi):
    def texts(self, texts: Sequence[str]) -> list[int]:
        [begin, *counts] = self._each("extras/tokenize/count", "input", ["", *texts])
        return [count - begin for count in counts]  # less a BOS, where the model has one


_APIS = (_LlamaCpp, _Vllm, _LlamaCppPython)  # in the order in which they are tried; add servers of another kind here


def estimated(text: str) -> int:
    """Estimate the tokens of a text that nothing can count; rarely too few."""
    # A token for three letters or blanks, for each digit and sign, and for two bytes of other scripts. English prose
    # has about four letters to a token. Llama 2 splits numbers into digits, and Japanese into about one token for each
    # character of three bytes, two or three for rare ones.
    letters = sum(len(run) for run in _WORD.findall(text))
    signs = len(_DIGIT_OR_SIGN.findall(text))
    others = sum(len(run.encode()) for run in _OTHER.findall(text))
    return math.ceil(letters / 3 + signs + others / 2)


@dataclass(frozen=True, slots=True)
class Wrapping:
    """Tokens that a chat template adds.

    Attributes:
        base: Around a system prompt and a user's message, with the start of the answer.
        turn: Around an answer and the next message.
        system: Whether the template takes system prompts.
    """

    base: int = 48
    turn: int = 32
    system: bool = True


class TokenCounter:
    """Counts the tokens of texts, each text once, and corrects itself by what prompts really took.

    Attributes:
        api: How the server counts; None if it cannot, and texts are estimated.
        ratio: Factor on estimates.
        wrapping: What the chat template adds.
    """

    def __init__(self, api: TokenizeApi | None, wrapping: Wrapping) -> None:
        self.api = api
        self.ratio = 1.0
        self.wrapping = wrapping
        self._largest = 0.0  # what a prompt took, as a multiple of its estimate
        self._known: dict[str, int] = {}
        self._lock = Lock()

    @classmethod
    def find(cls, server: Connection, model: str) -> TokenCounter:
        """A counter that uses what a server offers. Raises ServerFailed."""
        api = next((api for kind in _APIS if (api := kind(server, model)).works()), None)
        return cls(api, _find_wrapping(api))

    def count(self, texts: Sequence[str]) -> list[int]:
        """The tokens of texts. Raises ServerFailed."""
        if self.api is None:
            return [math.ceil(self.ratio * estimated(text)) for text in texts]
        with self._lock:
            if new := list(dict.fromkeys(text for text in texts if text not in self._known)):
                try:
                    self._known |= dict(zip(new, self.api.texts(new), strict=True))
                except (LookupError, TypeError, ValueError) as error:
                    raise ServerFailed(
                        f"{self.api.server.address.root} counted tokens when it was connected, and does not now: "
                        "connect it again"
                    ) from error
            counts = [self._known[text] for text in texts]
            for oldest in list(islice(self._known, max(0, len(self._known) - _REMEMBERED))):
                del self._known[oldest]
        return counts

    def learn(self, planned: int, used: int) -> None:
        """Correct the counts by a prompt that was counted as `planned` tokens and took `used`."""
        if used < _TRUNCATED * planned:
            return
        if self.api is None:  # the largest ratio that was seen, and a tenth more
            self._largest = max(self._largest, used / (planned / self.ratio))
            self.ratio = 1.1 * self._largest
        else:
            self.wrapping = replace(self.wrapping, base=self.wrapping.base + max(0, used - planned))


_SAID = "word"
_ROLES = ("system", "user", "assistant", "user")


def _find_wrapping(api: TokenizeApi | None) -> Wrapping:
    """What the chat template adds, as the server counts it; a generous guess where it does not. Raises ServerFailed."""
    if api is None:
        return Wrapping()
    try:
        return _wrapping(api, _ROLES)
    except Refused:
        raise
    except ServerFailed:  # there are templates that refuse a system prompt
        return _wrapping(api, _ROLES[1:])


def _wrapping(api: TokenizeApi, roles: Sequence[str]) -> Wrapping:
    messages = [{"role": role, "content": _SAID} for role in roles]
    try:
        [word] = api.texts((_SAID,))
        base = api.messages(messages[:-2]) - len(messages[:-2]) * word
        turn = api.messages(messages) - base - len(messages) * word
    except (LookupError, TypeError, ValueError):
        return Wrapping()
    # a word may have one token more or less beside what a template writes
    return Wrapping(max(0, base) + 2, max(0, turn) + 2, len(roles) == len(_ROLES))
