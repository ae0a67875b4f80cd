"""What a reader gives back, and the small jobs that several readers share. It knows no paths."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from indexes.types import Heading

_LINE = re.compile(r"([^\r\n]*)(?:\r\n|\r|\n|\Z)")
_TITLE_LENGTH = 200  # characters


@dataclass(frozen=True, slots=True)
class Reading:
    """What stands in a file: a Document without its source, and with a title only if the file gives one."""

    text: str
    title: str = ""
    headings: tuple[Heading, ...] = ()
    pages: tuple[int, ...] = ()
    breaks: tuple[int, ...] = ()


def lines_with_offsets(text: str) -> Iterator[tuple[int, str]]:
    """Each line's offset and its text without the line end: a newline, a return or both, and nothing else."""
    for match in _LINE.finditer(text):
        if match.start() < len(text):
            yield match.start(), match[1]


def one_line(text: str) -> str:
    """Text fit for a title: white space collapsed, and cut where it is no title any more."""
    return " ".join(text[: 10 * _TITLE_LENGTH].split())[:_TITLE_LENGTH].rstrip()
