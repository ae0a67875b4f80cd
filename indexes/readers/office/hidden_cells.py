"""Hidden rows and columns of a sheet, which are read, and named in a warning."""

from __future__ import annotations

import re
from collections.abc import Iterable, Set
from itertools import islice

from indexes.readers.hidden import read_anyway

_ROW = re.compile(rb"<(?:\w+:)?row\s(?=[^<>]*?\bhidden=[\"'](?:1|true))[^<>]*?\br=[\"'](\d{1,7})")
_COLUMN = re.compile(rb"<(?:\w+:)?col\s(?=[^<>]*?\bhidden=[\"'](?:1|true))[^<>]*>")
_FIRST, _LAST = re.compile(rb"\bmin=[\"'](\d{1,5})"), re.compile(rb"\bmax=[\"'](\d{1,5})")
_MOST_COLUMNS, _MOST_ELEMENTS = 16_384, 1_000


class HiddenCells:
    """Which rows and columns of a sheet are hidden, and how many of them hold text.

    Args:
        rows: The numbers of the rows, from 1.
        columns: Those of the columns.
    """

    def __init__(self, rows: Set[int], columns: Set[int]) -> None:
        self._rows, self._columns = rows, columns
        self._rows_with_text = 0
        self._columns_with_text: set[int] = set()

    def count(self, number: int, cells: Iterable[tuple[int, str]]) -> None:
        """Count a row.

        Args:
            number: Its number, from 1.
            cells: The number of each of its columns, and what is in it.
        """
        if self._columns or number in self._rows:
            filled = {column for column, text in cells if text}
            self._rows_with_text += bool(filled) and number in self._rows
            self._columns_with_text |= filled & self._columns

    def warnings(self, sheet: str) -> list[str]:
        """Return a warning that they are read.

        Args:
            sheet: The sheet's name.

        Returns:
            The warning; none if none of them holds text.
        """
        return read_anyway(self._rows_with_text, len(self._columns_with_text), sheet)


def hidden_in(xml: bytes) -> HiddenCells:
    """Return which rows and columns of a sheet of an .xlsx are hidden.

    Args:
        xml: The sheet.

    Returns:
        Them.
    """
    rows = {int(number) for number in _ROW.findall(xml)} if b"hidden=" in xml else set()
    columns: set[int] = set()
    for column in islice(_COLUMN.finditer(xml, 0, max(xml.find(b"sheetData>"), 0)), _MOST_ELEMENTS):
        first, last = _FIRST.search(column[0]), _LAST.search(column[0])
        if first and last:
            columns.update(range(int(first[1]), min(int(last[1]), _MOST_COLUMNS) + 1))
    return HiddenCells(rows, columns)
