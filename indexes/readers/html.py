"""HTML: the visible text of a page, with its headings and its title."""

from __future__ import annotations

import codecs
import re
from contextlib import suppress
from typing import Any, NamedTuple

from indexes.errors import UnreadableFile
from indexes.readers.base import MOST_MARKS, ReadLimits, ReadText, one_line, properties
from indexes.readers.charset import decode
from indexes.readers.tables import row_tables
from indexes.types import Heading


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_DROPPED = _names(
    "audio button canvas datalist footer iframe math nav noscript object rp rt rtc script select style svg template"
    " textarea video"
)
_DROPPED_ROLES = _names("alertdialog banner contentinfo dialog navigation search")
_DROPPED_CLASSES = _names(  # skip links, links at headings, and menus of pages from before there was `nav`
    "anchor-link anchorjs-link breadcrumb breadcrumbs header-anchor headerlink mw-editsection nav navbar navigation"
    " noprint site-footer site-nav skip-link skip-to-content skiplink"
)
_CONSENT = re.compile(
    r"(?:cookie|consent|gdpr)s?[-_]?(?:banner|bar|consent|dialog|law|message|modal|notice|overlay|popup)|onetrust|cookiebot",
    re.IGNORECASE,
)
_NOT_SHOWN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_KEPT = _names("article body head html main")  # whatever their attributes: scripts often make them visible later
_BLOCKS = _names(
    "address article aside blockquote body br caption center dd details dialog dir div dl dt fieldset"
    " figcaption figure form h1 h2 h3 h4 h5 h6 header hr html legend li main menu ol p pre section summary"
    " table tbody tfoot thead title tr ul"
)
_SOFT = _names("br div p")  # in a table's cell, they do not end its row
_PROPERTIES = _names("author description keywords")  # among the `meta` elements
_CELLS = _names("td th")
_ENOUGH = 200  # characters from which on a `main` is taken as the page's text
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_DEEPEST = 5_000  # elements in each other: libxml2 looks through them at each end tag that fits none
_SPACE = re.compile(r"[ \t\n\r\f]+")
_JAPANESE = "\u3000-\u30ff\u3400-\u9fff\uff00-\uffef"
_LINE_END_IN_JAPANESE = re.compile(rf"(?<=[{_JAPANESE}])[ \t]*[\r\n][ \t\r\n]*(?=[{_JAPANESE}])")  # no space, as in CSS


class _Line(NamedTuple):
    text: str
    level: int  # of a heading; 0 for other lines
    inside: str  # "main", "article" or ""
    table: int  # the number of the table that it is a row of; 0 for other lines


