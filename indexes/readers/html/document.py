"""HTML: the visible text of a page, with its headings and its title."""

from __future__ import annotations

import re
from dataclasses import replace
from html import escape

from indexes.errors import UnreadableFile
from indexes.readers.base import DEFAULT_LIMITS, ReadLimits, ReadText, one_line
from indexes.readers.charset import decode_declared
from indexes.readers.entities import unread_files, without_declarations
from indexes.readers.hidden import with_hidden_named
from indexes.readers.html.page import Page
from indexes.readers.markup import front_matter

_SECTION, _SECTION_END = "<![CDATA[", "]]>"  # of characters in XHTML, which is a comment in HTML
_FRAMES = re.compile(r"</?(?:frameset|noframes)\b[^<>]*>", re.IGNORECASE)
_PIECE = 1 << 16  # characters given to the parser at once


def read_web_page(data: bytes, limits: ReadLimits) -> ReadText:
    """Read the main text: a line for each block, table cells joined by ` | `, `pre` as it is, without navigation.

    Args:
        data: The file's bytes.
        limits: What it may hold.

    Returns:
        The text, with headings, and with `breaks` at table rows.

    Raises:
        UnreadableFile: It is not text, has no text but that of its frames, or is nested too deeply.
    """
    text = decode_declared(data, limits.encoding)
    if not text.startswith(("---", "+++")):
        page = with_hidden_named(web_page(text))
        if page.includes and not page.text.strip():
            raise UnreadableFile(f"no text in it but that of the pages in its frames: {', '.join(page.includes)}")
        return page
    front, body = front_matter(text)  # of a page that a program will put into its frame
    page = with_hidden_named(web_page(text[body:]))
    return replace(page, title=front.pop("title", page.title), metadata={**page.metadata, **front})


def web_page(text: str, *, is_whole: bool = False) -> ReadText:
    """Return the main text of a page.

    Args:
        text: The page, in HTML.
        is_whole: Whether there is nothing beside the text, as in a book or a message.

    Returns:
        Its text, headings, title and properties, and a warning about the files that its entities stand for.

    Raises:
        UnreadableFile: It cannot be parsed, or the entities that it declares make it too long.
    """
    from lxml import etree

    if "<frameset" in text[:_PIECE].lower():
        text = _FRAMES.sub(" ", text)
    files: list[str] = []  # that it refers to
    if "<!DOCTYPE" in text[:_PIECE]:  # of XHTML, in capitals
        text, files = without_declarations(text, DEFAULT_LIMITS.most_text(len(text)))
    if text[:_PIECE].lstrip().startswith("<?xml"):
        text = _without_sections(text)
    page = Page(web_page, is_whole=is_whole)
    parser = etree.HTMLParser(target=page, huge_tree=True)  # huge_tree: no bound on depth, which would cut the page off
    try:
        for start in range(0, len(text), _PIECE):
            parser.feed(text[start : start + _PIECE])
        parser.close()
    except (etree.LxmlError, ValueError) as error:
        raise UnreadableFile(f"cannot be read as HTML: {one_line(str(error))}") from error
    reading = page.reading()
    return replace(reading, warnings=(*unread_files(files), *reading.warnings))


def _without_sections(text: str) -> str:
    """XHTML with its sections of characters as text."""
    before, *sections = text.split(_SECTION)
    parts = [before]
    for section in sections:
        inside, end, after = section.partition(_SECTION_END)
        parts.append(escape(inside) + after if end else _SECTION + section)
    return "".join(parts)
