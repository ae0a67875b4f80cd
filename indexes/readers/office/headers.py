"""The headers and footers of a Word document and of a sheet: which are shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Any

from indexes.readers.office.styles import W, is_on
from indexes.readers.running_text import NUMBER

_REFERENCE = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_ON_SHEET = re.compile(rb"<(?:\w+:)?headerFooter\b([^>]*)>(.*?)</(?:\w+:)?headerFooter\s*>", re.DOTALL)
_LONGEST = 20_000  # bytes of all headers and footers of a sheet; each has at most 255 characters
_TEXT = re.compile(rb"<(?:\w+:)?(odd|even|first)(?:Header|Footer)\b[^>]*>([^<]+)<")
_DIFFERENT = re.compile(rb"\bdifferent(OddEven|First)\s*=\s*[\"'](?:1|true)[\"']")
_CODE = re.compile(r'&("[^"]*"|K(?:[0-9A-Fa-f]{6}|\d\d[+-]\d{3})|\d{1,3}|[PN](?:[+-]\d+)?|.)', re.DOTALL)
_PLACES = frozenset("LCR")


def shown_headers(document: Any, settings: Any) -> list[str]:
    """Return how a Word document refers to the headers and footers that its sections show.

    Args:
        document: The root of its main part.
        settings: The root of its settings; None if it has none.

    Returns:
        The identifiers, each once.
    """
    has_even = settings is not None and is_on(settings, "evenAndOddHeaders")
    found: dict[str, None] = {}
    for section in document.iter(f"{W}sectPr"):
        shown = {"default": True, "even": has_even, "first": is_on(section, "titlePg")}
        for reference in section.iterchildren(f"{W}headerReference", f"{W}footerReference"):
            if shown.get(reference.get(f"{W}type", "default"), True):
                found[reference.get(_REFERENCE, "")] = None
    return list(found)


def sheet_headers(xml: bytes) -> Iterator[str]:
    """Yield the headers and footers of a sheet, with `NUMBER` for the numbers of pages, dates and names of files.

    Args:
        xml: The sheet.

    Yields:
        The text of each, with its left, middle and right part on lines of their own.
    """
    found = _ON_SHEET.search(xml, max(xml.rfind(b"headerFooter") - _LONGEST, 0))
    if found is None:
        return
    shown = {b"odd", *(each.removeprefix(b"Odd").lower() for each in _DIFFERENT.findall(found[1]))}
    for which, text in _TEXT.findall(found[2]):
        if which in shown:
            yield _CODE.sub(_shown, unescape(text.decode("utf-8", "replace")))


def _shown(code: re.Match[str]) -> str:
    """What a code in the header of a sheet shows."""
    name = code[1]
    if name == "&":
        return "&"
    return "\n" if name in _PLACES else NUMBER if name[0] in "PNDTAFZ" else ""
