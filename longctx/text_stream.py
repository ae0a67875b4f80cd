"""Tokens in, text out, piece by piece. Knows a tokenizer; knows no model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_INCOMPLETE = "\ufffd"  # what a tokenizer writes for bytes that are not a whole character yet


class TokenText:
    """Text of tokens as they come. A character whose bytes are spread over tokens is given when it is whole."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        # Text is read off against the tokens before it: a tokenizer may strip or join at the start of what it decodes.
        self._context = 0
        self._given = 0

    def add(self, token: int) -> str:
        """The text that is settled by one more token; empty while a character is not whole."""
        self._ids.append(token)
        text = self._new_text()
        if text.endswith(_INCOMPLETE):
            return ""
        if text:
            self._context, self._given = self._given, len(self._ids)
        return text

    def finish(self) -> str:
        """What is left when no token follows, incomplete characters as the tokenizer writes them."""
        text = self._new_text()
        self._context = self._given = len(self._ids)
        return text

    def _new_text(self) -> str:
        before = self._decode(self._ids[self._context : self._given])
        return self._decode(self._ids[self._context :])[len(before) :]

    def _decode(self, ids: list[int]) -> str:
        text: str = self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text


class StopText:
    """Text up to the first of some stop strings, which may be spread over pieces. `met` says that one was found."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = stops
        self._pending = ""
        self.met = False

    def add(self, piece: str) -> str:
        """The text that cannot be part of a stop string any more."""
        self._pending += piece
        found = [at for stop in self._stops if (at := self._pending.find(stop)) >= 0]
        if found:
            self.met = True
            text, self._pending = self._pending[: min(found)], ""
            return text
        kept = self._possible_start()
        text, self._pending = self._pending[: len(self._pending) - kept], self._pending[len(self._pending) - kept :]
        return text

    def finish(self) -> str:
        """What was held back and turned out to be no stop string."""
        text, self._pending = self._pending, ""
        return text

    def _possible_start(self) -> int:
        """How many characters at the end may be the start of a stop string."""
        longest = max((len(stop) - 1 for stop in self._stops), default=0)
        for size in range(min(longest, len(self._pending)), 0, -1):
            if any(stop.startswith(self._pending[-size:]) for stop in self._stops):
                return size
        return 0
