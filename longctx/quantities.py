"""Numbers of tokens and bytes as people write them: the same in every flag, in the environment and in longctx.toml."""

from __future__ import annotations

import math
import re
from typing import Any

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
