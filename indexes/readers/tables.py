"""Tables: where their rows are, and which row is the header."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import zip_longest
from types import MappingProxyType
from typing import NamedTuple

from indexes.readers.base import MOST_MARKS
from indexes.types import Table

_LINE_OR_PAGE = re.compile(r"[^\n\f]*[\n\f]|[^\n\f]+")
_BETWEEN_CELLS = " | "
_BETWEEN_PAGES = 4  # lines at most between the rows on two pages: a footer and a header
LONGEST_HEADER = 1_000  # characters that are repeated; a longer row is cut
_NUMBER = re.compile(r"[-+(]?[$€£¥]?\s?\d[\d.,\s'/:%-]*[%)]?")
_DIGITS = re.compile(r"\d+")
HAS_DIGIT = re.compile(r"\d")
_NO_VALUE = re.compile(r"\W+|n/?a|n\.a\.|none|null|nil|tbd|unknown", re.IGNORECASE)
_YEAR = re.compile(r"(?:19|20)\d\d")
_LONGEST_NAME = 60  # characters of a column's name, on average
SEARCHED = 20  # rows at the beginning of a table among which the header is


class Row(NamedTuple):
    """A row of a table.

    Attributes:
        start: The offset at which it begins.
        end: The offset after it, its line end included.
        cells: Its cells.
        is_head: Whether it may be one of several rows that are the header together.
    """

    start: int
    end: int
    cells: Sequence[str]
    is_head: bool = False


def table_of(rows: Sequence[Row], text: str) -> Table | None:
    """The table that rows are.

    Args:
        rows: The rows, in order.
        text: The text that they are in.

    Returns:
        The table; None if there is no row below its header, or no header.
    """
    first, last = _head(rows)
    if last - first > 1 and last < len(rows):
        return Table(rows[last].start, rows[-1].end, column_names([row.cells for row in rows[first:last]]))
    place = header_place([row.cells for row in rows[:SEARCHED]])
    if place is None or place + 1 >= len(rows):
        return None
    below, names = header_of_two([row.cells for row in rows[: place + 3]], place)
    if names:
        return Table(rows[below].start, rows[-1].end, one_header(_BETWEEN_CELLS.join(names)))
    header = one_header(text[rows[place].start : rows[place].end])
    return Table(rows[place + 1].start, rows[-1].end, header)


def _head(rows: Sequence[Row]) -> tuple[int, int]:
    """Which rows are marked as the header: the first run of them, as (first, behind the last)."""
    first = next((place for place, row in enumerate(rows[:SEARCHED]) if row.is_head), len(rows))
    last = next((place for place in range(first, len(rows)) if not rows[place].is_head), len(rows))
    return first, last


def one_header(text: str) -> str:
    """A header row on one line, no longer than a header may be."""
    return " ".join(text.split())[:LONGEST_HEADER].rstrip()


def column_names(head: Sequence[Sequence[str]]) -> str:
    """Return the header of one row or more on one line: for each column what stands there, without repetitions.

    Args:
        head: The cells of the rows.

    Returns:
        The names, joined by ` | `.
    """
    columns = zip_longest(*([" ".join(cell.split()) for cell in row] for row in head), fillvalue="")
    return " | ".join(" ".join(dict.fromkeys(filter(None, cells))) for cells in columns)[:LONGEST_HEADER].strip()


def row_tables(
    text: str,
    rows: Iterable[tuple[int, int]],
    gaps: AbstractSet[int] = frozenset(),
    heads: Mapping[int, Sequence[str]] = MappingProxyType({}),
) -> tuple[Table, ...]:
    """The tables of a text whose readers join the cells of a row by ` | `.

    Args:
        text: The text.
        rows: (start, number of its table) of each row, which is a line, in order.
        gaps: Which rows have an empty one above, that is not in the text.
        heads: The rows that may be part of a header of several rows, with the names in their columns.

    Returns:
        The tables that have a header.
    """
    found: list[Table | None] = []
    of_table: list[Row] = []
    number = 0
    every = list(rows)
    cuts = {place for place in gaps if begins_table([_cells(text, start) for start, _ in _group(every, place, gaps)])}
    cuts |= {
        place
        for place in range(2, len(every) - 1)
        if not HAS_DIGIT.search(line := _line(text, every[place][0])) and _BETWEEN_CELLS in line
        if divides([_cells(text, every[i][0]) for i in (place - 1, place, place + 1)])
    }
    for place, (start, its_table) in enumerate(every):
        line_end = text.find("\n", start)
        end = len(text) if line_end < 0 else line_end + 1
        if of_table and (its_table != number or place in cuts):
            found.append(table_of(of_table, text))
            of_table = []
        number = its_table
        of_table.append(Row(start, end, heads.get(place) or text[start:end].split("|"), place in heads))
    found.append(table_of(of_table, text))
    return tuple(filter(None, found))


def _group(rows: Sequence[tuple[int, int]], place: int, gaps: AbstractSet[int]) -> list[tuple[int, int]]:
    """The first rows of a table from a place on, up to the next gap."""
    end = next((i for i in range(place + 1, min(place + SEARCHED, len(rows))) if i in gaps), place + SEARCHED)
    return [row for row in rows[place:end] if row[1] == rows[place][1]]


def _cells(text: str, start: int) -> list[str]:
    return _line(text, start).split("|")


def _line(text: str, start: int) -> str:
    end = text.find("\n", start)
    return text[start : len(text) if end < 0 else end]


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
            between = (between + piece)[:LONGEST_HEADER]
        start += len(piece)


def begins_table(rows: Sequence[Sequence[str]]) -> bool:
    """Whether rows below an empty one are a table of their own, and no further rows of the one above.

    Args:
        rows: The cells of the first of them.

    Returns:
        True if the first can name the columns: all of it are words, with a number below one of them or two rows below.
    """
    if len(rows) < 2:
        return False
    names, values = ([cell.strip() for cell in row] for row in rows[:2])
    filled = [name for name in names if name]
    if len(filled) < 2 or any(HAS_DIGIT.search(name) or _NO_VALUE.fullmatch(name) for name in filled):
        return False
    has_numbers = any(name and HAS_DIGIT.search(cell) for name, cell in zip(names, values, strict=False))
    return has_numbers or len(rows) > 2


def divides(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the second of three rows is the header of a further table, with no empty row above it.

    Args:
        rows: The cells of the rows.

    Returns:
        True if it holds words with numbers below one of them, and if two of them stand between numbers, or it is as
        wide as the row below it and not as the one above. One word between numbers may be a value, such as `free`.
    """
    above, names, below = ([cell.strip() for cell in row] for row in rows)
    if not begins_table([names, below]):
        return False
    between = sum(
        _NUMBER.fullmatch(high) is not None and bool(name) and _NUMBER.fullmatch(low) is not None
        for high, name, low in zip(above, names, below, strict=False)
    )
    widths = [sum(map(bool, row)) for row in (above, names, below)]
    return between > 1 or (widths[0] != widths[1] == widths[2] and widths[0] > 1)


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


