"""The walk through an OpenDocument file, element by element, that writes its text."""

from __future__ import annotations

import re
from typing import Any

from indexes.readers.comments import Comment
from indexes.readers.hidden import is_read_anyway
from indexes.readers.lines import Lines
from indexes.readers.office.alternative_text import alternative_text
from indexes.readers.office.open_document_forms import controls, validations
from indexes.readers.office.open_document_hidden import HidingStyles, is_hidden
from indexes.readers.office.open_document_masters import Masters
from indexes.readers.office.open_document_numbering import Numbering
from indexes.readers.office.open_document_objects import Objects
from indexes.readers.office.open_document_tables import Tables
from indexes.readers.office.open_document_text_styles import TextStyles
from indexes.readers.office.open_document_xml import DC, DRAW, OFFICE, PRESENTATION, SVG, TABLE, TEXT, integer
from indexes.readers.running_text import NUMBER

_LEFT_OUT = frozenset(
    [f"{TEXT}{name}" for name in ("tracked-changes", "ruby-text", "sequence-decls", "variable-decls", "script")]
    + [f"{OFFICE}{name}" for name in ("annotation-end", "forms", "binary-data")]
    + [f"{DRAW}plugin"]
    + [f"{TABLE}{name}" for name in ("shapes", "content-validations", "database-ranges", "tracked-changes")]
)
_MAY_BE_HIDDEN = frozenset(TEXT + name for name in ("p", "h", "section", "hidden-text", "span", "variable-set"))
_ALTERNATIVE = frozenset({f"{SVG}title", f"{SVG}desc"})
_BESIDE = _ALTERNATIVE | {f"{OFFICE}annotation", f"{DRAW}object", f"{DRAW}object-ole", f"{DRAW}control"}
_NUMBERS = frozenset(  # in headers
    {"page-number", "page-count", "sheet-name", "title", "file-name", "date", "time"}
)
_SPACE = re.compile(r"[ \t\r\n]+")  # which is one space; lines are broken by elements
_CHARACTERS = {"s": " ", "tab": " ", "line-break": "\n"}
_DEEPEST_HEADING = 6
_TITLES = ("title", "ctrTitle")


