"""The text of a document, built line by line, with the offsets of its headings, pages and table rows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from indexes.readers.base import MOST_MARKS, ReadText, check_text_length, one_line
from indexes.readers.running_text import without_numbers
from indexes.readers.tables import row_tables
from indexes.types import Heading

_SPACES = re.compile(r"[ \t\v\r]+")


class Lines:
    """Lines of text. White space at the ends of a line and further blank lines in a row are left out.

    Args:
        most: The most characters that they may have together. A small file can repeat a long text very often.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.warnings: list[str] = []  # what could not be read
        self.includes: tuple[str, ...] = ()  # the names of files that are not part of it
        self._lines: list[str] = []
        self._length = 0
        self._headings: list[Heading] = []
        self._pages: list[int] = []
        self._rows: list[tuple[int, int]] = []  # where each begins, and the number of its table
        self._gaps: set[int] = set()  # the rows that an empty one is above
        self._heads: dict[int, Sequence[str]] = {}  # the rows that may be part of a header of several
        self._after_row = 0  # the line after the last row: one that is a row, too, goes on with its table
        self._running: set[str] = set()  # the lines of headers and footers, and the headings, which they may repeat

    def add(self, text: str) -> None:
        """Add text of one or more lines; an empty one adds a blank line."""
        for line in text.split("\n"):
            if line := _SPACES.sub(" ", line).strip():
                self._append(line)
            else:
                self.blank()

    def blank(self) -> None:
        """Add a blank line, unless there is one already or there is nothing to separate."""
        if self._lines and self._lines[-1]:
            self._append("")

    def heading(self, text: str, level: int) -> None:
        """Add a heading on a line of its own.

        Args:
            text: The heading; line breaks in it become spaces.
            level: 1 for the outermost.
        """
        if title := one_line(text):
            if len(self._headings) < MOST_MARKS:
                self._headings.append(Heading(self._length, level, title))
                self._running.add(title)
            self.add(text.strip().replace("\n", " "))

    def running(self, text: str) -> None:
        """Add the lines of a header or a footer, below a blank one, but none that is there already, or is a heading.

        Args:
            text: The header or footer, with `NUMBER` in the place of the numbers of pages.
        """
        lines = dict.fromkeys(without_numbers(_SPACES.sub(" ", line)).strip(" |") for line in text.split("\n"))
        if new := [line for line in lines if line and line not in self._running]:
            self._running.update(new)
            self.blank()
            self.add("\n".join(new))

    def row(self, cells: Iterable[str], head: Sequence[str] | None = None) -> None:
        """Add a table row as one line, with its cells joined by ` | `; a row of empty cells is left out.

        Args:
            cells: The cells' texts.
            head: The names in its columns, if it may be part of a header of several rows.
        """
        texts = []
        length = self._length
        for cell in cells:
            texts.append(" ".join(cell.split()))
            length += len(texts[-1])
            check_text_length(length, self.most)
        if any(texts):
            is_next = self._rows and self._after_row == len(self._lines)
            if len(self._rows) < MOST_MARKS:
                number = self._rows[-1][1] + (not is_next) if self._rows else 0
                if head is not None:
                    self._heads[len(self._rows)] = head
                self._rows.append((self._length, number))
            self._append(" | ".join(texts).strip())
            self._after_row = len(self._lines)

    def gap(self) -> None:
        """End the rows so far: what follows may be another table, or further rows of the same."""
        if self._rows and self._after_row == len(self._lines):
            self._gaps.add(len(self._rows))

    def page(self) -> None:
        """Begin a page, with a form feed between it and the page before."""
        if self._pages:
            self.blank()
            self._append("\f")
        self._pages.append(self._length)

    @property
    def length(self) -> int:
        """How many characters there are so far."""
        return self._length

    def joined(self) -> str:
        """Return all of the text on one line."""
        return " ".join(filter(None, self._lines))

    def reading(self, title: str, about: Mapping[str, str]) -> ReadText:
        """Return the text and its marks.

        Args:
            title: The title among the document's properties; may be empty.
            about: The document's properties.

        Returns:
            The text, with its headings, pages and table rows.
        """
        text = "\n".join(self._lines).removesuffix("\n")
        pages = tuple(min(start, len(text)) for start in self._pages)  # the last one may be empty
        breaks, tables = tuple(start for start, _ in self._rows), row_tables(text, self._rows, self._gaps, self._heads)
        headings, warnings = tuple(self._headings), tuple(self.warnings)
        return ReadText(text, title, headings, pages, breaks, about, warnings, tables, includes=self.includes)

    def _append(self, line: str) -> None:
        self._lines.append(line)
        self._length += len(line) + 1
        check_text_length(self._length, self.most)
