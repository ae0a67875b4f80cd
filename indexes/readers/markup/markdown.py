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
from indexes.readers.markup.front_matter import without_front_matter
from indexes.readers.markup.includes import MARKDOWN, included
from indexes.readers.markup.references import with_references_outside_code
from indexes.readers.markup.tables import markdown_tables
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
_COMMENT_END, _RAW_END = re.compile("-->"), re.compile("</(?:script|pre|style|textarea)>", re.IGNORECASE)
_BLANK = re.compile(r"^\s*$")
_DECLARATION = re.compile(r" {0,3}(<\?|<!\[CDATA\[|<![A-Za-z])")
_DECLARATION_ENDS = {"<?": re.compile(r"\?>"), "<![CDATA[": re.compile(r"\]\]>"), "<!": re.compile(">")}
_TAG_ALONE = re.compile(
    r" {0,3}</?[A-Za-z][A-Za-z0-9-]*"
    r"(?:\s+[A-Za-z_:@.][\w.:@-]*(?:\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s\"'=<>`]+))?)*\s*/?>[ \t]*$"
)
_BLOCKS = (  # of Liquid, Hugo, Jinja and Obsidian
    (re.compile(r" {0,3}\{%-?\s*(highlight|comment|raw|code|codeblock)\b"), r"\{%-?\s*endNAME\b"),
    (re.compile(r" {0,3}\{\{[<%]\s*(highlight|code|comment)\b"), r"\{\{[<%]\s*/\s*NAME\b"),
    (re.compile(r" {0,3}\{#()"), r"#\}"),
    (re.compile(r" {0,3}\{\{-?\s*/\*()"), r"\*/"),
    (re.compile(r" {0,3}%%()[ \t]*$"), r"^ {0,3}%%[ \t]*$"),
    (re.compile(r" {0,3}\$\$()[ \t]*$"), r"^ {0,3}\$\$[ \t]*$"),
)
_BLOCK_BEGINS = ("{", "%", "$")
_RULER = re.compile(r" {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$")
_ATTRIBUTES = re.compile(r"\{[#.:][^{}]*\}[ \t]*$")
_LONGEST_HEADING = 20  # lines


def read_markdown(data: bytes, limits: ReadLimits) -> ReadText:
    """Read Markdown, with its headings (`#` and underlined) outside code, comments and HTML.

    Args:
        data: The file's bytes.
        limits: What it may hold.

    Returns:
        The text, with headings and tables, and the front matter as metadata.

    Raises:
        UnreadableFile: It is not text, or its encoding cannot be told.
    """
    text = without_embedded_files(decode(data, limits.encoding))
    front, text = without_front_matter(with_references_outside_code(text))
    tables, rows = markdown_tables(text)
    title, headings, files = front.pop("title", ""), markdown_headings(text), included(text, MARKDOWN)
    return ReadText(text, title, headings, breaks=rows, metadata=front, tables=tables, includes=files)


def markdown_headings(text: str) -> tuple[Heading, ...]:
    """Return the headings of a Markdown text.

    Args:
        text: The text, without front matter.

    Returns:
        The headings, in their order.
    """
    headings = []
    paragraph: list[tuple[int, str]] = []  # the lines above, where they could be underlined to a heading
    for offset, line in _outside_code_and_html(text):
        underline = _SETEXT.match(line) if paragraph else None
        if atx := _ATX.match(line):
            headings.append(
                Heading(offset, len(atx[1]), _title(_CLOSING_HASHES.sub("", _ATTRIBUTES.sub("", atx[2] or ""))))
            )
        elif underline:
            title = _title(" ".join(part for _, part in paragraph))
            headings.append(Heading(paragraph[0][0], 1 if underline[1][0] == "=" else 2, title))
        if atx or underline or _NO_PARAGRAPH.match(line) or _RULER.match(line):
            paragraph.clear()
        elif len(paragraph) < _LONGEST_HEADING:
            paragraph.append((offset, line))
        if len(headings) == MOST_MARKS:
            break
    return tuple(heading for heading in headings if heading.text)


def _title(text: str) -> str:
    return one_line(_ATTRIBUTES.sub("", text))


def _outside_code_and_html(text: str) -> Iterator[tuple[int, str]]:
    """The lines outside fenced code and HTML, each of which is an empty line instead; unclosed, they run to the end."""
    fence, until = "", None
    missing: set[str] = set()  # ends of blocks that do not come any more
    is_text = False  # whether the line above goes on with a paragraph
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
        elif (html := _html_end(line, is_text=is_text)) is not None:
            until = None if html.search(line) else html
            yield offset, ""
        elif (block := _block_end(line)) is not None and _comes(block, text, offset + len(line), missing):
            until = block
            yield offset, ""
        else:
            yield offset, line
        is_text = bool(line.strip()) and until is None and not fence


def _comes(end: re.Pattern[str], text: str, offset: int, missing: set[str]) -> bool:
    if end.pattern not in missing and end.search(text, offset) is None:
        missing.add(end.pattern)
    return end.pattern not in missing


def _block_end(line: str) -> re.Pattern[str] | None:
    """What ends a block of a template language, of comments or of formulas that begins on a line and goes on."""
    for pattern, end in _BLOCKS if line.lstrip(" ")[:1] in _BLOCK_BEGINS else ():
        if (begin := pattern.match(line)) is not None:
            found = re.compile(end.replace("NAME", begin[1])) if "NAME" in end else re.compile(end, re.MULTILINE)
            return None if found.search(line, begin.end()) else found
    return None


def _html_end(line: str, *, is_text: bool) -> re.Pattern[str] | None:
    """What ends the HTML that begins on a line; None if none begins."""
    if "<" not in line[:4]:
        return None
    if _COMMENT.match(line):
        return _COMMENT_END
    if _RAW.match(line):
        return _RAW_END
    if (mark := _DECLARATION.match(line)) is not None:
        return _DECLARATION_ENDS[mark[1][:2] if mark[1] != "<![CDATA[" else mark[1]]
    if not is_text and _TAG_ALONE.match(line):
        return _BLANK
    return _BLANK if _BLOCK.match(line) else None
