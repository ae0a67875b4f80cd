"""The Markdown that markitdown gives, as plain text and its structure. It knows no Office formats."""

from __future__ import annotations

import re
from collections.abc import Mapping

from indexes.readers.reading import MOST_MARKS, Reading, one_line
from indexes.types import Heading

_HEADING = re.compile(r"(#{1,6}) +(.+)")
_SLIDE = re.compile(r"<!-- Slide number: \d+ -->")
_UNDER_HEADER = re.compile(r"\|(?: ?-+ ?\|)+")  # the line that makes the one above it a table's header
_PICTURE = re.compile(r"!\[(.*)\]\((\w*)\.jpg\)")


def reading_of_markdown(markdown: str, title: str, about: Mapping[str, str]) -> Reading:
    """Headings and table rows without their marks; `pages` at slides, with a form feed between them."""
    text = _Text()
    for line in markdown.split("\n"):
        text.take(line.replace("\v", " ").strip())
    return text.reading(title, about)


class _Text:
    """The lines so far, and what begins where."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._length = 0
        self._headings: list[Heading] = []
        self._pages: list[int] = []
        self._rows: list[int] = []

    def take(self, line: str) -> None:
        """Add a line of Markdown, if there is anything to read in it."""
        if (picture := _PICTURE.fullmatch(line)) is not None:
            # PowerPoint's own name for it says nothing; what somebody wrote about it does.
            line = "" if re.sub(r"\W", "", picture[1]) == picture[2] else picture[1]
        if _SLIDE.fullmatch(line):
            self._begin_page()
        elif len(line) > 1 and line[0] == line[-1] == "|":
            self._add_row(line)
        elif (heading := _HEADING.fullmatch(line)) and len(self._headings) < MOST_MARKS:
            self._headings.append(Heading(self._length, len(heading[1]), one_line(heading[2])))
            self._add(heading[2])
        elif line or (self._lines and self._lines[-1]):
            self._add(line)

    def reading(self, title: str, about: Mapping[str, str]) -> Reading:
        """Give what was read."""
        title = title or (self._headings[0].text if self._headings else "")
        headings, pages, breaks = tuple(self._headings), tuple(self._pages), tuple(self._rows)
        return Reading("\n".join(self._lines), title, headings, pages, breaks, metadata=about)

    def _begin_page(self) -> None:
        if self._pages:
            self._add("\f")
        self._pages.append(self._length)

    def _add_row(self, line: str) -> None:
        row = line[1:-1].strip()
        if not row.strip("| ") or _UNDER_HEADER.fullmatch(line):
            return
        if len(self._rows) < MOST_MARKS:
            self._rows.append(self._length)
        self._add(row)

    def _add(self, line: str) -> None:
        self._lines.append(line)
        self._length += len(line) + 1
