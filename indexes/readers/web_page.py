"""HTML in whatever encoding it is, given to lxml's parser piece by piece; html_text takes what it tells."""

from __future__ import annotations

import codecs
import re

from indexes.encoding import decode
from indexes.errors import UnreadableFile
from indexes.readers.html_text import Page
from indexes.readers.limits import ReadLimits
from indexes.readers.reading import Reading, one_line

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
_PIECE = 1 << 16  # characters given to the parser at once


def read_web_page(data: bytes, limits: ReadLimits) -> Reading:
    """The main text: a line for each block, table cells joined by ` | `, `pre` as it is, no scripts and navigation."""
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
