"""Numbers as people write them: of tokens and bytes, the same in every flag and setting, and of things in sentences."""

from __future__ import annotations

import math
import re
import unicodedata
from functools import cache
from typing import Any

_IN_WORDS = 1000  # numbers below this are known in words
_TIMES = {"": 1, "k": 2**10, "m": 2**20}
_BINARY = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_DECIMAL = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


def parse_tokens(value: Any) -> int:
    """Parse a number of tokens.

    Args:
        value: A whole number, or text such as '32768', '32,768', '32k' or '1M', which count in powers of 1,024.

    Returns:
        The number.

    Raises:
        ValueError: For anything else.
    """
    found = re.fullmatch(r"(?i)\s*(\d+(?:[,_]\d{3})*(?:\.\d+)?)\s*([km]?)\s*(?:tokens?)?\s*", str(value))
    number = float(re.sub(r"[,_]", "", found[1])) * _TIMES[found[2].lower()] if found else 0.5
    if isinstance(value, bool) or not math.isfinite(number) or number != int(number):
        raise ValueError("write a number of tokens, such as 32768 or 32k")
    return int(number)


def parse_size(value: Any) -> int:
    """Parse an amount of memory or the size of a file.

    Args:
        value: Bytes as a whole number, or text such as '80GiB' or '80 G' (powers of 1,024) or '80GB' (of 1,000).

    Returns:
        Bytes.

    Raises:
        ValueError: For anything else.
    """
    found = re.fullmatch(r"(?i)\s*(\d+(?:[,_]\d{3})*(?:\.\d+)?)\s*([kmgt]?)(i?)(b?)\s*", str(value))
    if isinstance(value, bool) or found is None:
        raise ValueError("write it like 80GiB or 200MB")
    units = _DECIMAL if found[4] and not found[3] else _BINARY
    size = float(re.sub(r"[,_]", "", found[1])) * units[found[2].lower()]
    if not math.isfinite(size):
        raise ValueError("that is more than can be counted")
    return int(size)


def parse_count(text: str) -> int | None:
    """Parse how many things there are, as a sentence says it.

    Args:
        text: The number: in digits of any width, or, below 1,000, in kanji such as 二十一 or English words such as
            'twenty-one'.

    Returns:
        The number; None for anything else.
    """
    plain = unicodedata.normalize("NFKC", text).strip().casefold()
    if re.fullmatch(r"\d{1,3}(?:,?\d{3}){0,2}", plain):
        return int(plain.replace(",", ""))
    return _words().get(" ".join(plain.replace("-", " ").split()))


@cache
def _words() -> dict[str, int]:
    from indexes.readers import formatted_number  # every command imports this module, and few of them words

    kinds = ("cardinalText", "japaneseCounting")
    return {
        formatted_number(number, kind).casefold().replace("-", " "): number
        for kind in kinds
        for number in range(1, _IN_WORDS)
    }
