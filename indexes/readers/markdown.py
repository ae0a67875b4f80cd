"""Markdown: the file's own text, its headings, and the title from its front matter or its first heading."""

from __future__ import annotations

import re
from collections.abc import Iterator

from indexes.readers.base import MOST_MARKS, ReadLimits, ReadText, lines_with_offsets, one_line, properties
from indexes.readers.charset import decode
from indexes.readers.tables import pipe_tables
from indexes.types import Heading

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*))?$")
_CLOSING_HASHES = re.compile(r"(?:^|[ \t])#+[ \t]*$")
_SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_NO_PARAGRAPH = re.compile(
    r"\s*$| {4}|\t| {0,3}(?:[>|]|[-*+][ \t]|\d{1,9}[.)][ \t])"
)  # cannot be underlined to a heading
_ENTRY = re.compile(r"([^\W\d][\w-]{0,63}):[ \t]+(\S.*)")  # of a front matter; indented, it is part of another
_NO_SIMPLE_VALUE = ("{", "|", ">", "&", "*", "!")  # YAML that is more than a line of text
_FRONT_MATTER_LINES = 200  # a longer one is a text between rulers


def read_markdown(data: bytes, limits: ReadLimits) -> ReadText:
    """Read Markdown as it is, with its headings (`#` and underlined) outside fenced code."""
    text = decode(data, limits.encoding)
    front, body = _front_matter(text)
    tables, rows = pipe_tables(text, body)
    title = front.pop("title", "")
    return ReadText(text, title, markdown_headings(text, body), breaks=rows, metadata=front, tables=tables)


def markdown_headings(text: str, begin: int = 0) -> tuple[Heading, ...]:
    """Return the headings of a Markdown text from offset `begin` on."""
    headings = []
    previous: tuple[int, str] | None = None  # the line above, where it could be underlined to a heading
    for offset, line in _outside_fences(text, begin):
        underline = _SETEXT.match(line) if previous else None
        if atx := _ATX.match(line):
            headings.append(Heading(offset, len(atx[1]), one_line(_CLOSING_HASHES.sub("", atx[2] or ""))))
        elif underline and previous:
            headings.append(Heading(previous[0], 1 if underline[1][0] == "=" else 2, one_line(previous[1])))
        paragraph = not (atx or underline or _NO_PARAGRAPH.match(line))
        previous = (offset, line) if paragraph else None
        if len(headings) == MOST_MARKS:
            break
    return tuple(heading for heading in headings if heading.text)


def _outside_fences(text: str, begin: int) -> Iterator[tuple[int, str]]:
    """The lines outside fenced code, with a fence as an empty line. A fence that never closes runs to the end."""
    fence = ""
    for offset, line in lines_with_offsets(text):
        if offset < begin:
            continue
        match = _FENCE.match(line)
        if not fence:
            opens = match is not None and not (match[1][0] == "`" and "`" in match[2])
            fence = match[1] if match and opens else ""
            yield offset, "" if fence else line
        elif match and match[1].startswith(fence) and not match[2].strip():
            fence = ""


def _front_matter(text: str) -> tuple[dict[str, str], int]:
    """The `name: value` lines of the YAML front matter, and where the Markdown begins; other YAML is left out."""
    found: dict[str, str | None] = {}
    for number, (offset, line) in enumerate(lines_with_offsets(text)):
        if number == 0:
            if line.rstrip() != "---":
                break
        elif line.rstrip() in ("---", "..."):
            return properties(**found), offset + len(line)
        elif (entry := _ENTRY.match(line)) and not entry[2].startswith(_NO_SIMPLE_VALUE):
            found.setdefault(entry[1], entry[2].rstrip().strip("\"'"))
        if number > _FRONT_MATTER_LINES:
            break
    return {}, 0
