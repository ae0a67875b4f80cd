"""What becomes of a model's words: an answer with its citations, a quotation, or a refusal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from indexes.text import sentence_spans
from longctx.answering.citations import CitedText
from longctx.answering.evidence import Evidence
from longctx.engine import Generation
from longctx.prompts import is_refusal, prompt_texts
from longctx.types import Answer, Usage


def conclude(
    cited: CitedText, evidence: Evidence, question: str, query: str = "", generation: Generation | None = None
) -> tuple[Answer, str]:
    """Make an answer of what a model wrote.

    Args:
        cited: The model's words, finished and checked.
        evidence: The passages in its prompt.
        question: The question.
        query: The question as it was searched for, if it is doubtful that the passages answer it.
        generation: What the model wrote, with its thoughts.

    Returns:
        The answer, without its plan and what it cost; and, where it is not what the model wrote, why.
    """
    answer, why = _concluded(cited, evidence, question, query)
    if generation is None:
        return answer, why
    thoughts = _ended_in_thoughts(generation)
    note = "; ".join(filter(None, [thoughts, why])) if not cited.words else thoughts
    return replace(answer, thinking=generation.thinking.strip(), note=note), "; ".join(filter(None, [thoughts, why]))


def _ended_in_thoughts(generation: Generation) -> str:
    """That a model came to no answer, or to no end of one, for its thoughts; empty otherwise."""
    if not generation.inside_thoughts:
        return ""
    spent = f"the model was still thinking after {generation.completion_tokens:,} tokens and gave no answer"
    if generation.finish != "length":
        spent = "the model ended in its thoughts and gave no answer"
    return f"{spent}: give it more (--thinking-tokens), or turn thinking off (--thinking off)"


def _concluded(cited: CitedText, evidence: Evidence, question: str, query: str) -> tuple[Answer, str]:
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
    if query and (objection := evidence.objection(query, cited.words, cited.marks)):
        return _answer(refusal, refused=True, unsupported=_sentences(cited.words)), objection
    citations = tuple(replace(evidence.passages[n - 1], marked_by=by) for n, by in cited.marks.items())
    return _answer(cited.text.strip(), citations=citations, unsupported=tuple(cited.unsupported)), ""


def _sentences(text: str) -> tuple[str, ...]:
    return tuple(text[start:end] for start, end in sentence_spans(text))


def _answer(text: str, **fields: Any) -> Answer:
    return replace(Answer(text, (), None, Usage()), **fields)
