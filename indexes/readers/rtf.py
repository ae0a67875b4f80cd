"""Rich Text Format: paragraphs, headings, table rows and footnotes, in the code page of each font.

Headers and footers come last.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from indexes.readers.base import ReadLimits, ReadText, add_struck, not_read, properties, real_title, superscript
from indexes.readers.hidden import left_out
from indexes.readers.lines import Lines
from indexes.readers.office import alternative_text, is_page_number, shown_by_code
from indexes.readers.running_text import NUMBER
from indexes.readers.symbols import is_symbol_font, symbols
from indexes.readers.text import read_plain

RTF = b"{\\rtf"  # what a file begins with
_TOKEN = re.compile(
    rb"\\([A-Za-z]{1,32})(-?[0-9]{1,10})? ?|\\'([0-9A-Fa-f]{2})|\\(.)|([{}])|[\r\n]+|([^\\{}\r\n]+)", re.DOTALL
)
_CODE_PAGES = {  # of the character sets that fonts have
    **{0: 1252, 77: 10000, 128: 932, 129: 949, 130: 1361, 134: 936, 136: 950, 161: 1253, 162: 1254, 163: 1258},
    **{177: 1255, 178: 1256, 186: 1257, 204: 1251, 222: 874, 238: 1250, 254: 437, 255: 850},
}
_FILE_SETS = {"mac": 10000, "pc": 437, "pca": 850}
_MARKUP = (b"\\", b"{", b"}")
_CODECS = {10000: "mac_roman", 1361: "johab", 65001: "utf-8", 936: "gbk"}
_CHARACTERS = {
    **{"tab": " ", "emdash": "—", "endash": "–", "bullet": "•", "lquote": "‘", "rquote": "’", "ldblquote": "“"},
    **{"rdblquote": "”", "emspace": " ", "enspace": " ", "qmspace": " ", "line": "\n"},
    "shptxt": " ",  # a box in the midst of a paragraph
}
_LOOKS = frozenset(
    {"v", "deleted", "mvf", "plain", "super", "up", "sub", "dn", "nosupersub", "strike", "striked"}
)  # properties of characters, and of the fonts and code pages that they are in
_SET = _LOOKS | {"ansicpg", "mac", "pc", "pca", "uc", "f", "fcharset", "cpg"}
_SYMBOLS = {b"~": "\u00a0", b"_": "\u2011", b"\\": "\\", b"{": "{", b"}": "}", b"\n": "\n", b"\r": "\n"}
_ENDS = frozenset({"par", "sect", "page", "column"})
_HEADERS = frozenset(f"{name}{which}" for name in ("header", "footer") for which in ("", "f", "l", "r"))
_NUMBERS = frozenset({"chdate", "chdpa", "chdpl", "chpgn", "chtime"})  # in a header
_LEFT_OUT = frozenset(
    {"colortbl", "datastore", "filetbl", "ftncn", "ftnsep", "info", "latentstyles", "listoverridetable", "listtable"}
    | {"nonesttables", "objdata", "objclass", "objname", "pict", "private", "revtbl", "rsidtbl", "tc"}
    | {"themedata", "xe"}
)
_PROPERTIES = frozenset({"title", "author", "subject", "keywords"})
_IN_LINE = frozenset({"annotation", "footnote"})
_SHAPE_TEXTS = frozenset({"gtextUNICODE", "wzDescription"})  # properties of shapes and pictures that are words
_SHOWN = frozenset({"", "header", *_IN_LINE})
_KEPT_ANYWAY = frozenset({"shpinst", "shptxt", "objattph"})  # though the group says that it may be ignored
_HEADING = re.compile(r"(?:heading|見出し)\s*([1-6])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _State:
    """What a group inherits from the one around it."""

    destination: str = ""  # "" for the document's text; "-" for what is left out
    code_page: int = 1252
    is_own: bool = False  # whether that is the file's code page, and no font says another
    fallback: int = 1  # how many characters follow one in Unicode, for programs that do not know it
    hidden: bool = False
    deleted: bool = False  # or moved from here
    raised: bool = False
    struck: bool = False
    font: str = ""  # one of symbols


def read_rtf(data: bytes, limits: ReadLimits) -> ReadText:
    """Read RTF: a line for each paragraph and table row, without pictures. Other text is kept."""
    if not data.lstrip().startswith(RTF):
        return read_plain(data, limits)  # as word processors do
    document = _Document(Lines(limits.most_text(len(data))))
    at = 0
    while match := _TOKEN.match(data, at):
        at = match.end() + document.token(match)
    return document.reading()


class _Document:
    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._state, self._stack = _State(), list[_State]()
        self._default = 1252
        self._units = bytearray()  # UTF-16 of the paragraph
        self._bytes = bytearray()  # characters in the code page, not yet decoded
        self._skip = 0  # characters that stand for one in Unicode
        self._starred = False
        self._fonts: dict[int, int] = {}
        self._symbol_fonts: dict[int, str] = {}  # their names
        self._font, self._style = 0, 0
        self._levels: dict[int, int] = {}  # of the styles that are headings
        self._level = 0
        self._in_table = False
        self._cells: list[str] = []
        self._author, self._begin_author = "", 0  # of the next comment, and where the name begins in the paragraph
        self._objects = self._hidden = 0
        self._headers: list[str] = []  # and footers
        self._raised = self._struck = 0  # where such text ends in the paragraph
        self._beside: tuple[Lines, bytearray, list[str], bool, int] | None = None  # of the text, while one is read
        self._begin_property, self._property = 0, ""  # of a shape or a picture: its name
        self._begin_field, self._is_shown = 0, False  # of a field, and whether it is shown without its result
        self._about: dict[str, str | None] = {}

    def token(self, match: re.Match[bytes]) -> int:
        """Take a token. Returns how many bytes after it are no RTF."""
        word, number, code, symbol, brace, text = match.groups()
        if code is not None:
            self._add_bytes(bytes([int(code, 16)]))
        elif text is not None:
            self._add_bytes(text)
            if text[-1] >= 0x80 and (second := match.string[match.end() : match.end() + 1]) in _MARKUP:
                return self._second_byte(second)
        else:
            self._flush()
            if brace == b"{":
                self._stack.append(self._state)
            elif brace == b"}":
                self._close()
            elif symbol == b"*":
                self._starred = True
            elif symbol is not None:
                self._add(_SYMBOLS.get(symbol, ""))
            elif word is not None:
                return self._word(word.decode("ascii"), None if number is None else int(number))
        return 0

    def _second_byte(self, second: bytes) -> int:
        """Take a byte that looks like markup, if it is the second of a character. Returns how many were taken."""
        try:
            (self._bytes + second).decode(self._codec(self._state.code_page))
        except (LookupError, UnicodeDecodeError):
            return 0
        try:
            self._bytes.decode(self._codec(self._state.code_page))
        except UnicodeDecodeError:  # a first byte is left over without it
            self._add_bytes(second)
            return 1
        return 0

    def reading(self) -> ReadText:
        """Return the text."""
        self._flush()
        self._end_header()
        self._end_text()
        for header in self._headers:
            self._lines.running(header)
        self._lines.warnings += left_out(self._hidden)
        self._lines.warnings += not_read(self._objects)
        found = properties(**self._about)
        return self._lines.reading(real_title(found.pop("title", "")), found)

    def _word(self, word: str, number: int | None) -> int:
        starred, self._starred = self._starred, False
        state = self._state
        if word == "bin":
            return max(number or 0, 0)
        if word == "u":
            self._add_unit((number or 0) & 0xFFFF)
            self._skip = state.fallback
        elif word in _SET:
            self._set(word, number)
        elif word in ("fonttbl", "stylesheet") or word in _PROPERTIES:
            self._state = replace(state, destination=word)
        elif word == "atnauthor":
            self._begin_author = len(self._units)
            self._state = replace(state, destination=word)
        elif word in _IN_LINE:
            by = f" by {self._author}" if self._author else ""
            self._add(" [" if word == "footnote" else f" [Comment{by}: ")
            self._state = replace(state, destination=word, raised=False, struck=False)
        elif self._is_special(word):
            return 0
        elif word in _LEFT_OUT or (starred and word not in _KEPT_ANYWAY):
            self._objects += word == "objdata"
            self._state = replace(state, destination="-")
        elif word in _CHARACTERS:
            self._add(_CHARACTERS[word])
        else:
            self._paragraph_word(word, number)
        return 0

    def _begin_header(self) -> None:
        """Read a header or a footer beside the text, in which it stands."""
        is_read = self._beside is None and not self._state.destination
        self._state = replace(self._state, destination="header" if is_read else "-", hidden=False, deleted=False)
        if is_read:
            self._beside = (self._lines, self._units, self._cells, self._in_table, self._level)
            self._lines, self._units, self._cells = Lines(self._lines.most), bytearray(), []
            self._in_table, self._level = False, 0

    def _end_header(self) -> None:
        if self._beside is not None:
            self._end_text()
            self._headers.append(self._lines.reading("", {}).text)
            self._lines, self._units, self._cells, self._in_table, self._level = self._beside
            self._beside = None

    def _is_special(self, word: str) -> bool:
        """Take a word that begins a header or a part of a field, or that is the number of a page in a header."""
        if word in _HEADERS:
            self._begin_header()
        elif word == "fldinst" and self._state.destination not in ("-", word):
            self._begin_field, self._is_shown = len(self._units), False
            self._state = replace(self._state, destination=word)
        elif word == "sn" or (word == "sv" and self._property in _SHAPE_TEXTS):
            self._begin_property = len(self._units)
            self._state = replace(self._state, destination=word)
        elif word == "sv" or (word == "fldrslt" and self._is_shown):
            self._state = replace(self._state, destination="-")
        elif word in _NUMBERS and self._beside is not None:
            self._add(NUMBER)
        else:
            return False
        return True

    def _set(self, word: str, number: int | None) -> None:
        """A property of characters."""
        if word == "ansicpg":
            self._default = number or 1252
            self._state = replace(self._state, code_page=self._default)
        elif word in _FILE_SETS:
            self._default = _FILE_SETS[word]
            self._state = replace(self._state, code_page=self._default)
        elif word == "uc":
            self._state = replace(self._state, fallback=min(max(number or 0, 0), 10))
        elif word in _LOOKS:
            self._set_look(word, is_on=number != 0)
        elif word == "f" and self._state.destination == "fonttbl":
            self._font = number or 0
        elif word == "f":
            page, font = self._fonts.get(number or 0), self._symbol_fonts.get(number or 0, "")
            self._state = replace(self._state, code_page=page or self._default, is_own=page is None, font=font)
        else:
            page = _CODE_PAGES.get(number or 0) if word == "fcharset" else number
            if page and not (word == "fcharset" and number == 0):  # set 0 is the file's own
                self._fonts[self._font] = page

    def _set_look(self, word: str, *, is_on: bool) -> None:
        """Whether characters are hidden, deleted, raised or struck out."""
        if word == "plain":
            self._state = replace(self._state, hidden=False, deleted=False, raised=False, struck=False, font="")
        elif word == "v":
            self._state = replace(self._state, hidden=is_on)
        elif word in ("deleted", "mvf"):
            self._state = replace(self._state, deleted=is_on)
        elif word in ("strike", "striked"):
            self._state = replace(self._state, struck=is_on)
        else:
            self._state = replace(self._state, raised=is_on and word in ("super", "up"))

    def _paragraph_word(self, word: str, number: int | None) -> None:
        """A property of paragraphs, or the end of one."""
        if word == "pard":
            self._in_table, self._level = False, 0
        elif word == "intbl":
            self._in_table = True
        elif word == "outlinelevel" and 0 <= (number or 0) < 6:
            self._level = (number or 0) + 1
        elif word == "s":
            self._style = number or 0
            self._level = self._levels.get(self._style, self._level)
        elif word in _ENDS and (self._in_table or self._state.destination in _IN_LINE):
            self._add(" ")
        elif word in _ENDS and self._state.destination in ("", "header"):
            self._end_paragraph()
        elif word in ("cell", "nestcell"):
            self._cells.append(self._taken())
        elif word in ("row", "nestrow"):
            self._lines.row(self._cells)
            self._cells = []

    def _close(self) -> None:
        """End a group."""
        state = self._state
        if self._stack:
            self._state = self._stack.pop()
        self._starred = False
        if state.destination == "stylesheet":
            if heading := _HEADING.match(self._taken()):
                self._levels[self._style] = int(heading[1])
            self._style = 0
        elif state.destination == "fonttbl":
            if is_symbol_font(name := self._taken().rstrip(";")):
                self._symbol_fonts[self._font] = name
        elif state.destination != self._state.destination:
            self._end_destination(state.destination)

    def _end_destination(self, part: str) -> None:
        """End what is no text of the document itself, or stands in brackets in it."""
        if part in _IN_LINE:
            self._add("]")
            self._author = ""
        elif part == "atnauthor":
            self._author = self._cut(self._begin_author).strip()
        elif part == "header":
            self._end_header()
        elif part == "fldinst":
            self._end_code()
        elif part in ("sn", "sv"):
            self._end_shape_property(part)
        elif part in _PROPERTIES:
            self._about.setdefault(part, self._taken())

    def _cut(self, begin: int) -> str:
        """Take out the end of the paragraph so far."""
        text = self._units[begin:].decode("utf-16-le", "replace")
        del self._units[begin:]
        return text

    def _end_code(self) -> None:
        """Put what the code of a field shows in its place."""
        code = self._cut(self._begin_field)
        shown = NUMBER if self._beside is not None and is_page_number(code) else shown_by_code(code)
        self._is_shown = bool(shown)
        self._add(shown)

    def _end_shape_property(self, part: str) -> None:
        """Take the name of a property, or its value, which is text."""
        text = self._cut(self._begin_property).strip()
        if part == "sn":
            self._property = text
        elif text := alternative_text(text):
            self._state, outer = replace(self._state, destination=""), self._state  # also of a picture
            self._add(f" {text} ")
            self._state = outer

    def _add_bytes(self, data: bytes) -> None:
        skipped = min(self._skip, len(data))
        self._skip -= skipped
        self._bytes += data[skipped:]

    def _add_unit(self, unit: int) -> None:
        if self._state.font or self._state.struck or self._state.raised:
            self._add(chr(unit))
        elif self._is_shown_text("x"):
            self._units += unit.to_bytes(2, "little")

    def _add(self, text: str) -> None:
        if not self._is_shown_text(text):
            return
        state = self._state
        if state.destination in _SHOWN and (state.font or state.raised or state.struck):
            text = self._as_set(text)
        self._units += text.encode("utf-16-le", "surrogatepass")

    def _as_set(self, text: str) -> str:
        """Text in a font of symbols, raised or struck out."""
        state = self._state
        text = symbols(state.font, text) if state.font else text
        if state.raised and self._raised != len(self._units):
            text = superscript(text, self._last(3))
        if state.struck:
            parts = [self._cut(len(self._units) - 4)] if self._struck == len(self._units) > 0 else []
            add_struck(parts, text)
            text = "".join(parts)
        end = len(self._units) + len(text.encode("utf-16-le", "surrogatepass"))
        self._raised, self._struck = end if state.raised else self._raised, end if state.struck else self._struck
        return text

    def _last(self, characters: int) -> str:
        """The end of the paragraph so far."""
        return self._units[-2 * characters :].decode("utf-16-le", "replace")

    def _is_shown_text(self, text: str) -> bool:
        """Whether text is neither left out nor deleted nor hidden; what is hidden is counted."""
        state = self._state
        is_hidden = state.hidden and not state.deleted and state.destination in _SHOWN
        self._hidden += len(text.strip()) if is_hidden else 0
        return state.destination != "-" and not state.hidden and not state.deleted

    def _flush(self) -> None:
        if self._bytes:
            try:
                text = self._bytes.decode(self._codec(self._state.code_page))
            except (LookupError, UnicodeDecodeError) as error:
                # the set of characters that is the file's own is Western to other programs
                is_western = isinstance(error, LookupError) or (self._state.is_own and not self._bytes.isascii())
                codec = "cp1252" if is_western else self._codec(self._state.code_page)
                text = self._bytes.decode(codec, "replace")
            self._bytes.clear()
            self._add(text)

    @staticmethod
    def _codec(page: int) -> str:
        return _CODECS.get(page, f"cp{page}")

    def _taken(self) -> str:
        """The text of the paragraph so far, which is ended."""
        text = self._units.decode("utf-16-le", "replace")
        self._units.clear()
        self._raised = self._struck = 0
        return text.strip()

    def _end_text(self) -> None:
        self._end_paragraph()
        if self._cells:
            self._lines.row(self._cells)

    def _end_paragraph(self) -> None:
        text = self._taken()
        if self._level and text:
            self._lines.blank()
            self._lines.heading(text, self._level)
        else:
            self._lines.add(text)
