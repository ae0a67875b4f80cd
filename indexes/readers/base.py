"""What every reader takes and gives: the limits on a file, and the text with its structure."""

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
class ReadText:
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


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """Bounds on one file; a file over any of them is refused, and the rest of an ingest goes on.

    `max_bytes`: its size on disk. `max_text`: characters of its text once it is read. `max_pages`: pages of a
    PDF. `max_unpacked`: bytes that an Office file unpacks to; `max_unpack_ratio`: how many times its own size that
    may be, for one that unpacks to more than 10 MB. `max_seconds` (by the clock) and `max_memory` (bytes of address
    space; macOS does not hold it): what a format that is read in a process of its own may take. `encoding`: the
    user's word for what text files are in; None to recognise it.
    """

    max_bytes: int = 100_000_000
    max_text: int = 200_000_000
    max_pages: int = 20_000
    max_unpacked: int = 250_000_000
    max_unpack_ratio: int = 200
    max_seconds: float = 120.0
    max_memory: int = 2_000_000_000
    encoding: str | None = None


DEFAULT_LIMITS = ReadLimits()
