"""The text of a web page, which a parser passes on element by element: its lines, headings, table rows and title."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from indexes.errors import UnreadableFile
from indexes.readers.base import MOST_MARKS, ReadText, one_line, properties, superscript
from indexes.readers.html_buttons import Button, text_of
from indexes.readers.html_foreign import FOREIGN, Drawing, Equation
from indexes.readers.html_rows import OpenRow
from indexes.readers.main_text import Line, main_lines
from indexes.readers.page_parts import (
    DROPPED,
    asks_for_scripts,
    folds,
    formula_in,
    is_beside_the_text,
    is_note,
    names,
    unfolded_ids,
)
from indexes.readers.tables import row_tables
from indexes.types import Heading

_BLOCKS = names(
    "address article aside blockquote body br caption center dd details dialog dir div dl dt fieldset"
    " figcaption figure footer form h1 h2 h3 h4 h5 h6 header hr html legend li main menu ol p pre section summary"
    " table tbody tfoot thead title tr ul"
)
_SOFT = names("br div p")  # in a table's cell, they do not end its row
_SOFT_IN_ROW = _SOFT | names("dd dl dt li ol ul")
_BREAK = "\n"  # among the words of a row
_LONGEST_ROW = 500  # characters, up to which its cells are one line each: what is longer is a page laid out by a table
_CELL_ROLES = names("cell columnheader gridcell rowheader")
_PROPERTIES = names("author description keywords")  # among the `meta` elements
_CELLS = names("td th")
_COUNTED = ("a", "main", "article", "table", "thead", "td", "th", "pre", "dt", "summary", "blockquote")
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_DEEPEST = 5_000  # elements in each other: libxml2 looks through them at each end tag that fits none
_SPACE = re.compile(r"[ \t\n\r\f]+")
_JAPANESE = "\u3000-\u30ff\u3400-\u9fff\uff00-\uffef"
_LINE_END_IN_JAPANESE = re.compile(rf"(?<=[{_JAPANESE}])[ \t]*[\r\n][ \t\r\n]*(?=[{_JAPANESE}])")  # no space, as in CSS


class Page:
    """The target of lxml's parser, which calls `start`, `end` and `data` as it goes.

    Args:
        read: A function from a page in a frame to what is read of it.
        is_whole: Whether there is nothing beside the text, as in a book.
    """

    def __init__(self, read: Callable[[str], ReadText], *, is_whole: bool = False) -> None:
        self._read = read
        self._is_whole = is_whole
        self._lines: list[Line] = []
        self._words: list[str] = []  # of the line that is being written
        self._dropped: list[str] = []  # the elements that are open and left out, the outermost first
        self._open = dict.fromkeys(_COUNTED, 0)  # how many
        self._table = 0  # the number of the last one
        self._cells = self._header_cells = 0  # in the row at hand
        self._with_header = self._without_header = 0  # the last table with a row of names above, and that without
        self._row = OpenRow()
        self._head: Sequence[str] | None = None  # the row on the line, if it may be one of several that are a header
        self._plain = 0  # words on the line that are no link,
        self._plain_before: list[int] = []  # and before each break on it
        self._main_depths: list[int] = []  # of the elements that are open and have the role
        self._button: Button | None = None
        self._foreign: Equation | Drawing | None = None
        self._outer: tuple[list[Line], list[str]] | None = None  # the lines and words beside what is for no scripts
        self._depth = 0
        self._ends = False  # whether the line ends before more text comes
        self._heading = 0  # level of the heading that is open
        self._title: list[str] = []
        self._in_title = False
        self._properties: dict[str, str | None] = {}
        self._is_raised = False  # at the beginning of a superscript
        self._unfolded: set[str] = set()  # the ids of what buttons unfold

    def start(self, tag: str, attributes: Any) -> None:
        """Begin an element."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise UnreadableFile(f"HTML with more than {_DEEPEST:,} elements in each other")
        is_in_text = self._is_whole or bool(self._open["main"] or self._open["article"] or self._main_depths)
        if self._foreign is not None:
            self._foreign.start(tag, attributes)
        elif self._dropped:
            if tag in DROPPED or tag == self._dropped[-1]:
                self._dropped.append(tag)
        elif tag == "script" and attributes.get("type", "").lower().startswith("math/"):
            self._words.append(" ")
        elif (tag in DROPPED and not self._is_kept(tag, attributes)) or (
            attributes.get("id", "") not in self._unfolded
            and is_beside_the_text(tag, attributes, is_in_text=is_in_text)
            and not (self._is_whole and is_note(attributes))
        ):
            self._dropped.append(tag)
            self._add_frame(attributes.get("srcdoc", "") if tag == "iframe" else "")
        elif tag in FOREIGN:
            self._foreign = FOREIGN[tag](attributes)
        else:
            self._begin(tag, attributes)

    def _begin_doubtful(self, tag: str, attributes: Any) -> None:
        """Begin an element of which the text will say whether it belongs to the page's."""
        if tag == "button":
            is_heading = bool(self._heading or self._open["dt"] or self._open["summary"])
            self._button = Button(len(self._lines), len(self._words), is_heading, folds(attributes))
            if self._button.folds:
                self._unfolded |= unfolded_ids(attributes)
        elif self._outer is None:
            self._outer = self._lines, self._words
            self._lines, self._words = [], []

    def _add_frame(self, page: str) -> None:
        """Add a page that is written into the frame that shows it."""
        if page.strip():
            self._end_line()
            for line in self._read(page).text.split("\n"):
                self._add_line(line)

    def _is_kept(self, tag: str, attributes: Any) -> bool:
        """Whether an element belongs to the text, unlike others of its name."""
        if tag == "template":
            return attributes.get("shadowrootmode") is not None  # of a component, whose content it is
        is_said_or_note = self._open["blockquote"] > 0 or is_note(attributes)  # or who said it
        return tag == "footer" and (self._is_whole or is_said_or_note)

    def _begin(self, tag: str, attributes: Any) -> None:
        """Begin an element that is shown."""
        if attributes.get("role", "").lower() == "main":
            self._main_depths.append(self._depth)
        if tag in ("button", "noscript"):
            self._begin_doubtful(tag, attributes)
        if tag in _CELLS:
            self._begin_cell(tag, attributes)
        elif tag in _BLOCKS:
            self._break(tag)
        elif tag == "img" or attributes.get("role") in _CELL_ROLES:
            self._words += formula_in(attributes) if tag == "img" else [" | "][: len(self._words)]
        elif tag == "meta" and (name := attributes.get("name", "").lower()) in _PROPERTIES:
            self._properties.setdefault(name, attributes.get("content"))
        self._heading = _HEADINGS.get(tag, self._heading)
        if tag in self._open:
            self._open[tag] += 1
            self._table += tag == "table"
            if tag == "table" and self._open["table"] == 1:
                self._row.begin_table()
        self._in_title = tag == "title"
        self._is_raised = self._is_raised or tag == "sup"

    def end(self, tag: str) -> None:
        """End an element."""
        self._depth -= 1
        if self._foreign is not None:
            self._end_in_foreign(self._foreign, tag)
            return
        if self._dropped:
            if tag == self._dropped[-1]:
                self._dropped.pop()
            return
        if tag in ("button", "noscript"):
            self._end_doubtful(tag)
        if tag == "tr" and self._open["table"] == 1:
            self._end_row()
        if tag in _BLOCKS:
            self._break(tag)
        if tag in _HEADINGS:
            self._heading = 0
        if self._main_depths and self._depth < self._main_depths[-1]:
            self._main_depths.pop()
        if tag in self._open:
            self._open[tag] = max(self._open[tag] - 1, 0)
        self._in_title = False
        self._is_raised = self._is_raised and tag != "sup"

    def data(self, text: str) -> None:
        """Add text, perhaps in several pieces."""
        if self._foreign is not None:
            self._foreign.data(text)
        elif self._in_title:
            self._title.append(text)
        elif self._dropped:
            return
        elif self._open["pre"]:
            first, *others = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
            self._words.append(first)
            for line in others:
                self._end_line()
                self._words.append(line)
        else:
            if self._ends and not text.isspace():
                self._end_piece()
            text = _SPACE.sub(" ", _LINE_END_IN_JAPANESE.sub("", text))
            if self._is_raised and self._words:
                text = superscript(text, self._words[-1])
            self._is_raised = False
            if text != " " or (self._words and not self._words[-1].endswith(" ")):
                self._words.append(text)
                self._plain += not (self._open["a"] or text.isspace())

    def close(self) -> None:
        """End the page."""
        if self._outer is not None:
            self._end_noscript(*self._outer)
        self._end_line()

    def reading(self) -> ReadText:
        """Return the main text, or all text where the page does not mark the main part."""
        lines, headings, length = [], [], 0
        rows: list[tuple[int, int]] = []
        heads: dict[int, Sequence[str]] = {}
        for line in self._lines if self._is_whole else main_lines(self._lines):
            if line.level and line.text:
                headings.append(Heading(length, line.level, one_line(line.text)))
            if line.table and len(rows) < MOST_MARKS:
                if line.head is not None:
                    heads[len(rows)] = line.head
                rows.append((length, line.table))
            lines.append(line.text)
            length += len(line.text) + 1
        title, text = one_line("".join(self._title)), "\n".join(lines)
        tables = row_tables(text, rows, heads=heads)
        breaks = tuple(start for start, _ in rows) if tables else ()
        about = properties(**self._properties)
        return ReadText(text, title, tuple(headings), breaks=breaks, metadata=about, tables=tables)

    def _end_doubtful(self, tag: str) -> None:
        """End an element of which the text says whether it belongs to the page's."""
        if tag == "button":
            button, self._button = self._button, None
            if button is not None:
                button.end(self._lines, self._words)
        elif self._outer is not None:
            self._end_noscript(*self._outer)

    def _end_in_foreign(self, foreign: Equation | Drawing, tag: str) -> None:
        """End an element in an equation or a drawing, whose labels are a line each, or in the line they stand in."""
        if not foreign.end(tag):
            return
        self._foreign = None
        labels = foreign.labels()
        if foreign.is_in_line:
            self._words += labels
        elif not labels:
            return
        elif self._open["table"] or self._open["a"] or self._heading or self._button is not None:
            self.data(f" {' '.join(labels)} ")
        else:
            self._end_line()
            for label in labels:
                self._plain += 1  # it is no link
                self._add_line(label)

    def _end_noscript(self, lines: list[Line], words: list[str]) -> None:
        """Add what is shown where no scripts are run, unless it only asks for them."""
        inner_lines, inner_words = self._lines, self._words
        self._lines, self._words, self._outer = lines, words, None
        if asks_for_scripts(text_of(inner_lines, inner_words)):
            return
        if inner_lines:
            self._end_line()
            self._lines += inner_lines
        self._words += inner_words

    def _begin_cell(self, tag: str, attributes: Any) -> None:
        if tag == "td" and self._cells and self._header_cells == self._cells and self._with_header != self._table:
            self._without_header = self._table  # its first row begins with a name, as all of its rows do
        self._cells += 1
        self._header_cells += tag == "th"
        self._ends = False
        if self._words:
            self._words.append(" | ")
        if self._open["table"] == 1:
            self._row.begin_cell(len(self._words), len(self._lines), attributes, is_name=tag == "th")

    def _end_row(self) -> None:
        """Put what merged cells hold into each row and column that they span."""
        texts, self._head = self._row.end(self._words, len(self._lines), in_head=self._open["thead"] > 0)
        if texts:
            row = " | ".join(texts)
            if len(texts) > 1 and len(row) <= _LONGEST_ROW:
                row = row.replace(_BREAK, " ")
                self._plain_before.clear()
            self._words[:] = [row]
            self._cells = len(texts)

    def _break(self, tag: str) -> None:
        soft = _SOFT_IN_ROW if self._open["table"] == 1 else _SOFT
        if tag in soft and (self._open["td"] or self._open["th"]) and not self._open["pre"]:
            self._ends = bool(self._words) and not self._words[-1].endswith(" | ")
        else:
            self._end_line()

    def _end_piece(self) -> None:
        """End the line, or in a table a piece of a cell: whether it is a line shows at the end of the row."""
        if self._open["table"] != 1 or not self._words:
            self._end_line()
            return
        self._words.append(_BREAK)
        self._plain_before.append(self._plain)
        self._ends = False

    def _end_line(self) -> None:
        line = "".join(self._words)
        self._words.clear()
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
        is_pre = self._open["pre"] > 0
        line = line.rstrip() if is_pre else _SPACE.sub(" ", line).strip()
        if line or (is_pre and self._lines and self._lines[-1].text):
            inside = (
                "main" if self._main_depths else next((name for name in ("main", "article") if self._open[name]), "")
            )
            is_row = self._open["table"] and self._cells > 1
            self._with_header = self._table if is_row and self._without_header != self._table else self._with_header
            table = self._table if is_row and self._without_header != self._table else 0
            is_link = self._plain == 0 and not is_pre
            self._lines.append(Line(line, self._heading, inside, table, is_link, self._head))
        self._cells = self._header_cells = self._plain = 0
        self._head = None
