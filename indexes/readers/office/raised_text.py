"""Raised text in the cells of a sheet: 10 with a raised 6 is `10^6`."""

from __future__ import annotations

import re
import zipfile
from io import BytesIO
from typing import Any

from openpyxl.cell.rich_text import CellRichText, TextBlock

from indexes.readers.base import superscript

_RAISED = re.compile(rb"vertAlign\s+val=[\"']superscript")
_STRINGS = re.compile(r"xl/sharedStrings\.xml", re.IGNORECASE)


def has_raised_text(data: bytes) -> bool:
    """Tell whether a workbook has raised text, which takes longer to read.

    Args:
        data: The file's bytes.

    Returns:
        Whether one of its shared strings has some.
    """
    with zipfile.ZipFile(BytesIO(data)) as archive:
        names = filter(_STRINGS.fullmatch, archive.namelist())
        return any(_RAISED.search(archive.read(name)) is not None for name in names)


def cell_text(value: Any) -> str:
    """Return the text of a cell's value.

    Args:
        value: The value; text in several pieces if the workbook has raised text.

    Returns:
        The text.
    """
    if not isinstance(value, CellRichText):
        return str(value)
    text = ""
    for piece in value:
        is_raised = isinstance(piece, TextBlock) and piece.font.vertAlign == "superscript"
        text += superscript(str(piece), text) if is_raised else str(piece)
    return text
