"""The lines of a web page as they are written: blocks, cells joined by ` | `, and preformatted text as it is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from indexes.readers.base import MOST_MARKS, ReadText, add_struck, one_line, superscript
from indexes.readers.html.main_text import Line
from indexes.readers.html.page_parts import names
from indexes.readers.html.rows import OpenRow
from indexes.readers.html.settings import has_number
from indexes.readers.tables import row_tables
from indexes.types import Heading

_SOFT = names("br div p")  # in a table's cell, they do not end its row
_SOFT_IN_ROW = _SOFT | names("dd dl dt li ol ul")
_BREAK = "\n"  # among the words of a row
_LONGEST_ROW = 500  # characters, up to which its cells are one line each: what is longer is a page laid out by a table
_COUNTED = ("a", "main", "article", "table", "thead", "td", "th", "pre", "dt", "summary", "blockquote")
_SPACE = re.compile(r"[ \t\n\r\f]+")
_JAPANESE = "\u3000-\u30ff\u3400-\u9fff\uff00-\uffef"
_LINE_END_IN_JAPANESE = re.compile(rf"(?<=[{_JAPANESE}])[ \t]*[\r\n][ \t\r\n]*(?=[{_JAPANESE}])")  # no space, as in CSS


class PageLines:
    """The lines so far, and the one that is being written.

    Attributes:
        lines: The lines.
        words: Those of the line that is being written.
        open: How many elements are open, of some names.
        main_depths: Of the elements that are open and have the role of the main text.
        heading: Level of the heading that is open; 0 for none.
        is_raised: Whether what comes next is a superscript.
        is_struck: Whether what comes next is struck out.
        label: The number of an item of a list, before its first text.
    """

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.words: list[str] = []
        self.open = dict.fromkeys(_COUNTED, 0)
        self.main_depths: list[int] = []
        self.heading = 0
        self.is_raised = self.is_struck = False
        self.label = ""
        self._table = 0  # the number of the last one
        self._cells = self._header_cells = 0  # in the row at hand
        self._with_header = self._without_header = 0  # the last table with a row of names above, and that without
        self._row = OpenRow()
        self._head: Sequence[str] | None = None  # the row on the line, if it may be one of several that are a header
        self._plain = 0  # words on the line that are no link,
        self._plain_before: list[int] = []  # and before each break on it
        self._ends = False  # whether the line ends before more text comes

    def begin(self, tag: str) -> None:
        """Count an element that begins."""
        if tag in self.open:
            self.open[tag] += 1
            self._table += tag == "table"
            if tag == "table" and self.open["table"] == 1:
                self._row.begin_table()

    def end(self, tag: str) -> None:
        """Count an element that ends."""
        if tag in self.open:
            self.open[tag] = max(self.open[tag] - 1, 0)

    def add(self, text: str) -> None:
        """Add text, perhaps in several pieces."""
        if self.open["pre"]:
            if self.label and not text.isspace():
                text = text.lstrip("\r\n")
                self._add_label(text)
            first, *others = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
            self.words.append(first)
            for line in others:
                self.end_line()
                self.words.append(line)
            return
        if self._ends and not text.isspace():
            self._end_piece()
        text = _SPACE.sub(" ", _LINE_END_IN_JAPANESE.sub("", text))
        if self.is_raised and self.words:
            text = superscript(text, self.words[-1])
        self.is_raised = False
        if text != " " or (self.words and not self.words[-1].endswith(" ")):
            if self.label and text != " ":
                self._add_label(text)
            if self.is_struck:
                add_struck(self.words, text)
            else:
                self.words.append(text)
            self._plain += not (self.open["a"] or text.isspace())

    def _add_label(self, text: str) -> None:
        """Add the number of an item before its text, unless this has its own."""
        self.words += [] if has_number(text) else [self.label]
        self.label = ""

    def add_lines(self, lines: Sequence[str]) -> None:
        """Add whole lines, which are no links."""
        self.end_line()
        for line in lines:
            self._plain += 1
            self._add_line(line)

    def begin_cell(self, tag: str, attributes: Any) -> None:
        """Begin a cell of a table."""
        if tag == "td" and self._cells and self._header_cells == self._cells and self._with_header != self._table:
            self._without_header = self._table  # its first row begins with a name, as all of its rows do
        self._cells += 1
        self._header_cells += tag == "th"
        self._ends = False
        if self.words:
            self.words.append(" | ")
        if self.open["table"] == 1:
            self._row.begin_cell(len(self.words), len(self.lines), attributes, is_name=tag == "th")

    def end_row(self) -> None:
        """Put what merged cells hold into each row and column that they span."""
        texts, self._head = self._row.end(self.words, len(self.lines), in_head=self.open["thead"] > 0)
        if texts:
            row = " | ".join(texts)
            if len(texts) > 1 and len(row) <= _LONGEST_ROW:
                row = row.replace(_BREAK, " ")
                self._plain_before.clear()
            self.words[:] = [row]
            self._cells = len(texts)

    def break_at(self, tag: str) -> None:
        """End the line where a block begins or ends, in a cell only its piece; a heading is one line."""
        if tag == "br" and self.heading:
            self.words += [" "][: len(self.words)]
            return
        soft = _SOFT_IN_ROW if self.open["table"] == 1 else _SOFT
        if tag in soft and (self.open["td"] or self.open["th"]) and not self.open["pre"]:
            self._ends = bool(self.words) and not self.words[-1].endswith(" | ")
        else:
            self.end_line()

    def _end_piece(self) -> None:
        """End the line, or in a table a piece of a cell: whether it is a line shows at the end of the row."""
        if self.open["table"] != 1 or not self.words:
            self.end_line()
            return
        self.words.append(_BREAK)
        self._plain_before.append(self._plain)
        self._ends = False

    def end_line(self) -> None:
        """End the line."""
        line = "".join(self.words)
        self.words.clear()
        self._ends = False
        if self._plain_before:
            plain = [0, *self._plain_before, self._plain]
            self._plain_before.clear()
            for piece, (before, after) in zip(line.split(_BREAK), pairwise(plain), strict=False):
                self._plain = after - before
                self._add_line(piece)
        else:
            self._add_line(line)

    def _add_line(self, line: str) -> None:
        is_pre = self.open["pre"] > 0
        line = line.rstrip() if is_pre else _SPACE.sub(" ", line).strip()
        if line or (is_pre and self.lines and self.lines[-1].text):
            inside = "main" if self.main_depths else next((name for name in ("main", "article") if self.open[name]), "")
            is_row = self.open["table"] and self._cells > 1
            self._with_header = self._table if is_row and self._without_header != self._table else self._with_header
            table = self._table if is_row and self._without_header != self._table else 0
            is_link = self._plain == 0 and not is_pre
            self.lines.append(Line(line, self.heading, inside, table, is_link, self._head))
        self._cells = self._header_cells = self._plain = 0
        self._head = None


def reading_of(every: Sequence[Line]) -> ReadText:
    """Return lines as a text with its headings and tables."""
    lines, headings, length = [], [], 0
    rows: list[tuple[int, int]] = []
    heads: dict[int, Sequence[str]] = {}
    for line in every:
        if line.level and line.text:
            headings.append(Heading(length, line.level, one_line(line.text)))
        if line.table and len(rows) < MOST_MARKS:
            if line.head is not None:
                heads[len(rows)] = line.head
            rows.append((length, line.table))
        lines.append(line.text)
        length += len(line.text) + 1
    text = "\n".join(lines)
    tables = row_tables(text, rows, heads=heads)
    breaks = tuple(start for start, _ in rows) if tables else ()
    return ReadText(text, headings=tuple(headings), breaks=breaks, tables=tables)
