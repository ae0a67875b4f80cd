"""Numbered parts of documents and versions in a question: 第12条, § 2, section 3.2, release 2.4.1."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from indexes.text.kanji_numerals import KANJI_DIGITS, in_kanji
from indexes.text.normalisation import nfkc

_UNITS = {"十": 10, "百": 100, "千": 1000}
_MYRIAD = "万"
_NUMERAL = rf"(?:[0-9]{{1,9}}|[{KANJI_DIGITS}{''.join(_UNITS)}{_MYRIAD}]{{1,12}})"
_JAPANESE = re.compile(rf"第\s?({_NUMERAL})\s?([条章節項款編回号版])(?:の({_NUMERAL})(?![0-9A-Za-z]|(?!第)[一-龯]))?")
# The words for a part, in the languages that are written most
_WORDS = {
    "section": r"sections?|abschnitt(?:e?s)?|secci[oó]n|раздел\w{0,2}|пункт\w{0,2}|paragra(?:ph|phe|fo)|§{1,2}",
    "article": r"articles?|artikels?|art[ií]culo|стать\w{1,2}|art\.",
    "chapter": r"chapters?|kapitels?|cap[ií]tulo|chapitre|глав\w{1,2}",
    "clause": r"clauses?|klausel|cl[aá]usula",
}
_NUMBER, _END = r"[0-9]+(?:\.[0-9]+)*", r"(?!\.?[0-9])"
_WORDED = re.compile(
    "|".join(rf"(?<!\w)(?:{words})\s?(?P<{kind}>{_NUMBER}){_END}" for kind, words in _WORDS.items()), re.IGNORECASE
)
# "4. Cars", "3.2 Notice" and "# 4 Cars"; "4 Cars" only where the outline has it: "3 people came" is no heading
_HEADED = re.compile(
    rf"(?:(?:\A|> |^[ \t]*#+[ \t]+)({_NUMBER})[.)]?|^[ \t]*([0-9]+(?:\.[0-9]+)+|[0-9]+(?=[.)]))[.)]?)[ \t]+(?=[^\W\d])",
    re.MULTILINE,
)
_GROUPED = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
_LONG = re.compile(r"(?<![\d.,])[1-9]\d{4,8}(?![\d,])", re.ASCII)
_VERSION = re.compile(rf"(?<![\w.])v?\.?\s?((?!\d{{4}})[0-9]+(?:\.[0-9]{{1,3}}){{2,}}){_END}(?!\w)", re.IGNORECASE)


class NumberedPart(NamedTuple):
    """A part of a document by its number, or a version of a program.

    Attributes:
        kind: What it is: 条, "section", "version".
        number: Its number, in ASCII digits.
    """

    kind: str
    number: str

    @property
    def term(self) -> str:
        """The part as a term that no word of a text is."""
        return f"{self.kind} {self.number}"

    def is_in(self, text: str) -> bool:
        """Whether a text names the part in whatever numerals, or has a heading of its number.

        Args:
            text: The text, as `folded` returns it; what stands in the outline above it comes first.

        Returns:
            True if it does.
        """
        return self in _named(text) or (self.kind in _WORDS and self.number in _headed(text))

    def has_sibling_in(self, text: str) -> bool:
        """Whether a text names other parts of this kind, or has headings of other numbers.

        Args:
            text: The text, as `folded` returns it; what stands in the outline above it comes first.

        Returns:
            True if it does.
        """
        return any(other.kind == self.kind for other in _named(text)) or (self.kind in _WORDS and bool(_headed(text)))


def numbered_parts(question: str) -> tuple[list[NumberedPart], str]:
    """Find the numbered parts of documents, and the versions, that a question asks about.

    Args:
        question: The question.

    Returns:
        The distinct ones, and the question without them.
    """
    text, found = nfkc(question), list[NumberedPart]()
    for pattern, part_of in _PATTERNS:
        found += map(part_of, pattern.finditer(text))
        text = pattern.sub(" ", text)
    return list(dict.fromkeys(found)), text if found else question


def other_numerals(text: str) -> list[str]:
    """Write the numbers of a query in other ways: 12000 as 12,000, 第12条 as 第十二条, and the other way round.

    Args:
        text: The query.

    Returns:
        The numbers that can be written so, each in the other way.
    """
    text = nfkc(text)
    found = [match[0].replace(",", "") for match in _GROUPED.finditer(text)]
    found += [f"{int(match[0]):,}" for match in _LONG.finditer(text)]
    for match in _JAPANESE.finditer(text):
        number = _value(match[1])
        others = _in_kanji(number) if match[1].isascii() else [str(number)]
        found += (f"第{each}{match[2]}" for each in others)
    return found


def _named(text: str) -> set[NumberedPart]:
    return {part_of(match) for pattern, part_of in _PATTERNS for match in pattern.finditer(text)}


def _headed(text: str) -> set[str]:
    return {match[1] or match[2] for match in _HEADED.finditer(text)}


def _japanese_part(match: re.Match[str]) -> NumberedPart:
    return NumberedPart(match[2], "の".join(str(_value(each)) for each in (match[1], match[3]) if each))


def _worded_part(match: re.Match[str]) -> NumberedPart:
    kind = match.lastgroup or ""
    return NumberedPart(kind, match[kind])


def _version(match: re.Match[str]) -> NumberedPart:
    return NumberedPart("version", match[1])


_PATTERNS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], NumberedPart]], ...] = (
    (_JAPANESE, _japanese_part),
    (_WORDED, _worded_part),
    (_VERSION, _version),
)


def _in_kanji(number: int) -> list[str]:
    """A number in kanji: 十二, and 千二百 also as 一二〇〇; of 10,000 and more the digits alone."""
    said = [in_kanji(number)] if 0 < number < 10_000 else []
    return said if 0 < number < 1000 else [*said, "".join(KANJI_DIGITS[int(each)] for each in str(number))]


def _value(numeral: str) -> int:
    """The value of a numeral: of 12, 十二, 一二, 千二百 and 二万三."""
    whole, total, digits = 0, 0, ""
    for each in numeral:
        if each == _MYRIAD:
            whole, total, digits = whole + (total + int(digits or "0") or 1) * 10_000, 0, ""
        elif each in _UNITS:
            total, digits = total + int(digits or "1") * _UNITS[each], ""
        else:
            digits += str(KANJI_DIGITS.find(each)) if each in KANJI_DIGITS else each
    return whole + total + int(digits or "0")
