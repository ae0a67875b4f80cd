"""The text of a web page, which a parser passes on element by element: its lines, headings, table rows and title."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from indexes.errors import UnreadableFile
from indexes.readers.base import ReadText, one_line, properties
from indexes.readers.html.buttons import Button, text_of
from indexes.readers.html.foreign import FOREIGN, Drawing, Equation
from indexes.readers.html.left_out import LeftOut
from indexes.readers.html.lines import PageLines, reading_of
from indexes.readers.html.main_text import Line, main_lines
from indexes.readers.html.page_parts import (
    DROPPED,
    asks_for_scripts,
    folds,
    formula_in,
    is_beside_the_text,
    is_note,
    is_note_number,
    names,
    unfolded_ids,
)
from indexes.readers.html.settings import Settings
from indexes.readers.symbols import symbols

_BLOCKS = names(
    "address article aside blockquote body br caption center dd details dialog dir div dl dt fieldset"
    " figcaption figure footer form h1 h2 h3 h4 h5 h6 header hr html legend li main menu ol p pre section summary"
    " table tbody tfoot thead title tr ul"
)
_CELL_ROLES = names("cell columnheader gridcell rowheader")
_PROPERTIES = names("author description keywords")  # among the `meta` elements
_CELLS = names("td th")
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_DEEPEST = 5_000  # elements in each other: libxml2 looks through them at each end tag that fits none


class Page:
    """The target of lxml's parser, which calls `start`, `end` and `data` as it goes.

    Args:
        read: A function from a page in a frame to what is read of it.
        is_whole: Whether there is nothing beside the text, as in a book.
    """

    def __init__(self, read: Callable[[str], ReadText], *, is_whole: bool = False) -> None:
        self._read = read
        self._is_whole = is_whole
        self._out = PageLines()
        self._left_out = LeftOut()
        self._dropped: list[str] = []  # the elements that are open and left out, the outermost first
        self._button: Button | None = None
        self._foreign: Equation | Drawing | None = None
        self._outer: tuple[list[Line], list[str]] | None = None  # the lines and words beside what is for no scripts
        self._settings = Settings()
        self._depth = 0
        self._title: list[str] = []
        self._in_title = False
        self._properties: dict[str, str | None] = {}
        self._unfolded: set[str] = set()  # the ids of what buttons unfold

    def start(self, tag: str, attributes: Any) -> None:
        """Begin an element."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise UnreadableFile(f"HTML with more than {_DEEPEST:,} elements in each other")
        is_in_text = self._is_whole or bool(
            self._out.open["main"] or self._out.open["article"] or self._out.main_depths
        )
        if self._foreign is not None:
            self._foreign.start(tag, attributes)
        elif self._dropped:
            if tag in DROPPED or tag == self._dropped[-1]:
                self._dropped.append(tag)
        elif tag == "script" and attributes.get("type", "").lower().startswith("math/"):
            self._out.words.append(" ")
        elif (tag in DROPPED and not self._is_kept(tag, attributes)) or (
            attributes.get("id", "") not in self._unfolded
            and is_beside_the_text(tag, attributes, is_in_text=is_in_text)
            and not (self._is_whole and is_note(attributes))
        ):
            self._dropped.append(tag)
            self._left_out.begin(tag, attributes)
            self._add_frame(attributes.get("srcdoc", "") if tag == "iframe" else "")
        elif tag in FOREIGN:
            self._foreign = FOREIGN[tag](attributes)
        else:
            self._begin(tag, attributes)

    def _begin_doubtful(self, tag: str, attributes: Any) -> None:
        """Begin an element of which the text will say whether it belongs to the page's."""
        if tag == "button":
            is_heading = bool(self._out.heading or self._out.open["dt"] or self._out.open["summary"])
            self._button = Button(len(self._out.lines), len(self._out.words), is_heading, folds(attributes))
            if self._button.folds:
                self._unfolded |= unfolded_ids(attributes)
        elif self._outer is None:
            self._outer = self._out.lines, self._out.words
            self._out.lines, self._out.words = [], []

    def _add_frame(self, page: str) -> None:
        """Add a page that is written into the frame that shows it."""
        if page.strip():
            self._out.add_lines(self._read(page).text.split("\n"))

    def _is_kept(self, tag: str, attributes: Any) -> bool:
        """Whether an element belongs to the text, unlike others of its name."""
        if tag == "template":
            return attributes.get("shadowrootmode") is not None  # of a component, whose content it is
        is_said_or_note = self._out.open["blockquote"] > 0 or is_note(attributes)  # or who said it
        return tag == "footer" and (self._is_whole or is_said_or_note)

    def _begin(self, tag: str, attributes: Any) -> None:
        """Begin an element that is shown."""
        if attributes.get("role", "").lower() == "main":
            self._out.main_depths.append(self._depth)
        if tag in ("button", "noscript"):
            self._begin_doubtful(tag, attributes)
        label = self._settings.begin(tag, attributes, self._depth)
        if tag in _CELLS:
            self._out.begin_cell(tag, attributes)
        elif tag in _BLOCKS:
            self._out.break_at(tag)
        elif tag == "img" or attributes.get("role") in _CELL_ROLES:
            self._out.words += formula_in(attributes) if tag == "img" else [" | "][: len(self._out.words)]
        elif tag == "meta" and (name := attributes.get("name", "").lower()) in _PROPERTIES:
            self._properties.setdefault(name, attributes.get("content"))
        elif tag in ("embed", "frame"):
            self._left_out.begin(tag, attributes)
        self._out.heading = _HEADINGS.get(tag, self._out.heading)
        self._out.begin(tag)
        self._out.is_struck = self._settings.is_struck
        self._out.label = label if tag == "li" else self._out.label
        self._in_title = tag == "title"
        self._out.is_raised = self._out.is_raised or tag == "sup" or is_note_number(tag, attributes)

    def end(self, tag: str) -> None:
        """End an element."""
        self._depth -= 1
        if self._foreign is not None:
            self._end_in_foreign(self._foreign, tag)
            return
        if self._dropped:
            if tag == self._dropped[-1]:
                self._dropped.pop()
            if not self._dropped:
                self._left_out.end()
            return
        if tag in ("button", "noscript"):
            self._end_doubtful(tag)
        if tag == "tr" and self._out.open["table"] == 1:
            self._out.end_row()
        if tag in _BLOCKS:
            self._out.break_at(tag)
        if tag in _HEADINGS:
            self._out.heading = 0
        if self._out.main_depths and self._depth < self._out.main_depths[-1]:
            self._out.main_depths.pop()
        self._out.end(tag)
        self._settings.end(tag, self._depth)
        self._out.is_struck = self._settings.is_struck
        self._out.label = "" if tag == "li" else self._out.label
        self._in_title = False
        self._out.is_raised = self._out.is_raised and tag not in ("sup", "a")

    def data(self, text: str) -> None:
        """Add text, perhaps in several pieces."""
        if self._foreign is not None:
            self._foreign.data(text)
        elif self._in_title:
            self._title.append(text)
        elif self._dropped:
            self._left_out.data(text, self._dropped[-1])
        else:
            self._out.add(symbols(self._settings.font, text) if self._settings.font else text)

    def close(self) -> None:
        """End the page."""
        if self._outer is not None:
            self._end_noscript(*self._outer)
        self._out.end_line()

    def reading(self) -> ReadText:
        """Return the main text, or all text where the page does not mark the main part, and what is left out of it."""
        found = reading_of(self._out.lines if self._is_whole else main_lines(self._out.lines))
        found = replace(found, title=one_line("".join(self._title)), metadata=properties(**self._properties))
        found = replace(found, hidden=self._left_out.hidden)
        if self._is_whole:  # nothing shows frames there
            return found
        return replace(found, warnings=self._left_out.warnings(), includes=self._left_out.includes())

    def _end_doubtful(self, tag: str) -> None:
        """End an element of which the text says whether it belongs to the page's."""
        if tag == "button":
            button, self._button = self._button, None
            if button is not None:
                button.end(self._out.lines, self._out.words)
        elif self._outer is not None:
            self._end_noscript(*self._outer)

    def _end_in_foreign(self, foreign: Equation | Drawing, tag: str) -> None:
        """End an element in an equation or a drawing, whose labels are a line each, or in the line they stand in."""
        if not foreign.end(tag):
            return
        self._foreign = None
        labels = foreign.labels()
        if foreign.is_in_line:
            self._out.words += labels
        elif not labels:
            return
        elif self._out.open["table"] or self._out.open["a"] or self._out.heading or self._button is not None:
            self.data(f" {' '.join(labels)} ")
        else:
            self._out.add_lines(labels)

    def _end_noscript(self, lines: list[Line], words: list[str]) -> None:
        """Add what is shown where no scripts are run, unless it only asks for them."""
        inner_lines, inner_words = self._out.lines, self._out.words
        self._out.lines, self._out.words, self._outer = lines, words, None
        if asks_for_scripts(text_of(inner_lines, inner_words)):
            return
        if inner_lines:
            self._out.end_line()
            self._out.lines += inner_lines
        self._out.words += inner_words
