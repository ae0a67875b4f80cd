"""The tables and sheets of OpenDocument files: rows, merged cells, and what stands below a sheet."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from itertools import accumulate
from typing import Any, Protocol

from indexes.readers.comments import Comment
from indexes.readers.hidden import is_read_anyway
from indexes.readers.lines import Lines
from indexes.readers.merged_cells import MergedCells, TableCell
from indexes.readers.office.hidden_cells import HiddenCells
from indexes.readers.office.open_document_hidden import HidingStyles, hidden_cells
from indexes.readers.office.open_document_xml import DRAW, OFFICE, TABLE, integer
from indexes.readers.office.validations import add_inputs

_MOST_COLUMNS = 1_000  # a cell that is repeated more often fills a row with what nobody wrote
_Below = dict[int, tuple[int, int]]  # by its first column, the rows that a merged cell still covers, and its columns


class Blocks(Protocol):
    """What reads the paragraphs in cells: the walk through the document.

    Attributes:
        lines: Where the document's text is added.
        comments: Those that are not added yet.
    """

    lines: Lines
    comments: list[Comment]

    def blocks(self, parent: Any) -> None:
        """Add the paragraphs, lists, tables and slides in an element."""

    def apart(self, parent: Any) -> Lines:
        """Return the lines of what is in an element, instead of adding them."""

    def end_table(self) -> None:
        """Add the comments so far below a table, unless a row of another is being read."""


class Tables:
    """The tables and sheets of a document.

    Args:
        walk: What reads their cells.
        hiding: The styles that hide sheets.
        validations: The prompts and choices of cells, by the names of validations.

    Attributes:
        depth: How many tables that are in each other are being read.
        on_sheet: Whether what is drawn on a sheet is being read.
        uncomputed: How many formulas were met whose values are not in the file.
    """

    def __init__(self, walk: Blocks, hiding: HidingStyles, validations: Mapping[str, tuple[str, str]]) -> None:
        self.depth = 0
        self.on_sheet = False
        self.uncomputed = 0
        self._walk = walk
        self._hiding = hiding
        self._validations = validations
        self._validated: dict[str, str] = {}  # the first cell of a sheet that has each
        self._drawn: list[Any] = []  # what is drawn on a sheet, and follows its rows

    def add(self, table: Any) -> None:
        """Add a line for each row of a table, and below a sheet what is drawn on it."""
        lines, comments = self._walk.lines, self._walk.comments
        lines.blank()
        is_sheet = table.getparent().tag == f"{OFFICE}spreadsheet"
        hidden = self._begin_sheet(table) if is_sheet else HiddenCells(set(), set())
        merged = MergedCells()
        below: _Below = {}
        number, self.depth = 1, self.depth + 1
        for row in table.iter(f"{TABLE}table-row"):
            if next(row.iterancestors(f"{TABLE}table")) is not table:
                continue  # of a table in a cell
            before, repeated = len(comments), integer(row.get(f"{TABLE}number-rows-repeated"), 1)
            cells = self._cells(row, below, number if is_sheet else 0)
            if len(comments) > before:
                row_texts = [cell.text for cell in cells]
                comments[before:] = [comment.in_row(row_texts) for comment in comments[before:]]
            columns = accumulate((cell.across for cell in cells), initial=1)
            hidden.count(number, zip(columns, (cell.text for cell in cells), strict=False))
            number += repeated
            if not any(cell.text for cell in cells):
                merged.begin()
                lines.gap()
                continue
            texts, head = merged.row(cells, are_names=row.getparent().tag == f"{TABLE}table-header-rows")
            while texts and not texts[-1]:
                texts.pop()
            for _ in range(repeated):
                lines.row(texts, head)
        self.depth -= 1
        self._walk.end_table()
        if is_sheet:
            self._end_sheet(table, hidden)

    def _begin_sheet(self, table: Any) -> HiddenCells:
        """Begin a sheet, and return what is hidden in it."""
        lines, name = self._walk.lines, table.get(f"{TABLE}name", "")
        lines.heading(name, 2)
        lines.blank()
        self._validated = {}
        is_sheet_hidden = self._hiding.hide("table", table.get(f"{TABLE}style-name"))
        if is_sheet_hidden and "".join(table.itertext()).strip():
            lines.warnings.append(is_read_anyway(f"sheet '{name}'"))
        return hidden_cells(table)

    def _end_sheet(self, table: Any, hidden: HiddenCells) -> None:
        """Add what is drawn on a sheet, and what its cells ask for."""
        lines = self._walk.lines
        add_inputs(lines, ((place, *self._validations[each]) for each, place in self._validated.items()))
        lines.warnings += hidden.warnings(table.get(f"{TABLE}name", ""))
        drawn, self._drawn = self._drawn, []
        self.on_sheet = True
        for element in [*drawn, *(each for shapes in table.iterchildren(f"{TABLE}shapes") for each in shapes)]:
            lines.blank()
            self._walk.blocks([element])
        self.on_sheet = False

    def _cells(self, row: Any, below: _Below, number: int) -> list[TableCell]:
        """The cells of a row: of those that a merged one covers, none, or one that continues from above."""
        # `number` is that of a row of a sheet, and 0 in a table.
        cells: list[TableCell] = []
        comments = self._walk.comments
        column = covered = 0  # where the next cell is, and how many more the last one covers
        for cell in row.iterchildren(f"{TABLE}table-cell", f"{TABLE}covered-table-cell"):
            if number and (named := cell.get(f"{TABLE}content-validation-name", "")) in self._validations:
                self._validated.setdefault(named, f"{_letters(column)}{number}")
            own = tuple(integer(cell.get(f"{TABLE}number-{each}-spanned"), 1) for each in ("rows", "columns"))
            first = len(comments)
            is_covered, text = cell.tag == f"{TABLE}covered-table-cell", self._cell_text(cell, on_sheet=number > 0)
            if number and len(comments) > first:
                place = f"{_letters(column)}{number}"
                comments[first:] = [comment._replace(place=place) for comment in comments[first:]]
            for _ in range(min(integer(cell.get(f"{TABLE}number-columns-repeated"), 1), _MOST_COLUMNS)):
                above = below.pop(column, None) if is_covered else None
                if above or not is_covered or not covered:
                    rows, across = above or own
                    cells.append(TableCell("" if above else text, across, continues=above is not None))
                    below |= {column: (rows - 1, across)} if rows > 1 else {}
                    covered = across
                column, covered = column + 1, max(covered - 1, 0)
        return cells

    def _cell_text(self, cell: Any, *, on_sheet: bool) -> str:
        drawn = [each for each in cell if on_sheet and each.tag.startswith(DRAW)]
        lines = self._walk.apart([each for each in cell if each not in drawn] if drawn else cell)
        self._drawn += drawn
        text = lines.joined() or _value(cell)
        self.uncomputed += bool(cell.get(f"{TABLE}formula")) and not text and not cell.get(f"{OFFICE}value-type")
        return text


def _letters(column: int) -> str:
    """The name of a column, such as AB, by its number from 0."""
    return (_letters(column // 26 - 1) if column > 25 else "") + chr(ord("A") + column % 26)


def _value(cell: Any) -> str:
    """The value of a cell for which a program wrote no text."""
    names = ("string-value", "date-value", "time-value", "boolean-value", "value")
    text = next((value for name in names if (value := cell.get(f"{OFFICE}{name}"))), "")
    with suppress(ValueError):
        if cell.get(f"{OFFICE}value-type") == "percentage":
            return f"{float(text) * 100:.15g}%"
    return text
