"""Buttons in web pages, of which the text says whether it belongs to the page's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from indexes.readers.html.main_text import Line
from indexes.readers.html.page_parts import is_label


class Button(NamedTuple):
    """A button that is open.

    Attributes:
        lines: How many lines there were before it.
        words: How many words there were before it on its line.
        is_heading: Whether it is a heading.
        folds: Whether it folds and unfolds text.
    """

    lines: int
    words: int
    is_heading: bool
    folds: bool

    def end(self, lines: list[Line], words: list[str]) -> None:
        """Drop the text of the button, unless it is a heading, a question, or the title of what it unfolds.

        Args:
            lines: The lines of the page so far.
            words: The words of the line that is being written.
        """
        is_split = len(lines) > self.lines
        text = text_of(lines[self.lines :], words if is_split else words[self.words :])
        if self.is_heading or is_label(text, folds=self.folds):
            return
        if not is_split:
            del words[self.words :]
        elif not self.words:
            del lines[self.lines :]
            words.clear()


def text_of(lines: Sequence[Line], words: Sequence[str]) -> str:
    """Return the text of lines, and of the words of one that is being written."""
    return " ".join([*(line.text for line in lines), "".join(words)]).strip()
