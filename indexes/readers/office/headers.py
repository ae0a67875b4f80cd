"""The headers and footers of a Word document and of a sheet: which are shown, and what in them is no text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Any

from indexes.readers.office.styles import W, is_on
from indexes.readers.running_text import NUMBER

_REFERENCE = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_NUMBERS = frozenset({"PAGE", "NUMPAGES", "SECTION", "SECTIONPAGES", "DATE", "TIME"})
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


def mark_numbers(header: Any) -> None:
    """Put `NUMBER` in the place of the fields of a header that hold the number of a page, or today's date.

    Args:
        header: The root of a header or a footer of a Word document; it is changed.
    """
    codes: list[str] = []  # of the fields that have begun and not ended
    for element in list(header.iter(*(W + name for name in ("fldChar", "instrText", "t", "fldSimple", "pgNum")))):
        kind = element.get(f"{W}fldCharType")
        if kind == "begin":
            codes.append("")
        elif element.tag == f"{W}instrText":
            codes[-1:] = [code + (element.text or "") for code in codes[-1:]]
        elif element.tag == f"{W}t":
            element.text = "" if any(map(_is_number, codes)) else element.text
        else:
            code = codes.pop() if kind == "end" and codes else element.get(f"{W}instr", "")
            if element.tag == f"{W}pgNum" or _is_number(code):
                _replace(element)


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


def _is_number(code: str) -> bool:
    return "".join(code.split(maxsplit=1)[:1]).upper() in _NUMBERS


def _replace(element: Any) -> None:
    """Make an element the text of a number."""
    for child in list(element):
        element.remove(child)
    element.tag, element.text = f"{W}t", NUMBER


def _shown(code: re.Match[str]) -> str:
    """What a code in the header of a sheet shows."""
    name = code[1]
    if name == "&":
        return "&"
    return "\n" if name in _PLACES else NUMBER if name[0] in "PNDTAFZ" else ""
