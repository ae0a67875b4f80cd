"""Office files with rows in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import openpyxl


def workbook(rows: Iterable[Sequence[Any]]) -> openpyxl.Workbook:
    """A workbook whose one sheet has these rows."""
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    return book


def fill_table(table: Any, rows: Iterable[Iterable[str]]) -> None:
    """Write rows into a table of python-docx or python-pptx."""
    for y, row in enumerate(rows):
        for x, text in enumerate(row):
            table.cell(y, x).text = text
