"""Dates as Japanese spreadsheets show them: with the year of an era, or as the day of the week alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from indexes.text import ERAS

_START, _LAST = datetime(1899, 12, 30), 2_958_465  # from which days are counted, and their last number
_LITERAL = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]')
_ERA = re.compile(r"g{1,3}e{1,2}", re.IGNORECASE)
_WEEKDAY = re.compile(r"\(?(aaaa?)\)?(?:;@)?", re.IGNORECASE)
_WEEKDAYS = "土日月火水木金"


@dataclass(frozen=True, slots=True)
class DateFormat:
    """A number format that shows a date in a Japanese way.

    Attributes:
        weekday: What follows the character of the day of the week, such as 曜日; None for the year of an era.
    """

    weekday: str | None

    def __call__(self, value: float | datetime) -> str:
        """Return a date as it is shown, and one by its era also as other programs know it."""
        if not isinstance(value, datetime):
            if not 0 < value <= _LAST:
                return f"{value:.15g}"
            value = _START + timedelta(days=value)
        if self.weekday is not None:
            return _WEEKDAYS[(value - _START).days % 7] + self.weekday
        known = str(value if value.time() != time() else value.date())
        era = next(((start, name) for start, name in ERAS if value >= start), None)
        if era is None:
            return known
        year = value.year - era[0].year + 1
        return f"{era[1]}{'元' if year == 1 else year}年{value.month}月{value.day}日 ({known})"


def date_format(code: str) -> DateFormat | None:
    """Return how a number format shows dates in a Japanese way; None for any other format.

    Args:
        code: The format, such as `ggge"年"m"月"d"日"` or `aaa`.

    Returns:
        The format.
    """
    code = _LITERAL.sub("", code.replace("General", ""))
    if _ERA.search(code):
        return DateFormat(None)
    weekday = _WEEKDAY.fullmatch(code)
    return DateFormat("曜日" if len(weekday[1]) == 4 else "") if weekday is not None else None
