"""What the number formats of a spreadsheet add to a number: leading zeros, a percent sign, and words such as 第7号."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from operator import eq, ge, gt, le, lt, ne

_TOKEN = re.compile(r'"([^"]*)"|\\(.)|_.|\*.|\[([^\]]*)\]|([#0?][#0?,.]*)|(.)', re.DOTALL)
_CONDITION = re.compile(r"\[(<=|>=|<>|<|>|=)(-?\d{1,15}(?:\.\d{1,15})?)\]")
_COMPARISONS = {"<": lt, "<=": le, ">": gt, ">=": ge, "=": eq, "<>": ne}
_CURRENCY = re.compile(r"\$([^-\]]+)")
_PLAIN = frozenset(" %()+-/:¥$€£^'{}<=>~．，、。・")  # shown as they are
_LONGEST = 250  # characters of a format, the most that Excel allows

Formatter = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class TextFormat:
    """What a format adds to a text, such as 様 to a name.

    Attributes:
        before: The words before it.
        after: Those behind it.
        number: How numbers are shown.
    """

    before: str
    after: str
    number: Formatter | None

    def shown(self, text: str) -> str:
        """Return a text as it is shown."""
        return f"{self.before}{text}{self.after}" if text.strip() else text


def text_format(code: str) -> TextFormat | None:
    """Return what a number format adds to a text, as `@"様"` does; None if it adds nothing.

    Args:
        code: The format.

    Returns:
        What it adds.
    """
    tokens = [_TOKEN.findall(each) for each in _sections(code)][-1]
    parts = [other if other == "@" else quoted or escaped for quoted, escaped, _, _, other in tokens]
    before, _, after = "".join(parts).partition("@")
    is_shown = any(other == "@" for *_, other in tokens) and any(map(str.isalpha, before + after))
    return TextFormat(before, after, formatter(code)) if is_shown else None


@dataclass(frozen=True, slots=True)
class _Section:
    """A section of a format: for which numbers it is, how it shows them, and whether words are in it."""

    condition: tuple[str, float] | None
    show: Formatter | None  # None where the number alone says it, and for what is more than digits and words
    has_words: bool
    is_known: bool


def formatter(code: str) -> Formatter | None:
    """Return how numbers of a format are shown, with all of their digits.

    Args:
        code: The format, as Excel writes it.

    Returns:
        A function from a number to its text; None where the number alone says it, and for formats
        that are more than digits and words.
    """
    sections = [_section(each) for each in _sections(code)[:3]]
    has_conditions = any(each.condition for each in sections)
    if not any(each.show for each in sections) or not (sections[0].is_known or has_conditions):
        return None

    def shown(number: float) -> str:
        section = _by_condition(sections, number) if has_conditions else _by_sign(sections, number)
        if section.show is None:
            return str(number) if isinstance(number, int) else f"{number:.15g}"
        is_said_by_words = section is not sections[0] and not has_conditions
        return section.show(abs(number) if is_said_by_words else number)

    return shown


def elapsed(value: timedelta) -> str:
    """Return a duration as hours, minutes and seconds, such as `30:00:00`."""
    seconds = round(value.total_seconds())
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    return f"{sign}{seconds // 3_600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _sections(code: str) -> list[str]:
    """The sections of a format: for positive numbers, negative ones, zero and texts, or for what they say."""
    sections = [""]
    for token in _TOKEN.finditer(code[:_LONGEST].replace("General", "#")):
        if token[0] == ";":
            sections.append("")
        else:
            sections[-1] += token[0]
    return sections


def _by_condition(sections: list[_Section], number: float) -> _Section:
    for section in sections:
        if section.condition is None or _COMPARISONS[section.condition[0]](number, section.condition[1]):
            return section
    return sections[-1]


def _by_sign(sections: list[_Section], number: float) -> _Section:
    """The section for a number: one for negative numbers, or for zero, only where it says so in words."""
    place = 1 if number < 0 else 2 if number == 0 else 0
    return sections[place] if place < len(sections) and sections[place].has_words else sections[0]


def _section(code: str) -> _Section:
    condition = _CONDITION.search(code)
    code = _CONDITION.sub("", code)
    pieces, words = _pieces(code), "".join(a or b for a, b, *_ in _TOKEN.findall(code))
    return _Section(
        (condition[1], float(condition[2])) if condition else None,
        None if pieces is None else _by_pieces(pieces),
        any(map(str.isalpha, words)) and pieces is not None,
        pieces is not None,
    )


def _by_pieces(pieces: list[tuple[bool, str]]) -> Formatter | None:
    digits = [place for place, (is_digits, _) in enumerate(pieces) if is_digits]
    if not digits:
        words = "".join(text for _, text in pieces).strip()
        return (lambda number: words) if any(map(str.isalpha, words)) else None
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


def _pieces(code: str) -> list[tuple[bool, str]] | None:
    """A section of a format as (whether they are digits, text); None for what is not understood."""
    pieces: list[tuple[bool, str]] = []
    for quoted, escaped, bracket, digits, other in _TOKEN.findall(code):
        if bracket:
            currency = _CURRENCY.match(bracket)
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
