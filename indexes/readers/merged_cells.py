"""Merged cells: their value in every row that they reach into, and which rows are then the header together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from indexes.readers.tables import are_numbers

_LONGEST = 200  # characters of a value that is repeated
_MOST_REPEATED = 1_000_000  # characters in a file: a small one can merge very many cells
_WIDEST = 1_000  # columns up to which cells span several


class TableCell(NamedTuple):
    """A cell of a row.

    Attributes:
        text: Its text.
        across: The columns that it spans.
        continues: Whether it belongs to the cell above.
    """

    text: str
    across: int = 1
    continues: bool = False


class MergedCells:
    """The rows of a file's tables, one after another, with merged cells spread over what they span.

    Attributes:
        is_top: Whether no row with several cells has come in the table at hand.
    """

    def __init__(self) -> None:
        self._repeated = 0
        self.begin()

    def begin(self) -> None:
        """Begin a table."""
        self._above: dict[int, str] = {}  # what a cell that goes on downwards holds, by its column
        self.is_top = True
        self._is_open = False  # the rows so far are its header, and perhaps it goes on
        self._are_named = False  # the file says so
        self._full: list[bool] = []  # the columns whose names are complete

    def row(self, cells: Sequence[TableCell], *, are_names: bool = False) -> tuple[list[str], list[str] | None]:
        """Add a row.

        Args:
            cells: Its cells, those that continue from above among them.
            are_names: Whether the file says that it is part of the header.

        Returns:
            The text in each column, with nothing in the others of a cell that spans several; and the same with its text
            in all of them, if the row may be part of a header of several rows.
        """
        is_head = self._is_head(cells, are_names=are_names)
        texts: list[str] = []
        names: list[str] = []
        full: list[bool] = []
        for cell in cells:
            text = self._again(self._above.get(len(texts), "")) if cell.continues else cell.text
            self._above[len(texts)] = text if len(text) <= _LONGEST else ""
            others = max(min(cell.across, _WIDEST - len(texts)) - 1, 0)
            texts += [text, *[""] * others]
            names += [text, *(self._again(text if is_head else "") for _ in range(others))]
            full += [others < 1 and bool(text)] * (others + 1)
        self._full = full
        return texts, names if is_head else None

    def _is_head(self, cells: Sequence[TableCell], *, are_names: bool) -> bool:
        filled = [cell for cell in cells if cell.text or cell.continues]
        if self.is_top:
            self.is_top = len(filled) < 2
            self._are_named = are_names
            self._is_open = not self.is_top and (are_names or any(cell.across > 1 for cell in filled))
        elif self._is_open:
            self._is_open = are_names if self._are_named else self._goes_on(cells)
        return self._is_open

    def _goes_on(self, cells: Sequence[TableCell]) -> bool:
        """Whether a row divides columns that span several, or names those that have no name, and nothing else."""
        column = 0
        for cell in cells:
            if cell.text and not cell.continues and column < len(self._full) and self._full[column]:
                return False
            column += cell.across
        names = [cell.text for cell in cells if cell.text and not cell.continues]
        return not are_numbers(names) and len(names) > 1

    def _again(self, text: str) -> str:
        text = text if len(text) <= _LONGEST and self._repeated <= _MOST_REPEATED else ""
        self._repeated += len(text)
        return text
