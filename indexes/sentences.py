"""Where sentences end, in English and Japanese, with exact offsets. Knows no tokenizer and no documents."""

from __future__ import annotations

import re
from collections.abc import Iterator

_OPEN, _CLOSE = "「『（【〈《", "」』）】〉》"
_MARKS = re.compile(
    rf"""(?P<blank>\n[ \t\r　]*\n\s*)                           # a paragraph ends
       | (?P<line>\n(?=[ \t　]*(?:[-*+•・|#>=]|\d+[.)]\s)))      # a list item, a table row, a heading, a quotation
       | (?P<newline>\n)
       | (?P<open>[{_OPEN}])
       | (?P<close>[{_CLOSE}])
       | (?P<cjk>[。．！？｡]+)                                   # ends a sentence whatever follows
       | (?P<latin>[.!?…]+["'”’)\]]*)(?=\s)                      # ends one where space follows
    """,
    re.VERBOSE,
)
# A full stop after these ends no sentence.
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\[\"“‘])(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|vs|etc|cf|al|e\.g|i\.e|a\.m|p\.m|Fig|No|pp|vol|approx|Eq|Sec|Ch"
    r"|(?:[A-Z]\.)+[A-Z])\.$"
)
_STARTS_SENTENCE = re.compile(r"\s+[\"'“‘(\[「『*_`]*[^\W_a-z]")
_ENDED = re.compile(rf"[。．！？｡.!?…][{_CLOSE}\"'”’)\]]*$")
_LONGEST_QUOTE = 1000  # characters; past it a bracket was probably never closed


def sentence_spans(text: str, begin: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """The sentences of `text[begin:end]` as (start, end) in `text`, in order, without the white space around them.

    No sentence ends inside Japanese brackets (「…。」). Paragraphs, list items, table rows and headings end one too.
    """
    end = len(text) if end is None else end
    start, opened = begin, []
    for mark in _MARKS.finditer(text, begin, end):
        kind = mark.lastgroup
        if kind == "open":
            opened.append(mark.start())
        elif kind == "close":
            if opened:
                opened.pop()
        elif _ends_sentence(text, mark, opened, start, end):
            opened.clear()
            if span := _trim(text, start, mark.end()):
                yield span
            start = mark.end()
    if span := _trim(text, start, end):
        yield span


def _ends_sentence(text: str, mark: re.Match[str], opened: list[int], begin: int, end: int) -> bool:
    """Whether a mark ends the sentence that begins at `begin`."""
    if mark.lastgroup in ("blank", "line"):
        return True
    if opened and mark.start() - opened[0] < _LONGEST_QUOTE:
        return False
    if mark.lastgroup == "newline":
        return _ENDED.search(text, max(begin, mark.start() - 8), mark.start()) is not None
    if mark.lastgroup == "cjk":
        return True
    before = text[max(begin, mark.start() - 12) : mark.end()]
    return _STARTS_SENTENCE.match(text, mark.end(), end) is not None and not _ABBREVIATION.search(before)


def _trim(text: str, start: int, end: int) -> tuple[int, int] | None:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return (start, end) if start < end else None
