"""Sentence boundaries, and where to split a sentence that is longer than a chunk."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence

# They end a sentence whatever follows; of Indic scripts, Urdu, Arabic, Burmese, Khmer, Ethiopic and Armenian, too
_STOPS = "。．！？｡︒︕︖" + "\u0964\u0965\u06d4\u061f\u104b\u17d4\u17d5\u1362\u1367\u1368\u0589"
SENTENCE_ENDS = f"{_STOPS}.!?…"
_OPEN, _CLOSE = "「『（【〈《", "」』）】〉》"
_NOTES = r"(?:\[(?:\d{1,3}|[a-z]|note[ ]\d{1,3}|citation[ ]needed)\]|\^\d{1,3}(?!\d)){0,9}"  # numbers of notes
_MARKS = re.compile(
    rf"""(?P<blank>\n[ \t\r　]*\n\s*)   # a paragraph ends; then a list item, a table row, a heading, a record
       | (?P<line>\n(?=[ \t　]*(?:[-*+•・|#>=]|\{{"|\d+[.)]\s|[０-９]+[．）])))
       | (?P<newline>\n)
       | (?P<open>[{_OPEN}])
       | (?P<close>[{_CLOSE}])
       | (?P<stop>[{_STOPS}]+)
       | (?<![.!?…])(?P<latin>[.!?…]+["'”’)\]]*{_NOTES})(?=\s)  # ends one where space follows; a run is tried once
    """,
    re.VERBOSE,
)
_MARK_BEGINS = re.compile(rf"[\n{_OPEN}{_CLOSE}{_STOPS}.!?…]")  # with one of these; found five times as fast
# A full stop after these ends no sentence,
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\[\"“‘])(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|Sra|vs|etc|cf|al|e\.g|i\.e|a\.m|p\.m|Fig|No|pp|vol|approx|Eq"
    r"|Sec|Ch|Gen|Col|Capt|Lt|Sgt|Rev|Gov|Sen|Rep|Mt|Mme|Mlle|(?:[A-Z]\.)+[A-Z])\.$"
)
# nor after these where a number follows, between two of these letters (z. B., т. е.), or in a German date.
_BEFORE_NUMBER = re.compile(
    r"(?:^|[\s(\[\"“‘])(?:nos?|figs?|arts?|secs?|vols?|chs?|pp?|paras?|app|eqs?|tab|approx|ca?|tel|ext|jan|feb|mar|apr|jun|jul"
    r"|aug|sept?|oct|nov|dec|nr|abb|abs|bd|kap|ziff|núm|págs?|рис|стр|гл|табл|ст|пп?)\.$",
    re.IGNORECASE,
)
_INITIAL = re.compile(r"(?<!\S)[A-Z]\.$")
_NUMBER = re.compile(r"\s+[(\[]?\d")
_LETTER, _ANOTHER = re.compile(r"(?:^|[\s(\[])[^\W\d_]\.$"), re.compile(r"\s+[^\W\d_]\.")
_DAY = re.compile(r"(?:^|\s)\d{1,2}\.$")
_MONTH = re.compile(r"\s+(?:Januar|Februar|März|April|Mai|Juni|Juli|August|September|Oktober|November|Dezember)\b")
_ABBREVIATED = ((_BEFORE_NUMBER, _NUMBER), (_LETTER, _ANOTHER), (_DAY, _MONTH))
# Nor does one after the number of a list item, which belongs to what follows.
_ITEM_NUMBER = re.compile(r"\s{0,99}(?:[-*+]\s{1,9})?(?:\d{1,3}|[a-z]|[ivx]{2,5}|[IVX]{2,5})[.．]")
# A heading in a markup language is one line, with or without a blank one below; so are a rule or an underline, a line
# in bold type or in 【】, and a short one behind a mark such as ■.
_ONE_LINE = re.compile(  # of bounded length, since it is tried at each line of a sentence
    r"""\s{0,99}(?: (?:\#{1,6} | ={1,6})[ \t]
              | \\(?:part|chapter|(?:sub){0,2}section)\*?\{[^\n]{0,200}\}
              | ([=\-~^*+\#])\1{1,200}[ \t]{0,9}\Z
              | (?:\*\*[^\n*]{1,200}\*\*[:：]? | 【[^】\n]{0,99}】 | [■□◆◇●○◎▼▽★☆][^\n。、]{1,30})[ \t]{0,9}\Z )
    """,
    re.VERBOSE,
)
# With a date or a time before each line, every line is a record: of a chat, a log, a programme.
_STAMP = re.compile(r"\s{0,99}[\[(【]?(?:\d{1,4}[-/.年]\d{1,2}[-/.月]\d{1,4}(?!\d)|\d{1,2}:\d{2}(?!\d))")
# So it is with a name and a colon before each: 場所：第二会議室, Place: Room 2.
_FIELD = re.compile(
    r"[ \t\u3000]{0,99}(?:[^\s:：、。,.;!?]{1,20} ){0,2}[^\s:：、。,.;!?]{1,20}[ \t]?(?:：|:[ \t])[ \t]?\S"
)
_STARTS_SENTENCE = re.compile(r"\s+[\"¿¡«„'“‘(\[「『*_`]*(?P<first>[^\W_])")
_ENDED = re.compile(rf"[{SENTENCE_ENDS}][{_CLOSE}\"'”’)\]]*{_NOTES}$")
_LONGEST_QUOTE = 1000  # characters; past it a bracket was probably never closed


def ends_sentence(text: str) -> bool:
    """Tell whether a text ends as sentences do; headings and cells of tables do not.

    Args:
        text: The text, in any language.

    Returns:
        Whether it ends with a mark that ends sentences, whatever brackets or quotation marks close behind it.
    """
    return _ENDED.search(text) is not None


def sentence_spans(text: str, begin: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """Find the sentences of `text[begin:end]`.

    No sentence ends inside Japanese brackets (「…。」). Paragraphs, list items, table rows and headings end one too.

    Args:
        text: The text, in any language.
        begin: Where to begin.
        end: Where to end; None is the end of the text.

    Yields:
        (start, end) of each sentence in `text`, in order, without the white space around it.
    """
    end = len(text) if end is None else end
    start, opened = begin, []
    for mark in _marks(text, begin, end):
        kind = mark.lastgroup
        if kind == "open":
            opened.append(mark.start())
        elif kind == "close":
            if opened:
                opened.pop()
        elif _ends_sentence(text, mark, opened, start, end):
            opened.clear()
            if span := _trim(text, start, mark.end()):
                yield span
            start = mark.end()
    if span := _trim(text, start, end):
        yield span


def _marks(text: str, begin: int, end: int) -> Iterator[re.Match[str]]:
    """What may end a sentence, or stands around one, in order."""
    while begins := _MARK_BEGINS.search(text, begin, end):
        mark = _MARKS.match(text, begins.start(), end)
        begin = begins.end() if mark is None else mark.end()
        if mark is not None:
            yield mark


def _ends_sentence(text: str, mark: re.Match[str], opened: list[int], begin: int, end: int) -> bool:
    """Whether a mark ends the sentence that begins at `begin`."""
    if mark.lastgroup in ("blank", "line"):
        return True
    if opened and mark.start() - opened[0] < _LONGEST_QUOTE:
        return False
    if mark.lastgroup == "newline":
        if _ONE_LINE.match(text, begin, mark.start()):
            return True
        if any(each.match(text, begin, end) and each.match(text, mark.end(), end) for each in (_STAMP, _FIELD)):
            return True
        ended = _ENDED.search(text, max(begin, mark.start() - 16), mark.start()) is not None
        return ended and not _goes_on_below(text, begin, mark.start(), end)
    if _ITEM_NUMBER.fullmatch(text, begin, mark.end()):
        return False
    if mark.lastgroup == "stop":
        return True
    following = _STARTS_SENTENCE.match(text, mark.end(), end)
    if following is None or following["first"].islower():
        return False
    before = text[max(begin, mark.start() - 12) : mark.end()]
    if _ABBREVIATION.search(before):
        return False
    return not any(ends.search(before) and starts.match(text, mark.end(), end) for ends, starts in _ABBREVIATED)


def _goes_on_below(text: str, begin: int, line_end: int, end: int) -> bool:
    """Whether a line that ends with a full stop ends with an abbreviation, or is the number of an item below it."""
    if _ITEM_NUMBER.fullmatch(text, begin, line_end):
        return True
    before = text[max(begin, line_end - 12) : line_end]
    following = _STARTS_SENTENCE.match(text, line_end, end)
    if following is not None and following["first"].islower() and _ABBREVIATION.search(before):
        return not _INITIAL.search(before)  # "marked by an X."
    return any(ends.search(before) and starts.match(text, line_end, end) for ends, starts in _ABBREVIATED)


def row_spans(text: str, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Find the rows of a table in `text[begin:end]`: its lines, joined where a quotation mark is open at their end.

    Args:
        text: The text.
        begin: Where to begin.
        end: Where to end.

    Yields:
        (start, end) of each row in `text`, in order, without the white space around it.
    """
    quotes = text.count('"', begin, end) % 2 == 0  # otherwise they are inches, say
    start, is_open = begin, False
    while start < end:
        place = start
        while True:
            line_end = text.find("\n", place, end)
            line_end = end if line_end < 0 else line_end + 1
            is_open ^= quotes and text.count('"', place, line_end) % 2 == 1
            place = line_end
            if not is_open or place >= end:
                break
        if span := _trim(text, start, place):
            yield span
        start = place


def _trim(text: str, start: int, end: int) -> tuple[int, int] | None:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return (start, end) if start < end else None


_BRACKETS = re.compile(f"[{_OPEN}{_CLOSE}]")
_LEAST_FILLED = 2  # a part is at least half full, if a cut outside of brackets lets it be
# How good it is to cut after a character; after any other, 0.
_PAUSES = {
    **dict.fromkeys(f"\n{SENTENCE_ENDS}", 3),
    **dict.fromkeys("、，；：︑;:,」』）】〉》", 2),
    **dict.fromkeys(" \t　", 1),
}


def cut_places(text: str, places: Sequence[int], longest: int) -> list[int]:
    """Choose where to split a text that is too long into parts.

    Args:
        text: The text.
        places: The offsets where it may be split, such as those of its tokens, rising from the text's beginning.
        longest: The most places in a part.

    Returns:
        Where the parts begin, without the first part. Text in Japanese brackets stays in one part if it fits.
    """
    held = _bracketed(text, places, longest)
    cuts, begin = [], 0
    while len(places) - begin > longest:
        window = range(begin + 1, begin + longest + 1)
        begin = max(
            window, key=lambda i: (i not in held, i - begin >= longest // _LEAST_FILLED, _pause(text, places[i]), i)
        )
        cuts.append(begin)
    return [places[i] for i in cuts]


def _pause(text: str, place: int) -> int:
    """How good it is to cut at a place."""
    pause = _PAUSES.get(text[place - 1], 0)
    return _PAUSES.get(text[place - 2], pause) if pause == 1 and place > 1 else pause


def _bracketed(text: str, places: Sequence[int], longest: int) -> set[int]:
    """The indices of the places between brackets that fit into a part."""
    held: set[int] = set()
    opened: list[int] = []
    for bracket in _BRACKETS.finditer(text):
        index = bisect_right(places, bracket.start())
        if bracket.group() in _OPEN:
            opened.append(index)
        elif opened:
            first = opened.pop()
            if index - first < longest:
                held.update(range(first, index))
    return held
