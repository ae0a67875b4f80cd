"""SubRip and WebVTT subtitles: what is said, with the time once a minute as a heading."""

from __future__ import annotations

import html
import re

from indexes.readers.base import MOST_MARKS, ReadLimits, ReadText, lines_with_offsets
from indexes.readers.charset import decode
from indexes.types import Heading

_TIMES = re.compile(r"\s*(?:(\d{1,3}):)?(\d{1,2}):(\d{1,2})[.,]\d{1,3}\s*-->")
_VOICE = re.compile(r"<v(?:\.[^ >]*)?[ \t]+([^>]{1,100})>")
_TAG = re.compile(r"</?[A-Za-z0-9][^<>]{0,200}>|\{\\[^{}]{0,200}\}")


def read_subtitles(data: bytes, limits: ReadLimits) -> ReadText:
    """Read subtitles, with a heading such as `00:05:00` for each minute. A file without any is plain text."""
    lines: list[str] = []
    headings: list[Heading] = []
    length, minute, time = 0, -1, 0
    is_said = False  # numbers, notes and styles stand before a cue's times, or without any
    whole = decode(data, limits.encoding)
    for _, line in lines_with_offsets(whole):
        if times := _TIMES.match(line):
            time, is_said = int(times[1] or 0) * 60 + int(times[2]), True
            continue
        if not line.strip():
            is_said = False
            continue
        text = _shown(line) if is_said else ""
        if not text or (lines and text == lines[-1]):  # captions that roll repeat the line before
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


def _shown(line: str) -> str:
    """A line of a cue as it is shown, after the name of who says it."""
    return html.unescape(_TAG.sub("", _VOICE.sub(r"\1: ", line))).strip()
