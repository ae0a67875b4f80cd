"""Numbers in kanji."""

from __future__ import annotations

import re

KANJI_DIGITS = "〇一二三四五六七八九"


def in_kanji(number: int) -> str:
    """Write a number in kanji as it is said.

    Args:
        number: A positive number.

    Returns:
        The number: 千二百三十四; in digits from 10,000 on.
    """
    return re.sub("一(?=[千百十])", "", with_units(number, KANJI_DIGITS, "千百十"))


def with_units(number: int, digits: str, units: str) -> str:
    """Write each digit of a number with its unit.

    Args:
        number: A positive number.
        digits: The characters for 0 to 9.
        units: Those for thousands, hundreds and tens.

    Returns:
        The number, without its zeros; in digits from 10,000 on.
    """
    if number >= 10_000:
        return str(number)
    places = zip(f"{number:04}", [*units, ""], strict=True)
    return "".join(digits[int(digit)] + unit for digit, unit in places if digit != "0")
