"""A document's sections: the parts of its text under one heading and on one page."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from indexes.types import Document, Heading

_VISIBLE = re.compile(r"\S")
_LINE_OF_WORDS = re.compile(r"[^\W_][^\n]*")


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a document under one heading path (`Guide > Setup`) and on one page."""

    start: int
    end: int
    heading: str
    page: int | None


def sections(document: Document) -> Iterator[Section]:
    """Split at headings and pages; a heading with nothing under it joins the section that follows on its page."""
    text, headings = document.text, {heading.start: heading for heading in document.headings}
    cuts = sorted({0, *headings, *document.pages})
    page_ends = {*document.pages, len(text)}
    path: list[Heading] = []
    start = 0
    for cut, end in zip(cuts, [*cuts[1:], len(text)], strict=True):
        if cut in headings:
            path = [*(h for h in path if h.level < headings[cut].level), headings[cut]]
        if _has_body(text, cut, end, cut in headings) or (end in page_ends and _VISIBLE.search(text, start, end)):
            page = bisect_right(document.pages, cut) or None
            yield Section(start, end, " > ".join(heading.text for heading in path), page)
            start = end
        elif not _VISIBLE.search(text, start, end):
            start = end


def _has_body(text: str, start: int, end: int, is_heading: bool) -> bool:
    """Whether there is anything but a heading: its own line and an underline do not count."""
    if not is_heading:
        return _VISIBLE.search(text, start, end) is not None
    return len(list(islice(_LINE_OF_WORDS.finditer(text, start, end), 2))) == 2
