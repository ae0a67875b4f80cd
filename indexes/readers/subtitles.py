"""SubRip and WebVTT subtitles: what is said, with the time once a minute as a heading."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from indexes.readers.base import MOST_MARKS, ReadLimits, ReadText, lines_with_offsets
from indexes.readers.charset import decode
from indexes.text import ends_sentence
from indexes.types import Heading

_TIME = r"(?:(\d{1,3}):)?(\d{1,2}):(\d{1,2})(?:[.,]\d{1,3})?"
_TIMES = re.compile(rf"\s*{_TIME}\s*-->(?:\s*{_TIME})?")
_VOICE = re.compile(r"<v(?:\.[^ >]*)?[ \t]+([^>]{1,100})>")
_SPEAKER = re.compile(r"[^\W\d_][^:.!?\n]{0,60}: ")
_FURIGANA = re.compile(r"<rt>[^<]{0,200}</rt>|<rt>[^<]{0,200}(?=</ruby>)", re.IGNORECASE)
_BREAK = re.compile(
    r"\\[Nnh]"
)  # of a line, or a space, as programs for Advanced SubStation Alpha write them into SubRip
_TAG = re.compile(r"</?[A-Za-z0-9][^<>]{0,200}>|\{\\[^{}]{0,200}\}")
# Of a sentence that is being said when a minute begins, whose time then comes behind it
_LINES_TO_ITS_END, _PAUSE_WITHIN = 5, 4  # seconds


class _Said(NamedTuple):
    """A line that is shown, from when to when, in seconds."""

    start: int
    end: int
    text: str

    @property
    def minute(self) -> int:
        return self.start // 60


def read_subtitles(data: bytes, limits: ReadLimits) -> ReadText:
    """Read subtitles, with a heading such as `00:05:00` for each minute. A file without any is plain text."""
    lines: list[str] = []
    headings: list[Heading] = []
    length, minute = 0, -1
    whole = decode(data, limits.encoding)
    said = [*_said(whole)]
    said = [*said[:1], *(line for before, line in pairwise(said) if line.text != before.text)]  # captions that roll
    for number, line in enumerate(said):
        if line.minute != minute and len(headings) < MOST_MARKS and not _is_within_sentence(said, number):
            minute = line.minute
            mark = f"{minute // 60:02}:{minute % 60:02}:00"
            headings.append(Heading(length, 1, mark))
            lines.append(mark)
            length += len(mark) + 1
        text = line.text.removeprefix(_speaker(said, number))
        lines.append(text)
        length += len(text) + 1
    return ReadText("\n".join(lines), headings=tuple(headings)) if lines else ReadText(whole)


def _speaker(said: Sequence[_Said], number: int) -> str:
    """Who says a line, as it stands before it, if they go on with a sentence of theirs; otherwise empty."""
    speaker = _SPEAKER.match(said[number].text)
    goes_on = speaker is not None and number and said[number - 1].text.startswith(speaker[0])
    return speaker[0] if speaker is not None and goes_on and _is_within_sentence(said, number) else ""


def _is_within_sentence(said: Sequence[_Said], number: int) -> bool:
    """Whether a line goes on with a sentence that soon ends, as far as subtitles have punctuation."""
    if not number or ends_sentence(said[number - 1].text) or said[number].start - said[number - 1].end > _PAUSE_WITHIN:
        return False
    return any(ends_sentence(line.text) for line in said[number : number + _LINES_TO_ITS_END])


def _said(whole: str) -> Iterator[_Said]:
    """The lines that are shown."""
    may_go_on = not whole.startswith("WEBVTT")  # there, notes and styles stand between cues
    start = end = -60
    is_said = False
    below: list[str] = []  # what stands before a cue: lines of the one above, below a blank one, and its number
    for _, line in lines_with_offsets(whole):
        if times := _TIMES.match(line):
            shown = below[:-1] if below and below[-1].isdecimal() else below
            yield from (_Said(start, end, text) for text in shown if text)
            start = _seconds(*times.groups()[:3])
            end = _seconds(*times.groups()[3:]) if times[5] else start
            is_said, below = True, []
        elif not line.strip():
            is_said = False
        elif not is_said and may_go_on:
            below.append(_shown(line))
        elif is_said and (text := _shown(line)):
            yield _Said(start, end, text)
    if start >= 0:
        yield from (_Said(start, end, text) for text in below if text)


def _seconds(hours: str | None, minutes: str, seconds: str) -> int:
    return (int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds)


def _shown(line: str) -> str:
    """A line of a cue as it is shown, after the name of who says it."""
    said = _TAG.sub("", _FURIGANA.sub("", _VOICE.sub(r"\1: ", line)))
    return html.unescape(_BREAK.sub(" ", said)).strip()