class Page:
    """The target of lxml's parser, which calls `start`, `end` and `data` as it goes."""

    def __init__(self) -> None:
        self._lines: list[_Line] = []
        self._words: list[str] = []  # of the line that is being written
        self._dropped: list[str] = []  # the elements that are open and left out, the outermost first
        self._table = 0  # the number of the last one
        self._cells = 0  # in the row at hand
        self._open = {"main": 0, "article": 0, "table": 0, "td": 0, "th": 0, "pre": 0}  # how many of each
        self._depth = 0
        self._ends = False  # whether the line ends before more text comes
        self._heading = 0  # level of the heading that is open
        self._title: list[str] = []
        self._in_title = False
        self._properties: dict[str, str | None] = {}

    def start(self, tag: str, attributes: Any) -> None:
        """Begin an element."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise UnreadableFile(f"HTML with more than {_DEEPEST:,} elements in each other")
        if self._dropped:
            if tag in _DROPPED or tag == self._dropped[-1]:
                self._dropped.append(tag)
            return
        if tag in _DROPPED or self._is_beside_the_text(tag, attributes):
            self._dropped.append(tag)
            return
        if tag in _CELLS:
            self._begin_cell()
        elif tag in _BLOCKS:
            self._break(tag)
        elif tag == "meta" and (name := attributes.get("name", "").lower()) in _PROPERTIES:
            self._properties.setdefault(name, attributes.get("content"))
        self._heading = _HEADINGS.get(tag, self._heading)
        if tag in self._open:
            self._open[tag] += 1
            self._table += tag == "table"
        self._in_title = tag == "title"

    def end(self, tag: str) -> None:
        """End an element."""
        self._depth -= 1
        if self._dropped:
            if tag == self._dropped[-1]:
                self._dropped.pop()
            return
        if tag in _BLOCKS:
            self._break(tag)
        if tag in _HEADINGS:
            self._heading = 0
        if tag in self._open:
            self._open[tag] = max(self._open[tag] - 1, 0)
        self._in_title = False

    def data(self, text: str) -> None:
        """Add text, perhaps in several pieces."""
        if self._in_title:
            self._title.append(text)
        elif self._dropped:
            return
        elif self._open["pre"]:
            first, *others = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
            self._words.append(first)
            for line in others:
                self._end_line()
                self._words.append(line)
        else:
            if self._ends and not text.isspace():
                self._end_line()
            text = _SPACE.sub(" ", _LINE_END_IN_JAPANESE.sub("", text))
            if text != " " or (self._words and not self._words[-1].endswith(" ")):
                self._words.append(text)

    def close(self) -> None:
        """End the page."""
        self._end_line()

    def reading(self) -> ReadText:
        """Return the main text, or all text where the page does not mark the main part."""
        lines, headings, length = [], [], 0
        rows: list[tuple[int, int]] = []
        for line in self._main_lines():
            if line.level and line.text:
                headings.append(Heading(length, line.level, one_line(line.text)))
            if line.table and len(rows) < MOST_MARKS:
                rows.append((length, line.table))
            lines.append(line.text)
            length += len(line.text) + 1
        title, text = one_line("".join(self._title)), "\n".join(lines)
        tables = row_tables(text, rows)
        breaks = tuple(start for start, _ in rows) if tables else ()
        about = properties(**self._properties)
        return ReadText(text, title, tuple(headings), breaks=breaks, metadata=about, tables=tables)

    def _main_lines(self) -> list[_Line]:
        total = sum(len(line.text) for line in self._lines)
        for inside in (("main",), ("article", "main")):
            lines = [line for line in self._lines if line.inside in inside]
            length = sum(len(line.text) for line in lines)
            if length >= _ENOUGH or length * 2 > total:
                return lines
        return self._lines

    def _is_beside_the_text(self, tag: str, attributes: Any) -> bool:
        if tag in _KEPT:
            return False
        if tag == "aside" and not (self._open["main"] or self._open["article"]):
            return True
        if not attributes:
            return False
        classes = attributes.get("class", "").lower()[:1_000]
        return (
            attributes.get("hidden", "until-found") != "until-found"
            or attributes.get("aria-hidden") == "true"
            or attributes.get("role", "").lower() in _DROPPED_ROLES
            or not _DROPPED_CLASSES.isdisjoint(classes.split())
            or _CONSENT.search(f"{classes} {attributes.get('id', '')[:200]}") is not None
            or _NOT_SHOWN.search(attributes.get("style", "")[:1_000]) is not None
        )

    def _begin_cell(self) -> None:
        self._cells += 1
        self._ends = False
        if self._words:
            self._words.append(" | ")

    def _break(self, tag: str) -> None:
        if tag in _SOFT and (self._open["td"] or self._open["th"]) and not self._open["pre"]:
            self._ends = bool(self._words) and not self._words[-1].endswith(" | ")
        else:
            self._end_line()

    def _end_line(self) -> None:
        line = "".join(self._words)
        self._words.clear()
        self._ends = False
        is_pre = self._open["pre"] > 0
        line = line.rstrip() if is_pre else _SPACE.sub(" ", line).strip()
        if line or (is_pre and self._lines and self._lines[-1].text):
            inside = next((name for name in ("main", "article") if self._open[name]), "")
            table = self._table if self._open["table"] and self._cells > 1 else 0
            self._lines.append(_Line(line, self._heading, inside, table))
        self._cells = 0


_DECLARED = re.compile(
    rb"""<meta[^>]{0,400}?charset\s*=\s*["']?\s*([\w:.-]+)|<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w:.-]+)""",
    re.IGNORECASE,
)
_NOT_CHARSETS = frozenset({"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7"})
_SEARCHED = 4_096  # bytes at the beginning in which a charset may be declared
_MEANT = {  # what a browser takes these names to mean
    **dict.fromkeys(_names("shift_jis shift-jis x-sjis sjis windows-31j"), "cp932"),
    "x-euc-jp": "euc_jp",
    **dict.fromkeys(_names("iso-8859-1 latin1 us-ascii"), "cp1252"),
    **dict.fromkeys(_names("gb2312 gbk"), "gb18030"),
    "utf-16": "utf-8",  # whoever could read the declaration was not reading UTF-16
}
_PIECE = 1 << 16  # characters given to the parser at once


def read_web_page(data: bytes, limits: ReadLimits) -> ReadText:
    """Read the main text: a line for each block, table cells joined by ` | `, `pre` as it is, without navigation."""
    from lxml import etree

    text = _decode(data, limits.encoding)
    page = Page()
    parser = etree.HTMLParser(target=page, huge_tree=True)  # huge_tree: no bound on depth, which would cut the page off
    try:
        for start in range(0, len(text), _PIECE):
            parser.feed(text[start : start + _PIECE])
        parser.close()
    except (etree.LxmlError, ValueError) as error:
        raise UnreadableFile(f"cannot be read as HTML: {one_line(str(error))}") from error
    return page.reading()


def _decode(data: bytes, encoding: str | None) -> str:
    """Decode by the user's encoding, else by the one that the page declares if it fits, else by detection."""
    declared = None if encoding else _declared(data[:_SEARCHED])
    if declared is not None:
        with suppress(UnreadableFile):
            return decode(data, declared)
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
