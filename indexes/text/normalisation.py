"""Putting text right: what files hold beside the characters that a reader sees, with a map back to the original.

Soft hyphens, zero-width characters and directional marks are dropped; Kangxi radicals, compatibility ideographs,
ligatures, vertical punctuation and Arabic presentation forms become the characters that they stand for; a carriage
return alone becomes a newline. Full-width letters, half-width kana, separate accents and characters such as ㈱ and ①
stay: their authors wrote them so, and search folds them. Of characters printed one upon the other, the last one stays,
and what is for a terminal alone, such as a colour, is dropped.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from indexes.offsets import Shifts, clean_offset

# Of U+2E80 to U+2EF3, the CJK radicals supplement: its characters by Unicode's EquivalentUnifiedIdeograph.txt. NFKC
# knows two of them only, and fonts of Japanese PDFs map 長, 民 and others to them.
_RADICALS = (
    "⺀厂乛乚乙亻冂𠘨刀刂卜㔾小小兀尣尢𡯂巳幺彑彐忄心扌攵⺚旡日月歺母民氵氺灬爫爫丬牛犭王𤴔目示礻𥫗糹纟罓罒㓁冗𦉫羊𦍌𦍋耂"
    "肀聿肉𦥑艹艹艹虎衤覀西见角𧢲讠贝𧾷车辶辶辶邑钅長镸长门𨸏阝雨青韦页风飞食𩙿飠饣𩠐马骨鬼鱼鸟卤麦黄黾斉齐歯齿竜龙龜亀龟"
)
_ZERO_WIDTH = "\u00ad\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff"
# A zero-width (non-)joiner is a part of the spelling of Arabic and Indic scripts, and of emoji; elsewhere left over.
_JOINER = "(?<![\u0590-\u1cff\u2190-\u2bff\ufe0f\U0001f000-\U0001faff])[\u200c\u200d]"
_FORMS = (
    "\u2e80-\u2ef3\u2f00-\u2fd5\uf900-\ufaff\ufb00-\ufdff\ufe10-\ufe1f\ufe30-\ufe6f\ufe70-\ufefc\U0002f800-\U0002fa1d"
)
# Combining marks, such as vowels of Indic scripts: they belong to the letter before, and are no letters for `re`.
MARKS = "".join(mark for mark in map(chr, range(0x300, 0x1D00)) if unicodedata.category(mark).startswith("M"))
_MOST_MARKS = 30  # on one letter, as in Unicode's stream-safe text format: to sort more takes quadratic time
_KINDS = (
    rf"(?P<dropped>[{_ZERO_WIDTH}]|{_JOINER})|(?P<form>[{_FORMS}])"
    r"|(?P<return>\r(?!\n))"
)
_ODD = re.compile(_KINDS)
# One character printed upon another makes it bold or underlined: N␈N and _␈s, in manual pages above all.
_OVERSTRUCK = r"(?P<overstruck>(?:[^\r\n\b][\b])+(?=[^\r\n\b_])|(?<=[^\r\n\b])(?:[\b]_)+)"
# What tells a terminal to show colours, titles and links (ECMA-48), in logs and outputs of programs above all.
_ESCAPE = (
    r"(?P<escape>\x1b(?:\[[0-?]{0,100}[ -/]{0,5}[@-~]|\][^\x07\x1b\r\n]{0,2000}(?:\x07|\x1b\\)|[ -/][0-~]|[0-Z\\^-~])?)"
)
_ODD_OR_PRINTED = re.compile(f"{_OVERSTRUCK}|{_ESCAPE}|{_KINDS}")
_CJK = r"[\u3000-\u9fff\uff00-\uffef]"
_WRAPPED = re.compile(rf"(?<={_CJK})[^\S\r\n]{{0,40}}\r?\n[^\S\r\n]*(?={_CJK})")
_VERTICAL = re.compile("[\ufe10-\ufe19\ufe30-\ufe6f]")


@dataclass(frozen=True, slots=True)
class CleanText:
    """A text that was put right, and where it differs from the original.

    Attributes:
        text: The text.
        shifts: Where the lengths differ; empty if all offsets are equal.
    """

    text: str
    shifts: Shifts = ()

    def offset(self, original: int) -> int:
        """Translate an offset in the original into one in `text`.

        Args:
            original: The offset in the original.

        Returns:
            The offset in `text`; of what was dropped, that of the next character.
        """
        return clean_offset(self.shifts, original)


def clean(text: str) -> CleanText:
    """Put a text right; see the module.

    A part of a text that begins and ends between characters of the clean text becomes that part of the clean text.

    Args:
        text: The text as it was read.

    Returns:
        The clean text with its map.
    """
    odd = _ODD_OR_PRINTED if "\b" in text or "\x1b" in text else _ODD
    if (text.isascii() and "\r" not in text and odd is _ODD) or not odd.search(text):
        return CleanText(text)
    parts: list[str] = []
    shifts: list[tuple[int, int]] = []
    length = done = 0
    for found in odd.finditer(text):
        new = _replacement(found)
        parts += (text[done : found.start()], new)
        length += found.start() - done + len(new)
        done = found.end()
        if len(new) != done - found.start():
            shifts.append((length, done))
    parts.append(text[done:])
    return CleanText("".join(parts), tuple(shifts))


def nfkc(text: str) -> str:
    """Normalise a text to NFKC in linear time, for comparison.

    Args:
        text: The text.

    Returns:
        The text in NFKC. Of more than 30 combining marks in a row, the others are left out.
    """
    if text.isascii():
        return text
    return unicodedata.normalize("NFKC", _too_many_marks().sub(r"\1", text))


def is_unicode(text: str) -> bool:
    """Tell whether a text can be written, in UTF-8 and in a database.

    Args:
        text: The text.

    Returns:
        False if it holds half of a surrogate pair.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def on_one_line(text: str) -> str:
    """Put a text on one line, for showing and comparing.

    Args:
        text: The text.

    Returns:
        The text with a space for each stretch of white space, and without one where a line ends between two Japanese or
        Chinese characters.
    """
    return " ".join(_WRAPPED.sub("", text).split())


