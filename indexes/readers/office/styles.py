"""The paragraph styles of a Word document: which paragraphs are headings, and which belong to a numbered list."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_HEADING_STYLE = re.compile(r"(?:heading|見出し)\s*([1-9])", re.IGNORECASE)
_TITLE_STYLES = frozenset({"title", "表題", "タイトル"})
_STYLES_DEEP = 20  # a style is based on another, and in a hostile file on itself
_DEEPEST_HEADING = 6


class Styles:
    """The paragraph styles of a document, by their ids.

    Args:
        elements: The `w:style` elements of the styles part.
    """

    def __init__(self, elements: Iterable[Any]) -> None:
        self._styles = {style.get(f"{W}styleId"): style for style in elements}
        self._default = next((each for each, style in self._styles.items() if _is_default(style)), "")
        self._set = {  # the properties that some style has
            element.tag.removeprefix(W) for style in self._styles.values() for element in style.iterfind(f"{W}rPr/*")
        }

    def heading_level(self, paragraph: Any) -> int:
        """Return 1 to 6 for a heading or the document's title, and 0 for any other paragraph."""
        level = _outline_level(paragraph)
        identifier = value(paragraph, "pPr", "pStyle") or ""
        if not level and identifier not in self._styles and (named := _HEADING_STYLE.match(identifier)):
            level = int(named[1])
        for style in self._chain(identifier):
            if level:
                break
            name = value(style, "name") or ""
            named = _HEADING_STYLE.match(name)
            level = 1 if name.lower() in _TITLE_STYLES else int(named[1]) if named else _outline_level(style)
        return min(level, _DEEPEST_HEADING)

    def numbering(self, identifier: str) -> tuple[str, str] | None:
        """Return the list (`numId`) of a style, and the style that defines it, which may be a base of that style."""
        for style in self._chain(identifier):
            if (number := value(style, "pPr", "numPr", "numId")) is not None:
                return number, style.get(f"{W}styleId", "")
        return None

    def has(self, run: Any, name: str, style: str) -> bool:
        """Return whether a run of text has a property that is on or off.

        Args:
            run: The run.
            name: The property: `vanish` for hidden text, `strike` or `dstrike`.
            style: The style of its paragraph; empty for the document's own.

        Returns:
            What the run's own properties say, else those of its style, else those of its paragraph's.
        """
        if run.find(f"{W}rPr/{W}{name}") is not None:
            return is_on(run, "rPr", name)
        named = (value(run, "rPr", "rStyle") or "", style or self._default) if name in self._set else ()
        styles = (each for identifier in named for each in self._chain(identifier))
        setting = next((each for each in styles if each.find(f"{W}rPr/{W}{name}") is not None), None)
        return setting is not None and is_on(setting, "rPr", name)

    def _chain(self, identifier: str) -> Iterator[Any]:
        """The style and those that it is based on."""
        for _ in range(_STYLES_DEEP):
            style = self._styles.get(identifier)
            if style is None:
                return
            yield style
            identifier = value(style, "basedOn") or ""


def value(element: Any, *path: str) -> str | None:
    """Return the `val` of the element at the end of a path of WordprocessingML names, or None."""
    found = element.find("/".join(W + name for name in path))
    return None if found is None else found.get(f"{W}val")


def is_on(element: Any, *path: str) -> bool:
    """Return whether there is an element at the end of a path of WordprocessingML names, and it is not switched off."""
    found = element.find("/".join(W + name for name in path))
    return found is not None and found.get(f"{W}val", "true") not in ("0", "false", "off")


def _outline_level(element: Any) -> int:
    """1 to 9, or 0 for body text."""
    level = value(element, "pPr", "outlineLvl") or ""
    return int(level) + 1 if level in tuple("012345678") else 0


def _is_default(style: Any) -> bool:
    """Whether a style is that of paragraphs that name none."""
    return style.get(f"{W}type") == "paragraph" and style.get(f"{W}default") in ("1", "true", "on")
