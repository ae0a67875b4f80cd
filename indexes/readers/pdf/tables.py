"""Tables on a page of a PDF: rows whose cells stand apart, on a page that is laid out with spaces."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any, NamedTuple

from indexes.readers.tables import HAS_DIGIT, header_place

_CELL = re.compile(r"\S+(?: {1,2}\S+)*")  # cells are three or more spaces apart
_FEWEST_ROWS = 3
_SAME = 0.6  # of the rows have as many cells as the table has columns
_NARROWEST = 15  # characters in the middle row of a column: if all columns are wider, they are prose
_LONGEST_CELL = 60  # characters of a line that goes on with a cell
_AT_END = 4  # lines of a page: below a table there may be a footer
_BLANK = 2  # lines between two rows
_WIDTH = 0.45  # of a letter, in sizes of the font: rather too little than too much
_GAP = 1.5  # sizes of the font between two cells


class Shown(NamedTuple):
    """Some text on a page: where it begins, how many characters it has, and the size of its font."""

    x: float
    y: float
    characters: int
    size: float


class _Cell(NamedTuple):
    start: int
    text: str


def shown_characters(operands: Any) -> int:
    """Return how many characters an operator shows, without the null bytes of two-byte codes."""
    given = operands[-1] if operands else ""
    parts = given if isinstance(given, list) else [given]
    texts = [part for part in parts if isinstance(part, str | bytes)]
    return sum(len(part) - (part.count("\0") if isinstance(part, str) else part.count(0)) for part in texts)


def may_have_table(shown: Iterable[Shown], columns_before: int) -> bool:
    """Whether three lines of a page have gaps in them, so that it is worth while to lay it out."""
    lines: dict[int, list[Shown]] = {}
    for piece in shown:
        lines.setdefault(round(piece.y), []).append(piece)
    return sum(map(_has_gap, lines.values())) >= (1 if columns_before else _FEWEST_ROWS)


def is_drawn_down(shown: Sequence[Shown]) -> bool:
    """Whether most lines with gaps are not drawn at once: the page is drawn down one column and then the next."""
    lines: dict[int, list[int]] = {}
    for place, piece in enumerate(shown):
        lines.setdefault(round(piece.y), []).append(place)
    with_gaps = [places for places in lines.values() if _has_gap([shown[place] for place in places])]
    at_once = sum(places[-1] - places[0] == len(places) - 1 for places in with_gaps)
    return at_once * 2 < len(with_gaps)


def columns_at_end(text: str) -> int:
    """How many columns the table has that a page ends with; 0 if it ends with none."""
    lines = [line for line in text.split("\n") if line.strip()][-_AT_END:]
    return next((line.count(" | ") + 1 for line in reversed(lines) if " | " in line), 0)


def with_tables(layout: str, columns_before: int, *, drawn_down: bool = False) -> str | None:
    """Write the rows of tables that have a header with ` | ` between their cells.

    Args:
        layout: The text of a page, with spaces where there is empty room.
        columns_before: How many columns the table has that the page before ends with, which may go on without a header.
        drawn_down: Whether the page is drawn down one column and then the next: words alone are then no table, but the
            columns of a list.

    Returns:
        The text of the page, other lines without the spaces around them; None if there is no such table.
    """
    lines = [[_Cell(found.start(), found[0]) for found in _CELL.finditer(line)] for line in layout.split("\n")]
    out: list[str] = []
    place, found = 0, False
    while place < len(lines):
        end = _run_end(lines, place)
        rows = [line for line in lines[place:end] if line]
        if _is_table(rows, 0 if found else columns_before) and not (drawn_down and _is_of_words(rows)):
            found = True
            out += ["", *(" | ".join(row) for row in _in_columns(rows)), ""]
            place = end
        else:
            end = max(end, place + 1)
            out += ("  ".join(cell.text for cell in line) for line in lines[place:end])
            place = end
    return re.sub(r"\n{3,}", "\n\n", "\n".join(out)).strip() if found else None


def _has_gap(line: list[Shown]) -> bool:
    end: float | None = None
    for piece in sorted(line):
        if end is not None and piece.x - end > _GAP * piece.size:
            return True
        end = max(end or 0.0, piece.x + piece.characters * piece.size * _WIDTH)
    return False


def _run_end(lines: Sequence[Sequence[_Cell]], start: int) -> int:
    """The end of the lines from `start` on that may be rows: with several cells, or one that goes on with a cell."""
    end = place = start
    while place < len(lines) and place - end <= _BLANK:
        cells = lines[place]
        if len(cells) == 1 and (end == start or place != end or len(cells[0].text) > _LONGEST_CELL):
            break
        place += 1
        if cells:
            end = place
    while end > start and len(lines[end - 1]) < 2:
        end -= 1  # what follows the last row is no part of it
    return end


def _is_table(rows: Sequence[Sequence[_Cell]], columns_before: int) -> bool:
    wide = [row for row in rows if len(row) > 1]
    if len(wide) < (1 if columns_before else _FEWEST_ROWS):
        return False
    width, usual = Counter(map(len, wide)).most_common(1)[0]
    if usual < _SAME * len(wide):
        return False
    columns = zip(*(row for row in wide if len(row) == width), strict=True)
    is_narrow = any(median(len(cell.text) for cell in column) < _NARROWEST for column in columns)
    goes_on = width == columns_before
    has_header = len(wide) >= _FEWEST_ROWS and header_place([[c.text for c in row] for row in wide]) is not None
    return is_narrow and (goes_on or has_header)


def _is_of_words(rows: Sequence[Sequence[_Cell]]) -> bool:
    return not any(HAS_DIGIT.search(cell.text) for row in rows for cell in row)


def _in_columns(rows: Sequence[Sequence[_Cell]]) -> list[list[str]]:
    """The cells of each row by columns; a line of one cell goes on with that cell of the row above."""
    columns = Counter(len(row) for row in rows if len(row) > 1).most_common(1)[0][0]
    starts = [cell.start for cell in next(row for row in rows if len(row) == columns)]
    out: list[list[str]] = []
    for row in rows:
        if len(row) == columns:
            out.append([cell.text for cell in row])
            continue
        texts = [""] * columns
        for cell in row:
            column = min(range(columns), key=lambda i: abs(starts[i] - cell.start))
            texts[column] = f"{texts[column]} {cell.text}".strip()
        if len(row) == 1 and out:
            out[-1] = [f"{above} {text}".strip() for above, text in zip(out[-1], texts, strict=True)]
        else:
            out.append(texts)
    return out
