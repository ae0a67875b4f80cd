"""A page of a PDF laid out with spaces, with each piece of text in its own place.

pypdf measures the room between two pieces of one text object by the font, and between text objects by the page. Where
all of a page is one object, its columns come out ragged; so each piece is given an object of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from indexes.readers.pdf.tables import shown_characters

if TYPE_CHECKING:
    from pypdf import PageObject

_Operation = tuple[Any, bytes]
_SHOWS, _MOVES = frozenset({b"Tj", b"TJ", b"'", b'"'}), frozenset({b"Tm", b"Td", b"TD", b"T*", b"'", b'"'})
_START = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]
_MOST = 100_000  # operations of a page
_WIDTH, _GAP = 0.5, 2.0  # of a letter, and between two columns at least, in sizes of the font


def placed_layouts(page: PageObject) -> Iterator[str]:
    """Lay out a page: first with the words between two gaps in one place, then with each piece in its own.

    Args:
        page: The page.

    Yields:
        Its text with spaces where there is empty room; nothing for a page of very many operations.
    """
    from pypdf.generic import NameObject

    before = page.get("/Contents")
    for least in (_GAP, 0.0):
        contents = page.get_contents()
        if contents is None or before is None or len(contents.operations) > _MOST:
            return
        contents.operations = list(_placed(contents.operations, least))
        page[NameObject("/Contents")] = contents
        try:
            layout = page.extract_text(extraction_mode="layout")
        finally:
            page[NameObject("/Contents")] = before
        yield layout


def _placed(operations: Sequence[_Operation], least: float) -> Iterator[_Operation]:
    """The operations, with an object of its own for text on another line, or behind a gap of so many font sizes."""
    from pypdf.generic import FloatObject

    line, leading, size, end = _START, 0.0, 1.0, 0.0
    for operands, operator in operations:
        before = line
        line, leading = _line(operands, operator, line, leading)
        size = float(operands[1]) if operator == b"Tf" else size
        letter = size * abs(line[0])
        is_near = line[:4] == before[:4] and abs(line[5] - before[5]) < 1 and line[4] - end < least * letter
        if operator in _MOVES and not (operator in (b"Tm", b"Td") and is_near and before[4] < line[4]):
            yield [], b"ET"
            yield [], b"BT"
            yield [FloatObject(each) for each in line], b"Tm"
            operands, operator = operands[-1:], b"Tj" if operator in _SHOWS else b""
        if operator in _SHOWS:
            end = line[4] + _WIDTH * letter * shown_characters(operands)
        if operator:
            yield operands, operator


def _line(operands: Any, operator: bytes, line: list[float], leading: float) -> tuple[list[float], float]:
    """Where the line begins after an operator, and how far it is to the next one."""
    if operator == b"BT":
        return _START, leading
    if operator == b"TL":
        return line, float(operands[0])
    if operator == b"Tm":
        return [float(each) for each in operands], leading
    if operator in (b"Td", b"TD"):
        x, y = float(operands[0]), float(operands[1])
        return _moved(line, x, y), -y if operator == b"TD" else leading
    return (_moved(line, 0.0, -leading) if operator in _MOVES else line), leading


def _moved(line: Sequence[float], x: float, y: float) -> list[float]:
    a, b, c, d, e, f = line
    return [a, b, c, d, e + x * a + y * c, f + x * b + y * d]
