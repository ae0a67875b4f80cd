"""What becomes of a model's words: an answer with its citations, a quotation, or a refusal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from indexes.text import sentence_spans
from longctx.answering.citations import CitedText
from longctx.answering.evidence import Evidence
from longctx.prompts import is_refusal, prompt_texts
from longctx.types import Answer, Usage


def conclude(cited: CitedText, evidence: Evidence, question: str, query: str = "") -> tuple[Answer, str]:
    """Make an answer of what a model wrote.

    Args:
        cited: The model's words, finished and checked.
        evidence: The passages in its prompt.
        question: The question.
        query: The question as it was searched for, if it is doubtful that the passages answer it.

    Returns:
        The answer, without its plan and what it cost; and, where it is not what the model wrote, why.
    """
    refusal = prompt_texts(question).refusal
    if not cited.words:
        number, sentence = evidence.quotation(list(cited.marks))
        wrote = "the model wrote nothing but marks" if cited.text else "the model wrote nothing"
        if not sentence:
            return _answer(refusal, refused=True), f"{wrote}, and no passage bears on the question"
        quoted = replace(evidence.passages[number - 1], marked_by="added")
        return _answer(f"{sentence} [{number}]", citations=(quoted,)), f"{wrote}, so a passage is quoted"
    if all(is_refusal(sentence) for sentence in _sentences(cited.words)):
        return _answer(cited.text.strip(), refused=True), ""
    if query and (objection := evidence.objection(query, cited.words)):
        return _answer(refusal, refused=True, unsupported=_sentences(cited.words)), objection
    citations = tuple(replace(evidence.passages[n - 1], marked_by=by) for n, by in cited.marks.items())
    return _answer(cited.text.strip(), citations=citations, unsupported=tuple(cited.unsupported)), ""


def _sentences(text: str) -> tuple[str, ...]:
    return tuple(text[start:end] for start, end in sentence_spans(text))


def _answer(text: str, **fields: Any) -> Answer:
    return replace(Answer(text, (), None, Usage()), **fields)
