"""reStructuredText: the file's own text and its section titles."""

from __future__ import annotations

import re
import unicodedata

from indexes.readers.base import MOST_MARKS, ReadLimits, ReadText, lines_with_offsets, one_line, without_embedded_files
from indexes.readers.charset import decode
from indexes.readers.markup.definitions import RST_NAMES, with_definitions
from indexes.readers.markup.front_matter import without_front_matter
from indexes.readers.markup.includes import RST, included
from indexes.readers.markup.tables import rst_tables
from indexes.types import Heading

_RULER = re.compile(r"([!-/:-@\[-`{-~])\1+[ \t]*$")
_SHORTEST_RULER = 4  # docutils lets a shorter one pass only if it is as wide as the title


def read_rst(data: bytes, limits: ReadLimits) -> ReadText:
    """Read reStructuredText as it is; a title's level is the order in which its style first appears.

    Args:
        data: The file's bytes.
        limits: What it may hold.

    Returns:
        The text, with headings and tables, and the front matter as metadata.

    Raises:
        UnreadableFile: It is not text, or its encoding cannot be told.
    """
    front, text = without_front_matter(without_embedded_files(decode(data, limits.encoding)))
    text = with_definitions(text, RST_NAMES)
    tables, rows = rst_tables(text)
    title = front.pop("title", "")
    files = included(text, RST)
    return ReadText(text, title, _headings(text), breaks=rows, metadata=front, tables=tables, includes=files)


def _headings(text: str) -> tuple[Heading, ...]:
    levels: dict[tuple[str, bool], int] = {}
    headings = []
    above, title = (0, ""), (0, "")  # the two lines over the one that may be an underline
    for offset, line in lines_with_offsets(text):
        if _is_underline(title[1], line):
            over = _RULER.match(above[1]) is not None and above[1].rstrip() == line.rstrip()
            level = levels.setdefault((line[0], over), len(levels) + 1)
            if over or not title[1][0].isspace():
                headings.append(Heading(above[0] if over else title[0], level, one_line(title[1])))
        above, title = title, (offset, line)
        if len(headings) == MOST_MARKS:
            break
    return tuple(headings)


def _is_underline(title: str, line: str) -> bool:
    if not title.strip() or _RULER.match(title) or not _RULER.match(line):
        return False
    return len(line.rstrip()) >= min(_width(title.strip()), _SHORTEST_RULER)


def _width(title: str) -> int:
    """Columns on a terminal, by which an underline is measured: two for a Japanese character."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in title)
