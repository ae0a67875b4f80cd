"""The text of a .docx, taken from its XML element by element.

Of an element that is not handled here, the text inside is kept, so that nothing is lost. Left out are deleted
and hidden text, which a warning counts, furigana and field codes. Of a picture, the alternative text is kept. A comment
follows its paragraph, or its table; headers and footers come last.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Any

from indexes.errors import UnreadableFile
from indexes.readers.base import add_struck, superscript
from indexes.readers.comments import Comment
from indexes.readers.hidden import left_out
from indexes.readers.lines import Lines
from indexes.readers.markup import names_of
from indexes.readers.merged_cells import MergedCells, TableCell
from indexes.readers.office.alternative_text import alternative_text
from indexes.readers.office.charts import BOXES, CHART, CHART_PART, add_chart
from indexes.readers.office.diagrams import DIAGRAM, DIAGRAM_DATA, diagram_words
from indexes.readers.office.drawing_text import drawn_paragraphs
from indexes.readers.office.equations import M, equation_text
from indexes.readers.office.fields import Fields
from indexes.readers.office.headers import shown_headers
from indexes.readers.office.numbering import Numbering
from indexes.readers.office.ooxml import Package, chosen, embedding_warnings
from indexes.readers.office.styles import Styles, W, value
from indexes.readers.symbols import is_symbol_font, symbol, symbols

_ALTERNATIVES = "{http://schemas.openxmlformats.org/markup-compatibility/2006}AlternateContent"
_LEFT_OUT = frozenset(W + name for name in ("del", "moveFrom", "rt", "pPr", "rPr"))
_CHARACTERS = {
    f"{W}tab": " ",
    f"{W}ptab": " ",
    f"{W}br": "\n",
    f"{W}cr": "\n",
    f"{W}noBreakHyphen": "\u2011",
    f"{W}softHyphen": "",  # shown at the end of a line only
}
_PICTURE = "{http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing}docPr"
_VML = "{urn:schemas-microsoft-com:vml}"
_WORD_ART = f"{_VML}textpath"
_DRAWN = "{http://schemas.openxmlformats.org/drawingml/2006/main}txBody"  # in a canvas from a presentation
_BOXES = frozenset({f"{W}txbxContent", _DRAWN, CHART, DIAGRAM, _PICTURE, _WORD_ART})
_NOTES = {f"{W}footnoteReference": "footnotes", f"{W}endnoteReference": "endnotes"}
_NUMBERED = tuple(W + name for name in ("footnote", "endnote"))
_SIMPLE_FIELDS = frozenset({f"{W}fldSimple", f"{W}pgNum"})
_TABLES_DEEP = 20
_COLUMNS = 63  # the most that Word allows


def word_lines(data: bytes, most: int) -> Lines:
    """Return the lines of a document: its paragraphs and table rows, then its notes, headers and footers.

    Args:
        data: The file's bytes.
        most: The most characters of text.

    Returns:
        The lines.

    Raises:
        UnreadableFile: There is no document in it, or too much text.
    """
    package = Package(data)
    name = package.related().get("officeDocument", "word/document.xml")
    parts = package.related(name)

    def elements(kind: str, *tags: str) -> Iterator[Any]:
        """The elements of a part, which may be missing."""
        return package.root(parts[kind]).iter(*tags) if parts.get(kind, "") in package else iter(())

    styles = Styles(elements("styles", f"{W}style"))
    numbering = Numbering(elements("numbering", f"{W}abstractNum", f"{W}num"), styles)
    notes = {(kind, note.get(f"{W}id")): note for kind in _NOTES.values() for note in elements(kind, *_NUMBERED)}
    comments = {comment.get(f"{W}id"): comment for comment in elements("comments", f"{W}comment")}
    walk = _Walk(styles, numbering, notes, comments, package, {**parts, "": name}, most)
    root = package.root(name)
    lines = walk.document(root)
    settings = package.root(parts["settings"]) if parts.get("settings", "") in package else None
    headers = [package.name_of(name, identifier) for identifier in shown_headers(root, settings)]
    for header in filter(package.__contains__, headers):
        walk.running(package.root(header), header)
    of_notes = (parts[kind] for kind in _NOTES.values() if kind in parts)
    related = [each for part in dict.fromkeys([name, *headers, *of_notes]) for each in package.relationships(part)]
    lines.warnings += left_out(walk.hidden)
    lines.warnings += embedding_warnings(kind for kind, _ in related)
    lines.includes = names_of(posixpath.basename(target) for kind, target in related if kind == "subDocument")
    return lines


class _Walk:
    """A walk through a document that builds its lines."""

    def __init__(
        self,
        styles: Styles,
        numbering: Numbering,
        notes: dict[tuple[str, str | None], Any],
        comments: dict[str | None, Any],
        package: Package,
        parts: dict[str, str],
        most: int,
    ) -> None:
        self._styles = styles
        self._numbering = numbering
        self._notes = notes
        self._cited: dict[tuple[str, str | None], int] = {}  # the numbers of the notes referred to so far
        self._cited_notes: list[tuple[str, Any]] = []  # with the kind of each
        self._comments = comments  # which have not been added yet
        self._met: list[tuple[str | None, Comment]] = []  # the ids of comments that follow the paragraph or the table
        self._package = package
        self._parts = parts  # the names of those with notes and comments, by their kinds
        self._at = parts[""]  # the name of the one that is being read
        self.hidden = 0  # characters that are left out
        self._style = ""  # of the paragraph
        self._lines = Lines(most)
        self._before = ""  # text that is put before the next paragraph
        self._boxes: list[Any] = []  # text boxes, charts and diagrams, which follow the paragraph that contains them
        self._in_list = False
        self._depth = 0  # of tables in each other
        self._fields = Fields()

    def document(self, root: Any) -> Lines:
        """Walk through the document and the notes that it refers to."""
        body = root.find(f"{W}body")
        if body is None:
            raise UnreadableFile("a .docx with no document in it")
        self._blocks(body)
        for number, (kind, note) in enumerate(self._cited_notes, 1):  # which grows: a note may refer to a further one
            self._before, self._at = f"[{number}] ", self._parts[kind]
            self._blocks(note)
        self._met = [(identifier, Comment("")) for identifier in self._comments]  # in the header, say
        self._end_comments()
        return self._lines

    def running(self, header: Any, name: str) -> None:
        """Add a header or a footer, which is the part of that name."""
        self._fields = Fields(are_on_each_page=True)
        self._lines.running(self._apart(header, name).reading("", {}).text)

    def _apart(self, element: Any, name: str) -> Lines:
        """The lines of an element of the part of that name, which are not yet among those of the document."""
        outer = self._lines, self._at
        self._lines, self._at = Lines(self._lines.most), name
        self._blocks(element)
        lines = self._lines
        self._lines, self._at = outer
        return lines

    def _part(self, identifier: str) -> Any:
        return self._package.part_of(self._at, identifier)

    def _blocks(self, parent: Any) -> None:
        for element in parent:
            if element.tag == f"{W}p":
                self._paragraph(element)
            elif element.tag == f"{W}tbl":
                self._table(element)
            elif element.tag == _ALTERNATIVES:
                self._blocks(chosen(element))
            elif element.tag not in _LEFT_OUT:
                self._blocks(element)

    def _paragraph(self, element: Any) -> None:
        parts = [self._before]
        self._style = value(element, "pPr", "pStyle") or ""
        self._inline(element, parts)
        self._fields.end(parts)
        self._before = "".join(parts)
        frame = element.find(f"{W}pPr/{W}framePr")
        is_initial = frame is not None and frame.get(f"{W}dropCap", "none") != "none"
        if is_initial or element.find(f"{W}pPr/{W}rPr/{W}del") is not None:
            return  # it is a large first letter, or its end is deleted: the next one continues it
        text, self._before = self._before, ""
        level = self._styles.heading_level(element)
        label = self._numbering.label(element)
        if text.strip():
            if not (label and self._in_list):
                self._lines.blank()
            self._in_list = bool(label)
            if level:
                self._lines.heading(label.removeprefix("* ") + text, level)
            else:
                self._lines.add(label + text)
        boxes, self._boxes = self._boxes, []
        for box in boxes:
            self._box(box)
        self._end_comments()

    def _box(self, box: Any) -> None:
        chart = self._package.name_of(self._at, box.get(CHART_PART, "")) if box.tag == CHART else ""
        if chart in self._package:
            add_chart(self._lines, self._package.root(chart), self._package.roots(chart, BOXES))
        elif box.tag == DIAGRAM and (data := self._part(box.get(DIAGRAM_DATA, ""))) is not None:
            self._lines.blank()
            self._lines.add("\n".join(diagram_words(data)))
        elif box.tag == _DRAWN:
            self._lines.add("\n".join(drawn_paragraphs(box)))
        elif box.tag == _PICTURE or box.tag.startswith(_VML):
            names = {_PICTURE: "descr", _WORD_ART: "string"}
            self._lines.add(alternative_text(box.get(names.get(box.tag, "alt"), "")))
        else:
            self._blocks(box)

    def _end_comments(self) -> None:
        """Add the comments that were met, unless a row of a table is being read."""
        if self._depth:
            return
        met, self._met = self._met, []
        for identifier, comment in met:
            element = self._comments.pop(identifier, None)
            if element is not None:
                lines = self._apart(element, self._parts["comments"])
                said = comment._replace(text=lines.joined(), author=element.get(f"{W}author", ""))
                self._lines.add(said.line())

    def _inline(self, parent: Any, parts: list[str]) -> None:
        for element in parent:
            if element.tag == f"{W}t":
                self._fields.target(parts).append(element.text or "")
            elif element.tag in _BOXES:
                self._boxes.append(element)
            elif element.tag == _ALTERNATIVES:
                self._inline(chosen(element), parts)
            elif element.tag in _LEFT_OUT:
                continue
            elif element.tag == f"{W}r" and self._styles.has(element, "vanish", self._style):
                self.hidden += sum(len((text.text or "").strip()) for text in element.iter(f"{W}t"))
            elif element.tag == f"{W}r":
                self._run(element, parts)
            elif (text := self._text(element)) is not None:
                self._fields.target(parts).append(text)
            else:
                if element.get("alt") and element.tag.startswith(_VML):
                    self._boxes.append(element)
                self._inline(element, parts)

    def _run(self, run: Any, parts: list[str]) -> None:
        """Add a run of text, as it is set."""
        fonts = run.find(f"{W}rPr/{W}rFonts")
        font = "" if fonts is None else fonts.get(f"{W}ascii", "")
        is_raised = value(run, "rPr", "vertAlign") == "superscript"
        is_struck = any(self._styles.has(run, name, self._style) for name in ("strike", "dstrike"))
        if not (is_raised or is_struck or is_symbol_font(font)):
            self._inline(run, parts)
            return
        own: list[str] = []
        self._inline(run, own)
        text = "".join(own)
        text = symbols(font, text) if is_symbol_font(font) and run.find(f"{W}sym") is None else text
        text = superscript(text, "".join(parts[-1:])) if is_raised else text
        if is_struck:
            add_struck(parts, text)
        elif text:
            parts.append(text)

    def _text(self, element: Any) -> str | None:
        """The text of an element; None for one that only contains others."""
        if element.tag in _CHARACTERS:
            return _CHARACTERS[element.tag]
        if element.tag == f"{M}oMath":
            return equation_text(element)
        if element.tag == f"{W}sym":
            return symbol(element.get(f"{W}font", ""), element.get(f"{W}char", ""))
        if element.tag == f"{W}fldChar":
            return self._fields.take(element)
        if element.tag in _SIMPLE_FIELDS:
            return self._fields.take_simple(element)
        if element.tag == f"{W}instrText":
            self._fields.add_code(element.text or "")
        if element.tag == f"{W}commentReference":
            self._met.append((element.get(f"{W}id"), Comment("")))
            return ""
        if element.tag in _NOTES:
            return self._reference((_NOTES[element.tag], element.get(f"{W}id")))
        return None

    def _reference(self, note: tuple[str, str | None]) -> str:
        """The number of a note, in brackets; empty for a missing note."""
        if note not in self._notes:
            return ""
        if note not in self._cited:
            self._cited_notes.append((note[0], self._notes[note]))
            self._cited[note] = len(self._cited_notes)
        return f"[{self._cited[note]}]"

    def _table(self, table: Any) -> None:
        if self._depth == _TABLES_DEEP:
            raise UnreadableFile("tables nested too deeply to be read")
        self._depth += 1
        self._lines.blank()
        merged = MergedCells()
        for row in _within(table, f"{W}tr"):
            if row.find(f"{W}trPr/{W}del") is None:
                met, before = len(self._met), _count(row, "trPr", "gridBefore", least=0)
                cells = [*[TableCell("")] * before, *map(self._cell, _within(row, f"{W}tc"))]
                row_texts = [cell.text for cell in cells]
                self._met[met:] = [(each, comment.in_row(row_texts)) for each, comment in self._met[met:]]
                texts, head = merged.row(cells, are_names=row.find(f"{W}trPr/{W}tblHeader") is not None)
                self._lines.row(texts, head)
        self._depth -= 1
        self._in_list = False
        self._end_comments()

    def _cell(self, cell: Any) -> TableCell:
        lines = self._apart(cell, self._at)
        merge = cell.find(f"{W}tcPr/{W}vMerge")
        continues = merge is not None and merge.get(f"{W}val", "continue") == "continue"
        return TableCell(lines.joined(), _count(cell, "tcPr", "gridSpan", least=1), continues)


def _count(element: Any, *path: str, least: int) -> int:
    """A number of columns among an element's properties."""
    number = value(element, *path) or ""
    return min(int(number), _COLUMNS) if number.isdecimal() and int(number) > least else least


def _within(parent: Any, tag: str) -> list[Any]:
    """The nearest elements of that tag, also inside others, as in a content control; no deleted cell."""
    found: list[Any] = []
    for element in parent:
        if element.tag == tag and element.find(f"{W}tcPr/{W}cellDel") is None:
            found.append(element)
        elif element.tag != tag and element.tag not in _LEFT_OUT:
            found.extend(_within(element, tag))
    return found
