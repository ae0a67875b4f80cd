"""Masking a key in what a server says, in any of the spellings in which one repeats it.

A server may repeat it escaped for JSON, HTML, a URL or a shell, in base64 or hexadecimal digits, broken over lines, or
cut short.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from functools import cache, cached_property
from html.entities import html5

_SHORTEST_KEY = 4
_TELLING = 8  # characters of a key that are masked though it goes on in another way: it was cut short
_NO_KEYS = ("none", "empty", "ollama", "lm-studio", "dummy", "local", "sk-no-key-required")  # which hide nothing
# what may stand between two characters: line breaks, quotes and escapes, characters without a width, and dots
_BETWEEN = "[\\s\\\\'\"\\u00ad\\u200b-\\u200f\\u2060\\ufeff]*"


class KeyMask:
    """Masks a key.

    Args:
        key: The key; None masks nothing.
    """

    def __init__(self, key: str | None) -> None:
        hides = key is not None and len(key) >= _SHORTEST_KEY and key.lower() not in _NO_KEYS
        self._spellings = tuple(_spellings(key)) if key is not None and hides else ()

    @cached_property
    def _begins(self) -> list[re.Pattern[str]]:
        """How each spelling begins; made for the first text, since most servers never repeat a key."""
        return [re.compile(_BETWEEN.join(map(_written, s[:_TELLING])), re.IGNORECASE) for s in self._spellings]

    def masked(self, text: str) -> str:
        """Mask the key in a text.

        Args:
            text: The text.

        Returns:
            The text with "…" in place of the key, and of what begins as it does.
        """
        for spelling, begins in zip(self._spellings, self._begins, strict=True):
            parts, rest = list[str](), 0
            while found := begins.search(text, rest):
                parts += (text[rest : found.start()], "…")
                rest = _end(text, found.end(), spelling[_TELLING:])
            text = "".join((*parts, text[rest:]))
        return text


def _end(text: str, place: int, key: str) -> int:
    """The end of as much of a key as stands at a place."""
    for character in key:
        found = _next(character).match(text, place)
        if found is None:
            break
        place = found.end()
    return place


def _spellings(key: str) -> Iterator[str]:
    """The key, and what stands in base64 and in hexadecimal digits for a text that holds it."""
    yield key
    yield key.encode().hex()
    for before, whole in ((0, 0), (1, 2), (2, 3)):  # bytes of the first group, and the characters that they change
        packed = b64encode(b"\0" * before + key.encode()).decode()[whole : (before + len(key)) * 8 // 6]
        yield from dict.fromkeys((packed, packed.replace("+", "-").replace("/", "_")))


@cache
def _next(character: str) -> re.Pattern[str]:
    return re.compile(_BETWEEN + _written(character), re.IGNORECASE)


@cache
def _written(character: str) -> str:
    """A pattern of the ways in which a character of a key, which is ASCII, is written."""
    code = ord(character)
    named = [f"&{name}" for name, value in html5.items() if value == character and name.endswith(";")]
    ways = [*named, f"%{code:02x}", f"\\x{code:02x}", f"\\u{code:04x}", *("+" if character == " " else ""), character]
    number = rf"&#(?:0*{code}|x0*{code:x});?"
    return f"(?:{'|'.join([number, *map(re.escape, ways)])})"  # the character last: & begins what stands for it
