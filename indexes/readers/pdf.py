"""PDF: the text of its pages by pypdf, with a form feed between them.

Scanned text is not recognised. A damaged page is left empty, or with the text that could be saved, and is named in a
warning; the others keep their numbers. A file in which no page can be read is refused.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from itertools import accumulate
from typing import TYPE_CHECKING

from indexes.errors import UnreadableFile
from indexes.readers.base import ReadLimits, ReadText, one_line, properties, real_title
from indexes.readers.pdf_layout import page_text
from indexes.readers.tables import joined_rows, row_tables

if TYPE_CHECKING:
    from pypdf import PdfReader

_BETWEEN_PAGES = "\f"
_MOST_WARNINGS = 10
_OF_CONTENT = ("pypdf.filters", "pypdf._page", "pypdf.generic._data_structures")  # loggers; others tell of fonts


def read_pdf(data: bytes, limits: ReadLimits) -> ReadText:
    """Read a PDF: the text of its pages, each page's offset, and the title and author among its properties."""
    try:
        reader = _open(data)
        if len(reader.pages) > limits.max_pages:
            raise UnreadableFile(f"has {len(reader.pages):,} pages, over the limit of {limits.max_pages:,}")
        pages, damage = _page_texts(reader, limits.max_text)
        title, about = _title(reader), _properties(reader)
    except (UnreadableFile, MemoryError):
        raise
    except Exception as error:  # pypdf lets through whatever a broken file provokes: KeyError, zlib.error, …
        raise UnreadableFile(f"a broken PDF: {_reason(error)}") from error
    starts = accumulate((len(page) + len(_BETWEEN_PAGES) for page in pages[:-1]), initial=0)
    text = _BETWEEN_PAGES.join(pages)
    rows = list(joined_rows(text))
    return ReadText(
        text,
        title,
        pages=tuple(starts),
        breaks=tuple(start for start, _ in rows),
        metadata=about,
        warnings=_warnings(damage),
        tables=row_tables(text, rows),
    )


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


def _page_texts(reader: PdfReader, limit: int) -> tuple[list[str], dict[int, str]]:
    """The text of each page, and the damage of the damaged ones, by their numbers from 1."""
    texts: list[str] = []
    damage: dict[int, str] = {}
    length = 0
    for number, page in enumerate(reader.pages, start=1):
        with _complaints() as complaints:
            try:
                texts.append(page_text(page, texts[-1] if texts else "").replace(_BETWEEN_PAGES, "\n"))
            except MemoryError:
                raise
            except Exception as error:  # see read_pdf
                texts.append("")
                complaints.append(_reason(error))
        if complaints:
            damage[number] = complaints[0]
        length += len(texts[-1])
        if length > limit:
            raise UnreadableFile(f"its text has over {limit:,} characters, which is the limit")
    if not any(text.strip() for text in texts):
        first = next(iter(damage.values()), None)
        raise UnreadableFile(f"a broken PDF: {first}" if first else "no text in it (a scan?); run OCR on it first")
    return texts, damage


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """Collect what pypdf logs about content that it cannot read: it goes on with the rest."""
    found: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: found.append(one_line(record.getMessage()))  # type: ignore[method-assign]
    handler.addFilter(lambda record: record.name in _OF_CONTENT)
    logger = logging.getLogger("pypdf")
    logger.addHandler(handler)
    try:
        yield found
    finally:
        logger.removeHandler(handler)


def _warnings(damage: dict[int, str]) -> tuple[str, ...]:
    lines = [f"page {number} is damaged, and its text not or not wholly read: {why}" for number, why in damage.items()]
    more = len(lines) - _MOST_WARNINGS
    return (*lines[:_MOST_WARNINGS], f"{more} more pages are damaged") if more > 0 else tuple(lines)


def _title(reader: PdfReader) -> str:
    try:
        return real_title((reader.metadata.title if reader.metadata else None) or "")
    except Exception:  # see read_pdf; the pages were read, and a title is not worth refusing them for
        return ""


def _properties(reader: PdfReader) -> dict[str, str]:
    """The other properties; one that cannot be read does not cost the title."""
    try:
        found = reader.metadata
        return properties(author=found.author, subject=found.subject, keywords=found.keywords) if found else {}
    except Exception:  # see _title
        return {}


def _reason(error: Exception) -> str:
    return one_line(str(error)).rstrip(".") or type(error).__name__
