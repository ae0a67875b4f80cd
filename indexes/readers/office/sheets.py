"""The sheets of an .xlsx, by openpyxl."""

from __future__ import annotations

from datetime import datetime, time
from io import BytesIO
from typing import Any

import openpyxl

from indexes.readers.office.lines import Lines


def sheet_lines(data: bytes) -> Lines:
    """Return the lines of a workbook: each sheet's name as a heading, then its rows."""
    book = openpyxl.load_workbook(BytesIO(data), read_only=True, data_only=True, keep_links=False)
    lines = Lines()
    for sheet in book.worksheets:
        sheet.reset_dimensions()  # some programs write that a sheet has a million rows
        lines.blank()
        lines.heading(sheet.title, 2)
        lines.blank()
        for row in sheet.iter_rows(values_only=True):
            cells = [_cell(value) for value in row]
            while cells and not cells[-1]:
                cells.pop()
            lines.row(cells)
    return lines


def _cell(value: Any) -> str:
    """A value as Excel shows it without a format."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        return f"{value:.15g}"  # the digits that Excel has
    if isinstance(value, datetime) and value.time() == time():
        return str(value.date())
    return " ".join(str(value).split())