class Walk:
    """A walk through a document that writes its lines.

    Args:
        lines: Where to add its text.
        body: The document's body, which has the controls of forms and the validations of cells.
        numbering: The numbers of its lists and headings.
        masters: The pages that others are laid out on.
        hiding: The styles that hide what has them.
        setting: The styles of pieces of text.
        objects: The charts and equations.

    Attributes:
        lines: Where its text is added.
        comments: Those that are not added yet, and follow the paragraph or the table.
        hidden: How many characters were left out.
        tables: The tables and sheets.
    """

    def __init__(
        self,
        lines: Lines,
        body: Any,
        numbering: Numbering,
        masters: Masters,
        hiding: HidingStyles,
        setting: TextStyles,
        objects: Objects,
    ) -> None:
        self.lines = lines
        self.comments: list[Comment] = []
        self.hidden = 0
        self.tables = Tables(self, hiding, validations(body))
        self._numbering = numbering
        self._masters = masters
        self._hiding = hiding
        self._setting = setting
        self._objects = objects
        self._controls = controls(body)  # of forms: what they show
        self._is_running = False  # whether what is read stands on every page
        self._notes: list[Any] = []
        self._boxes: list[Any] = []  # what is anchored in a paragraph, and follows it
        self._label = ""
        self._in_list = False
        self._title: Any = None
        self._slides = 0
        self._on_slide = False  # where paragraphs follow each other without blank lines

    def blocks(self, parent: Any) -> None:
        """Add the paragraphs, lists, tables and slides in an element."""
        for element in parent:
            if element.tag in _MAY_BE_HIDDEN and self._is_hidden(element):
                continue
            if element.tag in (f"{TEXT}p", f"{TEXT}h"):
                self._paragraph(element)
            elif element.tag == f"{TEXT}list":
                self._list(element, element.get(f"{TEXT}style-name", ""), 1)
                self._in_list = False
            elif element.tag == f"{TABLE}table":
                self.tables.add(element)
            elif element.tag == f"{DRAW}page":
                self._slide(element)
            elif element.tag == f"{PRESENTATION}notes":
                self._speaker_notes(element)
            elif element.tag in _BESIDE:
                self._beside(element)
            elif element.tag not in _LEFT_OUT:
                self.blocks(element)

    def _is_hidden(self, element: Any) -> bool:
        """Whether an element is hidden, and counted."""
        if not is_hidden(element, self._hiding):
            return False
        self.hidden += len("".join(element.itertext()).strip())
        return True

    def notes(self) -> None:
        """Add the footnotes and endnotes, each after its number."""
        for number, note in enumerate(self._notes, 1):
            self._label = f"[{number}] "
            self.blocks(note)

    def headers(self) -> None:
        """Add the headers and footers of texts and sheets."""
        for part in self._masters.headers():
            self._running(part)

    def apart(self, parent: Any) -> Lines:
        """Return the lines of what is in an element, instead of adding them."""
        lines, self.lines = self.lines, Lines(self.lines.most)
        self.blocks(parent)
        lines, self.lines = self.lines, lines
        return lines

    def end_table(self) -> None:
        """Add the comments so far below a table, unless a row of another is being read."""
        self._in_list = False
        self._end_comments()

    def _running(self, parent: Any) -> None:
        """Add what stands on every page, or on several."""
        self._is_running = True
        lines = self.apart(parent)
        self._is_running = False
        self.lines.running(lines.reading("", {}).text)

    def _paragraph(self, element: Any) -> None:
        parts: list[str] = []
        self._inline(element, parts)
        has_number = element.tag == f"{TEXT}h" and not self._label
        text = (self._numbering.of_heading(element) if has_number else self._label) + "".join(parts)
        if "".join(parts).strip():
            if not self._on_slide and not (self._label and self._in_list):
                self.lines.blank()
            self._in_list, self._label = bool(self._label), ""
            if element.tag == f"{TEXT}h":
                self.lines.heading(text, min(integer(element.get(f"{TEXT}outline-level"), 1), _DEEPEST_HEADING))
            elif self._title is not None:
                self.lines.heading(text, 1)
            else:
                self.lines.add(text)
        boxes, self._boxes = self._boxes, []
        self.blocks(boxes)
        self._end_comments()

    def _annotate(self, annotation: Any) -> None:
        parts: list[str] = []
        for paragraph in annotation.iter(f"{TEXT}p", f"{TEXT}h"):
            self._inline(paragraph, parts)
            parts.append(" ")
        self.comments.append(Comment("".join(parts), annotation.findtext(f"{DC}creator") or ""))

    def _end_comments(self) -> None:
        """Add the comments so far, unless a row of a table is being read."""
        if self.tables.depth == 0:
            for comment in self.comments:
                self.lines.add(comment.line())
            self.comments.clear()

    def _beside(self, element: Any) -> None:
        """Add a comment, an alternative text, a control of a form, or an object."""
        if element.tag == f"{OFFICE}annotation":
            self._annotate(element)
            self._end_comments()
        elif element.tag in _ALTERNATIVE:
            self.lines.add(alternative_text(element.text or ""))
        elif element.tag == f"{DRAW}control":
            self.lines.add(self._controls.get(element.get(element.tag, ""), ""))
        else:
            for table in self._objects.add(element, self.lines, on_sheet=self.tables.on_sheet):
                self.tables.add(table)

    def _inline(self, parent: Any, parts: list[str]) -> None:
        parts.append(_SPACE.sub(" ", parent.text or ""))
        for element in parent:
            name = element.tag.removeprefix(TEXT)
            if name in _CHARACTERS:
                parts.append(_CHARACTERS[name])
            elif self._is_running and name in _NUMBERS and element.get(f"{TEXT}fixed") != "true":
                parts.append(NUMBER)
            elif name == "note":
                self._notes.append(element.find(f"{TEXT}note-body") if len(element) else element)
                parts.append(f"[{len(self._notes)}]")
            elif name == "number":
                parts.append(f"{element.text or ''} ")
            elif element.tag == f"{DRAW}frame" and (equation := self._objects.equation_in(element)):
                parts.append(equation)
            elif element.tag.startswith(DRAW) and element.tag != f"{DRAW}a":
                self._boxes.append(element)
            elif element.tag == f"{OFFICE}annotation":
                self._annotate(element)
            elif element.tag not in _LEFT_OUT and not (element.tag in _MAY_BE_HIDDEN and self._is_hidden(element)):
                own: list[str] = []
                self._inline(element, own)
                self._setting.of(element.get(f"{TEXT}style-name", "")).add(parts, "".join(own))
            parts.append(_SPACE.sub(" ", element.tail or ""))

    def _list(self, element: Any, style: str, level: int) -> None:
        if level == 1:
            self._numbering.begin(element, style)
        for item in element:
            if item.tag not in (f"{TEXT}list-item", f"{TEXT}list-header"):
                continue
            for child in item:
                if child.tag == f"{TEXT}list":
                    self._list(child, child.get(f"{TEXT}style-name") or style, level + 1)
                    continue
                if child is item[0] and item.tag == f"{TEXT}list-item" and child.find(f"{TEXT}number") is None:
                    self._label = self._numbering.label(style, level, item.get(f"{TEXT}start-value"))
                self.blocks((child,))

    def _slide(self, page: Any) -> None:
        self.lines.page()
        self._on_slide = True
        self._slides += 1
        if self._hiding.hide("drawing-page", page.get(f"{DRAW}style-name")):
            self.lines.warnings.append(is_read_anyway(f"slide {self._slides}"))
        title = next((frame for frame in page if frame.get(f"{PRESENTATION}class") in _TITLES), None)
        if title is not None:
            self._title = title
            self.blocks(title)
            self._title = None
        self.blocks([each for each in page if each is not title])
        if footer := self._masters.footer(page):
            self.lines.running(footer)
        self._running(self._masters.shown_on(page))

    def _speaker_notes(self, notes: Any) -> None:
        if text := self.apart([each for each in notes if each.tag == f"{DRAW}frame"]).joined():
            self.lines.blank()
            self.lines.heading("Notes:", 3)
            self.lines.add(text)
