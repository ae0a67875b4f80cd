"""Text in the cells of a sheet that is raised or struck out in part: 10 with a raised 6 is `10^6`."""

from __future__ import annotations

import re
import zipfile
from io import BytesIO
from typing import Any

from openpyxl.cell.rich_text import CellRichText, TextBlock

from indexes.readers.base import add_struck, superscript

_SET = re.compile(rb"vertAlign\s+val=[\"']superscript|<(?:\w+:)?strike\b")
_STRINGS = re.compile(r"xl/sharedStrings\.xml", re.IGNORECASE)


def has_set_text(data: bytes) -> bool:
    """Tell whether a workbook has text that is raised or struck out in part, which takes longer to read.

    Args:
        data: The file's bytes.

    Returns:
        Whether one of its shared strings has some.
    """
    with zipfile.ZipFile(BytesIO(data)) as archive:
        names = filter(_STRINGS.fullmatch, archive.namelist())
        return any(_SET.search(archive.read(name)) is not None for name in names)


def cell_text(value: Any) -> str:
    """Return the text of a cell's value.

    Args:
        value: The value; text in several pieces if the workbook has such text.

    Returns:
        The text.
    """
    if not isinstance(value, CellRichText):
        return str(value)
    parts: list[str] = []
    for piece in value:
        text, font = str(piece), piece.font if isinstance(piece, TextBlock) else None
        if font is not None and font.vertAlign == "superscript":
            text = superscript(text, "".join(parts))
        if font is not None and font.strike:
            add_struck(parts, text)
        else:
            parts.append(text)
    return "".join(parts)
