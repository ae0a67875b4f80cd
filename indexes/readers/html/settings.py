"""How the text of a web page is set, as far as that says something: struck out, in a font of symbols, in a list."""

from __future__ import annotations

import re
from typing import Any

from indexes.readers.html.page_parts import names
from indexes.readers.number_formats import formatted_number
from indexes.readers.symbols import is_symbol_font

_STRUCK = names("del s strike")
_STRUCK_BY_STYLE = re.compile(r"text-decoration[^;]*line-through", re.IGNORECASE)
_FONT = re.compile(r"(?<![\w-])font(-family)?\s*:\s*([^;,]*)", re.IGNORECASE)
_NO_NUMBERS = re.compile(r"list-style[^;]*\bnone\b", re.IGNORECASE)
_NO_NUMBERS_BY_CLASS = re.compile(r"unstyled|list-none|list-inline|no-?bullet|breadcrumb", re.IGNORECASE)
# A number that an item has itself, as on the pages of statutes, whose style shows no other: 2. or (2), 第2条 or 二　.
_OWN_NUMBER = re.compile(
    r"\s*(?:[(（](?:\d+|[A-Za-z]|[一二三四五六七八九十]+)[)）]|[§第]\s*[\d一二三四五六七八九十]"
    r"|\d+(?:\.\d+)*[.．)）、\u3000](?!\d)|[一二三四五六七八九十]+[、.．\u3000])"
)
_KINDS = {"a": "lowerLetter", "A": "upperLetter", "i": "lowerRoman", "I": "upperRoman"}
_LISTS = names("dir menu ol ul")
_LONGEST = 1_000  # characters of a style that are looked at
_NUMBER = re.compile(r"-?[0-9]{1,7}")


class Settings:
    """The elements that are open and say how the text in them is set."""

    def __init__(self) -> None:
        self._struck: list[int] = []  # their depths
        self._fonts: list[tuple[int, str]] = []  # and the fonts, empty for those of letters
        self._lists: list[_List] = []

    @property
    def is_struck(self) -> bool:
        """Whether the text is struck out."""
        return bool(self._struck)

    @property
    def font(self) -> str:
        """The font, if that is one of symbols."""
        return self._fonts[-1][1] if self._fonts else ""

    def begin(self, tag: str, attributes: Any, depth: int) -> str:
        """Begin an element.

        Args:
            tag: Its name.
            attributes: Its attributes.
            depth: How many elements are open, with it.

        Returns:
            The number before an item of a list; empty for anything else.
        """
        style = attributes.get("style", "")[:_LONGEST]
        if tag in _STRUCK or (style and _STRUCK_BY_STYLE.search(style)):
            self._struck.append(depth)
        family = attributes.get("face", "").split(",")[0] if tag == "font" else ""
        for is_family, name in _FONT.findall(style) if "font" in style.lower() else ():
            family = name.strip() if is_family else "other"
        if family:
            self._fonts.append((depth, family if is_symbol_font(family) else ""))
        if tag in _LISTS:
            self._lists.append(_List(tag, attributes, style))
        return self._lists[-1].label(attributes) if tag == "li" and self._lists else ""

    def end(self, tag: str, depth: int) -> None:
        """End an element; so many are open without it."""
        if self._struck and depth < self._struck[-1]:
            self._struck.pop()
        if self._fonts and depth < self._fonts[-1][0]:
            self._fonts.pop()
        if tag in _LISTS and self._lists:
            self._lists.pop()


def has_number(text: str) -> bool:
    """Return whether the text of an item of a list begins with a number of its own."""
    return _OWN_NUMBER.match(text) is not None


class _List:
    """A list, and the number of its next item."""

    def __init__(self, tag: str, attributes: Any, style: str) -> None:
        is_plain = _NO_NUMBERS.search(style) or _NO_NUMBERS_BY_CLASS.search(attributes.get("class", "")[:_LONGEST])
        is_counted_down = attributes.get("reversed") is not None and not attributes.get("start")
        self._has_numbers = tag == "ol" and not is_plain and not is_counted_down
        self._step = 1 if attributes.get("reversed") is None else -1
        self._kind = _KINDS.get(attributes.get("type", ""), "decimal")
        self._next = _integer(attributes.get("start"), 1)

    def label(self, attributes: Any) -> str:
        """The number before its next item; empty for a list without numbers."""
        number = _integer(attributes.get("value"), self._next)
        self._next = number + self._step
        return f"{formatted_number(number, self._kind)}. " if self._has_numbers else ""


def _integer(text: str | None, default: int) -> int:
    return int(text) if text and _NUMBER.fullmatch(text.strip()) else default
