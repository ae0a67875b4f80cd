"""The sheets of an .xlsx, by openpyxl."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, time
from io import BytesIO
from itertools import islice
from typing import Any
from zipfile import ZipFile

import openpyxl
from lxml import etree

from indexes.readers.lines import Lines

_CELLS_NAMED = 3
_S = "{*}"  # both namespaces of SpreadsheetML


def sheet_lines(data: bytes, most: int) -> Lines:
    """Return the lines of a workbook: each sheet's name as a heading, then its rows.

    Args:
        data: The file's bytes.
        most: The most characters of text.

    Returns:
        The lines, with a warning for formulas whose values are not in the file.
    """
    book = openpyxl.load_workbook(BytesIO(data), read_only=True, data_only=True, keep_links=False)
    lines = Lines(most)
    for sheet in book.worksheets:
        sheet.reset_dimensions()  # some programs write that a sheet has a million rows
        lines.blank()
        lines.heading(sheet.title, 2)
        lines.blank()
        for row in sheet.iter_rows(values_only=True):
            cells = [_cell(value) for value in row]
            while cells and not cells[-1]:
                cells.pop()
            if any(cells):
                lines.row(cells)
            else:
                lines.gap()
        if blank := list(_uncomputed(data, sheet._worksheet_path)):
            lines.warnings.append(_warning(sheet.title, blank))
    return lines


def _uncomputed(data: bytes, part: str) -> Iterator[str]:
    """The names of the cells with a formula whose value no program has computed yet."""
    with ZipFile(BytesIO(data)) as archive:
        xml = archive.read(part.lstrip("/"))
    if b"<f" not in xml and b":f" not in xml:
        return
    tags = (f"{_S}c", f"{_S}row")
    for _, element in etree.iterparse(BytesIO(xml), tag=tags, resolve_entities=False, no_network=True):
        if element.tag.endswith("}row"):
            element.clear()
        elif element.find(f"{_S}f") is not None and element.find(f"{_S}is") is None:
            value = element.find(f"{_S}v")
            is_empty_text = value is not None and element.get("t") == "str"
            if not is_empty_text and (value is None or not value.text):
                yield element.get("r", "?")


def _warning(sheet: str, cells: list[str]) -> str:
    names = ", ".join(islice(cells, _CELLS_NAMED)) + (", …" if len(cells) > _CELLS_NAMED else "")
    count = f"{len(cells):,} formulas have" if len(cells) > 1 else "a formula has"
    return (
        f"sheet '{sheet}': {count} no computed value in the file ({names}) and were left blank: open it in a "
        "spreadsheet program and save it"
    )


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
