"""What an OpenDocument file hides: sections, paragraphs and text by styles and fields, and sheets, rows and slides."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from indexes.readers.office.hidden_cells import HiddenCells
from indexes.readers.office.open_document_xml import PRESENTATION, STYLE, TABLE, TEXT, integer

_HIDES = {  # by the family of styles: the attribute of its properties that hides, and the value with which it does
    "text": (f"{TEXT}display", "none"),
    "paragraph": (f"{TEXT}display", "none"),
    "table": (f"{TABLE}display", "false"),
    "drawing-page": (f"{PRESENTATION}visibility", "hidden"),
}
_STYLES_DEEP = 20
_MOST_COLUMNS = 16_384


class HidingStyles:
    """The styles that hide what has them.

    Args:
        roots: The roots of the parts with styles, of which the later ones may be based on those before.
    """

    def __init__(self, roots: Iterable[Any]) -> None:
        self._styles: dict[tuple[str, str], tuple[str | None, str]] = {}  # what each says itself, and its base
        for style in (style for root in roots for style in root.iter(f"{STYLE}style")):
            family = style.get(f"{STYLE}family", "")
            if family in _HIDES:
                attribute = _HIDES[family][0]
                said = next((value for each in style if (value := each.get(attribute)) is not None), None)
                base = style.get(f"{STYLE}parent-style-name", "")
                self._styles[family, style.get(f"{STYLE}name", "")] = said, base

    def hide(self, family: str, name: str | None) -> bool:
        """Return whether the style of that family and name hides."""
        for _ in range(_STYLES_DEEP):
            said, base = self._styles.get((family, name or ""), (None, ""))
            if said is not None or not base:
                return said == _HIDES[family][1]
            name = base
        return False


def is_hidden(element: Any, styles: HidingStyles) -> bool:
    """Return whether a section, a paragraph or a piece of text is hidden.

    Args:
        element: The element.
        styles: The styles of the file.

    Returns:
        What its display, its field or its style says.
    """
    name = element.tag.removeprefix(TEXT)
    if name == "section":
        display = element.get(f"{TEXT}display")
        return bool(display == "none" or (display == "condition" and element.get(f"{TEXT}is-hidden") == "true"))
    if name in ("p", "h"):
        field = element.find(f".//{TEXT}hidden-paragraph")
        if field is not None and field.get(f"{TEXT}is-hidden") == "true":
            return True
        return styles.hide("paragraph", element.get(f"{TEXT}style-name"))
    if name == "variable-set":
        return bool(element.get(f"{TEXT}display") == "none")
    if name == "hidden-text":
        return bool(element.get(f"{TEXT}is-hidden") == "true")
    return name == "span" and styles.hide("text", element.get(f"{TEXT}style-name"))


def hidden_cells(table: Any) -> HiddenCells:
    """Return which rows and columns of a sheet are hidden, also by a filter or in a folded group.

    Args:
        table: The sheet.

    Returns:
        Them; of rows that are repeated, the first.
    """
    rows, columns = set[int](), set[int]()
    for name, numbers in (("row", rows), ("column", columns)):
        number = 1
        for element in table.iter(f"{TABLE}table-{name}"):
            count = integer(element.get(f"{TABLE}number-{name}s-repeated"), 1)
            if element.get(f"{TABLE}visibility") in ("collapse", "filter"):
                last = min(number + count, _MOST_COLUMNS + 1) if name == "column" else number + 1
                numbers.update(range(number, last))
            number += count
    return HiddenCells(rows, columns)
