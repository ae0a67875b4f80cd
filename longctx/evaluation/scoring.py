"""Scores of one answer: whether it holds a gold answer, token F1, citations, refusals."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from indexes.text import folded, on_one_line
from longctx.evaluation.questions import Question
from longctx.evaluation.records import AnswerRecord, RecordedPassage

_NUMBER = r"(?:\d{1,4}\??|\?)"
_MARK = re.compile(rf"[\[［【]\s*{_NUMBER}(?:\s*[,、]\s*{_NUMBER})*\s*[\]］】]")
# Scripts without spaces between words: each character is a token. Escapes, not characters: U+F900 looks like U+8C48.
_UNSPACED = re.compile(
    "([\u0e00-\u0eff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003134f])"
)
_ARTICLES = frozenset({"a", "an", "the"})  # which SQuAD's script leaves out, too


def without_marks(text: str) -> str:
    """Remove citation marks such as [1], [2, 3], [9?] and [?].

    Args:
        text: An answer.

    Returns:
        The answer without them, stripped.
    """
    return _MARK.sub("", text).strip()


def answer_held(text: str, answers: Sequence[str]) -> bool:
    """Whether a text holds a gold answer. Width and case of letters, marks and line breaks make no difference.

    Args:
        text: The text.
        answers: The gold answers.

    Returns:
        Whether one of them is part of it.
    """
    said = _normalized(without_marks(text))
    return any(_normalized(answer) in said for answer in answers)


def token_f1(text: str, answers: Sequence[str]) -> float:
    """F1 of the tokens that a text shares with a gold answer, the best over the gold answers.

    Tokens are words without punctuation and English articles, as in SQuAD's script; in Japanese, Chinese and Thai,
    characters. Marks are left out.

    Args:
        text: The text.
        answers: The gold answers.

    Returns:
        F1 from 0 to 1.
    """
    said = Counter(_tokens(without_marks(text)))
    return max((_f1(said, Counter(_tokens(answer))) for answer in answers), default=0.0)


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of an answer; None where one does not apply.

    Attributes:
        found: Whether a passage found by the search is of the question's source; if the question names none, whether
            one holds a gold answer.
        held: Whether the answer holds a gold answer.
        f1: Token F1.
        marked: Whether an answer that is no refusal has a citation.
        marks: For each citation, whether it is of the question's source; if the question names none, whether its
            passage holds a gold answer.
        bare: Whether an answer that is no refusal has no words: nothing, or nothing but marks.
        refused: Whether the answer is a refusal.
    """

    found: bool | None = None
    held: bool | None = None
    f1: float | None = None
    marked: bool | None = None
    marks: tuple[bool, ...] | None = None
    bare: bool | None = None
    refused: bool | None = None


def score(question: Question, record: AnswerRecord, documents: Collection[str]) -> Scores:
    """Score an answer.

    Args:
        question: The question with its gold answers.
        record: The answer.
        documents: The sources of the documents that hold an answer; empty where the question names none.

    Returns:
        The scores; none for an error, except whether the passage was found.
    """

    def right(passage: RecordedPassage) -> bool:
        return passage.source in documents if documents else answer_held(passage.text, question.answers or ())

    is_known = bool(question.answers) or (bool(documents) and question.has_answer is True)
    found = any(map(right, record.hits)) if is_known else None
    if record.error:
        return Scores(found=found if record.hits else None)
    answered = not record.refused
    return Scores(
        found=found,
        held=answer_held(record.text, question.answers) if question.answers else None,
        f1=token_f1(record.text, question.answers) if question.answers else None,
        marked=bool(record.citations) if answered else None,
        marks=tuple(map(right, record.citations)) if is_known and answered else None,
        bare=not _tokens(without_marks(record.text)) if answered else None,
        refused=record.refused,
    )


def _normalized(text: str) -> str:
    return on_one_line(folded(text))


def _tokens(text: str) -> list[str]:
    letters = (letter for letter in folded(text) if unicodedata.category(letter)[0] != "P")
    words = _UNSPACED.sub(r" \1 ", "".join(letters)).split()
    return [word for word in words if word not in _ARTICLES] or words


def _f1(said: Counter[str], gold: Counter[str]) -> float:
    common = (said & gold).total()
    return 2 * common / (said.total() + gold.total()) if common else 0.0
