"""What becomes of a model's words: an answer with its citations, a quotation, or a refusal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from indexes.text import sentence_spans
from longctx.answering.citations import CitedText
from longctx.answering.evidence import Evidence
from longctx.engine import Generation
from longctx.prompts import is_refusal, prompt_texts
from longctx.reasons import Reason, in_english
from longctx.types import Answer, Usage


def conclude(
    cited: CitedText, evidence: Evidence, question: str, query: str = "", generation: Generation | None = None
) -> tuple[Answer, list[Reason]]:
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
    note = in_english(thoughts if cited.words else [*thoughts, *why])
    return replace(answer, thinking=generation.thinking.strip(), note=note), [*thoughts, *why]


def left_to_say(answer: Answer, cited: CitedText, rest: str) -> str:
    """What of an answer has not been given out yet.

    Args:
        answer: What `conclude` has made.
        cited: The model's words, as they were given out.
        rest: What finishing them gave.

    Returns:
        The rest, with what follows the model's words in the answer; all of it if it is something else.
    """
    written = cited.text.strip()
    if not (written and answer.text.startswith(written)):
        return answer.text
    return rest + answer.text.removeprefix(written)


def _ended_in_thoughts(generation: Generation) -> list[Reason]:
    """That a model came to no answer, or to no end of one, for its thoughts; empty otherwise."""
    if not generation.inside_thoughts:
        return []
    spent = Reason("still_thinking", (generation.completion_tokens,))
    if generation.finish != "length":
        spent = Reason("ended_in_thoughts")
    return [Reason("more_thoughts", (spent,))]


def _concluded(cited: CitedText, evidence: Evidence, question: str, query: str) -> tuple[Answer, list[Reason]]:
    refusal = prompt_texts(question).refusal
    if not cited.words:
        number, sentence = evidence.quotation(list(cited.marks), question)
        wrote = Reason("only_marks" if cited.text else "nothing")
        if not sentence:
            return _answer(refusal, refused=True), [Reason("wrote_nothing", (wrote,))]
        quoted = replace(evidence.passages[number - 1], marked_by="added")
        return _answer(f"{sentence} [{number}]", citations=(quoted,)), [Reason("quoted", (wrote,))]
    if all(is_refusal(sentence) for sentence in _sentences(cited.words)):
        return _answer(cited.text.strip(), refused=True), []
    if query and (objection := evidence.objection(query, cited.words, cited.marks)):
        return _answer(refusal, refused=True, unsupported=_sentences(cited.words)), [objection]
    citations = tuple(replace(evidence.passages[n - 1], marked_by=by) for n, by in cited.marks.items())
    text = cited.text.strip()
    number, sentence = evidence.quotation(list(cited.marks), question) if cited.lacks_value else (0, "")
    if sentence:
        text = f"{text} {sentence} [{number}]"
    return _answer(text, citations=citations, unsupported=tuple(cited.unsupported)), []


def _sentences(text: str) -> tuple[str, ...]:
    return tuple(text[start:end] for start, end in sentence_spans(text))


def _answer(text: str, **fields: Any) -> Answer:
    return replace(Answer(text, (), None, Usage()), **fields)
