"""What the number formats of a spreadsheet add to a number: leading zeros, a percent sign, and words such as 第7号."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

_TOKEN = re.compile(r'"([^"]*)"|\\(.)|_.|\*.|\[([^\]]*)\]|([#0?][#0?,.]*)|(.)', re.DOTALL)
_CURRENCY = re.compile(r"\$([^-\]]+)")
_PLAIN = frozenset(" %()+-/:¥$€£^'{}<=>~．，、。・")  # shown as they are
_LONGEST = 250  # characters of a format, the most that Excel allows

Formatter = Callable[[float], str]


def formatter(code: str) -> Formatter | None:
    """Return how numbers of a format are shown, with all of their digits.

    Args:
        code: The format, as Excel writes it.

    Returns:
        A function from a number to its text; None where the number alone says it, and for formats
        that are more than digits and words.
    """
    pieces = _pieces(code)
    if pieces is None:
        return None
    digits = [place for place, (is_digits, _) in enumerate(pieces) if is_digits]
    if not digits:
        return None
    slots = [pieces[place][1] for place in digits]
    before = "".join(text for _, text in pieces[: digits[0]])
    after = "".join(text for _, text in pieces[digits[-1] + 1 :])
    if len(digits) > 1:
        return _split(pieces) if all(set(slot) == {"0"} for slot in slots) else None
    [slot] = slots
    if slot.rstrip(".").endswith(","):
        return None  # in thousands
    width = len(slot) if set(slot) == {"0"} else 1
    factor = 100 if "%" in before + after else 1
    if width == 1 and factor == 1 and not (before + after).strip():
        return None

    def shown(number: float) -> str:
        digits = str(abs(number)) if isinstance(number, int) and factor == 1 else f"{abs(number) * factor:.15g}"
        sign = "-" if number < 0 else ""
        return f"{sign}{before}{digits.zfill(width) if digits.isdecimal() else digits}{after}".strip()

    return shown


def elapsed(value: timedelta) -> str:
    """Return a duration as hours, minutes and seconds, such as `30:00:00`."""
    seconds = round(value.total_seconds())
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    return f"{sign}{seconds // 3_600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _pieces(code: str) -> list[tuple[bool, str]] | None:
    """The first section of a format as (whether they are digits, text); None for what is not understood."""
    pieces: list[tuple[bool, str]] = []
    if code.startswith("[<"):  # conditions, as of Japanese postcodes, and last what holds for other numbers
        code = code.rpartition(";")[2]
    for quoted, escaped, bracket, digits, other in _TOKEN.findall(code[:_LONGEST].replace("General", "#")):
        if other == ";":
            break
        if bracket:
            currency = _CURRENCY.match(bracket)
            if bracket[0] in "<>=":
                return None  # a condition
            pieces.append((False, currency[1] if currency else ""))
        elif digits:
            pieces.append((True, digits))
        elif other and not (other in _PLAIN or ord(other) > 0x2000):
            return None  # a part of a date, an exponent or the like
        else:
            pieces.append((False, quoted or escaped or other))
    return pieces


def _split(pieces: list[tuple[bool, str]]) -> Formatter:
    """Digits in groups, as in 000-0000."""
    count = sum(len(text) for is_digits, text in pieces if is_digits)

    def shown(number: float) -> str:
        digits = str(number) if isinstance(number, int) else f"{number:.15g}"
        if not digits.isdecimal() or len(digits) > count:
            return digits
        rest = digits.zfill(count)
        out = ""
        for is_digits, text in pieces:
            out += rest[: len(text)] if is_digits else text
            rest = rest[len(text) :] if is_digits else rest
        return out.strip()

    return shown
