"""Comments in Office files, RTF and PDFs: each on a line of its own, close to what it is about."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from indexes.readers.base import one_line

_LONGEST_ROW = 100  # characters of a row that a comment says it is about


class Comment(NamedTuple):
    """A comment.

    Attributes:
        text: What it says.
        author: Who says it; may be empty.
        place: What it is about, such as `B2`; empty where it follows that.
    """

    text: str
    author: str = ""
    place: str = ""

    def in_row(self, cells: Iterable[str]) -> Comment:
        """Return the comment with the row that it is about, since it stands below the whole table."""
        row = one_line(" | ".join(filter(None, cells)))
        row = row if len(row) <= _LONGEST_ROW else f"{row[:_LONGEST_ROW].rstrip()}…"
        place = f"{self.place} ({row})" if self.place and row else self.place or f"the row {row}"
        return self._replace(place=place)

    def line(self) -> str:
        """Return it as a line, such as `Comment by Holm on B2 (oil | 3): Count again.`; empty if it says nothing."""
        by, on = one_line(self.author), self.place
        text = " ".join(self.text.split())
        return f"Comment{f' by {by}' if by else ''}{f' on {on}' if on else ''}: {text}" if text else ""
