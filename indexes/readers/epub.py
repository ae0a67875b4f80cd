"""EPUB: the chapters of a book in their reading order, each read like a page of HTML."""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import replace
from io import BytesIO
from typing import Any
from urllib.parse import unquote

from indexes.errors import UnreadableFile
from indexes.readers.base import (
    MOST_MARKS,
    ReadLimits,
    ReadText,
    check_text_length,
    first_warnings,
    joined_readings,
    one_line,
    properties,
    real_title,
)
from indexes.readers.charset import decode_declared
from indexes.readers.hidden import with_hidden_named
from indexes.readers.html import web_page
from indexes.readers.zip_files import check_zip, parse_xml
from indexes.sources import composed

_CONTAINER, _ENCRYPTION = "META-INF/container.xml", "META-INF/encryption.xml"
_FONTS_ONLY = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
_DRAWING = "image/svg+xml"
_PAGES = (
    "application/xhtml+xml",
    "application/x-dtbook+xml",
    _DRAWING,
    "text/html",
    "text/x-oeb1-document",
)
_MOST_FALLBACKS = 10
_PAGE_SUFFIXES = (".xhtml", ".html", ".htm", ".xht")
# An empty element of XHTML, which HTML would leave open: `<title/>` would swallow the chapter.
_EMPTY = re.compile(
    r"<(?!(?:area|br|col|embed|hr|img|input|link|meta|source|wbr)\b)([a-z][\w:-]*)((?:\s[^<>]*)?)/>", re.I
)
_DC = "{http://purl.org/dc/elements/1.1/}"


def read_epub(data: bytes, limits: ReadLimits) -> ReadText:
    """Read a book: its chapters with their headings, and `breaks` where they begin."""
    damaged = check_zip(".epub", data, limits)
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            return _book(archive, damaged, limits.most_text(len(data)))
    except (UnreadableFile, MemoryError, RecursionError):
        raise
    except Exception as error:  # whatever a broken file provokes: KeyError, XMLSyntaxError, …
        raise UnreadableFile(f"a broken .epub: {one_line(str(error)) or type(error).__name__}") from error


def _book(archive: zipfile.ZipFile, damaged: Collection[str], most: int) -> ReadText:
    if _is_locked(archive):
        raise UnreadableFile("an .epub with copy protection (DRM), which cannot be read")
    package = _package(archive)
    root = parse_xml(archive.read(package), recover=True)
    if root is None:
        raise UnreadableFile("an .epub with no book in it")
    chapters: list[ReadText] = []
    missing: list[str] = []
    flaws: list[str] = []  # of the chapters' own
    length = 0
    stored = {_folded(name): name for name in reversed(archive.namelist())}
    for name in _reading_order(root, posixpath.dirname(package.replace("\\", "/")), missing):
        found = name if name in archive.NameToInfo else stored.get(_folded(name))
        if found is None:
            missing.append(f"the chapter '{name}' is not in the file")
            continue
        if found in damaged:
            missing.append(f"the chapter '{name}' is damaged and left out")
            continue
        chapter = _EMPTY.sub(r"<\1\2></\1>", decode_declared(archive.read(found), None))
        page = web_page(chapter, is_whole=True)
        flaws += page.warnings
        if page.text.strip():
            chapters.append(replace(page, breaks=tuple(sorted({0, *page.breaks}))))
            length += len(page.text)
            check_text_length(length, most)
    if missing and not chapters:
        raise UnreadableFile(missing[0])
    title = real_title(root.findtext(f".//{_DC}title") or "")
    about = properties(
        author=", ".join(filter(None, (each.text for each in root.iter(f"{_DC}creator")))),
        subject=", ".join(filter(None, (each.text for each in root.iter(f"{_DC}subject")))),
        language=root.findtext(f".//{_DC}language"),
    )
    warnings = first_warnings(missing, "chapters are missing")
    warnings += first_warnings(list(dict.fromkeys(flaws)), "files that it refers to are not read")
    reading = joined_readings(chapters, "\n\n")
    headings = reading.headings[:MOST_MARKS]
    return with_hidden_named(replace(reading, title=title, headings=headings, metadata=about, warnings=warnings))


def _package(archive: zipfile.ZipFile) -> str:
    """The name of the package document, which the container names."""
    if _CONTAINER in archive.NameToInfo:
        for file in parse_xml(archive.read(_CONTAINER)).iter("{*}rootfile"):
            if (path := str(file.get("full-path") or "")) in archive.NameToInfo:
                return path
    if packages := [name for name in archive.namelist() if name.lower().endswith(".opf")]:
        return packages[0]
    raise UnreadableFile("an .epub with no book in it")


def _reading_order(root: Any, folder: str, missing: list[str]) -> list[str]:
    """The names of the chapters: those that the spine lists, and behind them the pages to which only links lead."""
    # To `missing` goes what is listed and no page.
    items = {item.get("id"): item for item in root.iter("{*}item")}
    listed = []
    for reference in root.iter("{*}itemref"):
        item = items.get(reference.get("idref"))
        if item is None:
            missing.append(f"the chapter '{one_line(reference.get('idref', ''))}' is not in the book's list of files")
        elif (page := _page(items, item)) is None:
            missing.append(f"'{one_line(item.get('href', ''))}' is no page of text, and not read")
        else:
            listed.append(page)
    pages = [item for item in items.values() if _is_page(item) and item.get("media-type") != _DRAWING]
    paths = (
        posixpath.normpath(posixpath.join(folder, unquote(item.get("href", "").partition("#")[0])))
        for item in [*listed, *pages]
        if "nav" not in (item.get("properties") or "").split()
    )
    return list(dict.fromkeys(paths))


def _page(items: Mapping[str, Any], item: Any) -> Any:
    """An item of the book if it is a page, else the page that stands in for it; None if there is none."""
    for _ in range(_MOST_FALLBACKS):
        if item is None or _is_page(item):
            return item
        item = items.get(item.get("fallback"))
    return None


def _is_page(item: Any) -> bool:
    path = item.get("href", "").partition("#")[0]
    return item.get("media-type") in _PAGES or path.lower().endswith(_PAGE_SUFFIXES)


def _folded(name: str) -> str:
    """A name for comparison: programs write others in a book's list than in its zip file."""
    return composed(name.replace("\\", "/")).casefold()


def _is_locked(archive: zipfile.ZipFile) -> bool:
    """Whether more than its fonts is encrypted."""
    if _ENCRYPTION not in archive.NameToInfo:
        return False
    methods = [each.get("Algorithm", "") for each in parse_xml(archive.read(_ENCRYPTION)).iter("{*}EncryptionMethod")]
    return any(method not in _FONTS_ONLY for method in methods)
