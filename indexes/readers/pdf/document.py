"""PDF: the text of its pages by pypdf, with a form feed between them.

Values of form fields and free text follow the text of their page. Scanned text is not recognised here: a page without
readable text is left empty and counted among the `unreadable`. A damaged page is left empty, or with the text that
could be saved, and is named in a warning; the others keep their numbers.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from itertools import accumulate
from typing import TYPE_CHECKING, Any, TypeVar

from indexes.errors import UnreadableFile
from indexes.readers.base import (
    ReadLimits,
    ReadText,
    check_text_length,
    first_warnings,
    one_line,
    properties,
    real_title,
    reason_of,
)
from indexes.readers.pdf.forms import attached_to, form_lines
from indexes.readers.pdf.layout import page_text
from indexes.readers.tables import joined_rows, row_tables
from indexes.text import is_readable

if TYPE_CHECKING:
    from pypdf import PageObject, PdfReader

    from indexes.readers.pdf.actual_text import Structure
    from indexes.readers.pdf.layers import Layers

_OfRoot = TypeVar("_OfRoot")
_BETWEEN_PAGES = "\f"
_WESTERN = {  # of fonts without an encoding: what Windows has where Latin-1 has control characters
    code: text for code in range(0x80, 0xA0) if (text := bytes([code]).decode("cp1252", "ignore"))
}
_PAGE = re.compile(rb"/Type\s*/Page\b")
_CATALOG = re.compile(rb"\b(\d{1,7})\s+(\d{1,5})\s+obj\s*<<[^<>]{0,1000}/Type\s*/Catalog\b")
_MOST_SEARCHED = 9_999  # objects among which the root is, if nothing says which one it is
_OF_CONTENT = ("pypdf.filters", "pypdf._page", "pypdf.generic._data_structures")  # loggers; others tell of fonts


def read_pdf(data: bytes, limits: ReadLimits) -> ReadText:
    """Read a PDF: the text of its pages, each page's offset, and the title and author among its properties.

    Args:
        data: The file's bytes.
        limits: What it may hold.

    Returns:
        The text, with pages and tables; what was left out is in `warnings`, what OCR is for in `unreadable`.

    Raises:
        UnreadableFile: It is encrypted, broken, or over a limit.
        MemoryError: It needs more memory than the sandbox has.
    """
    try:
        reader, flaws = _open(data)
        if len(reader.pages) > limits.max_pages:
            raise UnreadableFile(f"has {len(reader.pages):,} pages, over the limit of {limits.max_pages:,}")
        from indexes.readers.pdf.layers import Layers  # with pypdf, which only PDFs need

        layers = _of_root(Layers, reader)
        pages, damage, unreadable = _page_texts(reader, layers, limits.most_text(len(data)))
        title, about, attached = _title(reader), _properties(reader), _attached(reader)
        flaws += [*_missing_pages(reader), *_dynamic_form(reader), *layers.warnings()]
    except (UnreadableFile, MemoryError):
        raise
    except Exception as error:  # pypdf lets through whatever a broken file provokes: KeyError, zlib.error, …
        raise UnreadableFile(f"a broken PDF: {reason_of(error)}") from error
    starts = accumulate((len(page) + len(_BETWEEN_PAGES) for page in pages[:-1]), initial=0)
    text = _BETWEEN_PAGES.join(pages)
    rows = list(joined_rows(text))
    return ReadText(
        text,
        title,
        pages=tuple(starts),
        breaks=tuple(start for start, _ in rows),
        metadata=about,
        warnings=(*flaws, *_warnings(damage), *attached),
        unreadable=unreadable,
        tables=row_tables(text, rows),
    )


def _open(data: bytes) -> tuple[PdfReader, list[str]]:
    """A file, and what is wrong with it as a whole. Raises UnreadableFile, and what pypdf raises for a broken file."""
    try:
        reader = _decrypted(data)
        if len(reader.pages) or not _PAGE.search(data):
            return reader, []
    except (UnreadableFile, MemoryError):
        raise
    except Exception as error:  # see read_pdf
        try:
            return _mended(data), [
                f"its end is damaged or missing, and not all of its pages may be there: {reason_of(error)}"
            ]
        except MemoryError:
            raise
        except Exception:  # the first error says what is wrong with the file, and not with what was added to it
            raise error from None
    return _mended(data), ["its list of pages is damaged, and not all of them may be there"]


def _mended(data: bytes) -> PdfReader:
    """A file with another end, which makes pypdf search all of it for its objects."""
    catalog = _CATALOG.search(data)
    root = b"/Root %s %s R" % catalog.groups() if catalog else b""
    reader = _decrypted(data + b"\ntrailer << %s /Size %d >>\nstartxref\n0\n%%%%EOF\n" % (root, _MOST_SEARCHED))
    if not len(reader.pages):
        raise UnreadableFile("a broken PDF: no pages in it")
    return reader


def _decrypted(data: bytes) -> PdfReader:
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


def _page_texts(reader: PdfReader, layers: Layers, most: int) -> tuple[list[str], dict[int, str], tuple[int, ...]]:
    """The text of each page, the damage of the damaged ones, by their numbers from 1, and the unreadable ones."""
    from indexes.readers.pdf.actual_text import Structure
    from indexes.readers.pdf.fonts import readable_fonts

    texts: list[str] = []
    damage: dict[int, str] = {}
    unreadable: list[int] = []
    length = 0
    structure = _of_root(Structure, reader)
    with readable_fonts() as prepare:
        for number, page in enumerate(reader.pages, start=1):
            with _complaints() as complaints:
                text, is_good = _page(page, texts[-1] if texts else "", prepare, structure, layers, complaints)
            if complaints:
                damage[number] = complaints[0]
            elif not is_good:
                unreadable.append(number)
            texts.append(text)
            length += len(text)
            check_text_length(length, most)
    if damage and not any(text.strip() for text in texts):
        raise UnreadableFile(f"a broken PDF: {next(iter(damage.values()))}")
    return texts, damage, tuple(unreadable)


def _page(
    page: PageObject,
    before: str,
    prepare: Callable[[Any], None],
    structure: Structure,
    layers: Layers,
    complaints: list[str],
) -> tuple[str, bool]:
    """The text of a page after `before`, empty where it is not readable, and whether it is; see `_complaints`."""
    from indexes.readers.pdf.actual_text import put_actual_text

    text, beside = "", ""
    try:
        prepare(page)
        flaws = [
            *_missing_content(page),
            *_complaint(lambda: layers.leave_out(page), "its layers cannot be told apart"),
            *_complaint(
                lambda: put_actual_text(page, structure), "the text that it states for what it draws is not read"
            ),
        ]
        text = page_text(page, before).replace(_BETWEEN_PAGES, "\n")
        complaints += flaws
    except MemoryError:
        raise
    except Exception as error:  # see read_pdf
        complaints.append(reason_of(error))
    is_good = is_readable(text) and (bool(text.strip()) or not _shows_something(page))
    text = text.translate(_WESTERN)
    try:
        beside = "\n".join(form_lines(page, lambda form: _drawn(form, prepare))).replace(_BETWEEN_PAGES, "\n")
    except MemoryError:
        raise
    except Exception as error:  # see read_pdf
        complaints.append(reason_of(error))
    return "\n".join(filter(None, (text.rstrip() if beside else text, beside))) if is_good else beside, is_good


def _drawn(form: Any, prepare: Callable[[Any], None]) -> str:
    """The text that a form XObject draws; empty for one that is broken, or whose characters have no meaning."""
    from pypdf import PageObject
    from pypdf.generic import ArrayObject, FloatObject, NameObject

    page = PageObject(form.indirect_reference.pdf if form.indirect_reference else None)
    page[NameObject("/Contents")] = form
    page[NameObject("/MediaBox")] = ArrayObject(map(FloatObject, (0, 0, 612, 792)))
    if "/Resources" in form:
        page[NameObject("/Resources")] = form["/Resources"]
    prepare(page)
    text = page_text(page, "")
    return text if is_readable(text) else ""


def _missing_content(page: PageObject) -> list[str]:
    """A complaint about a page whose content is not in the file."""
    from pypdf.generic import IndirectObject, is_null_or_none

    content = page.raw_get("/Contents") if "/Contents" in page else None
    is_missing = isinstance(content, IndirectObject) and is_null_or_none(content)
    return ["its content is not in the file"] if is_missing else []


def _of_root(kind: Callable[[Any], _OfRoot], reader: PdfReader) -> _OfRoot:
    """What the root of a document says of its structure or its layers; a damaged one says nothing."""
    try:
        return kind(reader.root_object)
    except MemoryError:
        raise
    except Exception:  # see read_pdf; what is drawn is read all the same
        return kind({})


def _complaint(change: Callable[[], None], what: str) -> list[str]:
    """Change a page, and return a complaint if that fails."""
    try:
        change()
    except MemoryError:
        raise
    except Exception as error:  # see read_pdf; what is drawn is read all the same
        return [f"{what}: {reason_of(error)}"]
    return []


def _shows_something(page: PageObject) -> bool:
    """Whether a page without text draws a picture, or text in a font whose characters are drawings."""
    try:
        contents = page.get_contents()
        data = b"" if contents is None else contents.get_data()
        if re.search(rb"/\S+\s+Do\b|\bBI\s", data):
            return True
        fonts = page["/Resources"]["/Font"].get_object()  # type: ignore[index]
        return any(font.get_object().get("/Subtype") == "/Type3" for font in fonts.values())
    except MemoryError:
        raise
    except Exception:  # no fonts, or a broken page
        return False


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
    return first_warnings(lines, "pages are damaged")


def _missing_pages(reader: PdfReader) -> list[str]:
    """A warning if there are fewer pages than the file says that it has."""
    try:
        said = int(reader.root_object["/Pages"]["/Count"])  # type: ignore[index]
    except Exception:  # see read_pdf; it does not say it
        return []
    found = len(reader.pages)
    return (
        [f"only {found:,} of its {said:,} pages could be found, and their numbers may be others"]
        if said > found
        else []
    )


def _dynamic_form(reader: PdfReader) -> list[str]:
    """A warning if its pages are drawn by Adobe's programs alone, from a form in XFA, and say no more than that."""
    try:
        is_drawn = bool(reader.root_object["/NeedsRendering"].value)  # type: ignore[attr-defined]
    except Exception:  # see read_pdf; most files do not say it
        return []
    what = "a dynamic form (XFA), whose text and values are not read: print it to a PDF with Adobe's program"
    return [what] if is_drawn else []


def _attached(reader: PdfReader) -> tuple[str, ...]:
    """A warning for each file that is attached, as the contents of a portfolio are."""
    names: list[str] = []
    with suppress(Exception):  # see read_pdf; the pages were read
        names += reader.attachments
    with suppress(Exception):
        for page in reader.pages:
            names += attached_to(page)
    lines = [
        f"the attachment '{one_line(name)}' is not read: save it as a file of its own" for name in dict.fromkeys(names)
    ]
    return first_warnings(lines, "attachments are not read")


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
