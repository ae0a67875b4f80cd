"""Headers and footers: their text without the numbers of pages, which are others on each page."""

from __future__ import annotations

import re

NUMBER = "\ufdd0"  # stands for the number of a page, today's date and the like; it is no character of any text
_BEFORE = (
    r"pages?|pg|pág|pag|p|seiten?|s|side|sidan?|sivu|página|pagina|blz|strona|str|strana|stránka|oldal|sayfa|lk"
    r"|trang|страница|стр|of|von|av|af|de|di|van|sur|z|ze|av|из"
)
_BESIDE = "ページ|ぺーじ|頁|页|第|共|全|中|쪽|페이지|총|หน้า"  # with no space between them and a number
_WORD = rf"(?:(?<!\w)(?:{_BEFORE})(?!\w)|{_BESIDE})"
_NUMBERS = re.compile(
    rf"(?:{_WORD}[\s.:]*){{0,2}}{NUMBER}(?:[^\w{NUMBER}]*(?:{_WORD}[^\w{NUMBER}]*){{0,3}}{NUMBER})*"
    rf"(?:\s*(?:(?:pages|seiten)(?!\w)|{_BESIDE}))?",
    re.IGNORECASE,
)
_EMPTY = re.compile(r"[(\[（［]\s*[)\]）］]")
_LONGEST = 1_000  # characters of a line in which there is a number of a page
_AT_ENDS = " \t\u00a0\u3000-–—‐|/／·・•_,:;"


def without_numbers(line: str) -> str:
    """Return a line of a header or a footer as far as it is the same on all pages.

    Args:
        line: The line, with `NUMBER` in the place of what is not.

    Returns:
        The line without them and the words beside them, such as `Page` and `of`; empty if nothing else is in it.
    """
    if NUMBER not in line:
        return line
    if len(line) > _LONGEST:
        return line.replace(NUMBER, "")
    line = _EMPTY.sub("", _NUMBERS.sub("", line)).strip(_AT_ENDS)
    return line if any(map(str.isalnum, line)) else ""
