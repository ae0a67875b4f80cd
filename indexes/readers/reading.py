"""What a reader gives back, and the small jobs that several readers share. It knows no paths."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from indexes.types import Heading

_LINE = re.compile(r"([^\r\n]*)(?:\r\n|\r|\n|\Z)")
# Headings, records or definitions; further ones are not marked: a file of nothing else would cost many times its size.
MOST_MARKS = 500_000
_TITLE_LENGTH = 200  # characters
_NO_TITLES = ("untitled", "microsoft word", "microsoft powerpoint", "powerpoint ", "slide 1", "word document")
_VALUE_LENGTH = 2_000  # characters of a property; a longer one is no property


@dataclass(frozen=True, slots=True)
class Reading:
    """What stands in a file: a Document without its source, and with a title only if the file gives one."""

    text: str
    title: str = ""
    headings: tuple[Heading, ...] = ()
    pages: tuple[int, ...] = ()
    breaks: tuple[int, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def lines_with_offsets(text: str) -> Iterator[tuple[int, str]]:
    """Each line's offset and its text without the line end: a newline, a return or both, and nothing else."""
    for match in _LINE.finditer(text):
        if match.start() < len(text):
            yield match.start(), match[1]


def one_line(text: str) -> str:
    """Text fit for a title: white space collapsed, and cut where it is no title any more."""
    return " ".join(text[: 10 * _TITLE_LENGTH].split())[:_TITLE_LENGTH].rstrip()


def real_title(text: str) -> str:
    """A title from a file's properties; nothing if a program put it there."""
    title = one_line(text)
    return "" if title.lower().startswith(_NO_TITLES) or not any(map(str.isalpha, title)) else title


def properties(**values: str | None) -> dict[str, str]:
    """What a file says of itself, without what it leaves empty, each on one line and bounded."""
    lines = {name: " ".join((value or "")[:_VALUE_LENGTH].split()) for name, value in values.items()}
    return {name: line for name, line in lines.items() if line}
