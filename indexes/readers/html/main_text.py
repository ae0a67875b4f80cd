"""Which lines of a web page are its main text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

_ENOUGH = 200  # characters from which on a `main` is taken as the page's text
_FURNITURE = 400  # characters of prose beside an article, in a footer and the like
_PROSE = 60  # bytes in UTF-8 from which on a line is more than an entry of a menu
_SHORT_PROSE = 20  # the same, of a line that is no link


class Line(NamedTuple):
    """A line of a page.

    Attributes:
        text: Its text.
        level: Of a heading, from 1; 0 for other lines.
        inside: What it stands in: "main", "article" or "".
        table: The number of the table that it is a row of; 0 for other lines.
        is_link: Whether all of it is links.
        head: The names in its columns, if it may be one of several rows that are a header together.
    """

    text: str
    level: int
    inside: str
    table: int
    is_link: bool = False
    head: Sequence[str] | None = None


def main_lines(every: Sequence[Line]) -> list[Line]:
    """Find the main text.

    Args:
        every: The lines of a page.

    Returns:
        The lines in `main` or `article`; all where the page has none, or much text is outside of what it marks.
    """
    total = sum(len(line.text) for line in every)
    for inside in (("main",), ("article", "main")):
        lines = [line for line in every if line.inside in inside]
        length = sum(len(line.text) for line in lines)
        outside = sum(len(line.text) for line in every if line.inside not in inside and _is_prose(line))
        most_outside = length if inside == ("main",) else min(length // 4, _FURNITURE)  # an article may be a teaser
        if (length >= _ENOUGH or length * 2 > total) and outside <= most_outside:
            return [*_title_above(every, lines), *lines]
    return [*every]


def _title_above(every: Sequence[Line], lines: Sequence[Line]) -> list[Line]:
    """The page's title, if it stands outside of the main text."""
    if not lines or any(line.level == 1 for line in lines):
        return []
    return [line for line in every[: every.index(lines[0])] if line.level == 1][:1]


def _is_prose(line: Line) -> bool:
    shortest = _PROSE if line.is_link or line.level else _SHORT_PROSE
    return len(line.text.encode("utf-8", "replace")) >= shortest
