"""Which of several things a question about versions means: light mode, where only dark mode was added."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from indexes.text import content_words, terms
from longctx.answering.quotable import Sentence
from longctx.answering.telling_headings import without_version_asked

# What lists of changes are made of, and no thing is told from another by
_NOUNS = frozenset(["bug", "feature", "issue", "support", "機能", "不具合"])
_VERBS = frozenset(
    re.findall(
        r"\w+",
        """
        add added adds allow allowed change changed changes deprecate deprecated drop dropped drops enable enabled fix
        fixed fixes improve improved include included introduce introduced introduces new remove removed removes rename
        renamed supported supports update updated
        為る 改善 削除 修正 新しい 新た 対応 直す 直る 追加 搭載 導入 成る 廃止 変更
        """,
    )
)


def lacks_distinction(question: str, found: Sequence[Sentence]) -> bool:
    """Whether a question about versions hangs on a word that no sentence has, beside one that others have.

    A night mode may be a dark mode, but a list of changes says things once, and in few words.

    Args:
        question: The question.
        found: The sentences of the passages found.

    Returns:
        True if no sentence has a word that tells a thing from others of its kind, and some are about these.
    """
    rest = without_version_asked(question)
    if rest is None:
        return False
    held = {term for sentence in found for term in sentence.terms | sentence.around}
    missing = [kind for word, kind in _told_apart(rest) if held.isdisjoint(terms(word))]
    if not missing:
        return False
    asked = set(terms(rest))
    others = [pair for sentence in found for pair in _told_apart(sentence.place.text)]
    return any(
        asked.isdisjoint(terms(word)) and not set(terms(kind)).isdisjoint(terms(same))
        for kind in missing
        for word, same in others
    )


def _told_apart(text: str) -> Iterator[tuple[str, str]]:
    """Words, each with that of the kind of thing that it tells from others: dark and mode, lasers and support."""
    words = [word.casefold() for word in content_words(text)]
    for first, second in pairwise(words):
        if first not in _VERBS | _NOUNS and second not in _VERBS:
            yield first, second
        elif first in _NOUNS and second not in _VERBS | _NOUNS:
            yield second, first
