"""Headings that say what a question asks for, as `## 2.4.0 (11 April)` does below which "Added dark mode" stands."""

from __future__ import annotations

import re
from collections.abc import Sequence

Span = tuple[int, int]
"""From where to where in a text."""

_VERSION = re.compile(
    r"(?<![\w.])v?\.?\s?\d+(?:\.\d+)+|(?:version|release|バージョン|リリース|ver\.)\s?\d|第?\d+版", re.IGNORECASE
)
_DATE = re.compile(r"\b(?:19|20)\d\d\b|\d{1,2}月|(?:令和|平成|昭和)[\d元]")
_MONTH = r"(?:jan|feb|mar|apr|may|mai|jun|jul|aug|sep|o[ck]t|nov|de[cz])[a-zäé]{0,6}\.?"
_DAY = re.compile(  # with its year, or in Japanese
    rf"\b\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}\b|\b\d{{1,2}}[-/.]\d{{1,2}}[-/.]\d{{4}}\b|月\s?\d{{1,2}}日"
    rf"|\b\d{{1,2}}(?:\.|st|nd|rd|th)?\s{_MONTH},?\s\d{{4}}\b|\b{_MONTH}\s\d{{1,2}},?\s\d{{4}}\b",
    re.IGNORECASE,
)
_DAY_OR_YEAR = re.compile(f"{_DATE.pattern}|{_DAY.pattern}", re.IGNORECASE)
_TIME = re.compile(
    rf"{_DAY_OR_YEAR.pattern}|\b\d{{1,2}}\.?\s{_MONTH}|\b{_MONTH}\s\d{{1,2}}\b|\b\d{{1,2}}:\d\d\b"
    r"|\b\d{1,2}\s?(?:[ap]\.?m\b|uhr\b)|[\d一二三四五六七八九十][月日時]"
    r"|[月火水木金土日]曜|毎[朝晩日週月年]|午[前後]|正午|\b(?:mon|tues|wednes|thurs|fri|satur|sun)days?"
    r"|\b(?:mon|diens|donners|frei|sams|sonn)tags?\b|\bmittwochs?\b|\bo'clock\b|\bnoon\b|\bmidnight\b",
    re.IGNORECASE,
)
_WHEN = re.compile(r"\bwhen\b|\bwann\b|cuándo|когда|いつ", re.IGNORECASE)
_WHICH_VERSION = re.compile(
    r"\b(?:which|what)\s(?:version|release)\b|\bwelche[rsn]?\s(?:version|release)\b|qué\sversión|како\w+\sверси"
    r"|(?:どの|なんの|何の?)\s?(?:バージョン|版|リリース)|(?:バージョン|版|リリース)[はが](?:どれ|いくつ|何)",
    re.IGNORECASE,
)
_ASKED = (  # what is asked for, how a heading says it, and how what is quoted below it would say it
    (_WHICH_VERSION, _VERSION, _VERSION),
    (re.compile(r"\b(?:which|what)\s(?:day|date|month|year)\b|何年|何月|何日", re.IGNORECASE), _DATE, _DATE),
    (_WHEN, _DAY, _DAY_OR_YEAR),
    (_WHEN, _DATE, _TIME),
)
_LEVEL = re.compile(r"\s*(#{1,6})\s")
_LOWEST = 7


def level_of(heading: str) -> int:
    """Return the level of a heading in Markdown, from 1; 7 for one of another kind."""
    marks = _LEVEL.match(heading)
    return len(marks[1]) if marks else _LOWEST


def is_markdown(line: str) -> bool:
    """Whether a line is a heading of Markdown."""
    return level_of(line) < _LOWEST


def below(outline: Sequence[Span], heading: Span, text: str) -> tuple[Span, ...]:
    """Return the headings above what follows another one.

    Args:
        outline: The headings above the other one, the outermost first.
        heading: The other one.
        text: The text that they are in.

    Returns:
        Those of higher levels, and the other one.
    """
    level = level_of(text[slice(*heading)])
    return (*(span for span in outline if level_of(text[slice(*span)]) < level), heading)


def without_version_asked(question: str) -> str | None:
    """Return the rest of a question that asks for a version.

    Args:
        question: The question.

    Returns:
        What is said of the version; None for another question.
    """
    rest = _WHICH_VERSION.sub(" ", question)
    return rest if rest != question else None


def telling(outline: Sequence[Span], text: str, question: str, quoted: str) -> Span | None:
    """Find the heading above what is quoted that says what a question asks for.

    Args:
        outline: The headings above it, the outermost first.
        text: The text that they are in.
        question: The question.
        quoted: What is quoted.

    Returns:
        The innermost one that does; None if none does.
    """
    return next((span for span in reversed(outline) if tells(question, text[slice(*span)], quoted)), None)


def tells(question: str, heading: str, quoted: str) -> bool:
    """Whether a heading says what a question asks for and what is quoted below it does not.

    Args:
        question: The question.
        heading: The heading.
        quoted: What is quoted.

    Returns:
        True of a version or a date.
    """
    return any(
        asks.search(question) and says.search(heading) and not said.search(quoted) for asks, says, said in _ASKED
    )
