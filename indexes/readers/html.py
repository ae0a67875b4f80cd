"""HTML: the visible text of a page, with its headings and its title."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from indexes.errors import UnreadableFile
from indexes.readers.base import ReadLimits, ReadText, one_line, properties
from indexes.readers.declared_encoding import decode_declared
from indexes.readers.mathml import MathText
from indexes.types import Heading


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_DROPPED = _names(
    "audio canvas datalist footer iframe nav noscript object rp rt rtc script select style svg template textarea video"
)
_DROPPED_ROLES = _names("alertdialog banner contentinfo dialog navigation search")
_PANEL_ROLES = _names("region tabpanel")
_DROPPED_CLASSES = _names(  # skip links, links at headings, and menus of pages from before there was `nav`
    "anchor-link anchorjs-link breadcrumb breadcrumbs header-anchor headerlink mw-editsection nav navbar navigation"
    " noprint site-footer site-nav skip-link skip-to-content skiplink"
)
_CONSENT = re.compile(
    r"(?:cookie|consent|gdpr)s?[-_]?(?:banner|bar|consent|dialog|law|message|modal|notice|overlay|popup)|onetrust|cookiebot",
    re.IGNORECASE,
)
# What a script folds and unfolds: the answers of a list of questions, the tabs of a page.
_PANEL = re.compile(r"accordion|answer|collaps|faq|math|panel|tab-?pane", re.IGNORECASE)
_TOGGLE = re.compile(r"accordion|collaps|faq|question|toggle", re.IGNORECASE)
_NO_TOGGLE = re.compile(r"\bnav|menu|search|share|cart|lang", re.IGNORECASE)
_SHORTEST_LABEL = 12  # bytes in UTF-8: two words, or four kanji
_PROSE = 80  # bytes in UTF-8 from which on a line is more than an entry of a menu
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


class _Button(NamedTuple):
    """A button that is open: how many lines and words there were before it, and whether it is a heading or folds."""

    lines: int
    words: int
    is_heading: bool
    folds: bool


class _Line(NamedTuple):
    text: str
    level: int  # of a heading; 0 for other lines
    inside: str  # "main", "article" or ""


class Page:
    """The target of lxml's parser, which calls `start`, `end` and `data` as it goes."""

    def __init__(self) -> None:
        self._lines: list[_Line] = []
        self._words: list[str] = []  # of the line that is being written
        self._dropped: list[str] = []  # the elements that are open and left out, the outermost first
        self._open = {
            "main": 0,
            "article": 0,
            "td": 0,
            "th": 0,
            "pre": 0,
            "dt": 0,
            "summary": 0,
        }  # how many of each are
        self._main_depths: list[int] = []  # of the elements that are open and have the role
        self._button: _Button | None = None
        self._math: MathText | None = None
        self._alternative = ""  # of the equation
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
        if self._math is not None:
            self._math.start(tag)
            return
        if self._dropped:
            if tag in _DROPPED or tag == self._dropped[-1]:
                self._dropped.append(tag)
            return
        if tag in _DROPPED or self._is_beside_the_text(tag, attributes):
            self._dropped.append(tag)
            return
        if tag == "math":
            self._math, self._alternative = MathText(), attributes.get("alttext", "")
            return
        if attributes.get("role", "").lower() == "main":
            self._main_depths.append(self._depth)
        if tag == "button":
            self._begin_button(attributes)
        if tag in _CELLS:
            self._ends = False
            if self._words:
                self._words.append(" | ")
        elif tag in _BLOCKS:
            self._break(tag)
        elif tag == "meta" and (name := attributes.get("name", "").lower()) in _PROPERTIES:
            self._properties.setdefault(name, attributes.get("content"))
        self._heading = _HEADINGS.get(tag, self._heading)
        if tag in self._open:
            self._open[tag] += 1
        self._in_title = tag == "title"

    def end(self, tag: str) -> None:
        """End an element."""
        self._depth -= 1
        if self._math is not None:
            self._end_in_math(tag)
            return
        if self._dropped:
            if tag == self._dropped[-1]:
                self._dropped.pop()
            return
        if tag == "button":
            self._end_button()
        if tag in _BLOCKS:
            self._break(tag)
        if tag in _HEADINGS:
            self._heading = 0
        if self._main_depths and self._depth < self._main_depths[-1]:
            self._main_depths.pop()
        if tag in self._open:
            self._open[tag] = max(self._open[tag] - 1, 0)
        self._in_title = False

    def data(self, text: str) -> None:
        """Add text, perhaps in several pieces."""
        if self._math is not None:
            self._math.data(text)
        elif self._in_title:
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
        for line in self._main_lines():
            if line.level and line.text:
                headings.append(Heading(length, line.level, one_line(line.text)))
            lines.append(line.text)
            length += len(line.text) + 1
        title = one_line("".join(self._title))
        return ReadText("\n".join(lines), title, tuple(headings), metadata=properties(**self._properties))

    def _main_lines(self) -> list[_Line]:
        total = sum(len(line.text) for line in self._lines)
        for inside, share in ((("main",), 1.0), (("article", "main"), 0.25)):  # an article may be a teaser or a comment
            lines = [line for line in self._lines if line.inside in inside]
            length = sum(len(line.text) for line in lines)
            outside = sum(len(line.text) for line in self._lines if line.inside not in inside and _is_prose(line.text))
            if (length >= _ENOUGH or length * 2 > total) and outside <= share * length:
                return lines
        return self._lines

    def _begin_button(self, attributes: Any) -> None:
        named = " ".join(
            attributes.get(name, "")[:1_000] for name in ("class", "id", "aria-controls", "data-bs-toggle")
        )
        folds = attributes.get("aria-expanded") is not None or _TOGGLE.search(named) is not None
        is_heading = bool(self._heading or self._open["dt"] or self._open["summary"])
        folds = folds and not _NO_TOGGLE.search(named)
        self._button = _Button(len(self._lines), len(self._words), is_heading, folds)

    def _end_button(self) -> None:
        """Drop the text of a button, unless it is a heading, a question, or folds and unfolds what follows."""
        button, self._button = self._button, None
        if button is None:
            return
        is_split = len(self._lines) > button.lines
        words = self._words if is_split else self._words[button.words :]
        text = " ".join([*(line.text for line in self._lines[button.lines :]), "".join(words)]).strip()
        is_label = button.is_heading or text.endswith(("?", "？"))
        if is_label or (button.folds and len(text.encode("utf-8", "replace")) >= _SHORTEST_LABEL):
            return
        if not is_split:
            del self._words[button.words :]
        elif not button.words:
            del self._lines[button.lines :]
            self._words.clear()

    def _end_in_math(self, tag: str) -> None:
        assert self._math is not None
        if tag == "math":
            self._words.append(self._math.text() or self._alternative)
            self._math = None
        else:
            self._math.end()

    def _is_beside_the_text(self, tag: str, attributes: Any) -> bool:
        if tag in _KEPT:
            return False
        if tag == "aside" and not (self._open["main"] or self._open["article"]):
            return True
        if not attributes:
            return False
        classes = attributes.get("class", "").lower()[:1_000]
        named = f"{classes} {attributes.get('id', '')[:200]}"
        role = attributes.get("role", "").lower()
        if (
            role in _DROPPED_ROLES
            or not _DROPPED_CLASSES.isdisjoint(classes.split())
            or _CONSENT.search(named) is not None
        ):
            return True
        if attributes.get("aria-hidden") == "true" and "katex" in classes:
            return True  # the equation once more, after its MathML
        is_hidden = (
            attributes.get("hidden", "until-found") != "until-found"
            or attributes.get("aria-hidden") == "true"
            or _NOT_SHOWN.search(attributes.get("style", "")[:1_000]) is not None
        )
        return is_hidden and role not in _PANEL_ROLES and not _PANEL.search(named)

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
            inside = (
                "main" if self._main_depths else next((name for name in ("main", "article") if self._open[name]), "")
            )
            self._lines.append(_Line(line, self._heading, inside))


def _is_prose(text: str) -> bool:
    return len(text.encode("utf-8", "replace")) >= _PROSE


_PIECE = 1 << 16  # characters given to the parser at once


def read_web_page(data: bytes, limits: ReadLimits) -> ReadText:
    """Read the main text: a line for each block, table cells joined by ` | `, `pre` as it is, without navigation."""
    from lxml import etree

    text = decode_declared(data, limits.encoding)
    page = Page()
    parser = etree.HTMLParser(target=page, huge_tree=True)  # huge_tree: no bound on depth, which would cut the page off
    try:
        for start in range(0, len(text), _PIECE):
            parser.feed(text[start : start + _PIECE])
        parser.close()
    except (etree.LxmlError, ValueError) as error:
        raise UnreadableFile(f"cannot be read as HTML: {one_line(str(error))}") from error
    return page.reading()
