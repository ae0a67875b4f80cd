"""HTML: what a visitor of the page would read, with its headings. No tree of it is built."""

from __future__ import annotations

import codecs
import re
from typing import Any

from indexes.encoding import decode
from indexes.errors import UnreadableFile
from indexes.readers.limits import ReadLimits
from indexes.readers.reading import Reading, one_line, properties
from indexes.types import Heading

_DECLARED = re.compile(
    rb"""<meta[^>]{0,400}?charset\s*=\s*["']?\s*([\w:.-]+)|<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w:.-]+)""",
    re.IGNORECASE,
)
_NOT_CHARSETS = frozenset({"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7"})
_SEARCHED = 4_096  # bytes at the beginning in which a charset may be declared
_MEANT = {  # what a browser takes these names to mean
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "x-sjis": "cp932",
    "sjis": "cp932",
    "windows-31j": "cp932",
    "x-euc-jp": "euc_jp",
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "us-ascii": "cp1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "utf-16": "utf-8",  # whoever could read the declaration was not reading UTF-16
}


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_DROPPED = _names(
    "audio button canvas datalist footer iframe math nav noscript object script select style svg template"
    " textarea video"
)
_BLOCKS = _names(
    "address article aside blockquote body br caption center dd details dialog dir div dl dt fieldset"
    " figcaption figure form h1 h2 h3 h4 h5 h6 header hr html legend li main menu ol p pre section summary"
    " table tbody tfoot thead title tr ul"
)
_PROPERTIES = _names("author description keywords")  # among the `meta` elements
_CELLS = frozenset({"td", "th"})
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_DEEPEST = 5_000  # elements in each other: libxml2 looks through them at each end tag that fits none
_SPACE = re.compile(r"[ \t\n\r\f]+")
_PIECE = 1 << 16  # characters given to the parser at once


def read_web_page(data: bytes, limits: ReadLimits) -> Reading:
    """A line for each block, table cells joined by ` | `, `pre` as it is; scripts and navigation left out."""
    from lxml import etree

    text = _decode(data, limits.encoding)
    page = _Page()
    parser = etree.HTMLParser(target=page, huge_tree=True)  # huge_tree: no bound on depth, which would cut the page off
    try:
        for start in range(0, len(text), _PIECE):
            parser.feed(text[start : start + _PIECE])
        parser.close()
    except (etree.LxmlError, ValueError) as error:
        raise UnreadableFile(f"cannot be read as HTML: {one_line(str(error))}") from error
    return page.reading()


def _decode(data: bytes, encoding: str | None) -> str:
    """By the user's word, else by what the page declares if that is true, else by what it looks like."""
    declared = None if encoding else _declared(data[:_SEARCHED])
    if declared is not None:
        try:
            return decode(data, declared)
        except UnreadableFile:
            pass
    return decode(data, encoding)


def _declared(head: bytes) -> str | None:
    match = _DECLARED.search(head)
    if match is None:
        return None
    name = (match[1] or match[2]).decode("ascii", "replace").lower()
    try:
        name = codecs.lookup(_MEANT.get(name, name)).name
    except LookupError:
        return None
    return None if name in _NOT_CHARSETS else name


class _Page:
    """What lxml's parser tells of a page, as it goes: `start`, `end` and `data` are its calls."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._length = 0  # of the lines, with the ends between them
        self._words: list[str] = []  # of the line that is being written
        self._headings: list[Heading] = []
        self._dropped: list[str] = []  # the elements that are open and left out, the outermost first
        self._depth = 0
        self._pre = 0
        self._heading = 0  # level of the heading that is open
        self._title: list[str] = []
        self._in_title = False
        self._properties: dict[str, str | None] = {}

    def start(self, tag: str, attributes: Any) -> None:
        """Begin an element."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise UnreadableFile(f"HTML with more than {_DEEPEST:,} elements in each other")
        if self._dropped or tag in _DROPPED:
            if tag in _DROPPED:
                self._dropped.append(tag)
            return
        if tag in _BLOCKS:
            self._end_line()
        if tag in _HEADINGS:
            self._heading = _HEADINGS[tag]
        elif tag in _CELLS and self._words:
            self._words.append(" | ")
        elif tag == "meta" and (name := attributes.get("name", "").lower()) in _PROPERTIES:
            self._properties.setdefault(name, attributes.get("content"))
        self._pre += tag == "pre"
        self._in_title = tag == "title"

    def end(self, tag: str) -> None:
        """End an element."""
        self._depth -= 1
        if self._dropped:
            if tag == self._dropped[-1]:
                self._dropped.pop()
            return
        if tag in _BLOCKS:
            self._end_line()
        if tag in _HEADINGS:
            self._heading = 0
        self._pre = max(self._pre - (tag == "pre"), 0)
        self._in_title = False

    def data(self, text: str) -> None:
        """Text, perhaps in several pieces."""
        if self._in_title:
            self._title.append(text)
        elif self._pre and not self._dropped:
            first, *others = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
            self._words.append(first)
            for line in others:
                self._end_line()
                self._words.append(line)
        elif not self._dropped:
            self._words.append(_SPACE.sub(" ", text))

    def comment(self, text: str) -> None:
        """Comments are no text."""

    def close(self) -> None:
        """End the page."""
        self._end_line()

    def reading(self) -> Reading:
        """Give what was read."""
        headings = tuple(self._headings)
        title = one_line("".join(self._title)) or (headings[0].text if headings else "")
        return Reading("\n".join(self._lines), title, headings, metadata=properties(**self._properties))

    def _end_line(self) -> None:
        line = "".join(self._words)
        self._words.clear()
        line = line.rstrip() if self._pre else _SPACE.sub(" ", line).strip()
        if not line and not (self._pre and self._lines and self._lines[-1]):
            return
        if self._heading and line:
            self._headings.append(Heading(self._length, self._heading, one_line(line)))
        self._lines.append(line)
        self._length += len(line) + 1
