"""SubRip and WebVTT subtitles: what is said, with the time once a minute as a heading."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator

from indexes.readers.base import MOST_MARKS, ReadLimits, ReadText, lines_with_offsets
from indexes.readers.charset import decode
from indexes.types import Heading

_TIMES = re.compile(r"\s*(?:(\d{1,3}):)?(\d{1,2}):(\d{1,2})(?:[.,]\d{1,3})?\s*-->")
_VOICE = re.compile(r"<v(?:\.[^ >]*)?[ \t]+([^>]{1,100})>")
_FURIGANA = re.compile(r"<rt>[^<]{0,200}</rt>|<rt>[^<]{0,200}(?=</ruby>)", re.IGNORECASE)
_BREAK = re.compile(
    r"\\[Nnh]"
)  # of a line, or a space, as programs for Advanced SubStation Alpha write them into SubRip
_TAG = re.compile(r"</?[A-Za-z0-9][^<>]{0,200}>|\{\\[^{}]{0,200}\}")


def read_subtitles(data: bytes, limits: ReadLimits) -> ReadText:
    """Read subtitles, with a heading such as `00:05:00` for each minute. A file without any is plain text."""
    lines: list[str] = []
    headings: list[Heading] = []
    length, minute = 0, -1
    whole = decode(data, limits.encoding)
    for time, text in _said(whole):
        if lines and text == lines[-1]:  # captions that roll repeat the line before
            continue
        if time != minute and len(headings) < MOST_MARKS:
            minute = time
            mark = f"{time // 60:02}:{time % 60:02}:00"
            headings.append(Heading(length, 1, mark))
            lines.append(mark)
            length += len(mark) + 1
        lines.append(text)
        length += len(text) + 1
    return ReadText("\n".join(lines), headings=tuple(headings)) if lines else ReadText(whole)


def _said(whole: str) -> Iterator[tuple[int, str]]:
    """The minute and the text of each line that is shown."""
    may_go_on = not whole.startswith("WEBVTT")  # there, notes and styles stand between cues
    time = -1
    is_said = False
    below: list[str] = []  # what stands before a cue: lines of the one above, below a blank one, and its number
    for _, line in lines_with_offsets(whole):
        if times := _TIMES.match(line):
            yield from _lines(time, below[:-1] if below and below[-1].isdecimal() else below)
            time, is_said, below = int(times[1] or 0) * 60 + int(times[2]), True, []
        elif not line.strip():
            is_said = False
        elif is_said:
            yield from _lines(time, [_shown(line)])
        elif may_go_on:
            below.append(_shown(line))
    if time >= 0:
        yield from _lines(time, below)


def _lines(time: int, texts: Iterable[str]) -> Iterator[tuple[int, str]]:
    return ((time, text) for text in texts if text)


def _shown(line: str) -> str:
    """A line of a cue as it is shown, after the name of who says it."""
    said = _TAG.sub("", _FURIGANA.sub("", _VOICE.sub(r"\1: ", line)))
    return html.unescape(_BREAK.sub(" ", said)).strip()
