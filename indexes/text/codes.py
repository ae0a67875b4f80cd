"""Codes such as E17, ISO-9001 and Ｅ－１７, in every spelling, and things with a number, such as room 301."""

from __future__ import annotations

import re
from typing import NamedTuple

from indexes.text.normalisation import nfkc
from indexes.text.words import telling_words

_DASH = r"[-\u2010-\u2015\u2212_]"
_CODE = re.compile(rf"(?<![a-z0-9])([a-z]{{1,5}}){_DASH}?([0-9]+)([a-z]?)(?![a-z0-9])(?!{_DASH}\w|\.[0-9])")
_SPACED = re.compile(r"(?<![A-Za-z0-9])([A-Z]{1,3}) (?=[0-9]{2})")  # "E 17", and not "in 2024"
_YEAR = re.compile(r"(?:19|20)\d\d")
_NUMBER = r"(?<![0-9.,])[0-9]{2,5}(?![0-9]|[.,][0-9])"
_NUMBERED = re.compile(rf"(?<![\w-])([a-z]{{3,}}) ({_NUMBER})(?![\w%-])")
_HOUSED = re.compile(rf"({_NUMBER})\s?(号[室車店機線棟館])")


class Code(NamedTuple):
    """A code.

    Attributes:
        letters: Its letters, in lower case.
        digits: Its digits, and a letter behind them.
    """

    letters: str
    digits: str

    @property
    def term(self) -> str:
        """The code in one piece, as it is a term of the lexical index."""
        return self.letters + self.digits

    def is_in(self, text: str) -> bool:
        """Whether a text holds the code, whatever its case, width, hyphen or space; a year also with two digits.

        Args:
            text: The text, as `folded` returns it.

        Returns:
            True if it does.
        """
        digits = f"(?:{self.digits}|{self.digits[2:]})" if _YEAR.fullmatch(self.digits) else self.digits
        between = r"[\W_]{0,2}" if len(self.digits) > 1 else f"{_DASH}?"  # "a 4" is not A4
        return re.search(rf"(?<![a-z]){self.letters}{between}{digits}(?![a-z0-9])", text) is not None

    def has_sibling_in(self, text: str) -> bool:
        """Whether a text holds a code of the same letters.

        Args:
            text: The text, as `folded` returns it.

        Returns:
            True if it does: the code is then one of a kind that the text is about.
        """
        return re.search(rf"(?<![a-z0-9]){self.letters}[-_]?[0-9]+[a-z]?(?![a-z0-9])", text) is not None

    def is_paraphrased_in(self, text: str) -> bool:
        """Whether a text holds the year that the code is, as in FY2024 and H30.

        Args:
            text: The text, as `folded` returns it.

        Returns:
            True if it does.
        """
        year = self.digits if _YEAR.fullmatch(self.digits) else rf"{self.digits}\s?年"
        return re.search(rf"(?<![0-9]){year}(?![0-9])", text) is not None


def codes(text: str) -> list[Code]:
    """Find the codes in a question.

    Args:
        text: The question.

    Returns:
        The distinct codes, in order: up to five letters, and digits.
    """
    joined = _SPACED.sub(r"\1-", nfkc(text)).casefold()
    found = (Code(match[1], match[2] + match[3]) for match in _CODE.finditer(joined))
    return list(dict.fromkeys(found))


class NumberedThing(NamedTuple):
    """One of several things of a kind that have numbers: room 301, 301号室.

    Attributes:
        kind: What it is, in lower case.
        number: Its number.
    """

    kind: str
    number: str

    def is_in(self, text: str) -> bool:
        """Whether a text may be about it.

        Args:
            text: The text, as `folded` returns it.

        Returns:
            True if the number is in the text, or in such a large one as 301 is in 1,301.
        """
        return self.number in text

    def has_sibling_in(self, text: str) -> bool:
        """Whether a text is about others of the kind.

        Args:
            text: The text, as `folded` returns it.

        Returns:
            True if it has one with a number, or a table whose first column has the name of the kind.
        """
        kind = re.escape(self.kind)
        other = rf"{_NUMBER}\s?{kind}" if self.kind.startswith("号") else rf"(?<!\w){kind} {_NUMBER}"
        return re.search(rf"{other}|^\W*{kind}s?(?:\s*[|,;]|\t)", text, re.MULTILINE) is not None


def numbered_things(question: str) -> list[NumberedThing]:
    """Find the things with a number in a question.

    Args:
        question: The question.

    Returns:
        The distinct ones, in order; no years, and nothing behind a word such as "of" or "within".
    """
    text = nfkc(question).casefold()
    found = [NumberedThing(match[2], match[1]) for match in _HOUSED.finditer(text)]
    found += [
        NumberedThing(match[1], match[2])
        for match in _NUMBERED.finditer(text)
        if not _YEAR.fullmatch(match[2]) and telling_words([match[1]], "en")
    ]
    return list(dict.fromkeys(found))
