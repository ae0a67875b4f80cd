"""Headings that say what a question asks for, as `## 2.4.0 (11 April)` does below which "Added dark mode" stands."""

from __future__ import annotations

import re
from collections.abc import Sequence

Span = tuple[int, int]
"""From where to where in a text."""

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
    return any(asks.search(question) and says.search(heading) and not says.search(quoted) for asks, says in _ASKED)
