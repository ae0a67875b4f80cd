"""What readers share: the limits on a file, the text they return, and helpers for titles and properties."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from indexes.errors import CorpusError, UnreadableFile
from indexes.types import Heading, Table

_DATA_URI = re.compile(
    r"(data:[\w.+-]{1,50}\\?/[\w.+-]{1,100}(?:;[\w.+=-]{1,100}){0,5};base64,)"  # JSON may write \/ for a slash
    r"(?:(?:[A-Za-z0-9+/=_%-]|\\/){64,}|(?=\r?\n[A-Za-z0-9+/]{40}))"
    r"(?P<lines>(?:\r?\n[ \t>]{0,40}[A-Za-z0-9+/]{40,}={0,2})*(?:\r?\n[ \t>]{0,40}[A-Za-z0-9+/]{1,39}={1,2})?)"
)
_DRAWING = re.compile(  # a picture in SVG, written out
    r"""(data:image\\?/svg\+xml(?:;[\w.+=-]{1,100}){0,5},)((?:%3C|<)(?:(?!data:image)[^\n"()]){64,}(?:%3E|>))""",
    re.IGNORECASE,
)
_BLOB = re.compile(  # Base64 that no URI announces, on one line or on many
    r"(?<![A-Za-z0-9+/=_-])(?P<first>[A-Za-z0-9+/]{20})[A-Za-z0-9+/]{980,}={0,2}"
    r"|^(?P<begin>[ \t]{0,40}[A-Za-z0-9+/]{20})(?P<rest>[A-Za-z0-9+/]{36,108}"
    r"(?:\r?\n[ \t]{0,40}[A-Za-z0-9+/]{56,128}){9,}(?:\r?\n[ \t]{0,40}[A-Za-z0-9+/]{1,128}={0,2}(?=\s|$))?)",
    re.MULTILINE,
)
_SHORTEST_BLOB = 500  # characters
_MIXED = re.compile(r"(?=[^A-Z]*[A-Z])(?=[^a-z]*[a-z])(?=[^0-9]*[0-9])")
_LINE_END = re.compile(r"[\r\n]")
_LINE = re.compile(r"([^\r\n]*)(?:\r\n|\r|\n|\Z)")
# Of headings, records or definitions in a file. Without a limit, a file of headings only would take up much memory.
MOST_MARKS = 500_000
_ANY_RATIO = 10_000_000  # bytes or characters, up to which any ratio will do
_MOST_WARNINGS = 10
_TITLE_LENGTH = 200  # characters
_NO_TITLES = ("untitled", "microsoft word", "microsoft powerpoint", "powerpoint ", "slide 1", "word document")
_STRUCK = "~~"  # before and behind what is struck out
_NOTED = re.compile(r"(?:[^\W\d_]{3}|[.,;:!?…。、，；：！？)）」』\]\"”’»])\Z")  # what has a note behind it
_VALUE_LENGTH = 2_000  # characters of a property; a longer one is no property


@dataclass(frozen=True, slots=True)
class ReadText:
    """The text of a file, with its structure: what a reader returns.

    Attributes:
        text: The text.
        title: The title that the file gives; empty if it gives none.
        headings: The headings, in order.
        pages: Where each page begins in the text; empty for formats without pages.
        breaks: Where records, cells or definitions begin: the places where chunks rather begin.
        metadata: The file's properties, such as its author.
        warnings: What could not be read, a line for each.
        tables: The tables with a header row, in order; their rows are among the `breaks`.
        unreadable: The numbers of the pages, from 1, that hold something, but no readable text: OCR is for them.
        includes: The names of files that it includes, as they stand there.
        hidden: How many characters of hidden text are left out and not yet among the warnings.
    """

    text: str
    title: str = ""
    headings: tuple[Heading, ...] = ()
    pages: tuple[int, ...] = ()
    breaks: tuple[int, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    unreadable: tuple[int, ...] = ()
    includes: tuple[str, ...] = ()
    hidden: int = 0


def joined_readings(parts: Iterable[ReadText], between: str) -> ReadText:
    """Return readings as one, such as the chapters of a book: their texts, headings, breaks, tables and hidden text.

    Args:
        parts: The readings.
        between: What stands between two texts.

    Returns:
        The reading, without title, pages, properties and warnings.
    """
    texts: list[str] = []
    headings: list[Heading] = []
    breaks: list[int] = []
    tables: list[Table] = []
    at = hidden = 0
    for part in parts:
        texts.append(part.text)
        headings += (Heading(each.start + at, each.level, each.text) for each in part.headings)
        breaks += (each + at for each in part.breaks)
        tables += (Table(each.start + at, each.end + at, each.header) for each in part.tables)
        at += len(part.text) + len(between)
        hidden += part.hidden
    whole = between.join(texts)
    return ReadText(whole, headings=tuple(headings), breaks=tuple(breaks), tables=tuple(tables), hidden=hidden)


def lines_with_offsets(text: str) -> Iterator[tuple[int, str]]:
    """Yield each line with its offset, without its end: a newline, a carriage return or both."""
    for match in _LINE.finditer(text):
        if match.start() < len(text):
            yield match.start(), match[1]


def without_embedded_files(text: str) -> str:
    """Return text with the data of `data:` URIs, such as pictures in Markdown, as an ellipsis; lines stay.

    Args:
        text: The text of a file.

    Returns:
        The text; other long stretches of Base64 are cut off after their first characters, too.
    """
    if "svg+xml" in text:
        text = _DRAWING.sub(r"\1…", text)
    if ";base64," in text:
        text = _DATA_URI.sub(_ellipsis, text)
    return _BLOB.sub(_cut, text) if len(text) > _SHORTEST_BLOB else text


def _cut(blob: re.Match[str]) -> str:
    """The beginning of what is Base64, and not a sequence of genes, say."""
    if not _MIXED.match(blob[0][:_SHORTEST_BLOB]):
        return blob[0]
    return f"{blob['first'] or blob['begin']}…" + "".join(_LINE_END.findall(blob["rest"] or ""))


def _ellipsis(uri: re.Match[str]) -> str:
    return f"{uri[1]}…" + "".join(_LINE_END.findall(uri["lines"]))


def check_text_length(length: int, most: int) -> None:
    """Check how much text has come out of a file so far.

    Args:
        length: Characters.
        most: The limit, from `ReadLimits.most_text`.

    Raises:
        UnreadableFile: It is over the limit.
    """
    if length > most:
        raise UnreadableFile(f"its text has over {most:,} characters, which is the limit")


def first_warnings(warnings: Sequence[str], rest: str) -> tuple[str, ...]:
    """Return the first ten warnings, and a last one with the number of the others and what they are.

    Args:
        warnings: The warnings.
        rest: What is said of the others, such as "pages are damaged".

    Returns:
        At most eleven warnings.
    """
    more = len(warnings) - _MOST_WARNINGS
    return (*warnings[:_MOST_WARNINGS], *([f"{more:,} more {rest}"] if more > 0 else []))


def quoted_names(names: Sequence[str], most: int) -> str:
    """Write names in a warning: the first ones, and how many others there are.

    Args:
        names: The names.
        most: How many to write.

    Returns:
        `'a', 'b' and 3 more`.
    """
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(f"'{name}'" for name in names[:most]) + more


def not_read(count: int, where: str = "") -> list[str]:
    """Return a warning that so many embedded documents or objects are not read; none for 0.

    Args:
        count: How many.
        where: The part that embeds them, such as "slide 2: "; empty for the document.

    Returns:
        The warnings.
    """
    what = f"{count:,} embedded documents or objects are" if count > 1 else "an embedded document or object is"
    return [f"{where}{what} not read: save them as files of their own"] if count else []


def one_line(text: str) -> str:
    """Return text as a title: white space collapsed, and no longer than 200 characters."""
    return " ".join(text[: 10 * _TITLE_LENGTH].split())[:_TITLE_LENGTH].rstrip()


def superscript(text: str, before: str) -> str:
    """Return superscript text as it is written after other text.

    Args:
        text: The superscript text.
        before: What stands before it.

    Returns:
        `^6` after `10`, which does not become 106, and the number of a note after a word or a sentence: `lamp^6`. Units
        such as m2 have shorter names.
    """
    before = before.removesuffix(_STRUCK)
    is_number = before[-1:].isdigit() and text[:1] in tuple("0123456789+-−")
    is_note = text.isdecimal() and _NOTED.search(before) is not None
    return f"^{text}" if is_number or is_note else text


def add_struck(parts: list[str], text: str) -> None:
    """Add text that is struck out to the pieces of a line, as `~~text~~`.

    Args:
        parts: The pieces. The last one is changed if it ends with text that is struck out.
        text: The text; white space at its ends stays outside.
    """
    bare = text.strip()
    if not bare:
        parts.append(text)
        return
    before, behind = text[: text.index(bare[0])], text[len(text.rstrip()) :]
    if parts and parts[-1].endswith(_STRUCK):
        parts[-1] = parts[-1].removesuffix(_STRUCK)
    else:
        before += _STRUCK
    parts.append(f"{before}{bare}{_STRUCK}{behind}")


def reason_of(error: Exception) -> str:
    """Return what an error of a library says, on one line; the error's name if it says nothing."""
    return one_line(str(error)).rstrip(".") or type(error).__name__


def real_title(text: str) -> str:
    """Return the title among a file's properties, or an empty string for a program's default such as `Untitled`."""
    title = one_line(text)
    return "" if title.lower().startswith(_NO_TITLES) or not any(map(str.isalpha, title)) else title


def properties(**values: str | None) -> dict[str, str]:
    """Return a file's properties, each on one line and bounded, without the empty ones."""
    lines = {name: " ".join((value or "")[:_VALUE_LENGTH].split()) for name, value in values.items()}
    return {name: line for name, line in lines.items() if line}


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """Limits on one file, and how to read it. A file over a limit is refused; the rest of an ingest goes on.

    Attributes:
        max_bytes: The file's size on disk, in bytes.
        max_text: Characters of text, once it is read. From 10 million characters on, `max_unpack_ratio` holds too.
        max_pages: Pages of a PDF.
        max_unpacked: Bytes that an Office file unpacks to.
        max_unpack_ratio: How many times its own size a zipped file may unpack to, and how many characters of text a
            byte of any file may become; not applied up to 10 MB.
        max_seconds: Wall-clock time for a format that is read in the sandbox process.
        max_memory: Bytes of address space for a format that is read in the sandbox process; not enforced by macOS.
        encoding: The encoding of text files; None to detect it.
        ocr: A command that recognises the text of scanned pages; see `indexes.readers.ocr`. None for none.
        max_ocr_seconds: Wall-clock time for that command.
    """

    max_bytes: int = 100_000_000
    max_text: int = 200_000_000
    max_pages: int = 20_000
    max_unpacked: int = 250_000_000
    max_unpack_ratio: int = 200
    max_seconds: float = 120.0
    max_memory: int = 2_000_000_000
    encoding: str | None = None
    ocr: str | None = None
    max_ocr_seconds: float = 1800.0

    def __post_init__(self) -> None:
        """Raises CorpusError for a command that does not say where its input and its output are."""
        if self.ocr is None:
            return
        try:
            words = shlex.split(self.ocr)
        except ValueError as error:
            raise CorpusError(f"the OCR command {self.ocr!r} cannot be split into words: {error}") from error
        if not all(any(name in word for word in words) for name in ("{input}", "{output}")):
            raise CorpusError(
                f"the OCR command {self.ocr!r} needs {{input}} and {{output}}, as in 'ocrmypdf {{input}} {{output}}'"
            )

    def most_unpacked(self, size: int) -> int:
        """Return how many bytes a zipped file may unpack to.

        Args:
            size: Its size, in bytes.

        Returns:
            Bytes.
        """
        return min(self.max_unpacked, max(_ANY_RATIO, size * self.max_unpack_ratio))

    def most_text(self, size: int) -> int:
        """Return how many characters of text a file may have.

        Args:
            size: Its size, in bytes.

        Returns:
            Characters.
        """
        return min(self.max_text, max(_ANY_RATIO, size * self.max_unpack_ratio))


DEFAULT_LIMITS = ReadLimits()
