"""The text of one page of a PDF in reading order.

pypdf returns text in the order in which the file draws it, which nearly always is the reading order. Two kinds of pages
are put right: vertical Japanese text that is drawn character by character, and two columns that are drawn line by line
across both. Furigana stays where the file draws it. The rows of a table are lines with ` | ` between their cells, and
words that are divided at the end of a line are joined.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from indexes.readers.pdf.placed import placed_layouts
from indexes.readers.pdf.tables import (
    Shown,
    columns_at_end,
    is_drawn_down,
    may_have_table,
    shown_characters,
    with_tables,
)
from indexes.text import join_hyphens

if TYPE_CHECKING:
    from pypdf import PageObject

_SHOWS = frozenset({b"Tj", b"TJ", b"'", b'"'})
_FEWEST_ROWS = 6  # of two columns, and of characters one under the other: fewer prove nothing
_GAP = re.compile(r"(?<=\S) {3,}(?=\S)")
_NARROWEST = 15  # characters in the middle line of a column of prose; narrower ones are a table
_FILLED = 0.6  # of the longest line: how long the middle line of prose is at least


class _Piece(NamedTuple):
    """Some text, where it begins, and the size of its letters, in points or nearly."""

    text: str
    x: float
    y: float
    size: float


def page_text(page: PageObject, before: str) -> str:
    """Return the page's text; `before` is that of the page before. Raises what pypdf raises for a damaged page."""
    pieces: list[_Piece] = []
    starts: list[tuple[float, float]] = []
    shown: list[Shown] = []
    rises: list[float] = []
    font_size = 1.0

    def add_piece(text: str, cm: Sequence[float], tm: Sequence[float], font: Any, size: float) -> None:
        if text.strip():
            scale = abs(tm[3] or tm[1]) * abs(cm[3] or cm[1])
            pieces.append(_Piece(text, *_place(cm, tm), size * scale or 1.0))

    def add_start(operator: bytes, operands: Any, cm: Sequence[float], tm: Sequence[float]) -> None:
        nonlocal font_size
        if operator == b"Tf":
            font_size = float(operands[1])
        if operator == b"Ts":
            rises.append(float(operands[0]))
        if operator in _SHOWS:
            starts.append(_place(cm, tm))
            scale = abs(tm[3] or tm[1]) * abs(cm[3] or cm[1])
            shown.append(Shown(*starts[-1], shown_characters(operands), font_size * scale or 1.0))

    text = page.extract_text(visitor_text=add_piece, visitor_operand_before=add_start)
    text = _with_raised_numbers(page, shown, rises) or text
    if _is_vertical(pieces):
        return _down_the_columns(pieces)
    columns_before = columns_at_end(before)
    has_columns, has_table = _has_columns(starts), may_have_table(shown, columns_before)
    laid_out = (
        _laid_out(page, columns_before, has_columns, shown if has_table else ()) if has_columns or has_table else ""
    )
    return join_hyphens(laid_out or text)


def _with_raised_numbers(page: PageObject, shown: Sequence[Shown], rises: Sequence[float]) -> str:
    """The text of a page that may have raised numbers, which are marked; empty for any other."""
    from indexes.readers.pdf.raised import mark_raised, may_be_raised  # with pypdf, which only PDFs need

    if not any(rises) and not may_be_raised(shown):
        return ""
    try:
        mark_raised(page)
    except MemoryError:
        raise
    except Exception:  # whatever broken content provokes; it is read without the marks
        return ""
    return page.extract_text()


def _laid_out(page: PageObject, columns_before: int, has_columns: bool, in_table: Sequence[Shown]) -> str:
    """The text of a page with columns or a table; empty if it has neither after all."""
    # `in_table` is what is shown on the page, and empty if there cannot be a table.
    layout = page.extract_text(extraction_mode="layout")
    if has_columns and (columns := _column_by_column(layout)):
        return columns
    if in_table and (table := with_tables(layout, columns_before, drawn_down=is_drawn_down(in_table))):
        return table
    return next(filter(None, map(_column_by_column, placed_layouts(page))), "") if has_columns else ""