def header_of_two(rows: Sequence[Sequence[str]], place: int) -> tuple[int, list[str]]:
    """Find the header of a table that has two rows, of which the upper one names several columns at once.

    Args:
        rows: The cells of the first rows.
        place: Which of them is the header, or the upper or the lower one of the two.

    Returns:
        The place of the first row below, and the names of the columns; no names for a header of one row.
    """
    above = [place - 1] if place and not rows[place - 1][0].strip() else []  # and not a title
    for upper in (*above, place):
        if upper + 2 < len(rows) and _goes_on(rows[upper : upper + 3]):
            return upper + 2, _both(rows[upper], rows[upper + 1])
    return place + 1, []


def _goes_on(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the second of three rows goes on with the header that the first begins: 売上 over 上期 and 下期."""
    above, names, below = ([cell.strip() for cell in row] for row in rows)
    if len(above) > len(names) or are_numbers(list(filter(None, names))):
        return False
    above += [""] * (len(names) - len(above))
    columns = list(zip(above, names, [*above[1:], "end"], strict=True))  # with the name that is next to it
    spans = any(high and not beside for high, _, beside in columns)
    fits = all(
        (not low or not beside) if high else low for high, low, beside in columns
    )  # one name, or names below one
    return spans and fits and any(name and HAS_DIGIT.search(cell) for name, cell in zip(names, below, strict=False))


def _both(above: Sequence[str], names: Sequence[str]) -> list[str]:
    """The names of columns whose upper parts stand once for several of them."""
    found, last = [], ""
    for high, low in zip_longest(above, names, fillvalue=""):
        last = high.strip() or last
        found.append(f"{last if low.strip() or high.strip() else ''} {low.strip()}".strip())
    return found


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
    return are_numbers(cells)


def are_numbers(cells: Sequence[str]) -> bool:
    """Whether at least half of some cells are numbers other than years, which may be names of columns."""
    numbers = sum(_NUMBER.fullmatch(cell) is not None and not _YEAR.fullmatch(cell) for cell in cells)
    return numbers * 2 >= len(cells) and numbers > 0
