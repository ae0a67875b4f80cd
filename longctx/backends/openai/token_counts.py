"""Counting tokens where the model is: by the server's own tokenizer, or by an estimate. Knows requests; no prompts.

What a server has beyond OpenAI's protocol is found by trying, once, when a model is connected.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from threading import Lock
from typing import Any

from longctx.backends.openai.client import Connection
from longctx.backends.openai.context_errors import Refused
from longctx.errors import ServerFailed

Messages = Sequence[Mapping[str, str]]

_AT_ONCE = 8  # requests, where a server counts one text in each
_CUT = -1  # between texts that llama.cpp's server counts together: it passes numbers on as they are
_REMEMBERED = 16_384  # texts whose counts are kept
_CUT_SHORT = 0.5
_TRIED = "How long is this?\n"
_WORD, _DIGIT_OR_SIGN, _OTHER = re.compile(r"[A-Za-z\s]+"), re.compile(r"[!-@\[-`{-~]"), re.compile(r"[^\x00-\x7f]+")


@dataclass(frozen=True, slots=True)
class Tokenizing:
    """How servers of one kind count: `texts` as they are, and `messages` as their template writes them."""

    name: str
    texts: Callable[[Connection, str, Sequence[str]], list[int]]
    messages: Callable[[Connection, str, Messages], int]


def _vllm_texts(server: Connection, model: str, texts: Sequence[str]) -> list[int]:
    def count(text: str) -> int:
        return int(_vllm(server, {"model": model, "prompt": text, "add_special_tokens": False}))

    return _each(count, texts)


def _vllm_messages(server: Connection, model: str, messages: Messages) -> int:
    return _vllm(server, {"model": model, "messages": list(messages)})


def _vllm(server: Connection, body: Mapping[str, Any]) -> int:
    return int(server.post(f"{server.address.root}/tokenize", body)["count"])


def _llama_cpp_texts(server: Connection, model: str, texts: Sequence[str]) -> list[int]:
    content = [piece for text in texts for piece in (text, _CUT)]
    tokens = server.post(f"{server.address.root}/tokenize", {"model": model, "content": content})["tokens"]
    cuts = [place for place, token in enumerate(tokens) if token == _CUT]
    return [cut - before - 1 for before, cut in zip([-1, *cuts], cuts, strict=False)]


def _llama_cpp_messages(server: Connection, model: str, messages: Messages) -> int:
    root = server.address.root
    prompt = server.post(f"{root}/apply-template", {"model": model, "messages": list(messages)})["prompt"]
    return len(server.post(f"{root}/tokenize", {"model": model, "content": prompt, "add_special": True})["tokens"])


def _llama_cpp_python_texts(server: Connection, model: str, texts: Sequence[str]) -> list[int]:
    def count(text: str) -> int:
        return int(
            server.post(f"{server.address.root}/extras/tokenize/count", {"model": model, "input": text})["count"]
        )

    begin = count("")  # a BOS, where the model has one
    return [tokens - begin for tokens in _each(count, texts)]


def _asked_messages(server: Connection, model: str, messages: Messages) -> int:
    """By asking for one token: what the server says that the prompt took."""
    answer = server.chat({"model": model, "messages": list(messages), "max_tokens": 1, "temperature": 0.0})
    return int(answer["usage"]["prompt_tokens"])


def _each(count: Callable[[str], int], texts: Sequence[str]) -> list[int]:
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return list(threads.map(count, texts))


KINDS = (
    Tokenizing("llama.cpp", _llama_cpp_texts, _llama_cpp_messages),
    Tokenizing("vLLM", _vllm_texts, _vllm_messages),
    Tokenizing("llama-cpp-python", _llama_cpp_python_texts, _asked_messages),
)
"""In the order in which they are tried; add a server of another kind here."""


def _works(kind: Tokenizing, server: Connection, model: str) -> bool:
    try:
        once, twice = kind.texts(server, model, (_TRIED, _TRIED * 2))
    except (ServerFailed, LookupError, TypeError, ValueError):
        return False
    return 0 < once < twice <= 2 * once + 1


def estimated(text: str) -> int:
    """Tokens that a text has at most, nearly always, where nothing can count them.

    A token for three letters or blanks, for each digit and sign, and for two bytes of other scripts: English prose has
    about four letters to a token, and Llama 2 splits numbers into digits and Japanese into about a token for each
    character of three bytes, two or three of them for rare ones.
    """
    letters = sum(len(run) for run in _WORD.findall(text))
    signs = len(_DIGIT_OR_SIGN.findall(text))
    others = sum(len(run.encode()) for run in _OTHER.findall(text))
    return math.ceil(letters / 3 + signs + others / 2)


@dataclass(frozen=True, slots=True)
class Wrapping:
    """Tokens that a server's template puts around what is said.

    `base` around a system prompt and a user's message, where the answer begins included; `turn` around an answer and
    the next message. `system`: the template knows system prompts.
    """

    base: int = 48
    turn: int = 32
    system: bool = True


class TokenCounter:
    """Counts texts for one model, each once, and learns from what prompts really took.

    Where the server cannot count, texts take `ratio` times the estimate. `wrapping` is what its template adds.
    """

    def __init__(self, server: Connection, model: str, kind: Tokenizing | None, wrapping: Wrapping) -> None:
        self.kind = kind
        self.ratio = 1.0
        self.wrapping = wrapping
        self._server, self._model = server, model
        self._seen = 0.0
        self._known: dict[str, int] = {}
        self._lock = Lock()

    @classmethod
    def find(cls, server: Connection, model: str) -> TokenCounter:
        """A counter that uses what a server has. Raises ServerFailed."""
        kind = next((kind for kind in KINDS if _works(kind, server, model)), None)
        return cls(server, model, kind, find_wrapping(server, model, kind))

    def count(self, texts: Sequence[str]) -> list[int]:
        """The tokens of texts. Raises ServerFailed."""
        if self.kind is None:
            return [math.ceil(self.ratio * estimated(text)) for text in texts]
        with self._lock:
            self._known |= self._counted(list(dict.fromkeys(text for text in texts if text not in self._known)))
            counts = [self._known[text] for text in texts]
            for oldest in list(islice(self._known, max(0, len(self._known) - _REMEMBERED))):
                del self._known[oldest]
        return counts

    def learn(self, planned: int, used: int) -> None:
        """Take in that a prompt that was counted as `planned` tokens took `used`.

        The estimate becomes the most that was seen, and a tenth more; a count by the server grows by what it lacked.
        """
        if used < _CUT_SHORT * planned:  # by a server that leaves out what is too long, and does not say so
            return
        if self.kind is None:
            self._seen = max(self._seen, used / (planned / self.ratio))
            self.ratio = 1.1 * self._seen
        else:
            self.wrapping = replace(self.wrapping, base=self.wrapping.base + max(0, used - planned))

    def _counted(self, texts: Sequence[str]) -> dict[str, int]:
        if not texts or self.kind is None:
            return {}
        try:
            return dict(zip(texts, self.kind.texts(self._server, self._model, texts), strict=True))
        except (LookupError, TypeError, ValueError) as error:
            raise ServerFailed(
                f"{self._server.address.root} counted tokens when it was connected, and does not now: connect it again"
            ) from error


_SAID = "word"
_ROLES = ("system", "user", "assistant", "user")


def find_wrapping(server: Connection, model: str, kind: Tokenizing | None) -> Wrapping:
    """What the template adds, as the server counts it; a generous guess where it does not. Raises ServerFailed."""
    if kind is None:
        return Wrapping()
    try:
        return _wrapping(server, model, kind, _ROLES)
    except Refused:
        raise
    except ServerFailed:  # there are templates that refuse a system prompt
        return _wrapping(server, model, kind, _ROLES[1:])


def _wrapping(server: Connection, model: str, kind: Tokenizing, roles: Sequence[str]) -> Wrapping:
    messages = [{"role": role, "content": _SAID} for role in roles]
    try:
        [word] = kind.texts(server, model, (_SAID,))
        base = kind.messages(server, model, messages[:-2]) - len(messages[:-2]) * word
        turn = kind.messages(server, model, messages) - base - len(messages) * word
    except (LookupError, TypeError, ValueError):
        return Wrapping()
    # a word may have one token more or less beside what a template writes
    return Wrapping(max(0, base) + 2, max(0, turn) + 2, len(roles) == len(_ROLES))