def _column_by_column(layout: str) -> str:
    """The lines of a page in two columns of prose, column by column; empty if the page is not laid out so."""
    # `layout` is the page's text with spaces where there is empty room. A line across both columns ends them.
    lines = layout.split("\n")
    starts = Counter(match.end() for line in lines for match in _GAP.finditer(line))
    place, count = max(starts.items(), key=lambda item: item[1], default=(0, 0))
    rows = [(line[:place].rstrip(), line[place:].rstrip()) for line in lines if line[place - 3 : place].isspace()]
    if count < _FEWEST_ROWS or not all(map(_is_prose, zip(*rows, strict=True))):
        return ""
    out: list[str] = []
    columns: tuple[list[str], list[str]] = ([], [])
    for line in [*lines, "\f"]:
        is_across = bool(line[place - 3 : place].strip()) and bool(line[place:].strip())
        if is_across or line == "\f":
            out += [*columns[0], *columns[1], line]
            columns = ([], [])
            continue
        for column, part in zip(columns, (line[:place], line[place:]), strict=True):
            column += [part.strip()] if part.strip() else []
    return "\n".join(line.strip() for line in out).strip()


def _place(cm: Sequence[float], tm: Sequence[float]) -> tuple[float, float]:
    return tm[4] * cm[0] + tm[5] * cm[2] + cm[4], tm[4] * cm[1] + tm[5] * cm[3] + cm[5]


def _is_vertical(pieces: Sequence[_Piece]) -> bool:
    """Whether most pieces are single characters of full width, each under the one before."""
    under = sum(_is_under(a, b) and _is_wide(a) and _is_wide(b) for a, b in pairwise(pieces))
    return under >= max(_FEWEST_ROWS, len(pieces) // 2)


def _is_under(above: _Piece, below: _Piece) -> bool:
    return abs(above.x - below.x) < 0.6 * above.size and below.y < above.y


def _is_wide(piece: _Piece) -> bool:
    text = piece.text.strip()
    return len(text) == 1 and unicodedata.east_asian_width(text) in "WF"


def _down_the_columns(pieces: Sequence[_Piece]) -> str:
    """Characters joined down each column, and columns from right to left; an indented column begins a paragraph."""
    beside = [b.x - a.x for a, b in pairwise(pieces) if not _is_under(a, b)]
    if sum(step > 0 for step in beside) > sum(step < 0 for step in beside):  # drawn from left to right
        pieces = sorted(pieces, key=lambda piece: (-round(piece.x / piece.size), -piece.y))
    out = [pieces[0].text.strip()]
    top = pieces[0].y
    for before, piece in pairwise(pieces):
        if not _is_under(before, piece):
            is_next = piece.x < before.x and piece.y > top - 0.8 * piece.size
            out.append("" if is_next else "\n")
            top = max(top, piece.y) if piece.x < before.x else piece.y
        out.append(piece.text.strip("\n"))
    return "".join(out)


def _has_columns(starts: Sequence[tuple[float, float]]) -> bool:
    """Whether many consecutive lines continue at the same place further right: two columns, or a table."""
    places = Counter(round(b[0]) for a, b in pairwise(starts) if abs(a[1] - b[1]) < 1 and b[0] > a[0])
    return max(places.values(), default=0) >= _FEWEST_ROWS


def _is_prose(column: Sequence[str]) -> bool:
    """Whether lines are long, about as long as each other, and without gaps of their own."""
    lengths = [len(line.strip()) for line in column]
    middle = median(lengths)
    gaps = sum(_GAP.search(line.strip()) is not None for line in column)
    return middle >= max(_NARROWEST, _FILLED * max(lengths)) and gaps * 4 < len(column)
