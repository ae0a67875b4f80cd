"""Markdown: the file's own text, its headings, and the title from its front matter or its first heading.

Front matter becomes metadata, and empty lines in the text, so that line numbers stay; pictures in Base64 are cut out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from indexes.readers.base import (
    MOST_MARKS,
    ReadLimits,
    ReadText,
    lines_with_offsets,
    one_line,
    without_embedded_files,
)
from indexes.readers.charset import decode
from indexes.readers.front_matter import front_matter
from indexes.readers.pipe_tables import pipe_tables
from indexes.types import Heading

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*))?$")
_CLOSING_HASHES = re.compile(r"(?:^|[ \t])#+[ \t]*$")
_SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_NO_PARAGRAPH = re.compile(
    r"\s*$| {4}|\t| {0,3}(?:[>|]|[-*+][ \t]|\d{1,9}[.)][ \t])"
)  # cannot be underlined to a heading
_COMMENT = re.compile(r" {0,3}<!--")
_RAW = re.compile(r" {0,3}<(script|pre|style|textarea)(?:[\s>]|$)", re.IGNORECASE)
_BLOCK = re.compile(  # HTML that runs to the next blank line, as in CommonMark
    r" {0,3}</?(?:address|article|aside|body|center|details|dialog|dd|div|dl|dt|fieldset|figcaption|figure|footer|form"
    r"|h[1-6]|header|html|iframe|legend|li|main|menu|nav|ol|option|p|section|summary|table|tbody|td|tfoot|th|thead|tr|ul)"
    r"(?:[\s>]|/>|$)",
    re.IGNORECASE,
)
_LINE_CONTENT = re.compile(r"[^\r\n]+")
_COMMENT_END, _RAW_END = re.compile("-->"), re.compile("</(?:script|pre|style|textarea)>", re.IGNORECASE)
_BLANK = re.compile(r"^\s*$")
_LONGEST_HEADING = 20  # lines


def read_markdown(data: bytes, limits: ReadLimits) -> ReadText:
    """Read Markdown, with its headings (`#` and underlined) outside code, comments and HTML."""
    text = without_embedded_files(decode(data, limits.encoding))
    front, body = front_matter(text)
    text = _LINE_CONTENT.sub("", text[:body]) + text[body:]
    tables, rows = pipe_tables(text)
    return ReadText(text, front.pop("title", ""), markdown_headings(text), breaks=rows, metadata=front, tables=tables)


def markdown_headings(text: str) -> tuple[Heading, ...]:
    """Return the headings of a Markdown text."""
    headings = []
    paragraph: list[tuple[int, str]] = []  # the lines above, where they could be underlined to a heading
    for offset, line in _outside_code_and_html(text):
        underline = _SETEXT.match(line) if paragraph else None
        if atx := _ATX.match(line):
            headings.append(Heading(offset, len(atx[1]), one_line(_CLOSING_HASHES.sub("", atx[2] or ""))))
        elif underline:
            title = one_line(" ".join(part for _, part in paragraph))
            headings.append(Heading(paragraph[0][0], 1 if underline[1][0] == "=" else 2, title))
        if atx or underline or _NO_PARAGRAPH.match(line):
            paragraph.clear()
        elif len(paragraph) < _LONGEST_HEADING:
            paragraph.append((offset, line))
        if len(headings) == MOST_MARKS:
            break
    return tuple(heading for heading in headings if heading.text)


def _outside_code_and_html(text: str) -> Iterator[tuple[int, str]]:
    """The lines outside fenced code and HTML, each of which is an empty line instead; unclosed, they run to the end."""
    fence, until = "", None
    for offset, line in lines_with_offsets(text):
        match = _FENCE.match(line)
        if until is not None:
            until = None if until.search(line) else until
            yield offset, ""
        elif fence:
            closes = match is not None and match[1].startswith(fence) and not match[2].strip()
            fence = "" if closes else fence
        elif match and not (match[1][0] == "`" and "`" in match[2]):
            fence = match[1]
            yield offset, ""
        elif (html := _html_end(line)) is not None:
            until = None if html.search(line) else html
            yield offset, ""
        else:
            yield offset, line


def _html_end(line: str) -> re.Pattern[str] | None:
    """What ends the HTML that begins on a line; None if none begins."""
    if _COMMENT.match(line):
        return _COMMENT_END
    if _RAW.match(line):
        return _RAW_END
    return _BLANK if _BLOCK.match(line) else None
