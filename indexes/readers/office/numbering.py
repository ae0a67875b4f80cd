"""The numbers of list paragraphs in Word documents, which are not in the file: Word counts them, and so does this."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from indexes.readers.number_formats import formatted_number
from indexes.readers.office.styles import Styles, W, value

_LEVELS = 9


class Numbering:
    """The lists of a document, and how far each has been counted.

    Args:
        elements: The `w:abstractNum` and `w:num` elements of the numbering part.
        styles: The document's styles, which put paragraphs in lists too.
    """

    def __init__(self, elements: Iterable[Any], styles: Styles) -> None:
        self._styles = styles
        self._lists: dict[str, Any] = {}
        self._numbers: dict[str, Any] = {}
        for each in elements:
            if each.tag == f"{W}num":
                self._numbers[each.get(f"{W}numId", "")] = each
            else:
                self._lists[each.get(f"{W}abstractNumId", "")] = each
        self._levels: dict[str, dict[int, Any]] = {}
        self._counts: dict[str, dict[int, int]] = {}
        self._started: set[tuple[str, int]] = set()

    def label(self, paragraph: Any) -> str:
        """Count a paragraph and return its label, such as `3. ` or `第2条 `; `* ` for a bullet, empty outside lists."""
        number = value(paragraph, "pPr", "numPr", "numId")
        level = _integer(value(paragraph, "pPr", "numPr", "ilvl"))
        by_style = self._styles.numbering(value(paragraph, "pPr", "pStyle") or "")
        if number is None and by_style is not None:
            number, style = by_style
            linked = (index for index, each in self._levels_of(number).items() if value(each, "pStyle") == style)
            level = next(linked, 0)
        levels = self._levels_of(number or "")
        if number is None or level not in levels:
            return ""
        if value(levels[level], "numFmt") == "bullet":
            return "* "
        return _text(level, levels, self._count(number, level, levels))

    def _levels_of(self, number: str) -> dict[int, Any]:
        """The levels of a list, overridden by the number's own; none for an unknown number."""
        if number not in self._levels:
            levels: dict[int, Any] = {}
            for source in (self._list_of(number), self._numbers.get(number)):
                for level in () if source is None else source.iter(f"{W}lvl"):
                    levels[_integer(level.get(f"{W}ilvl"))] = level
            self._levels[number] = levels
        return self._levels[number]

    def _list_of(self, number: str) -> Any:
        """The list that a number refers to, directly or by a list style."""
        entry = self._numbers.get(number)
        found = None if entry is None else self._lists.get(value(entry, "abstractNumId") or "")
        link = None if found is None else value(found, "numStyleLink")
        if link is None:
            return found
        return next((each for each in self._lists.values() if value(each, "styleLink") == link), found)

    def _count(self, number: str, level: int, levels: dict[int, Any]) -> dict[int, int]:
        counts = self._counts.setdefault(self._list_of(number).get(f"{W}abstractNumId", ""), {})
        first = self._override(number, level)
        if first is not None and (number, level) not in self._started:
            counts[level] = first
        elif level in counts:
            counts[level] += 1
        self._started.add((number, level))
        for index in range(level + 1):
            start = value(levels[index], "start") if index in levels else None
            counts.setdefault(index, _integer(start or "1"))
        for index in range(level + 1, _LEVELS):
            restart = value(levels[index], "lvlRestart") if index in levels else None
            if restart is None or level < _integer(restart):  # 0: it is counted through the whole document
                counts.pop(index, None)
        return counts

    def _override(self, number: str, level: int) -> int | None:
        for override in self._numbers[number].iter(f"{W}lvlOverride"):
            if _integer(override.get(f"{W}ilvl")) == level and (start := value(override, "startOverride")) is not None:
                return _integer(start)
        return None


def _text(level: int, levels: dict[int, Any], counts: dict[int, int]) -> str:
    decimal = levels[level].find(f"{W}isLgl") is not None

    def number(match: re.Match[str]) -> str:
        index = int(match[1]) - 1
        kind = value(levels[index], "numFmt") if index in levels else None
        return formatted_number(counts.get(index, 1), "decimal" if decimal else kind or "decimal")

    text = re.sub("%([1-9])", number, value(levels[level], "lvlText") or "")
    return text if not text or value(levels[level], "suff") == "nothing" else f"{text} "


def _integer(text: str | None) -> int:
    return int(text) if text and re.fullmatch("[0-9]{1,9}", text) else 0
