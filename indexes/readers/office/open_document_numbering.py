"""The numbers of list items and headings in OpenDocument files, counted by the levels of their styles."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from indexes.readers.number_formats import formatted_number
from indexes.readers.office.open_document_xml import STYLE, TEXT, integer

_FORMATS = {
    "a": "lowerLetter",
    "A": "upperLetter",
    "i": "lowerRoman",
    "I": "upperRoman",
    "１, ２, ３, ...": "decimalFullWidth",
}
_FORMATS |= {"一, 二, 三, ...": "japaneseCounting", "イ, ロ, ハ, ...": "iroha", "ア, イ, ウ, ...": "aiueo"}
_FORMATS |= {"①, ②, ③, ...": "decimalEnclosedCircle", "1st": "ordinal", "One": "cardinalText", "First": "ordinalText"}
_OUTLINE = "\0"  # stands for the name of the style of headings


class Numbering:
    """The numbers so far of the list items and the headings of a document.

    Args:
        roots: The roots of the parts with list styles, of which the later ones count where names are the same.
    """

    def __init__(self, roots: Iterable[Any]) -> None:
        self._styles: dict[str, dict[int, Any]] = {}  # the levels of each list style, by its name
        for root in roots:
            for style in root.iter(f"{TEXT}list-style", f"{TEXT}outline-style"):
                name = _OUTLINE if style.tag == f"{TEXT}outline-style" else style.get(f"{STYLE}name", "")
                self._styles[name] = {integer(level.get(f"{TEXT}level"), 1): level for level in style}
        self._counts: dict[tuple[str, int], int] = {}

    def begin(self, element: Any, style: str) -> None:
        """Begin a list, whose numbers begin again unless it goes on with those of one before.

        Args:
            element: The list, which is in no other.
            style: The name of its style.
        """
        if element.get(f"{TEXT}continue-numbering") != "true" and not element.get(f"{TEXT}continue-list"):
            self._counts = {key: count for key, count in self._counts.items() if key[0] != style}

    def of_heading(self, heading: Any) -> str:
        """Return the number of a heading that is in no list; empty if headings of its level have none."""
        level = integer(heading.get(f"{TEXT}outline-level"), 1)
        definition = self._styles.get(_OUTLINE, {}).get(level)
        has_number = definition is not None and bool(definition.get(f"{STYLE}num-format"))
        is_without = heading.get(f"{TEXT}is-list-header") == "true" or heading.find(f"{TEXT}number") is not None
        if not has_number or is_without:
            return ""
        start = heading.get(f"{TEXT}start-value") if heading.get(f"{TEXT}restart-numbering") == "true" else None
        return self.label(_OUTLINE, level, start)

    def label(self, style: str, level: int, start: str | None) -> str:
        """Return the label of the next item of a list, with a space behind it.

        Args:
            style: The name of the list's style.
            level: How deep the list is in others; 1 for the outermost.
            start: The number that the item says it has; None if it says none.

        Returns:
            Its number with those above it, or a bullet.
        """
        definition = self._styles.get(style, {}).get(level)
        kind = None if definition is None else definition.get(f"{STYLE}num-format")
        if definition is None or not kind:
            return "* "
        first = integer(start or definition.get(f"{TEXT}start-value"), 1)
        known = self._counts.get((style, level))
        self._counts[style, level] = first if start or known is None else known + 1
        self._counts = {key: n for key, n in self._counts.items() if key[0] != style or key[1] <= level}
        shown = range(max(level - integer(definition.get(f"{TEXT}display-levels"), 1), 0) + 1, level + 1)
        kinds = {each: found.get(f"{STYLE}num-format") or kind for each, found in self._styles[style].items()}
        numbers = [
            formatted_number(self._counts.get((style, each), 1), _FORMATS.get(kinds.get(each, kind), "decimal"))
            for each in shown
        ]
        before, after = definition.get(f"{STYLE}num-prefix", ""), definition.get(f"{STYLE}num-suffix", "")
        return f"{before}{'.'.join(numbers)}{after} "
