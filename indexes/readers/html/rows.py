"""The rows of HTML tables, with `rowspan` and `colspan`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from indexes.readers.merged_cells import MergedCells, TableCell

_MOST = 1_000  # rows or columns that a cell spans


class _Start(NamedTuple):
    """Where a cell begins among the words of its line, and what it spans."""

    place: int
    across: int
    down: int
    is_name: bool


class OpenRow:
    """The row of a table that is being read. Only the outermost of tables in each other is followed."""

    def __init__(self) -> None:
        self._merged = MergedCells()
        self._cells: list[_Start] = []
        self._lines = 0
        self.begin_table()

    def begin_table(self) -> None:
        """Begin a table."""
        self._merged.begin()
        self._below: dict[int, tuple[int, int]] = {}  # column of a cell that goes on: the rows to come, and its width
        self._has_names = False

    def begin_cell(self, place: int, lines: int, attributes: Any, *, is_name: bool) -> None:
        """Begin a cell.

        Args:
            place: How many words there are before it on its line.
            lines: How many lines there are before it.
            attributes: Its attributes.
            is_name: Whether it is a `th`.
        """
        if not self._cells:
            self._lines = lines
        self._has_names |= is_name
        down = _count(attributes.get("rowspan")) if attributes.get("rowspan") != "0" else _MOST
        self._cells.append(_Start(place, _count(attributes.get("colspan")), down, is_name))

    def end(self, words: Sequence[str], lines: int, *, in_head: bool) -> tuple[list[str], list[str] | None]:
        """End the row.

        Args:
            words: The words of the line.
            lines: How many lines there are; more than there were, and the row has several.
            in_head: Whether it stands in a `thead`.

        Returns:
            The text in each column, none if the row is not on one line; and `head` of a `Line`.
        """
        starts, self._cells = self._cells, []
        if lines != self._lines:
            words, starts = [], [each._replace(place=0) for each in starts]
        ends = [*(each.place - (each.place > 0) for each in starts[1:]), len(words)]
        own = ["".join(words[each.place : end]).strip() for each, end in zip(starts, ends, strict=False)]
        are_names = in_head or all(each.is_name or not text for each, text in zip(starts, own, strict=True))
        texts, head = self._merged.row(self._spread(starts, own), are_names=are_names and bool(own))
        if len(own) == 1 and self._merged.is_top:  # the title of the table, over all its columns
            texts = own
        while texts and not texts[0] and not self._has_names:
            texts.pop(0)
        return (texts, head) if lines == self._lines and any(own) else ([], None)

    def _spread(self, starts: Sequence[_Start], own: Sequence[str]) -> list[TableCell]:
        """The cells with those that continue from above between them."""
        above, self._below = (
            self._below,
            {column: (n - 1, width) for column, (n, width) in self._below.items() if n > 1},
        )
        cells: list[TableCell] = []
        column = 0
        for start, text in [*zip(starts, own, strict=True), (None, "")]:
            while column in above:
                cells.append(TableCell("", above[column][1], continues=True))
                column += above[column][1]
            if start is not None:
                cells.append(TableCell(text, start.across))
                if start.down > 1:
                    self._below[column] = (start.down - 1, start.across)
                column += start.across
        return cells


def _count(attribute: str | None) -> int:
    text = (attribute or "").strip()[:5]
    return min(max(int(text), 1), _MOST) if text.isascii() and text.isdecimal() else 1
