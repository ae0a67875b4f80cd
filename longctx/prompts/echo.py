"""What models repeat of their prompt before they answer: its rules, the question, the label of the answer."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import get_args

from longctx.prompts.map_texts import for_everything
from longctx.prompts.wording import PROMPT_TEXTS, language_of
from longctx.types import QuestionKind

_ANSWER = "(?:回答|答え|Answer)"
_LABEL = re.compile(rf"\s*(?:\*\*{_ANSWER}(?:\*\*[:：]|[:：]\*\*)|{_ANSWER} ?[:：])\s*(?=\S)")
_LABEL_BEGUN = re.compile(r"\s*\*{0,2}(?:回答?|答え?|A(?:n(?:s(?:w(?:er?)?)?)?)?)?\*{0,2} ?(?:[:：]\*{0,2}\s*)?\Z")
_QUESTION_LABELS = ("質問", "question")  # without one, an answer may begin as the question does
_NO_LETTER = re.compile(r"[\W_]+")
_PLACE = re.compile(r"^|(?<=\.) |(?<=。)|(?<=質問に)")  # a rule begins, or the part of it that models repeat
_SHORTEST = 12  # letters of a line that is told to be of the rules, not an answer in the same words


class PromptEcho:
    """Leaves out the lines at the beginning of an answer that repeat the prompt, and the label of the answer.

    Args:
        question: The question.
    """

    def __init__(self, question: str) -> None:
        self._rules = _rules(language_of(question))
        self._asked = [f"{label}{_letters(question)}" for label in _QUESTION_LABELS]
        self._held = ""
        self._over = False

    def add(self, piece: str) -> str:
        """Take the next piece of the answer.

        Args:
            piece: The piece.

        Returns:
            Text of the answer; empty while it may be of the prompt.
        """
        if self._over:
            return piece
        self._held += piece
        while True:
            if label := _LABEL.match(self._held):
                self._held = self._held[label.end() :]
                return self._given()
            if _LABEL_BEGUN.match(self._held):
                return ""
            line, end, rest = self._held.lstrip().partition("\n")
            if not end:
                return "" if self._may_be_echo(line) else self._given()
            if not self._is_echo(line):
                return self._given()
            self._held = rest

    def finish(self) -> str:
        """End the answer; returns what was held back and is not of the prompt."""
        return "" if self._is_echo(self._held) else self._given()

    def _given(self) -> str:
        given, self._held, self._over = self._held, "", True
        return given

    def _is_echo(self, line: str) -> bool:
        letters = _letters(line)
        return letters in self._asked or (len(letters) >= _SHORTEST and any(r.startswith(letters) for r in self._rules))

    def _may_be_echo(self, line: str) -> bool:
        letters = _letters(line)
        return any(said.startswith(letters) for said in (*self._rules, *self._asked))


@cache
def _rules(language: str) -> tuple[str, ...]:
    """The letters of the rules of all prompts in a language, from each place where one may be repeated from."""
    texts = PROMPT_TEXTS[language]
    all_texts = (texts, *(for_everything(texts, kind) for kind in get_args(QuestionKind)))
    all_rules = [each.instructions(may_give_up=True, conversing=said) for each in all_texts for said in (False, True)]
    letters = (_letters(rules[at.end() :]) for rules in all_rules for at in _PLACE.finditer(rules))
    return tuple(dict.fromkeys(filter(None, letters)))


def _letters(text: str) -> str:
    return _NO_LETTER.sub("", unicodedata.normalize("NFKC", text)).casefold()
