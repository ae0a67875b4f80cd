"""Codes such as E17, ISO-9001 and Ｅ－１７, in every spelling."""

from __future__ import annotations

import re
from typing import NamedTuple

from indexes.text.normalisation import nfkc

_DASH = r"[-\u2010-\u2015\u2212_]"
_CODE = re.compile(rf"(?<![a-z0-9])([a-z]{{1,5}}){_DASH}?([0-9]{{2,}})([a-z]?)(?![a-z0-9])(?!{_DASH}\w)")
_SPACED = re.compile(r"(?<![A-Za-z0-9])([A-Z]{1,3}) (?=[0-9]{2})")  # "E 17", and not "in 2024"
_YEAR = re.compile(r"(?:19|20)\d\d")


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
        return re.search(rf"(?<![a-z]){self.letters}[\W_]{{0,2}}{digits}(?![a-z0-9])", text) is not None

    def has_sibling_in(self, text: str) -> bool:
        """Whether a text holds a code of the same letters.

        Args:
            text: The text, as `folded` returns it.

        Returns:
            True if it does: the code is then one of a kind that the text is about.
        """
        return re.search(rf"(?<![a-z0-9]){self.letters}[-_]?[0-9]{{2,}}[a-z]?(?![a-z0-9])", text) is not None

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
        The distinct codes, in order: up to five letters and at least two digits.
    """
    joined = _SPACED.sub(r"\1-", nfkc(text)).casefold()
    found = (Code(match[1], match[2] + match[3]) for match in _CODE.finditer(joined))
    return list(dict.fromkeys(found))
