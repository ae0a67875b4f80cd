"""Word documents (.docx): paragraphs and tables in the order of the document, with its headings.

Footnotes, comments, headers and pictures are left out; text boxes stand where they are anchored.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from io import BytesIO
from typing import Any

from indexes.errors import UnreadableFile
from indexes.readers.limits import ReadLimits
from indexes.readers.reading import Reading, one_line, properties
from indexes.types import Heading

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"  # a text box again
_HEADING_STYLE = re.compile(r"(?:heading|見出し)\s*([1-9])", re.IGNORECASE)
_TITLE_STYLES = frozenset({"title", "表題", "タイトル"})
_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # an OLE container
_RATIO_FROM = 10_000_000  # bytes unpacked, up to which any ratio will do
_BLOCK = 1 << 20
_STYLES_DEEP = 20  # a style is based on another, and in a hostile file on itself


def read_word(data: bytes, limits: ReadLimits) -> Reading:
    """A line for each paragraph and for each row of a table, its cells joined by ` | `."""
    if data.startswith(_OLD_OFFICE):
        raise UnreadableFile(
            "an encrypted or old Office file under the name of a .docx; save it as .docx without a password"
        )
    _check_unpacked_size(data, limits)
    try:
        return _read(data)
    except (UnreadableFile, MemoryError, RecursionError):
        raise
    except Exception as error:  # python-docx lets through whatever a broken file provokes: KeyError, …
        raise UnreadableFile(f"a broken .docx: {one_line(str(error)) or type(error).__name__}") from error


def _check_unpacked_size(data: bytes, limits: ReadLimits) -> None:
    """Unpack without keeping anything, so that neither a bomb nor a false header reaches python-docx."""
    most = min(limits.max_unpacked, max(_RATIO_FROM, len(data) * limits.max_unpack_ratio))
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            parts = archive.infolist()
            _check_size(sum(part.file_size for part in parts), most, len(data))
            total = 0
            for part in parts:
                with archive.open(part) as file:
                    while block := file.read(_BLOCK):
                        total += len(block)
                        _check_size(total, most, len(data))
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
        raise UnreadableFile(f"not a .docx, or a broken one: {one_line(str(error))}") from error
    except (RuntimeError, NotImplementedError) as error:  # a password; a compression that Word does not use
        raise UnreadableFile(f"a .docx that cannot be unpacked: {one_line(str(error))}") from error


def _check_size(unpacked: int, most: int, packed: int) -> None:
    if unpacked > most:
        raise UnreadableFile(f"unpacks to {unpacked:,} bytes or more, which is too much for a file of {packed:,}")


def _read(data: bytes) -> Reading:
    import docx

    document = docx.Document(BytesIO(data))
    body = _Body(_heading_styles(document.styles.element))
    body.walk(document.element.body)
    core = document.core_properties
    title = one_line(core.title or "") or body.title
    headings = tuple(body.headings)
    about = properties(author=core.author, subject=core.subject, keywords=core.keywords)
    return Reading("\n".join(body.lines), title or (headings[0].text if headings else ""), headings, metadata=about)


def _heading_styles(styles: Any) -> dict[str, int]:
    """The level of each style that makes a paragraph a heading, by the style's id; 0 for the title."""
    levels: dict[str, int] = {}
    bases: dict[str, str] = {}
    for style in styles.iter(f"{_W}style"):
        name, identifier = _value(style, "name") or "", style.get(f"{_W}styleId") or ""
        named = _HEADING_STYLE.match(name)
        outline = _outline_level(style)
        if name.lower() in _TITLE_STYLES:
            levels[identifier] = 0
        elif named or outline:
            levels[identifier] = int(named[1]) if named else outline
        bases[identifier] = _value(style, "basedOn") or ""
    for identifier in bases:
        base = identifier
        for _ in range(_STYLES_DEEP):
            if base in levels:
                levels.setdefault(identifier, levels[base])
                break
            base = bases.get(base, "")
    return levels


def _outline_level(element: Any) -> int:
    """1 to 9, or 0 for body text."""
    level = _value(element, "pPr", "outlineLvl") or ""
    return int(level) + 1 if level in tuple("012345678") else 0


def _value(element: Any, *path: str) -> str | None:
    found = element.find("/".join(_W + name for name in path))
    return None if found is None else found.get(f"{_W}val")


class _Body:
    """The lines of a document, as a walk through its XML finds them."""

    def __init__(self, styles: dict[str, int]) -> None:
        self.lines: list[str] = []
        self.headings: list[Heading] = []
        self.title = ""
        self._styles = styles
        self._length = 0
        self._pieces: list[str] = []  # of the paragraph or the row that is being read
        self._rows = 0  # how many rows are open, one within the other

    def walk(self, body: Any) -> None:
        """Read everything, without recursion."""
        from lxml import etree

        walker = etree.iterwalk(body, events=("start", "end"))
        starts = {
            "t": self._text,
            "tab": self._tab,
            "br": self._tab,
            "cr": self._tab,
            "tr": self._row,
            "tc": self._cell,
        }
        ends = {"p": self._end_paragraph, "tr": self._end_row}
        for event, element in walker:
            if event == "start" and element.tag in (_FALLBACK, f"{_W}moveFrom", f"{_W}pPr"):
                walker.skip_subtree()
            elif isinstance(element.tag, str) and element.tag.startswith(_W):
                act = (starts if event == "start" else ends).get(element.tag.removeprefix(_W))
                if act is not None:
                    act(element)
        self._end_line(None)

    def _text(self, element: Any) -> None:
        self._pieces.append(element.text or "")

    def _tab(self, element: Any) -> None:
        self._pieces.append("\t" if element.tag == f"{_W}tab" else " ")

    def _row(self, element: Any) -> None:
        self._rows += 1

    def _cell(self, element: Any) -> None:
        if self._pieces:
            self._pieces[-1] = self._pieces[-1].rstrip() + " | "

    def _end_paragraph(self, element: Any) -> None:
        if self._rows:
            self._pieces.append(" ")
        else:
            self._end_line(element)

    def _end_row(self, element: Any) -> None:
        self._rows -= 1
        if not self._rows:
            self._end_line(None)

    def _end_line(self, paragraph: Any) -> None:
        line = "".join(self._pieces).strip()
        self._pieces.clear()
        if not line.strip(" |"):
            return
        level = None if paragraph is None else self._level(paragraph)
        if level == 0 and not self.title:
            self.title = one_line(line)
        elif level:
            self.headings.append(Heading(self._length, level, one_line(line)))
        self.lines.append(line)
        self._length += len(line) + 1

    def _level(self, paragraph: Any) -> int | None:
        style = _value(paragraph, "pPr", "pStyle") or ""
        return _outline_level(paragraph) or self._styles.get(style)
