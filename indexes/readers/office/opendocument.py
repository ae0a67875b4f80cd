"""The text of an OpenDocument file (.odt, .ods, .odp), taken from its XML element by element.

Left out are tracked deletions, furigana and hidden text, which a warning counts. A comment follows its paragraph, or
its table; headers and footers come last, and what is on all slides after the first of them.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import accumulate
from typing import Any

from indexes.errors import UnreadableFile
from indexes.readers.base import not_read
from indexes.readers.comments import Comment
from indexes.readers.hidden import is_read_anyway, left_out
from indexes.readers.includes import names_of
from indexes.readers.lines import Lines
from indexes.readers.mathml import MathText
from indexes.readers.merged_cells import MergedCells, TableCell
from indexes.readers.office.alternative_text import alternative_text
from indexes.readers.office.hidden_cells import HiddenCells
from indexes.readers.office.number_formats import formatted_number
from indexes.readers.office.ooxml import Package
from indexes.readers.office.open_document_forms import controls, validations
from indexes.readers.office.open_document_hidden import HidingStyles, hidden_rows, is_hidden
from indexes.readers.office.validations import add_inputs
from indexes.readers.running_text import NUMBER

_URN = "urn:oasis:names:tc:opendocument:xmlns:"
_TEXT, _TABLE, _DRAW, _OFFICE, _STYLE = (
    f"{{{_URN}{name}:1.0}}" for name in ("text", "table", "drawing", "office", "style")
)
_DC = "{http://purl.org/dc/elements/1.1/}"
_HREF = "{http://www.w3.org/1999/xlink}href"
_MATH = "{http://www.w3.org/1998/Math/MathML}"
_CHART = f"{{{_URN}chart:1.0}}"
_BESIDE_CHARTS = (f"{_CHART}subtitle", f"{_CHART}footer")
_PRESENTATION = f"{{{_URN}presentation:1.0}}"
_SVG = f"{{{_URN}svg-compatible:1.0}}"
_LEFT_OUT = frozenset(
    [f"{_TEXT}{name}" for name in ("tracked-changes", "ruby-text", "sequence-decls", "variable-decls", "script")]
    + [f"{_OFFICE}{name}" for name in ("annotation-end", "forms", "binary-data")]
    + [f"{_DRAW}plugin"]
    + [f"{_TABLE}{name}" for name in ("shapes", "content-validations", "database-ranges", "tracked-changes")]
)
_MAY_BE_HIDDEN = frozenset(_TEXT + name for name in ("p", "h", "section", "hidden-text", "span", "variable-set"))
_REPEATED = {f"table-{name}": f"{_TABLE}number-{name}s-repeated" for name in ("row", "column")}
_ALTERNATIVE = frozenset({f"{_SVG}title", f"{_SVG}desc"})
_BESIDE = _ALTERNATIVE | {f"{_OFFICE}annotation", f"{_DRAW}object", f"{_DRAW}object-ole", f"{_DRAW}control"}
_FORMATS = {
    "a": "lowerLetter",
    "A": "upperLetter",
    "i": "lowerRoman",
    "I": "upperRoman",
    "１, ２, ３, ...": "decimalFullWidth",
}
_FORMATS |= {"一, 二, 三, ...": "japaneseCounting", "イ, ロ, ハ, ...": "iroha", "ア, イ, ウ, ...": "aiueo"}
_FORMATS |= {"①, ②, ③, ...": "decimalEnclosedCircle", "1st": "ordinal", "One": "cardinalText", "First": "ordinalText"}
_HEADERS = [f"{name}{which}" for which in ("", "-left", "-first") for name in ("header", "footer")]
_NUMBERS = frozenset(  # in headers
    {"page-number", "page-count", "sheet-name", "title", "file-name", "date", "time"}
)
_CHARACTERS = {"s": " ", "tab": " ", "line-break": "\n"}
_DEEPEST_HEADING = 6
_MOST_COLUMNS = 1_000  # a cell that is repeated more often fills a row with what nobody wrote
_TITLES = ("title", "ctrTitle")
_Styles = dict[str, dict[int, Any]]
_Below = dict[int, tuple[int, int]]  # by its first column, the rows that a merged cell still covers, and its columns
_OUTLINE = "\0"  # stands for the name of the style of headings
_MANIFEST, _STYLES = "META-INF/manifest.xml", "styles.xml"  # which not every program writes


def open_document_lines(data: bytes, most: int) -> Lines:
    """Return the lines of a document: paragraphs, table rows and slides in order, then its notes.

    Args:
        data: The file's bytes.
        most: The most characters of text.

    Returns:
        The lines.

    Raises:
        UnreadableFile: It is encrypted, or has no document in it, or too much text.
    """
    package = Package(data)
    if _MANIFEST in package and b"encryption-data" in package.part(_MANIFEST):
        raise UnreadableFile("encrypted with a password; save it without one")
    root = package.root("content.xml")
    styles = package.root(_STYLES) if _STYLES in package else root

    def part(href: str) -> Any:
        """The content of an object, which may be missing."""
        name = posixpath.normpath(f"{href}/content.xml")
        return package.root(name) if name in package else None

    return flat_document_lines(root, most, styles, part)


def flat_document_lines(
    root: Any, most: int, styles: Any = None, part: Callable[[str], Any] = lambda href: None
) -> Lines:
    """Return the lines of a document that is one XML file.

    Args:
        root: The root element.
        most: The most characters of text.
        styles: The root of the styles and the headers; None if they are in `root`.
        part: A function from the name of an object to its content, for objects that are not in `root`.

    Returns:
        The lines.

    Raises:
        UnreadableFile: It has no document in it, or too much text.
    """
    body = root.find(f"{_OFFICE}body")
    if body is None:
        raise UnreadableFile("an OpenDocument file with no document in it")
    styles = root if styles is None else styles
    masters = {
        page.get(f"{_STYLE}name", ""): page for page in styles.iterfind(f"{_OFFICE}master-styles/{_STYLE}master-page")
    }
    footers = {
        each.get(f"{_PRESENTATION}name", ""): each.text or "" for each in body.iter(f"{_PRESENTATION}footer-decl")
    }
    walk = _Walk(Lines(most), _list_styles(root) | _list_styles(styles), masters, footers, part)
    walk.hiding = HidingStyles([styles, root])
    walk.controls, walk.validations = controls(body), validations(body)
    walk.blocks(body)
    walk.notes()
    walk.headers()
    walk.lines.warnings += left_out(walk.hidden)
    walk.lines.includes = names_of(_linked(body))
    if count := walk.uncomputed:
        were = "formulas have" if count > 1 else "formula has"
        walk.lines.warnings.append(
            f"{count:,} {were} no computed value in the file: open it in a spreadsheet program and save it"
        )
    walk.lines.warnings += not_read(walk.embedded)
    return walk.lines


def _linked(body: Any) -> Iterator[str]:
    """The files that sections of a master document are linked to, unless their text is in the document, too."""
    for source in body.iter(f"{_TEXT}section-source"):
        if not "".join(source.getparent().itertext()).strip():
            yield source.get(_HREF, "")


def _list_styles(root: Any) -> _Styles:
    """The levels of each list style, by its name, and of the numbers of headings."""
    return {
        _OUTLINE if style.tag == f"{_TEXT}outline-style" else style.get(f"{_STYLE}name", ""): {
            _integer(level.get(f"{_TEXT}level"), 1): level for level in style
        }
        for style in root.iter(f"{_TEXT}list-style", f"{_TEXT}outline-style")
    }


class _Walk:
    """A walk through a document that builds its lines."""

    def __init__(
        self,
        lines: Lines,
        styles: _Styles,
        masters: dict[str, Any],
        footers: dict[str, str],
        part: Callable[[str], Any],
    ) -> None:
        self.lines = lines
        self._styles = styles
        self._masters = masters  # the pages that others are laid out on
        self._footers = footers  # of slides
        self._is_running = False  # whether what is read stands on every page
        self._part = part
        self._counts: dict[tuple[str, int], int] = {}
        self._notes: list[Any] = []
        self._boxes: list[Any] = []  # what is anchored in a paragraph, and follows it
        self._label = ""
        self._in_list = False
        self._title: Any = None
        self.hiding = HidingStyles(())
        self.hidden = 0  # characters that are left out
        self.controls: dict[str, str] = {}  # of forms: what they show
        self.validations: dict[str, tuple[str, str]] = {}  # of cells: their prompts and choices
        self._validated: dict[str, str] = {}  # the first cell of a sheet that has each
        self.uncomputed = 0  # formulas whose values are not in the file
        self.embedded = 0  # documents and objects that are not read
        self._comments: list[Comment] = []  # which follow the paragraph or the table
        self._drawn: list[Any] = []  # what is drawn on a sheet, and follows its rows
        self._on_sheet = False  # whose charts show what its cells hold
        self._depth = 0  # of tables in each other
        self._slides = 0
        self._on_slide = False  # where paragraphs follow each other without blank lines

    def blocks(self, parent: Any) -> None:
        """Add the paragraphs, lists, tables and slides in an element."""
        for element in parent:
            if element.tag in _MAY_BE_HIDDEN and self._is_hidden(element):
                continue
            if element.tag in (f"{_TEXT}p", f"{_TEXT}h"):
                self._paragraph(element)
            elif element.tag == f"{_TEXT}list":
                self._list(element, element.get(f"{_TEXT}style-name", ""), 1)
                self._in_list = False
            elif element.tag == f"{_TABLE}table":
                self._table(element)
            elif element.tag == f"{_DRAW}page":
                self._slide(element)
            elif element.tag == f"{_PRESENTATION}notes":
                self._speaker_notes(element)
            elif element.tag in _BESIDE:
                self._beside(element)
            elif element.tag not in _LEFT_OUT:
                self.blocks(element)

    def _is_hidden(self, element: Any) -> bool:
        """Whether an element is hidden, and counted."""
        if not is_hidden(element, self.hiding):
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
        for master in self._masters.values():
            for part in master.iterchildren(*(_STYLE + name for name in _HEADERS)):
                if part.get(f"{_STYLE}display") != "false":
                    self._running(part)

    def _running(self, parent: Any) -> None:
        """Add what stands on every page, or on several."""
        lines, self.lines = self.lines, Lines(self.lines.most)
        self._is_running = True
        self.blocks(parent)
        self._is_running = False
        lines, self.lines = self.lines, lines
        self.lines.running(lines.reading("", {}).text)

    def _paragraph(self, element: Any) -> None:
        parts: list[str] = []
        self._inline(element, parts)
        has_number = element.tag == f"{_TEXT}h" and not self._label
        text = (self._heading_number(element) if has_number else self._label) + "".join(parts)
        if "".join(parts).strip():
            if not self._on_slide and not (self._label and self._in_list):
                self.lines.blank()
            self._in_list, self._label = bool(self._label), ""
            if element.tag == f"{_TEXT}h":
                self.lines.heading(text, min(_integer(element.get(f"{_TEXT}outline-level"), 1), _DEEPEST_HEADING))
            elif self._title is not None:
                self.lines.heading(text, 1)
            else:
                self.lines.add(text)
        boxes, self._boxes = self._boxes, []
        self.blocks(boxes)
        self._end_comments()

    def _annotate(self, annotation: Any) -> None:
        parts: list[str] = []
        for paragraph in annotation.iter(f"{_TEXT}p", f"{_TEXT}h"):
            self._inline(paragraph, parts)
            parts.append(" ")
        self._comments.append(Comment("".join(parts), annotation.findtext(f"{_DC}creator") or ""))

    def _end_comments(self) -> None:
        """Add the comments so far, unless a row of a table is being read."""
        if self._depth == 0:
            for comment in self._comments:
                self.lines.add(comment.line())
            self._comments.clear()

    def _beside(self, element: Any) -> None:
        """Add a comment, an alternative text, a control of a form, or an object."""
        if element.tag == f"{_OFFICE}annotation":
            self._annotate(element)
            self._end_comments()
        elif element.tag in _ALTERNATIVE:
            self.lines.add(alternative_text(element.text or ""))
        elif element.tag == f"{_DRAW}control":
            self.lines.add(self.controls.get(element.get(element.tag, ""), ""))
        else:
            self._object(element)

    def _content(self, element: Any) -> Any:
        """The content of an object, in the file or beside it; None for one that is of another kind, or missing."""
        if element.tag != f"{_DRAW}object":
            return None
        inside = (each for each in element if each.tag in (f"{_OFFICE}document", f"{_MATH}math"))
        content = next(inside, None)
        return self._part(element.get(_HREF, "")) if content is None else content

    def _object(self, element: Any) -> None:
        """Add a chart as the table of its values, or an equation; count anything else."""
        content = self._content(element)
        chart = None if content is None else content.find(f"{_OFFICE}body/{_OFFICE}chart/{_CHART}chart")
        if content is not None and content.tag == f"{_MATH}math":
            self.lines.add(_equation(content))
        elif chart is None:
            self.embedded += 1
        else:
            title = chart.find(f"{_CHART}title")
            words = "" if title is None else "".join(title.itertext()).strip()
            axes = ["".join(each.itertext()).strip() for each in chart.iterfind(f"*/{_CHART}axis/{_CHART}title")]
            self.lines.blank()
            self.lines.heading(f"Chart: {words}" if words else "" if self._on_sheet else "Chart", 3)
            beside = ["".join(each.itertext()).strip() for each in chart.iterchildren(*_BESIDE_CHARTS)]
            self.lines.add("\n".join(filter(None, dict.fromkeys([*beside, *axes]))))
            for table in () if self._on_sheet else chart.iterchildren(f"{_TABLE}table"):
                self._table(table)

    def _equation_in(self, frame: Any) -> str:
        """The equation that a frame in a line holds; empty for another frame."""
        objects = [each for each in frame if each.tag == f"{_DRAW}object"]
        content = self._content(objects[0]) if objects else None
        return _equation(content) if content is not None and content.tag == f"{_MATH}math" else ""

    def _inline(self, parent: Any, parts: list[str]) -> None:
        parts.append(parent.text or "")
        for element in parent:
            name = element.tag.removeprefix(_TEXT)
            if name in _CHARACTERS:
                parts.append(_CHARACTERS[name])
            elif self._is_running and name in _NUMBERS and element.get(f"{_TEXT}fixed") != "true":
                parts.append(NUMBER)
            elif name == "note":
                self._notes.append(element.find(f"{_TEXT}note-body") if len(element) else element)
                parts.append(f"[{len(self._notes)}]")
            elif name == "number":
                parts.append(f"{element.text or ''} ")
            elif element.tag == f"{_DRAW}frame" and (equation := self._equation_in(element)):
                parts.append(equation)
            elif element.tag.startswith(_DRAW) and element.tag != f"{_DRAW}a":
                self._boxes.append(element)
            elif element.tag == f"{_OFFICE}annotation":
                self._annotate(element)
            elif element.tag not in _LEFT_OUT and not (element.tag in _MAY_BE_HIDDEN and self._is_hidden(element)):
                self._inline(element, parts)
            parts.append(element.tail or "")

    def _list(self, element: Any, style: str, level: int) -> None:
        if (
            level == 1
            and element.get(f"{_TEXT}continue-numbering") != "true"
            and not element.get(f"{_TEXT}continue-list")
        ):
            self._counts = {key: count for key, count in self._counts.items() if key[0] != style}
        for item in element:
            if item.tag not in (f"{_TEXT}list-item", f"{_TEXT}list-header"):
                continue
            for child in item:
                if child.tag == f"{_TEXT}list":
                    self._list(child, child.get(f"{_TEXT}style-name") or style, level + 1)
                    continue
                if child is item[0] and item.tag == f"{_TEXT}list-item" and child.find(f"{_TEXT}number") is None:
                    self._label = self._numbered(style, level, item.get(f"{_TEXT}start-value"))
                self.blocks((child,))

    def _heading_number(self, heading: Any) -> str:
        """The number of a heading that is in no list; empty if headings of its level have none."""
        level = _integer(heading.get(f"{_TEXT}outline-level"), 1)
        definition = self._styles.get(_OUTLINE, {}).get(level)
        has_number = definition is not None and bool(definition.get(f"{_STYLE}num-format"))
        is_without = heading.get(f"{_TEXT}is-list-header") == "true" or heading.find(f"{_TEXT}number") is not None
        if not has_number or is_without:
            return ""
        start = heading.get(f"{_TEXT}start-value") if heading.get(f"{_TEXT}restart-numbering") == "true" else None
        return self._numbered(_OUTLINE, level, start)

    def _numbered(self, style: str, level: int, start: str | None) -> str:
        """The label of the next item."""
        definition = self._styles.get(style, {}).get(level)
        kind = None if definition is None else definition.get(f"{_STYLE}num-format")
        if definition is None or not kind:
            return "* "
        first = _integer(start or definition.get(f"{_TEXT}start-value"), 1)
        known = self._counts.get((style, level))
        self._counts[style, level] = first if start or known is None else known + 1
        self._counts = {key: n for key, n in self._counts.items() if key[0] != style or key[1] <= level}
        shown = range(max(level - _integer(definition.get(f"{_TEXT}display-levels"), 1), 0) + 1, level + 1)
        kinds = {each: found.get(f"{_STYLE}num-format") or kind for each, found in self._styles[style].items()}
        numbers = [
            formatted_number(self._counts.get((style, each), 1), _FORMATS.get(kinds.get(each, kind), "decimal"))
            for each in shown
        ]
        before, after = definition.get(f"{_STYLE}num-prefix", ""), definition.get(f"{_STYLE}num-suffix", "")
        return f"{before}{'.'.join(numbers)}{after} "

    def _table(self, table: Any) -> None:
        self.lines.blank()
        is_sheet = table.getparent().tag == f"{_OFFICE}spreadsheet"
        hidden = self._begin_sheet(table) if is_sheet else HiddenCells(set(), set())
        merged = MergedCells()
        below: _Below = {}
        number, self._depth = 1, self._depth + 1
        for row in table.iter(f"{_TABLE}table-row"):
            if next(row.iterancestors(f"{_TABLE}table")) is not table:
                continue  # of a table in a cell
            before, repeated = len(self._comments), _integer(row.get(f"{_TABLE}number-rows-repeated"), 1)
            cells = self._cells(row, below, number if is_sheet else 0)
            if len(self._comments) > before:
                row_texts = [cell.text for cell in cells]
                self._comments[before:] = [comment.in_row(row_texts) for comment in self._comments[before:]]
            columns = accumulate((cell.across for cell in cells), initial=1)
            hidden.count(number, zip(columns, (cell.text for cell in cells), strict=False))
            number += repeated
            if not any(cell.text for cell in cells):
                merged.begin()
                self.lines.gap()
                continue
            texts, head = merged.row(cells, are_names=row.getparent().tag == f"{_TABLE}table-header-rows")
            while texts and not texts[-1]:
                texts.pop()
            for _ in range(repeated):
                self.lines.row(texts, head)
        self._in_list = False
        self._depth -= 1
        self._end_comments()
        if is_sheet:
            self._end_sheet(table, hidden)

    def _begin_sheet(self, table: Any) -> HiddenCells:
        """Begin a sheet, and return what is hidden in it."""
        name = table.get(f"{_TABLE}name", "")
        self.lines.heading(name, 2)
        self.lines.blank()
        self._validated = {}
        is_sheet_hidden = self.hiding.hide("table", table.get(f"{_TABLE}style-name"))
        if is_sheet_hidden and "".join(table.itertext()).strip():
            self.lines.warnings.append(is_read_anyway(f"sheet '{name}'"))
        return HiddenCells(*hidden_rows(table, _REPEATED))

    def _end_sheet(self, table: Any, hidden: HiddenCells) -> None:
        """Add what is drawn on a sheet, and what its cells ask for."""
        add_inputs(self.lines, ((place, *self.validations[each]) for each, place in self._validated.items()))
        self.lines.warnings += hidden.warnings(table.get(f"{_TABLE}name", ""))
        drawn, self._drawn = self._drawn, []
        self._on_sheet = True
        for element in [*drawn, *(each for shapes in table.iterchildren(f"{_TABLE}shapes") for each in shapes)]:
            self.lines.blank()
            self.blocks([element])
        self._on_sheet = False

    def _cells(self, row: Any, below: _Below, number: int) -> list[TableCell]:
        """The cells of a row: of those that a merged one covers, none, or one that continues from above."""
        # `number` is that of a row of a sheet, and 0 in a table.
        cells: list[TableCell] = []
        column = covered = 0  # where the next cell is, and how many more the last one covers
        for cell in row.iterchildren(f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell"):
            if number and (named := cell.get(f"{_TABLE}content-validation-name", "")) in self.validations:
                self._validated.setdefault(named, f"{_letters(column)}{number}")
            own = tuple(_integer(cell.get(f"{_TABLE}number-{each}-spanned"), 1) for each in ("rows", "columns"))
            first = len(self._comments)
            is_covered, text = cell.tag == f"{_TABLE}covered-table-cell", self._cell_text(cell, on_sheet=number > 0)
            if number and len(self._comments) > first:
                place = f"{_letters(column)}{number}"
                self._comments[first:] = [comment._replace(place=place) for comment in self._comments[first:]]
            for _ in range(min(_integer(cell.get(f"{_TABLE}number-columns-repeated"), 1), _MOST_COLUMNS)):
                above = below.pop(column, None) if is_covered else None
                if above or not is_covered or not covered:
                    rows, across = above or own
                    cells.append(TableCell("" if above else text, across, continues=above is not None))
                    below |= {column: (rows - 1, across)} if rows > 1 else {}
                    covered = across
                column, covered = column + 1, max(covered - 1, 0)
        return cells

    def _cell_text(self, cell: Any, *, on_sheet: bool) -> str:
        lines, self.lines = self.lines, Lines(self.lines.most)
        drawn = [each for each in cell if on_sheet and each.tag.startswith(_DRAW)]
        self.blocks([each for each in cell if each not in drawn] if drawn else cell)
        self._drawn += drawn
        lines, self.lines = self.lines, lines
        text = lines.joined() or _value(cell)
        self.uncomputed += bool(cell.get(f"{_TABLE}formula")) and not text and not cell.get(f"{_OFFICE}value-type")
        return text

    def _slide(self, page: Any) -> None:
        self.lines.page()
        self._on_slide = True
        self._slides += 1
        if self.hiding.hide("drawing-page", page.get(f"{_DRAW}style-name")):
            self.lines.warnings.append(is_read_anyway(f"slide {self._slides}"))
        title = next((frame for frame in page if frame.get(f"{_PRESENTATION}class") in _TITLES), None)
        if title is not None:
            self._title = title
            self.blocks(title)
            self._title = None
        self.blocks([each for each in page if each is not title])
        if footer := self._footers.get(page.get(f"{_PRESENTATION}use-footer-name", "")):
            self.lines.running(footer)
        master = self._masters.get(page.get(f"{_DRAW}master-page-name", ""))
        self._running([] if master is None else [each for each in master if _is_on_slides(each)])

    def _speaker_notes(self, notes: Any) -> None:
        lines, self.lines = self.lines, Lines(self.lines.most)
        self.blocks([each for each in notes if each.tag == f"{_DRAW}frame"])
        lines, self.lines = self.lines, lines
        if text := lines.joined():
            self.lines.blank()
            self.lines.heading("Notes:", 3)
            self.lines.add(text)


def _is_on_slides(element: Any) -> bool:
    """Whether an element of a master page is shown on its slides, and is no place for what is on them."""
    kind = element.get(f"{_PRESENTATION}class")
    return element.tag.startswith(_DRAW) and (kind is None or kind == "footer")


def _equation(math: Any) -> str:
    text = MathText()

    def add(element: Any) -> None:
        text.start(element.tag.removeprefix(_MATH))
        text.data(element.text or "")
        for child in element:
            add(child)
        text.end()

    for element in math:
        add(element)
    return text.text()


def _letters(column: int) -> str:
    """The name of a column, such as AB, by its number from 0."""
    return (_letters(column // 26 - 1) if column > 25 else "") + chr(ord("A") + column % 26)


def _value(cell: Any) -> str:
    """The value of a cell for which a program wrote no text."""
    names = ("string-value", "date-value", "time-value", "boolean-value", "value")
    text = next((value for name in names if (value := cell.get(f"{_OFFICE}{name}"))), "")
    with suppress(ValueError):
        if cell.get(f"{_OFFICE}value-type") == "percentage":
            return f"{float(text) * 100:.15g}%"
    return text


def _integer(text: str | None, default: int) -> int:
    return int(text) if text and re.fullmatch("[0-9]{1,7}", text) else default
