"""Texts of Aozora Bunko: without ruby and notes on the layout, which are in them as 《…》 and ［＃…］."""

from __future__ import annotations

import re
from contextlib import suppress

from indexes.readers.base import MOST_MARKS, ReadText, lines_with_offsets, one_line, properties
from indexes.types import Heading

_NOTE = re.compile(r"［＃[^［］\n]{1,200}］")
_NOT_IN_JIS = re.compile(
    r"※［＃[^［］\n]{0,200}?(?:(?P<plane>[12])-(?P<row>\d{1,2})-(?P<cell>\d{1,2})|U\+(?P<code>[0-9A-F]{4,5}))[^［］\n]{0,60}］"
)
_RUBY = re.compile(r"(?<=[^\s《》])《[^《》\n]{1,50}》")
_BASE = re.compile(r"｜(?=[^《》｜\n]{1,50}《[^《》\n]{1,50}》)")  # where the characters begin that have ruby
_SAID = re.compile(r"注記］\Z")  # a note that is text
_HEADING = re.compile(r"［＃(?:「[^」\n]*」は|ここから|同行|窓)?(?P<level>[大中小])見出し］")
_LEVELS = "大中小"


def is_annotated(text: str) -> bool:
    """Return whether a text has notes as Aozora Bunko writes them."""
    return "［＃" in text and _NOTE.search(text) is not None


def without_annotations(text: str) -> ReadText:
    """Take the annotations out of a text; its lines stay.

    Args:
        text: The text.

    Returns:
        The text with its headings; the first two lines are its title and its author.
    """
    text = _NOT_IN_JIS.sub(_character, text)
    lines, headings, length = list[str](), list[Heading](), 0
    for _, line in lines_with_offsets(text):
        heading = _HEADING.search(line)
        plain = _RUBY.sub("", _BASE.sub("", _NOTE.sub(_without_note, line)))
        if heading is not None and plain.strip() and len(headings) < MOST_MARKS:
            headings.append(Heading(length, 1 + _LEVELS.index(heading["level"]), one_line(plain)))
        lines.append(plain)
        length += len(plain) + 1
    title, author = (*(line for line in lines[:2] if line.strip()), "", "")[:2]
    whole = "\n".join(lines) + "\n"
    return ReadText(whole, title=one_line(title), headings=tuple(headings), metadata=properties(author=author))


def _without_note(note: re.Match[str]) -> str:
    return note[0] if _SAID.search(note[0]) else ""


def _character(note: re.Match[str]) -> str:
    """The character that a note describes by its place in JIS X 0213 or in Unicode; the note if there is none."""
    if note["code"]:
        return chr(int(note["code"], 16)) if int(note["code"], 16) < 0x110000 else note[0]
    data = bytes(0xA0 + int(note[name]) for name in ("row", "cell"))
    with suppress(UnicodeDecodeError, ValueError):
        return (b"\x8f" * (note["plane"] == "2") + data).decode("euc_jisx0213")
    return note[0]
