"""Tables: where their rows are, and which row is the header."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from indexes.readers.base import MOST_MARKS, lines_with_offsets
from indexes.types import Table

_LINE_OR_PAGE = re.compile(r"[^\n\f]*[\n\f]|[^\n\f]+")
_BETWEEN_CELLS = " | "
_BETWEEN_PAGES = 4  # lines at most between the rows on two pages: a footer and a header
_LONGEST_HEADER = 1_000  # characters that are repeated; a longer row is cut
_NUMBER = re.compile(r"[-+(]?[$€£¥]?\s?\d[\d.,\s'/:%-]*[%)]?")
_DIGITS = re.compile(r"\d+")
_YEAR = re.compile(r"(?:19|20)\d\d")
_LONGEST_NAME = 60  # characters of a column's name, on average
_SEARCHED = 20  # rows at the beginning of a table among which the header is
_DELIMITERS = ("\t", ";", ",", "|")
_PIPE_RULE = re.compile(r" {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_QUOTED = re.compile(r'"(?:[^"]|"")*"')


class Row(NamedTuple):
    """A row of a table.

    Attributes:
        start: The offset at which it begins.
        end: The offset after it, its line end included.
        cells: Its cells.
    """

    start: int
    end: int
    cells: Sequence[str]


def table_of(rows: Sequence[Row], text: str) -> Table | None:
    """The table that rows are.

    Args:
        rows: The rows, in order.
        text: The text that they are in.

    Returns:
        The table; None if there is no row below its header, or no header.
    """
    place = header_place([row.cells for row in rows[:_SEARCHED]])
    if place is None or place + 1 >= len(rows):
        return None
    header = " ".join(text[rows[place].start : rows[place].end].split())[:_LONGEST_HEADER].rstrip()
    return Table(rows[place + 1].start, rows[-1].end, header)


def row_tables(text: str, rows: Iterable[tuple[int, int]]) -> tuple[Table, ...]:
    """The tables of a text whose readers join the cells of a row by ` | `.

    Args:
        text: The text.
        rows: (start, number of its table) of each row, which is a line, in order.

    Returns:
        The tables that have a header.
    """
    found: list[Table | None] = []
    of_table: list[Row] = []
    number = 0
    for start, its_table in rows:
        line_end = text.find("\n", start)
        end = len(text) if line_end < 0 else line_end + 1
        if of_table and its_table != number:
            found.append(table_of(of_table, text))
            of_table = []
        number = its_table
        of_table.append(Row(start, end, text[start:end].split("|")))
    found.append(table_of(of_table, text))
    return tuple(filter(None, found))


def joined_rows(text: str) -> Iterator[tuple[int, int]]:
    """Find the rows of tables in a text of pages, whose cells are joined by ` | `.

    Args:
        text: The text, with form feeds between its pages.

    Yields:
        (start, number of its table) of each row. A table goes on behind a page break with as many cells in its rows.
    """
    number = width = 0
    between = ""  # what stands between the last row and this one
    start, count = 0, 0
    for piece in _LINE_OR_PAGE.findall(text):
        cells = piece.count(_BETWEEN_CELLS)
        if cells:
            goes_on = not between or ("\f" in between and cells == width and between.count("\n") <= _BETWEEN_PAGES)
            number += not goes_on
            if count < MOST_MARKS:
                yield start, number
            width, between, count = cells, "", count + 1
        else:
            between = (between + piece)[:_LONGEST_HEADER]
        start += len(piece)


def delimited_table(text: str, starts: Sequence[int]) -> tuple[Table, ...]:
    """The table of a CSV or TSV file.

    Args:
        text: The file's text.
        starts: Where its records begin.

    Returns:
        One table; none if it has no header.
    """
    ends = [*starts[1:], len(text)]
    first = [text[start:end] for start, end in islice(zip(starts, ends, strict=True), _SEARCHED)]
    bare = [_QUOTED.sub("x", record[:_LONGEST_HEADER]) for record in first]
    delimiter = max(_DELIMITERS, key=lambda each: sum(record.count(each) for record in bare))
    cells = [_QUOTED.sub(lambda quoted: quoted[0].strip('"').replace(delimiter, " "), record) for record in first]
    place = header_place([record.split(delimiter) for record in cells])
    if place is None or place + 1 >= len(starts):
        return ()
    header = " ".join(first[place].split())[:_LONGEST_HEADER].rstrip()
    return (Table(starts[place + 1], len(text), header),)


def pipe_tables(text: str, begin: int = 0) -> tuple[tuple[Table, ...], tuple[int, ...]]:
    """The tables of a Markdown text: a header, a line of hyphens, and rows until a line without a `|`.

    Args:
        text: The text.
        begin: Where to begin.

    Returns:
        The tables, and the offsets of their rows.
    """
    tables: list[Table] = []
    breaks: list[int] = []
    above, header, rows = "", "", list[tuple[int, int]]()
    for offset, line in [*lines_with_offsets(text), (len(text), "")]:
        if offset < begin:
            continue
        if header and "|" in line:
            rows.append((offset, offset + len(line)))
        elif header:
            if rows:
                tables.append(Table(rows[0][0], rows[-1][1], header))
                breaks += (start for start, _ in rows)
            header, rows = "", []
        elif "|" in above and "-" in line and _PIPE_RULE.match(line) and line.count("|") >= above.count("|") - 2:
            header = " ".join(above.split())[:_LONGEST_HEADER].rstrip()
        above = line
        if len(breaks) > MOST_MARKS:
            break
    return tuple(tables), tuple(breaks[:MOST_MARKS])


def header_place(rows: Sequence[Sequence[str]]) -> int | None:
    """Find the header of a table.

    Args:
        rows: The cells of the first rows.

    Returns:
        Which row it is: the first that is as wide as most, if it does not look like the rows below it; None if none is.
    """
    if len(rows) < 2:
        return None
    widths = sorted(sum(bool(cell.strip()) for cell in row) for row in rows)
    usual = widths[len(widths) // 2]
    for place, row in enumerate(rows):
        filled = [cell.strip() for cell in row if cell.strip()]
        if len(filled) >= max(1, min(usual, 2)) and len(filled) * 2 > usual:
            is_prose = sum(map(len, filled)) > _LONGEST_NAME * len(filled)
            return None if is_prose or _is_data(filled, rows[place + 1 :]) else place
    return None


def _is_data(cells: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Whether a row holds numbers, not names of columns: years may be such names."""
    if not below:
        return True
    next_cells = [cell.strip() for cell in below[0] if cell.strip()]
    alike = sum(  # "row 1" and "row 2"
        _DIGITS.sub("0", a) == _DIGITS.sub("0", b) and a != b and not _YEAR.fullmatch(a)
        for a, b in zip(cells, next_cells, strict=False)
    )
    if alike * 2 >= len(cells):
        return True
    numbers = sum(_NUMBER.fullmatch(cell) is not None and not _YEAR.fullmatch(cell) for cell in cells)
    return numbers * 2 >= len(cells) and numbers > 0
