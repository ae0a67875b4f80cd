"""markitdown's converters to Markdown, where they lose text put right. Importing it needs the extra `office`."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from datetime import datetime, time
from io import BytesIO
from typing import Any, BinaryIO

import openpyxl
from markitdown import DocumentConverter, DocumentConverterResult, StreamInfo
from markitdown.converters import DocxConverter, PptxConverter

from indexes.readers.word_xml import repaired

_WORD_PARTS = ("word/document.xml", "word/footnotes.xml", "word/endnotes.xml")
_STYLES = "word/styles.xml"


class WordConverter(DocxConverter):
    """markitdown's, given a document in which nothing is left that it would lose."""

    def convert(self, file_stream: BinaryIO, stream_info: StreamInfo, **kwargs: Any) -> DocumentConverterResult:
        """See DocumentConverter."""
        return super().convert(_with_repaired_parts(file_stream), stream_info, **kwargs)


class SheetConverter(DocumentConverter):
    """Sheets as Markdown tables, by openpyxl: markitdown's own converter goes through pandas and loses digits.

    It gives 123456789012 as 1.234568e+11 and "NA" as NaN, and takes five times as long.
    """

    def convert(self, file_stream: BinaryIO, stream_info: StreamInfo, **kwargs: Any) -> DocumentConverterResult:
        """See DocumentConverter."""
        book = openpyxl.load_workbook(file_stream, read_only=True, data_only=True, keep_links=False)
        return DocumentConverterResult(markdown="\n".join(line for sheet in book.worksheets for line in _rows(sheet)))


CONVERTERS: dict[str, type[DocumentConverter]] = {
    ".docx": WordConverter,
    ".pptx": PptxConverter,
    ".xlsx": SheetConverter,
}


def _with_repaired_parts(file: BinaryIO) -> BinaryIO:
    out = BytesIO()
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(out, "w") as target:
        styles = source.read(_STYLES) if _STYLES in source.namelist() else None
        for name in dict.fromkeys(source.namelist()):
            part = source.read(name)
            target.writestr(name, repaired(part, styles) if name in _WORD_PARTS else part)
    out.seek(0)
    return out


def _rows(sheet: Any) -> Iterator[str]:
    sheet.reset_dimensions()  # some programs write that a sheet has a million rows
    yield f"\n## {sheet.title}\n"
    for row in sheet.iter_rows(values_only=True):
        cells = [_cell(value) for value in row]
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            yield f"| {' | '.join(cells)} |"


def _cell(value: Any) -> str:
    """A value as a person reads it, on one line."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        return f"{value:.15g}"  # the digits that Excel has
    if isinstance(value, datetime) and value.time() == time():
        return str(value.date())
    return " ".join(str(value).split())
