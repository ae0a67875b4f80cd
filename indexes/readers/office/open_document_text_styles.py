"""How text in an OpenDocument file is set, as far as that says something: raised, struck out, in a font of symbols."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from indexes.readers.base import add_struck, superscript
from indexes.readers.office.open_document_xml import FO, STYLE
from indexes.readers.symbols import is_symbol_font, symbols

_POSITION, _LINE = f"{STYLE}text-position", f"{STYLE}text-line-through-style"
_FONTS = (f"{STYLE}font-name", f"{FO}font-family")
_STYLES_DEEP = 20


class TextStyle(NamedTuple):
    """How a piece of text is set.

    Attributes:
        is_raised: Whether it stands above the line.
        is_struck: Whether it is struck out.
        font: Its font, if that is one of symbols.
    """

    is_raised: bool = False
    is_struck: bool = False
    font: str = ""

    def add(self, parts: list[str], text: str) -> None:
        """Add the text to the pieces of a line."""
        text = symbols(self.font, text) if self.font else text
        text = superscript(text, next(filter(None, reversed(parts)), "")) if self.is_raised else text
        if self.is_struck:
            add_struck(parts, text)
        else:
            parts.append(text)


class TextStyles:
    """The styles of pieces of text.

    Args:
        roots: The roots of the parts with styles, of which the later ones may be based on those before.
    """

    def __init__(self, roots: Iterable[Any]) -> None:
        self._said: dict[str, tuple[dict[str, str], str]] = {}  # what each says itself, and its base
        for style in (style for root in roots for style in root.iter(f"{STYLE}style")):
            if style.get(f"{STYLE}family") == "text":
                properties = style.find(f"{STYLE}text-properties")
                said = {} if properties is None else dict(properties.attrib)
                self._said[style.get(f"{STYLE}name", "")] = said, style.get(f"{STYLE}parent-style-name", "")

    def of(self, name: str) -> TextStyle:
        """Return how a style of that name sets text."""
        said: dict[str, str] = {}
        for _ in range(_STYLES_DEEP):
            own, base = self._said.get(name, ({}, ""))
            said = {**own, **said}
            if not base:
                break
            name = base
        position, font = said.get(_POSITION, ""), next((said[each] for each in _FONTS if each in said), "")
        is_raised = position.startswith("super") or (position[:1].isdigit() and not position.startswith("0%"))
        is_struck = said.get(_LINE, "none") != "none"
        return TextStyle(is_raised, is_struck, font if is_symbol_font(font) else "")
