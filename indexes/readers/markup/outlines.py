"""LaTeX, Org and AsciiDoc: the file's own text, with its headings, title and author."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from indexes.readers.base import (
    MOST_MARKS,
    ReadLimits,
    ReadText,
    lines_with_offsets,
    one_line,
    properties,
    real_title,
    without_embedded_files,
)
from indexes.readers.charset import decode_source
from indexes.readers.markup.definitions import ASCIIDOC_NAMES, LATEX_NAMES, ORG_NAMES, with_definitions
from indexes.readers.markup.front_matter import without_front_matter
from indexes.readers.markup.includes import ASCIIDOC, LATEX, ORG, included
from indexes.readers.markup.references import with_accents
from indexes.readers.markup.tables import MarkupTables, asciidoc_tables, latex_tables, org_tables
from indexes.types import Heading

_SECTIONS = ("part", "chapter", "section", "subsection", "subsubsection", "paragraph", "subparagraph")
_SECTION = re.compile(rf"\s*\\({'|'.join(_SECTIONS)})\*?\s*(?:\[[^\]]*\]\s*)?\{{(.*)")
_TITLE = re.compile(r"\s*\\(title|author)\s*(?:\[[^\]]*\]\s*)?\{(.*)")
_VERBATIM = re.compile(r"\s*\\(begin|end)\{(verbatim\*?|lstlisting|minted|comment|Verbatim)\}")
_LATEX_COMMENT = re.compile(r"(?<!\\)%[^\n]*")
_BESIDE = re.compile(r"\\(?:thanks|footnote|label|inst)\{(?:[^{}]|\{[^{}]*\})*\}")  # a title or the name of an author
_COMMAND = re.compile(r"\\(?:[A-Za-z]+\*?\s?|.)|[{}]")
_ORG_HEADING = re.compile(r"(\*+)[ \t]+(?:(?:TODO|DONE)[ \t]+)?(?:\[#[A-Z]\][ \t]+)?(.*?)(?:[ \t]+:[\w@#%:]+:)?[ \t]*$")
_ORG_KEYWORD = re.compile(r"#\+(title|author|description|keywords):[ \t]*(.*)", re.IGNORECASE)
_ORG_BLOCK = re.compile(r"\s*#\+(begin|end)_(\w+)", re.IGNORECASE)
_ADOC_HEADING = re.compile(r"(={1,6}|#{1,6})[ \t]+(\S.*)")
_ADOC_ATTRIBUTE = re.compile(r":(title|author|description|keywords):[ \t]+(.*)")
_ADOC_FENCE = re.compile(r"(-{4,}|/{4,}|\.{4,}|\+{4,}|`{3,})[ \t]*$|(```)\w*$")


def read_latex(data: bytes, limits: ReadLimits) -> ReadText:
    """Read LaTeX as it is, with its sectioning commands as headings.

    Args:
        data: The file's bytes.
        limits: What it may hold.

    Returns:
        The text, with headings, and title and author as metadata.

    Raises:
        UnreadableFile: It is not text, or its encoding cannot be told.
    """
    text = with_definitions(with_accents(_text(data, limits)), LATEX_NAMES)
    headings: list[tuple[int, int, str]] = []
    about: dict[str, str | None] = {}
    environment = ""
    for offset, line in lines_with_offsets(text):
        if verbatim := _VERBATIM.match(line):
            environment = verbatim[2] if verbatim[1] == "begin" and not environment else ""
        elif environment:
            continue
        elif section := _SECTION.match(line):
            headings.append((offset, _SECTIONS.index(section[1]) + 1, _plain(section[2])))
        elif named := _TITLE.match(line):
            about.setdefault(named[1], _plain(named[2]))
    return _reading(text, about, _from_level_one(headings), latex_tables(text), LATEX)


def read_bibtex(data: bytes, limits: ReadLimits) -> ReadText:
    """Read a bibliography as it is, with its accents as letters.

    Args:
        data: The file's bytes.
        limits: What it may hold.

    Returns:
        The text.

    Raises:
        UnreadableFile: It is not text, or its encoding cannot be told.
    """
    return ReadText(with_accents(_text(data, limits)))


def read_org(data: bytes, limits: ReadLimits) -> ReadText:
    """Read an Org file as it is, with the headings that begin with asterisks.

    Args:
        data: The file's bytes.
        limits: What it may hold.

    Returns:
        The text, with headings, and its keywords as metadata.

    Raises:
        UnreadableFile: It is not text, or its encoding cannot be told.
    """
    front, text = without_front_matter(_text(data, limits))
    text = with_definitions(text, ORG_NAMES)
    headings: list[tuple[int, int, str]] = []
    about: dict[str, str | None] = {**front}
    block = ""
    for offset, line in lines_with_offsets(text):
        if marker := _ORG_BLOCK.match(line):
            if not block and marker[1].lower() == "begin":
                block = marker[2].lower()
            elif marker[2].lower() == block:
                block = ""
        elif not block and (heading := _ORG_HEADING.match(line[:2_000])):
            headings.append((offset, len(heading[1]), heading[2]))
        elif keyword := _ORG_KEYWORD.match(line):
            about.setdefault(keyword[1].lower(), keyword[2])
    return _reading(text, about, headings, org_tables(text), ORG)


def read_asciidoc(data: bytes, limits: ReadLimits) -> ReadText:
    """Read AsciiDoc as it is, with the headings that begin with equals signs.

    Args:
        data: The file's bytes.
        limits: What it may hold.

    Returns:
        The text, with headings, and its header as metadata.

    Raises:
        UnreadableFile: It is not text, or its encoding cannot be told.
    """
    front, text = without_front_matter(_text(data, limits))
    text = with_definitions(text, ASCIIDOC_NAMES)
    headings: list[tuple[int, int, str]] = []
    about: dict[str, str | None] = {**front}
    fence = ""
    for offset, line in lines_with_offsets(text):
        marker = _ADOC_FENCE.match(line)
        if marker and (not fence or (marker[1] or marker[2]) == fence):
            fence = "" if fence else marker[1] or marker[2]
        elif fence:
            continue
        elif heading := _ADOC_HEADING.match(line):
            headings.append((offset, len(heading[1]), heading[2].rstrip("=# \t") or heading[2]))
        elif attribute := _ADOC_ATTRIBUTE.match(line):
            about.setdefault(attribute[1], attribute[2])
    return _reading(text, about, headings, asciidoc_tables(text), ASCIIDOC)


def _text(data: bytes, limits: ReadLimits) -> str:
    return without_embedded_files(decode_source(data, limits.encoding))


def _reading(
    text: str,
    about: dict[str, str | None],
    headings: Iterable[tuple[int, int, str]],
    found_tables: MarkupTables,
    includes: re.Pattern[str],
) -> ReadText:
    found = properties(**about)
    title = real_title(found.pop("title", ""))
    tables, rows = found_tables
    files = included(_LATEX_COMMENT.sub("", text) if includes is LATEX else text, includes)
    marks = tuple(_headings(headings))
    return ReadText(text, title, marks, breaks=rows, metadata=found, tables=tables, includes=files)


def _headings(found: Iterable[tuple[int, int, str]]) -> Iterator[Heading]:
    for number, (offset, level, text) in enumerate(found):
        if number == MOST_MARKS:
            return
        if title := one_line(text):
            yield Heading(offset, min(level, 9), title)


def _from_level_one(headings: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """The headings with levels from 1 on: most documents have no parts, and many no chapters."""
    first = min((level for _, level, _ in headings), default=1)
    return [(offset, level - first + 1, text) for offset, level, text in headings]


def _plain(argument: str) -> str:
    """The text of a command's argument up to its closing brace, without the commands in it."""
    depth = 1
    for at, character in enumerate(argument[:2_000]):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            argument = argument[:at]
            break
    argument = _BESIDE.sub(" ", argument)
    return " ".join(_COMMAND.sub("", argument.replace(r"\\", " ").replace("~", " ")).split())
