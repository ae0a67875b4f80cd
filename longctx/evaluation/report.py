"""The report of an evaluation: the measures of each combination, as values, JSON and tables."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from statistics import fmean
from typing import Any

from longctx.evaluation.options import Combination
from longctx.evaluation.questions import Question
from longctx.evaluation.records import AnswerKey, AnswerRecord
from longctx.evaluation.scoring import Scores, score
from longctx.probe import wilson
from longctx.version import __version__


@dataclass(frozen=True, slots=True)
class AskedQuestion:
    """A question of an evaluation.

    Attributes:
        question: The question.
        occurrence: Its number among the questions with the same text, from 1.
        documents: The sources of the documents that hold its answer; empty if it names no source.
    """

    question: Question
    occurrence: int = 1
    documents: frozenset[str] = frozenset()

    def key(self, combination: Combination) -> AnswerKey:
        """What is asked under a combination.

        Args:
            combination: The combination.

        Returns:
            The key of the answer.
        """
        return AnswerKey(self.question.question, self.occurrence, combination)


@dataclass(frozen=True, slots=True)
class Proportion:
    """A proportion with Wilson's 95 % interval.

    Attributes:
        value: The proportion; None of nothing.
        low: The lower end of the interval.
        high: The upper end.
        n: Of how many.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean.

    Attributes:
        value: The mean; None of nothing.
        n: Of how many.
    """

    value: float | None
    n: int


@dataclass(frozen=True, slots=True)
class Summary:
    """The measures of a combination. Questions that ended in an error count in `found` and `errors` only.

    Attributes:
        combination: The combination.
        asked: Questions that were asked.
        errors: Questions that ended in an error.
        found: Recall@k: questions for which the k passages found are of the right document, or hold a gold answer.
        held: Questions with gold answers whose answer holds one.
        f1: Token F1 of questions with gold answers.
        marked: Answers that cite a passage, of those that are no refusals.
        marks_right: Citations of the right document, or of a passage that holds a gold answer.
        bare: Answers without words, of those that are no refusals: nothing, or nothing but marks.
        refused: Refusals, of the questions that have no answer.
        falsely_refused: Refusals, of the questions that have one.
        prompt_tokens: Tokens that the model read for a question.
        completion_tokens: Tokens that it generated.
        seconds: Seconds for a question.
    """

    combination: Combination
    asked: int
    errors: int
    found: Proportion
    held: Proportion
    f1: Mean
    marked: Proportion
    marks_right: Proportion
    bare: Proportion
    refused: Proportion
    falsely_refused: Proportion
    prompt_tokens: Mean
    completion_tokens: Mean
    seconds: Mean


@dataclass(frozen=True)
class EvaluationReport:
    """What an evaluation found.

    Attributes:
        questions: The questions.
        combinations: What was compared.
        records: The answers, by what was asked.
        k: How many passages recall counts.
        stopped: Why it stopped before its end; empty if it is whole.
        note: What else is to be said: that a line cut short was dropped.
    """

    questions: tuple[AskedQuestion, ...]
    combinations: tuple[Combination, ...]
    records: Mapping[AnswerKey, AnswerRecord]
    k: int
    stopped: str = ""
    note: str = ""

    @property
    def total(self) -> int:
        """How many answers a whole evaluation has."""
        return len(self.questions) * len(self.combinations)

    @cached_property
    def answers(self) -> tuple[tuple[Question, AnswerRecord, Scores], ...]:
        """The answers with their questions and scores, question by question."""
        return tuple(
            (asked.question, record, score(asked.question, record, asked.documents))
            for asked in self.questions
            for combination in self.combinations
            if (record := self.records.get(asked.key(combination))) is not None
        )

    @cached_property
    def summaries(self) -> tuple[Summary, ...]:
        """The measures of each combination."""
        return tuple(
            _summary(each, [answer for answer in self.answers if answer[1].combination == each])
            for each in self.combinations
        )

    @property
    def judged_by(self) -> dict[str, int]:
        """How many questions have passages judged by their `source`, and by a gold `answer` in the passage."""
        answerable = [asked for asked in self.questions if asked.question.has_answer]
        by_source = sum(bool(asked.documents) for asked in answerable)
        return {"source": by_source, "answer": len(answerable) - by_source}

    def as_dict(self) -> dict[str, Any]:
        """The measures, as `summary.json` has them.

        Returns:
            A value that can be written as JSON.
        """
        measures = [asdict(summary) | {"combination": summary.combination._asdict()} for summary in self.summaries]
        return {
            "longctx": __version__,
            "complete": not self.stopped,
            "stopped": self.stopped,
            "done": len(self.records),
            "total": self.total,
            "k": self.k,
            "questions": len(self.questions),
            "judged_by": self.judged_by,
            "combinations": measures,
        }

    def to_json(self) -> str:
        """The measures and the scores of every answer as JSON.

        Returns:
            `as_dict` with a list `scores`.
        """
        scores = [
            {"id": question.id, "question": question.question, **record.combination._asdict()}
            | {"answer": record.text, "error": record.error, **asdict(scored)}
            for question, record, scored in self.answers
        ]
        return json.dumps({**self.as_dict(), "scores": scores}, ensure_ascii=False, indent=2)


def _summary(combination: Combination, answers: Sequence[tuple[Question, AnswerRecord, Scores]]) -> Summary:
    scores = [scored for _, _, scored in answers]
    whole = [record for _, record, _ in answers if not record.error]

    def share(name: str) -> Proportion:
        return proportion([value for scored in scores if (value := getattr(scored, name)) is not None])

    def refusals(has_answer: bool) -> Proportion:
        refused = [scored.refused for question, _, scored in answers if question.has_answer is has_answer]
        return proportion([value for value in refused if value is not None])

    return Summary(
        combination=combination,
        asked=len(answers),
        errors=len(answers) - len(whole),
        found=share("found"),
        held=share("held"),
        f1=_mean([scored.f1 for scored in scores if scored.f1 is not None]),
        marked=share("marked"),
        marks_right=proportion([mark for scored in scores for mark in scored.marks or ()]),
        bare=share("bare"),
        refused=refusals(has_answer=False),
        falsely_refused=refusals(has_answer=True),
        prompt_tokens=_mean([record.prompt_tokens for record in whole]),
        completion_tokens=_mean([record.completion_tokens for record in whole]),
        seconds=_mean([record.seconds for record in whole]),
    )


def proportion(outcomes: Collection[bool]) -> Proportion:
    """The proportion of outcomes that are true.

    Args:
        outcomes: The outcomes.

    Returns:
        The proportion with its interval.
    """
    if not outcomes:
        return Proportion(None, None, None, 0)
    value = sum(outcomes) / len(outcomes)
    return Proportion(value, *wilson(value, len(outcomes)), len(outcomes))


def _mean(values: Sequence[float]) -> Mean:
    return Mean(fmean(values) if values else None, len(values))
