"""A page of a PDF laid out with spaces, with each piece of text in its own place.

pypdf measures the room between two pieces of one text object by the font, and between text objects by the page. Where
all of a page is one object, its columns come out ragged; so each piece is given an object of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pypdf import PageObject

_Operation = tuple[Any, bytes]
_MOST = 100_000  # operations of a page


def placed_layout(page: PageObject) -> str:
    """Lay out a page.

    Args:
        page: The page.

    Returns:
        Its text with spaces where there is empty room; empty for a page of very many operations.
    """
    from pypdf.generic import NameObject

    contents, before = page.get_contents(), page.get("/Contents")
    if contents is None or before is None or len(contents.operations) > _MOST:
        return ""
    contents.operations = list(_placed(contents.operations))
    page[NameObject("/Contents")] = contents
    try:
        return page.extract_text(extraction_mode="layout")
    finally:
        page[NameObject("/Contents")] = before


def _placed(operations: Sequence[_Operation]) -> Iterator[_Operation]:
    """The operations, with those that move the place of text written as absolute ones in a text object of their own."""
    from pypdf.generic import FloatObject

    line = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]
    leading = 0.0
    for operands, operator in operations:
        if operator == b"BT":
            line = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]
        elif operator == b"TL":
            leading = float(operands[0])
        if operator == b"Tm":
            line = [float(each) for each in operands]
        elif operator in (b"Td", b"TD"):
            x, y = float(operands[0]), float(operands[1])
            leading = -y if operator == b"TD" else leading
            line = _moved(line, x, y)
        elif operator in (b"T*", b"'", b'"'):
            line = _moved(line, 0.0, -leading)
        else:
            yield operands, operator
            continue
        yield [], b"ET"
        yield [], b"BT"
        yield [FloatObject(each) for each in line], b"Tm"
        if operator in (b"'", b'"'):
            yield operands[-1:], b"Tj"


def _moved(line: Sequence[float], x: float, y: float) -> list[float]:
    a, b, c, d, e, f = line
    return [a, b, c, d, e + x * a + y * c, f + x * b + y * d]
