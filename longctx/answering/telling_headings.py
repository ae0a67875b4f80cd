"""Headings that say what a question asks for, as `## 2.4.0 (11 April)` does below which "Added dark mode" stands."""

from __future__ import annotations

import re

_ASKED = (  # what is asked for, and how a heading says it
    (
        re.compile(
            r"\b(?:which|what)\s(?:version|release)\b|\bwelche[rsn]?\s(?:version|release)\b|qué\sversión|како\w+\sверси"
            r"|(?:どの|なんの|何の?)\s?(?:バージョン|版|リリース)|(?:バージョン|版|リリース)[はが](?:どれ|いくつ|何)",
            re.IGNORECASE,
        ),
        re.compile(
            r"(?<![\w.])v?\.?\s?\d+(?:\.\d+)+|(?:version|release|バージョン|リリース|ver\.)\s?\d|第?\d+版",
            re.IGNORECASE,
        ),
    ),
    (
        re.compile(
            r"\bwhen\b|\b(?:which|what)\s(?:day|date|month|year)\b|\bwann\b|cuándo|когда|いつ|何年|何月|何日",
            re.IGNORECASE,
        ),
        re.compile(r"\b(?:19|20)\d\d\b|\d{1,2}月|(?:令和|平成|昭和)[\d元]"),
    ),
)
_LEVEL = re.compile(r"\s*(#{1,6})\s")
_LOWEST = 7


def level_of(heading: str) -> int:
    """Return the level of a heading in Markdown, from 1; 7 for one of another kind."""
    marks = _LEVEL.match(heading)
    return len(marks[1]) if marks else _LOWEST


def is_markdown(line: str) -> bool:
    """Whether a line is a heading of Markdown."""
    return _LEVEL.match(line) is not None


def tells(question: str, heading: str, quoted: str) -> bool:
    """Whether a heading says what a question asks for and what is quoted below it does not.

    Args:
        question: The question.
        heading: The heading.
        quoted: What is quoted.

    Returns:
        True of a version or a date.
    """
    return any(asks.search(question) and says.search(heading) and not says.search(quoted) for asks, says in _ASKED)
