"""PDF: the text of its pages through pypdf, a form feed between them.

What pypdf gives is in the order in which the file draws it: columns usually come one after the other,
vertical Japanese text comes as the file has it, and pictures of text give nothing. A page that is damaged is
left empty and the others keep their numbers; a file in which no page can be read is refused.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from indexes.errors import UnreadableFile
from indexes.readers.limits import ReadLimits
from indexes.readers.reading import Reading, one_line, properties, real_title

if TYPE_CHECKING:
    from pypdf import PdfReader

_BETWEEN_PAGES = "\f"


def read_pdf(data: bytes, limits: ReadLimits) -> Reading:
    """The pages' text, with the offset of each page in `pages`, and the title among the file's properties."""
    try:
        reader = _open(data)
        if len(reader.pages) > limits.max_pages:
            raise UnreadableFile(f"has {len(reader.pages):,} pages, over the limit of {limits.max_pages:,}")
        pages = _page_texts(reader, limits.max_text)
        title, about = _title(reader), _properties(reader)
    except (UnreadableFile, MemoryError):
        raise
    except Exception as error:  # pypdf lets through whatever a broken file provokes: KeyError, zlib.error, …
        raise UnreadableFile(f"a broken PDF: {_reason(error)}") from error
    starts, length = [], 0
    for page in pages:
        starts.append(length)
        length += len(page) + len(_BETWEEN_PAGES)
    return Reading(_BETWEEN_PAGES.join(pages), title, pages=tuple(starts), metadata=about)


def _open(data: bytes) -> PdfReader:
    from pypdf import PdfReader
    from pypdf.errors import DependencyError

    try:
        reader = PdfReader(BytesIO(data))
        is_locked = reader.is_encrypted and not reader.decrypt("")
    except (DependencyError, NotImplementedError) as error:
        raise UnreadableFile("encrypted with AES: `pip install cryptography`, or save it unencrypted") from error
    if is_locked:
        raise UnreadableFile("encrypted, and it asks for a password; save it without one")
    return reader


def _page_texts(reader: PdfReader, limit: int) -> list[str]:
    texts: list[str] = []
    length, damage = 0, None
    for page in reader.pages:
        try:
            texts.append(page.extract_text().replace(_BETWEEN_PAGES, "\n"))
        except MemoryError:
            raise
        except Exception as error:  # see read_pdf
            texts.append("")
            damage = error
        length += len(texts[-1])
        if length > limit:
            raise UnreadableFile(f"its text has over {limit:,} characters, which is the limit")
    if any(text.strip() for text in texts):
        return texts
    if damage is not None:
        raise damage
    raise UnreadableFile("no text in it (a scan?); run OCR on it first")


def _title(reader: PdfReader) -> str:
    try:
        return real_title((reader.metadata.title if reader.metadata else None) or "")
    except Exception:  # see read_pdf; the pages were read, and a title is not worth refusing them for
        return ""


def _properties(reader: PdfReader) -> dict[str, str]:
    try:
        found = reader.metadata
        return properties(author=found.author, subject=found.subject, keywords=found.keywords) if found else {}
    except Exception:  # see _title
        return {}


def _reason(error: Exception) -> str:
    return one_line(str(error)).rstrip(".") or type(error).__name__
