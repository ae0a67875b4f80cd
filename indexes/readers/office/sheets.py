"""The sheets of an .xlsx, by openpyxl."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from io import BytesIO
from itertools import islice
from typing import Any, NamedTuple

import openpyxl
from lxml import etree
from openpyxl.styles.numbers import BUILTIN_FORMATS
from openpyxl.utils import column_index_from_string

from indexes.errors import UnreadableFile
from indexes.readers.base import add_struck, reason_of
from indexes.readers.comments import Comment
from indexes.readers.hidden import is_read_anyway
from indexes.readers.lines import Lines
from indexes.readers.merged_cells import MergedCells, TableCell
from indexes.readers.office.cell_formats import Formatter, TextFormat, elapsed, formatter, text_format
from indexes.readers.office.flaws import with_shared_strings, without_parts
from indexes.readers.office.headers import sheet_headers
from indexes.readers.office.hidden_cells import HiddenCells, hidden_in
from indexes.readers.office.japanese_dates import DateFormat, date_format
from indexes.readers.office.ooxml import Package, embedding_warnings
from indexes.readers.office.set_text import cell_text, has_set_text
from indexes.readers.office.sheet_drawings import add_drawings
from indexes.readers.office.validations import add_validations

_CELLS_NAMED = 3
_OWN_FORMATS = 164  # the number of a file's first format; lower ones are built in
_NOT_NEEDED = re.compile(r"xl/(?:styles\.xml|theme/|chartsheets/)|docProps/")
_CONTROL = re.compile("_x00(?:0[0-9A-Fa-f]|1[0-9A-Fa-f])_")  # how a cell holds a carriage return, say
_MERGED = re.compile(rb'<(?:\w+:)?mergeCell\s[^>]*?ref="([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})"')
_MOST_MERGED = 10_000
_Format = Formatter | TextFormat | DateFormat
_S = "{*}"  # both namespaces of SpreadsheetML


class _Styles(NamedTuple):
    """What the styles of cells say of their text, by their numbers: formats, and which are struck out."""

    formats: dict[int, _Format]
    struck: frozenset[int]


def sheet_lines(data: bytes, most: int) -> Lines:
    """Return the lines of a workbook: each sheet's name as a heading, its rows, its text boxes, header and footer.

    Args:
        data: The file's bytes.
        most: The most characters of text.

    Returns:
        The lines, with a warning for formulas whose values are not in the file, and for damaged sheets.

    Raises:
        UnreadableFile: There is too much text, or none of the text that it should have.
        MemoryError: It takes more memory than there is.
    """
    lines = Lines(most)
    book, package = _book(data, lines.warnings), Package(data)
    styles = _Styles(_formats(book), _struck(book))
    failed = missing = 0
    has_text = False
    for sheet in book.worksheets:
        sheet.reset_dimensions()  # some programs write that a sheet has a million rows
        sheet._shared_strings = strings = _Strings(sheet._shared_strings)
        lines.blank()
        lines.heading(sheet.title, 2)
        lines.blank()
        before = lines.length
        try:
            _add_sheet(lines, sheet, package, styles)
        except (UnreadableFile, MemoryError):
            raise
        except Exception as error:  # whatever a broken sheet provokes; it does not cost the others
            failed += lines.length == before
            if failed == len(book.worksheets):
                raise
            lines.warnings.append(
                f"sheet '{sheet.title}' is damaged, and its rows not or not wholly read: {reason_of(error)}"
            )
        has_text |= lines.length > before
        missing += strings.missing
        if strings.missing:
            cells = "cells are" if strings.missing > 1 else "cell is"
            lines.warnings.append(f"sheet '{sheet.title}': the text of {strings.missing:,} {cells} not in the file")
        if sheet.sheet_state != "visible" and lines.length > before:
            lines.warnings.append(is_read_anyway(f"sheet '{sheet.title}'"))
    if missing and not has_text:
        raise UnreadableFile("a broken .xlsx: the texts of its cells are not in the file")
    _add_chart_sheets(lines, package)
    if gone := _missing(package):
        lines.warnings.append(f"{gone:,} of its sheets {'are' if gone > 1 else 'is'} not in the file")
    return lines


class _Strings(list[Any]):
    """The texts that the cells of a workbook share, of which a damaged one lacks some."""

    missing = 0

    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, int) and not 0 <= number < len(self):
            self.missing += 1
            return ""
        return super().__getitem__(number)


def _book(data: bytes, warnings: list[str]) -> Any:
    """The workbook, without its formats where these are damaged: they say which numbers are dates."""
    options = {"read_only": True, "data_only": True, "keep_links": False, "rich_text": has_set_text(data)}
    try:
        return openpyxl.load_workbook(BytesIO(data), **options)
    except MemoryError:
        raise
    except Exception as error:  # openpyxl lets through whatever a flaw provokes: TypeError, KeyError, …
        book = openpyxl.load_workbook(BytesIO(with_shared_strings(without_parts(data, _NOT_NEEDED))), **options)
        warnings.append(f"its formats are damaged, and dates may be shown as numbers: {reason_of(error)}")
        return book


def _add_sheet(lines: Lines, sheet: Any, package: Package, styles: _Styles) -> None:
    name = sheet._worksheet_path.lstrip("/")
    xml = package.part(name)
    related = list(package.relationships(name))
    comments, hidden = _comments(package, related), hidden_in(xml)
    texts = _add_rows(lines, sheet, _Merged(xml), styles, {row for row, _ in comments}, hidden)
    for row, comment in comments:
        lines.add(comment.in_row(texts.get(row, ())).line())
    add_validations(lines, xml)
    lines.warnings += hidden.warnings(sheet.title)
    if blank := list(_uncomputed(xml)):
        lines.warnings.append(_warning(sheet.title, blank))
    add_drawings(lines, package, related)
    for text in sheet_headers(xml):
        lines.running(_CONTROL.sub("\n", text))
    lines.warnings += embedding_warnings((kind for kind, _ in related), f"sheet '{sheet.title}': ")


def _add_chart_sheets(lines: Lines, package: Package) -> None:
    """Add the titles of charts that are a sheet each."""
    for kind, part in package.relationships(package.related().get("officeDocument", "xl/workbook.xml")):
        if kind == "chartsheet" and part in package:
            add_drawings(lines, package, list(package.relationships(part)))


def _comments(package: Package, related: list[tuple[str, str]]) -> list[tuple[int, Comment]]:
    """The comments of a sheet, threads first, each with the number of its row."""
    people = {
        person.get("id"): person.get("displayName", "")
        for kind, part in package.relationships(package.related().get("officeDocument", "xl/workbook.xml"))
        if kind == "person" and part in package
        for person in package.root(part).iter(f"{_S}person")
    }
    found, threads = [], set()
    for comment in _elements(package, related, "threadedComment"):
        text, place = comment.findtext(f"{_S}text") or "", comment.get("ref", "")
        threads.add(place)
        found.append((_row(place), Comment(text, people.get(comment.get("personId"), ""), place)))
    for part in (part for kind, part in related if kind == "comments" and part in package):
        root = package.root(part)
        authors = [author.text or "" for author in root.iter(f"{_S}author")]
        for comment in root.iter(f"{_S}comment"):
            place, author = comment.get("ref", ""), comment.get("authorId", "")
            if place not in threads:  # whose comment is a copy for older programs
                text = "".join(text.text or "" for text in comment.iterfind(f"{_S}text//{_S}t")).strip()
                name = authors[int(author)] if author.isdecimal() and int(author) < len(authors) else ""
                text = text.removeprefix(f"{name}:") if name else text  # which Excel puts in front
                found.append((_row(place), Comment(text, name, place)))
    return sorted(found, key=lambda each: each[0])


def _elements(package: Package, related: list[tuple[str, str]], kind: str) -> Iterator[Any]:
    """The elements of that name in the parts of that kind."""
    for part in (part for each, part in related if each == kind and part in package):
        yield from package.root(part).iter(f"{_S}{kind}")


def _row(place: str) -> int:
    """The number of the row of a cell."""
    digits = place.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    return int(digits) if digits.isdecimal() and len(digits) < 8 else 0


def _missing(package: Package) -> int:
    """How many sheets of a workbook are not in the file."""
    parts = package.relationships(package.related().get("officeDocument", "xl/workbook.xml"))
    return sum(kind == "worksheet" and part not in package for kind, part in parts)


class _Merged:
    """The merged cells of a sheet, which its XML names below its rows."""

    def __init__(self, xml: bytes) -> None:
        self._starting: dict[int, list[tuple[int, int, int]]] = {}  # in a row: its columns, and the last row
        self._open: list[tuple[int, int, int]] = []
        for match in islice(_MERGED.finditer(xml), _MOST_MERGED):
            first, top, last, bottom = (
                int(x) if x.isdigit() else column_index_from_string(x.decode()) for x in match.groups()
            )
            self._starting.setdefault(top, []).append((first, last, bottom))

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._starting)

    def row(self, number: int, texts: list[str]) -> list[TableCell]:
        """The cells of a row: those that continue from above in the place of what is not shown there."""
        above = {first: last for first, last, bottom in self._open if bottom >= number}
        self._open = [each for each in self._open if each[2] > number]
        here = {first: last for first, last, _ in self._starting.get(number, ())}
        self._open += (each for each in self._starting.get(number, ()) if each[2] > number)
        cells, column = [], 1
        width = max([len(texts), *above.values()])
        while column <= width:
            last = above.get(column, here.get(column, column))
            text = texts[column - 1] if column <= len(texts) else ""
            cells.append(TableCell(text, last - column + 1, column in above))
            column = last + 1
        return cells


def _formats(book: Any) -> dict[int, _Format]:
    """The formats that add something to a number or a text, or show a date in words, by the styles of cells."""
    codes = {
        style: book._number_formats[each.numFmtId - _OWN_FORMATS]
        if 0 <= each.numFmtId - _OWN_FORMATS < len(book._number_formats)
        else BUILTIN_FORMATS.get(each.numFmtId, "")
        for style, each in enumerate(book._cell_styles)
    }
    known = {code: date_format(code) or text_format(code) or formatter(code) for code in set(codes.values())}
    return {style: found for style, code in codes.items() if (found := known[code]) is not None}


def _struck(book: Any) -> frozenset[int]:
    """The styles of cells that are struck out."""
    fonts = {number for number, font in enumerate(book._fonts) if font.strike}
    return frozenset(style for style, each in enumerate(book._cell_styles) if each.fontId in fonts)


def _texts(sheet: Any, styles: _Styles) -> Iterator[list[str]]:
    """The texts in the cells of each row."""
    if not styles.formats and not styles.struck:
        yield from ([_cell(value) for value in row] for row in sheet.iter_rows(values_only=True))
        return
    for row in sheet.iter_rows():
        yield [_styled(cell.value, getattr(cell, "_style_id", 0), styles) for cell in row]


def _styled(value: Any, style: int, styles: _Styles) -> str:
    text = _formatted(value, styles.formats.get(style))
    if style not in styles.struck:
        return text
    parts: list[str] = []
    add_struck(parts, text)
    return "".join(parts)


def _formatted(value: Any, format_: _Format | None) -> str:
    if isinstance(format_, TextFormat):
        if isinstance(value, str):
            return _cell(format_.shown(value))
        format_ = format_.number
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    is_shown = is_number or (isinstance(format_, DateFormat) and isinstance(value, datetime))
    return format_(value) if format_ is not None and is_shown else _cell(value)


def _add_rows(
    lines: Lines, sheet: Any, merged: _Merged, styles: _Styles, wanted: set[int], hidden: HiddenCells
) -> dict[int, list[str]]:
    """Add the rows, and return the texts of those that are wanted, by their numbers."""
    found, table = {}, MergedCells()
    for number, texts in enumerate(_texts(sheet, styles), start=1):
        while texts and not texts[-1]:
            texts.pop()
        hidden.count(number, enumerate(texts, start=1))
        if number in wanted:
            found[number] = texts
        if any(texts) and not merged:
            lines.row(texts)
        elif any(texts):
            cells, head = table.row(merged.row(number, texts))
            while cells and not cells[-1]:
                cells.pop()
            lines.row(cells, head)
        else:
            merged.row(number, [])
            table.begin()
            lines.gap()
    return found


def _uncomputed(xml: bytes) -> Iterator[str]:
    """The names of the cells with a formula whose value no program has computed yet."""
    if b"<f" not in xml and b":f" not in xml:
        return
    tags = (f"{_S}c", f"{_S}row")
    for _, element in etree.iterparse(BytesIO(xml), tag=tags, resolve_entities=False, no_network=True):
        if element.tag.endswith("}row"):
            element.clear()
        elif element.find(f"{_S}f") is not None and element.find(f"{_S}is") is None:
            value = element.find(f"{_S}v")
            is_empty_text = value is not None and element.get("t") == "str"
            if not is_empty_text and (value is None or not value.text):
                yield element.get("r", "?")


def _warning(sheet: str, cells: list[str]) -> str:
    names = ", ".join(islice(cells, _CELLS_NAMED)) + (", …" if len(cells) > _CELLS_NAMED else "")
    count, were = (f"{len(cells):,} formulas have", "were") if len(cells) > 1 else ("a formula has", "was")
    return (
        f"sheet '{sheet}': {count} no computed value in the file ({names}) and {were} left blank: open it in a "
        "spreadsheet program and save it"
    )


def _cell(value: Any) -> str:
    """A value as Excel shows it without a format of its own."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        return f"{value:.15g}"  # the digits that Excel has
    if isinstance(value, timedelta):
        return elapsed(value)
    if isinstance(value, datetime) and value.time() == time():
        return str(value.date())
    return " ".join(_CONTROL.sub(" ", cell_text(value)).split())
