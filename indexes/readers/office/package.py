"""Office documents (.docx, .pptx, .xlsx, .odt, .ods, .odp) as plain text with headings, pages and table rows.

The text is what a reader of the document sees, without pictures, and with headers and footers once. The libraries are
imported when the first such file is read, in the process that reads it. None of them uses the network.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from indexes.errors import UnreadableFile
from indexes.readers.base import ReadLimits, ReadText, first_warnings, one_line, reason_of
from indexes.readers.charset import decode_declared
from indexes.readers.entities import unread_files, without_declarations
from indexes.readers.lines import Lines
from indexes.readers.office.flaws import usual_package, utf8_xml, without_entities, without_malformed_parts
from indexes.readers.office.ooxml import core_properties, flat_document_properties, open_document_properties
from indexes.readers.zip_files import check_zip, parse_xml

_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # an OLE container
_OPEN_DOCUMENT = ".odt, .ods or .odp"
_FLAT = ".fodt, .fods or .fodp"
_BINARY = re.compile(r"(?<=<office:binary-data>)[^<]+")  # pictures, longer than a parser would take


def read_word(data: bytes, limits: ReadLimits) -> ReadText:
    """Read a .docx: a line for each paragraph and table row, with footnotes and endnotes last.

    Args:
        data: The file's bytes.
        limits: What it may unpack to.

    Returns:
        The text, with headings, and with `breaks` at table rows.

    Raises:
        UnreadableFile: It is encrypted, broken, no .docx, or over a limit.
    """
    from indexes.readers.office.word import word_lines

    return _read(".docx", word_lines, data, limits)


def read_slides(data: bytes, limits: ReadLimits) -> ReadText:
    """Read a .pptx: a page for each slide, with headings for its title, speaker notes and charts.

    Args:
        data: The file's bytes.
        limits: What it may unpack to.

    Returns:
        The text, with headings and pages, and with `breaks` at table rows.

    Raises:
        UnreadableFile: It is encrypted, broken, no .pptx, or over a limit.
    """
    from indexes.readers.office.slides import slide_lines

    return _read(".pptx", slide_lines, data, limits)


def read_sheets(data: bytes, limits: ReadLimits) -> ReadText:
    """Read an .xlsx: a heading for each sheet and a line for each row, with formulas as they were last computed.

    Args:
        data: The file's bytes.
        limits: What it may unpack to.

    Returns:
        The text, with headings, and with `breaks` at rows.

    Raises:
        UnreadableFile: It is encrypted, broken, no .xlsx, or over a limit.
    """
    from indexes.readers.office.sheets import sheet_lines

    return _read(".xlsx", sheet_lines, data, limits)


def read_open_document(data: bytes, limits: ReadLimits) -> ReadText:
    """Read an OpenDocument file: a text, a spreadsheet or a presentation.

    Args:
        data: The file's bytes.
        limits: What it may unpack to.

    Returns:
        The text, with headings, with pages for slides, and with `breaks` at table rows.

    Raises:
        UnreadableFile: It is encrypted, broken, no OpenDocument file, or over a limit.
    """
    from indexes.readers.office.opendocument import open_document_lines

    return _read(_OPEN_DOCUMENT, open_document_lines, data, limits)


def read_flat_document(data: bytes, limits: ReadLimits) -> ReadText:
    """Read an OpenDocument file that is one XML file, and no zip file: a text, a spreadsheet or a presentation.

    Args:
        data: The file's bytes.
        limits: How much text it may have.

    Returns:
        The text, with marks as by `read_open_document`.

    Raises:
        UnreadableFile: It is broken, no OpenDocument file, or over a limit.
        MemoryError: It takes more memory than there is.
        RecursionError: It is nested too deeply.
    """
    from lxml import etree

    from indexes.readers.office.opendocument import flat_document_lines

    flaws: list[str] = []
    text = _BINARY.sub("", decode_declared(data, limits.encoding))
    text, files = without_declarations(text, limits.most_text(len(data)))
    xml = utf8_xml(text)
    try:
        try:
            root = parse_xml(xml)
        except etree.XMLSyntaxError as error:
            flaws = [f"it is damaged, and its text not or not wholly read: {reason_of(error)}"]
            root = parse_xml(xml, recover=True)
        if root is None:
            raise UnreadableFile(f"not a {_FLAT}, or a broken one")
        title, about = flat_document_properties(root)
        reading = flat_document_lines(root, limits.most_text(len(data))).reading(title, about)
    except (UnreadableFile, MemoryError, RecursionError):
        raise
    except Exception as error:  # whatever a broken file provokes
        raise UnreadableFile(f"a broken {_FLAT}: {reason_of(error)}") from error
    return replace(reading, warnings=(*flaws, *unread_files(files), *reading.warnings))


def _read(suffix: str, lines_of: Callable[[bytes, int], Lines], data: bytes, limits: ReadLimits) -> ReadText:
    if data.startswith(_OLD_OFFICE):
        raise UnreadableFile(
            f"an encrypted or old Office file under the name of a {suffix}; save it as {suffix} without a password"
        )
    most = limits.most_text(len(data))
    broken, mended = check_zip(suffix, data, limits), list[str]()
    try:
        data, files = without_entities(usual_package(data, broken), most)
        try:
            reading = _reading(suffix, lines_of, data, most)
        except (UnreadableFile, MemoryError, RecursionError):
            raise
        except Exception:  # whatever a broken part provokes in the libraries: KeyError, ValueError, …
            data, malformed, mended = without_malformed_parts(data)
            if not malformed and not mended:
                raise
            broken += malformed
            reading = _reading(suffix, lines_of, data, most)
    except (UnreadableFile, MemoryError, RecursionError):
        raise
    except Exception as error:
        raise UnreadableFile(f"a broken {suffix}: {one_line(str(error)) or type(error).__name__}") from error
    if broken and not reading.text.strip():
        raise UnreadableFile(f"a broken {suffix}: without its part '{broken[0]}', there is no text in it")
    flaws = [f"its part '{name}' is broken and left out" for name in broken]
    flaws += (f"its part '{name}' is damaged, and its text not or not wholly read" for name in mended)
    warnings = first_warnings(flaws, "parts are broken")
    return replace(reading, warnings=(*warnings, *unread_files(files), *reading.warnings))


def _reading(suffix: str, lines_of: Callable[[bytes, int], Lines], data: bytes, most: int) -> ReadText:
    title, about = open_document_properties(data) if suffix == _OPEN_DOCUMENT else core_properties(data)
    return lines_of(data, most).reading(title, about)
