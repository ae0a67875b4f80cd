"""Office documents (.docx, .pptx, .xlsx): markitdown's Markdown of them as plain text, with its structure.

What is heading, slide and table row in the Markdown becomes `headings`, `pages` and `breaks`, and its marks go: what is
cited is what a reader of the document sees. Pictures, comments, headers and footers are left out.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from indexes.errors import UnreadableFile
from indexes.readers.limits import ReadLimits
from indexes.readers.office_markdown import reading_of_markdown
from indexes.readers.packages import check_package, core_properties
from indexes.readers.reading import Reading, one_line

if TYPE_CHECKING:
    from markitdown import DocumentConverter

# For markdownify: neither emphasis nor links nor pictures nor escapes, all of which would stand in the way of words.
_PLAIN = {
    "strip": ["a", "b", "code", "del", "em", "i", "img", "s", "strong", "sub", "sup", "u"],
    "escape_asterisks": False,
    "escape_underscores": False,
}


def read_word(data: bytes, limits: ReadLimits) -> Reading:
    """A line for each paragraph and table row; footnotes come last."""
    return _read(".docx", data, limits)


def read_slides(data: bytes, limits: ReadLimits) -> Reading:
    """`pages` at slides: their titles are headings, and speaker's notes and charts have headings of their own."""
    return _read(".pptx", data, limits)


def read_sheets(data: bytes, limits: ReadLimits) -> Reading:
    """Each sheet under its name as a heading, a line for each row: values as they were last computed."""
    return _read(".xlsx", data, limits)


def _read(suffix: str, data: bytes, limits: ReadLimits) -> Reading:
    converter = _converter(suffix)
    check_package(suffix, data, limits)
    try:
        title, about = core_properties(data)
        return reading_of_markdown(_markdown(converter, suffix, data), title, about)
    except (UnreadableFile, MemoryError, RecursionError):
        raise
    except Exception as error:  # the libraries let through whatever a broken file provokes: KeyError, …
        raise UnreadableFile(f"a broken {suffix}: {one_line(str(error)) or type(error).__name__}") from error


def _converter(suffix: str) -> DocumentConverter:
    try:
        from indexes.readers.office_converters import CONVERTERS
    except ModuleNotFoundError as error:
        raise UnreadableFile(f'{error.name} is needed to read {suffix}: pip install "longctx[office]"') from error
    return CONVERTERS[suffix]()


def _markdown(converter: DocumentConverter, suffix: str, data: bytes) -> str:
    from markitdown import StreamInfo

    return converter.convert(BytesIO(data), StreamInfo(extension=suffix), **_PLAIN).markdown