def join_hyphens(text: str) -> str:
    """Join words that were divided at the ends of lines; the line then ends after the word.

    The hyphen stays where the text elsewhere has the word with it, or both parts as words and not the whole, and in
    English compounds such as well-known.

    Args:
        text: Text with the lines of a printed page.

    Returns:
        The text with as many lines.
    """
    if not _DIVIDED.search(text):
        return text
    words = frozenset(_WORDS.findall(text.casefold()))

    def joined(found: re.Match[str]) -> str:
        first, second = found["first"], found["second"]
        whole, parts = (first + second).casefold(), (first.casefold(), second.casefold())
        is_compound = whole not in words and (
            "-".join(parts) in words
            or words.issuperset(parts)
            or parts[1] in _AFTER_HYPHEN
            or (parts[0] in _BEFORE_HYPHEN and parts[1] not in _ENDINGS)
        )
        hyphen = "-" if found["hyphen"] != "\u00ad" and is_compound else ""
        return f"{first}{hyphen}{second}{found['rest']}\n"

    return _DIVIDED.sub(joined, text)


# English compounds that are written with a hyphen, by one of their parts.
_BEFORE_HYPHEN = frozenset({"self", "well"})
_ENDINGS = frozenset({"ington", "ish", "ishly", "ishness", "less", "lessly", "ness"})  # selfish, wellness
_AFTER_HYPHEN = frozenset(
    [
        "based",
        "century",
        "class",
        "defined",
        "dependent",
        "dimensional",
        "driven",
        "established",
        "free",
        "friendly",
        "independent",
        "known",
        "level",
        "like",
        "looking",
        "made",
        "minded",
        "oriented",
        "paid",
        "quality",
        "range",
        "related",
        "scale",
        "sided",
        "sized",
        "specific",
        "speed",
        "standing",
        "term",
        "time",
        "year",
        "years",
    ]
)
# Letters of alphabets that divide words by hyphens: Latin, Greek and Cyrillic.
_LETTER = "A-Za-z\u00aa-\u024f\u0370-\u052f\u1e00-\u1fff\ufb00-\ufb06"
_NO_CAPITAL = "(?=[^A-Z\u00c0-\u00de\u0391-\u03a9\u0410-\u042f])"
_DIVIDED = re.compile(
    rf"(?<![{_LETTER}/@._-])(?P<first>[{_LETTER}]{{2,40}})(?P<hyphen>[-\u2010\u00ad])[ \t]*\r?\n[ \t]*"
    rf"(?P<second>{_NO_CAPITAL}[{_LETTER}]{{2,40}})(?P<rest>[^\s{_LETTER}]{{0,8}})(?:[ \t]|(?=\n)|\Z)"
)
_WORDS = re.compile(rf"[{_LETTER}]{{2,60}}(?:-[{_LETTER}]{{2,60}})*(?![{_LETTER}]|-\s*\n)")


def _replacement(found: re.Match[str]) -> str:
    kind = found.lastgroup
    if kind in ("dropped", "overstruck", "escape"):
        return ""
    return "\n" if kind == "return" else _form(found[0])


@cache
def _form(character: str) -> str:
    """The characters that a compatibility form stands for."""
    code = ord(character)
    if 0x2E80 <= code <= 0x2EF3:
        return _RADICALS[code - 0x2E80]
    if not _VERTICAL.match(character):
        return unicodedata.normalize("NFKC", character)
    _, _, of = unicodedata.decomposition(character).partition(
        " "
    )  # one step: NFKC makes three full stops of an ellipsis
    if not of:
        return character
    plain = int(of.split()[0], 16)
    return chr(plain + 0xFEE0 if 0x20 < plain < 0x7F else plain)  # these are of East Asian text: full width


@cache
def _too_many_marks() -> re.Pattern[str]:
    """Combining marks beyond the 30th in a row. Built when it is needed: it looks at every character."""
    marks = "".join(_ranges(code for code in range(0x300, 0x1F000) if unicodedata.combining(chr(code))))
    return re.compile(f"([{marks}]{{{_MOST_MARKS}}})[{marks}]+")


def _ranges(codes: Iterator[int]) -> Iterator[str]:
    """Ranges of a character class for ascending codes."""
    first = last = next(codes)
    for code in codes:
        if code != last + 1:
            yield f"{chr(first)}-{chr(last)}"
            first = code
        last = code
    yield f"{chr(first)}-{chr(last)}"
