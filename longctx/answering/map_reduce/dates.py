"""Dates and times of day as numbers that can be compared, in English and Japanese texts."""

from __future__ import annotations

import re

from indexes.text import ERAS

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
MONTH = (
    "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|"
    "nov(?:ember)?|dec(?:ember)?"
)
_MONTH = rf"(?P<name>{MONTH})\b\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?:,?\s*(?:in\s+)?(?P<year>\d{4})(?!\d))"
_ERAS = {name: start.year - 1 for start, name in ERAS}  # the year before the first
_TWICE = re.compile(rf"(?<=年)\s*\((?:{'|'.join(_ERAS)})?\s*(?:\d{{1,4}}|元)年?\)")  # 1931年(昭和6年)5月
_TIME = re.compile(r"(?<![\d:])(?P<hour>[01]?\d|2[0-3])[:時](?P<minute>[0-5]\d)分?(?![\d:])")
_DATES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(?<![\d.])(?P<year>\d{4})([-/.])(?P<month>\d{1,2})\2(?P<day>\d{1,2})(?![\d.]*\d)",
        r"(?<![\d.])(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?P<year>\d{4})(?!\d)",
        rf"(?:(?P<era>{'|'.join(_ERAS)})\s*(?P<years>\d{{1,2}}|元)|(?<!\d)(?P<year>\d{{4}}))\s*年"
        r"(?:\s*(?P<month>\d{1,2})\s*月(?:\s*(?P<day>\d{1,2})\s*日)?)?",
        r"(?<!\d)(?P<month>\d{1,2})\s*月\s*(?P<day>\d{1,2})\s*日",
        rf"(?<![\w.]){_DAY}\s+(?:of\s+)?{_MONTH}{_YEAR}?",
        rf"\b{_MONTH}\s+{_DAY}(?!\d){_YEAR}?",
        rf"\b{_MONTH}{_YEAR}",
    )
)


def in_years(text: str) -> str:
    """Write each date of a text as a number of years, and each time of day as one of hours.

    Args:
        text: The text, without full-width digits.

    Returns:
        The text: '12 March 2019' and 平成31年3月12日 are 2019.1927 in it, '12 March' is 0.1927, 昭和60年 is 1985.0000,
        and '09:30' is 9.5000. Dates such as 3/4/2019, which are read in two ways, and months alone are as they were.
    """
    text = _TWICE.sub("", text)
    for pattern in _DATES:
        text = pattern.sub(_years, text)
    return _TIME.sub(lambda found: f"{int(found['hour']) + int(found['minute']) / 60:.4f}", text)


def _years(found: re.Match[str]) -> str:
    parts = found.groupdict()
    year = int(parts.get("year") or 0)
    if era := parts.get("era"):
        year = _ERAS[era] + (1 if parts["years"] == "元" else int(parts["years"]))
    name = parts.get("name")
    month = _MONTHS.index(name[:3].casefold()) + 1 if name else int(parts.get("month") or 0)
    day = int(parts.get("day") or 0)
    if month > len(_MONTHS) or day > 31:
        return found[0]
    return f"{year + (31 * max(month - 1, 0) + day) / 384:.4f}"  # the days of a year are below 31 · 12
