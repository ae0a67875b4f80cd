"""Office documents (.docx, .pptx, .xlsx) as plain text with headings, pages and table rows.

The text is what a reader of the document sees: pictures, comments, headers and footers are left out. The libraries are
imported when the first such file is read, in the process that reads it. None of them uses the network.
"""

from __future__ import annotations

from collections.abc import Callable

from indexes.errors import UnreadableFile
from indexes.readers.base import ReadLimits, ReadText, one_line
from indexes.readers.office.lines import Lines
from indexes.readers.office.ooxml import check_package, core_properties


def read_word(data: bytes, limits: ReadLimits) -> ReadText:
    """Read a .docx: a line for each paragraph and table row, with footnotes and endnotes last."""
    return _read(".docx", data, limits)


def read_slides(data: bytes, limits: ReadLimits) -> ReadText:
    """Read a .pptx: a page for each slide, with headings for its title, speaker notes and charts."""
    return _read(".pptx", data, limits)


def read_sheets(data: bytes, limits: ReadLimits) -> ReadText:
    """Read an .xlsx: a heading for each sheet and a line for each row, with formulas as they were last computed."""
    return _read(".xlsx", data, limits)


def _read(suffix: str, data: bytes, limits: ReadLimits) -> ReadText:
    check_package(suffix, data, limits)
    try:
        title, about = core_properties(data)
        return _lines_of(suffix)(data).reading(title, about)
    except (UnreadableFile, MemoryError, RecursionError):
        raise
    except Exception as error:  # whatever a broken file provokes in the libraries: KeyError, ValueError, …
        raise UnreadableFile(f"a broken {suffix}: {one_line(str(error)) or type(error).__name__}") from error


def _lines_of(suffix: str) -> Callable[[bytes], Lines]:
    if suffix == ".docx":
        from indexes.readers.office.word import word_lines

        return word_lines
    if suffix == ".pptx":
        from indexes.readers.office.slides import slide_lines

        return slide_lines
    from indexes.readers.office.sheets import sheet_lines

    return sheet_lines
