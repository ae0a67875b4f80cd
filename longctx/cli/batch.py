"""`longctx ask --questions`: the questions of a file, one after another."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from longctx.cli.answer_texts import answer_texts
from longctx.cli.opening import open_qa
from longctx.cli.options import AskFlags
from longctx.cli.output import note_answer, note_unmeasured, note_unsupported, one_line, print_sources
from longctx.cli.terminal import echo, echo_json, name, secho

if TYPE_CHECKING:
    from longctx.evaluation import Question
    from longctx.types import Answer

_STDIN = "-"
_SERVER_FAILURES = 3  # questions in a row: the server is lost


def ask_questions(file: str, flags: AskFlags, *, as_json: bool) -> int:
    """Answer the questions of a file, and print each answer as it comes.

    An error of one question is printed in its place. Only a server that fails three times in a row ends the run.

    Args:
        file: The file of questions; "-" is standard input.
        flags: How the questions are asked.
        as_json: Whether to print a JSON object on a line for each.

    Returns:
        The exit code: 1 if a question failed or was not asked.
    """
    from longctx.errors import LongctxError, ServerFailed

    questions, settings = _read(file), flags.settings()
    options = flags.options(settings)
    failed = in_a_row = 0
    with open_qa(settings) as qa:
        for number, question in enumerate(questions, start=1):
            try:
                _print(question, qa.ask(question.question, options), as_json=as_json)
                in_a_row = 0
            except LongctxError as error:
                _print_error(question, one_line(error), as_json=as_json)
                failed += 1
                in_a_row = in_a_row + 1 if isinstance(error, ServerFailed) else 0
            if in_a_row == _SERVER_FAILURES and number < len(questions):
                echo(f"the server is lost: {len(questions) - number} questions were not asked", err=True)
                break
    if settings.model is None and not as_json:
        texts = answer_texts(questions[0].question if questions else "")
        secho(f"\n{texts.no_model}", err=True, dim=True)
    return 1 if failed else 0


def _read(file: str) -> Sequence[Question]:
    from longctx.bounded_file import read_bounded_text
    from longctx.errors import BadRequest
    from longctx.evaluation import parse_questions, read_questions

    if file != _STDIN:
        return read_questions(file)
    try:
        text = read_bounded_text(sys.stdin)
    except OSError as error:
        raise BadRequest(f"standard input cannot be read: {error.strerror}") from error
    return parse_questions(text, "standard input", plain=not text.lstrip().startswith("{"))


def _print(question: Question, answer: Answer, *, as_json: bool) -> None:
    if as_json:
        _print_line({"id": question.id, "question": question.question, "answer": asdict(answer)})
        return
    secho(question.question, bold=True)
    echo(answer.text)
    texts = answer_texts(question.question, answer.text)
    print_sources(answer, texts)
    note_answer(answer)
    note_unsupported(answer, texts)
    note_unmeasured(answer, texts)
    echo()


def _print_error(question: Question, error: str, *, as_json: bool) -> None:
    if as_json:
        _print_line({"id": question.id, "question": question.question, "error": error})
        return
    secho(question.question, bold=True)
    echo(f"longctx: {name(error)}\n", err=True)


def _print_line(value: dict[str, Any]) -> None:
    echo_json(json.dumps(value, ensure_ascii=False))
