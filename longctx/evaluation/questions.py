"""Files of questions: JSON Lines with gold answers and sources, or plain text with a question on each line."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from longctx.bounded_file import read_bounded
from longctx.errors import BadRequest
from longctx.result_file import write_result_text, writing_to

JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
_FIELDS = ("question", "answers", "source", "id")
_SHOWN = 10  # broken lines that an error lists


@dataclass(frozen=True, slots=True)
class Question:
    """A question, with what is known about its answer.

    Attributes:
        question: The question.
        answers: Gold answers, any of which is right. Empty if the documents do not hold an answer and it should be
            refused; None if nothing is known.
        source: The document that holds the answer: a path, a name, a folder or a pattern, as for `SearchFilter`. A
            relative path that leads to no document from the working folder is looked for in every folder.
        id: A label for reports; the line number if the file has none.
    """

    question: str
    answers: tuple[str, ...] | None = None
    source: str | None = None
    id: str = ""

    @property
    def has_answer(self) -> bool | None:
        """Whether the documents hold an answer; None if that is not known."""
        return bool(self.answers) if self.answers is not None else True if self.source else None


def read_questions(path: str | Path) -> tuple[Question, ...]:
    """Read a file of questions.

    Args:
        path: The file: JSON Lines if it ends in .jsonl, .ndjson or .json; otherwise one question on each line.

    Returns:
        The questions in the order of the file.

    Raises:
        BadRequest: If the file cannot be read, or as `parse_questions`.
    """
    file = Path(path)
    try:
        data = read_bounded(file, pipe=True)
    except OSError as error:
        raise BadRequest(f"{path} cannot be read: {error.strerror or error}; give a file of questions") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadRequest(f"{path}, line {line}: this is not UTF-8; save the file as UTF-8") from error
    return parse_questions(text, str(path), plain=file.suffix.lower() not in JSON_SUFFIXES)


def parse_questions(text: str, name: str, *, plain: bool = False) -> tuple[Question, ...]:
    """Parse questions; empty lines are skipped.

    Args:
        text: JSON Lines, each an object with `question` and optional `answers` (a string, or a list that is empty if
            the question should be refused), `source` and `id`; or plain text.
        name: What to call the text in an error.
        plain: Whether each line is a question as it stands.

    Returns:
        The questions in order.

    Raises:
        BadRequest: If there is no question, or a line is broken; every broken line is counted, and the first ten are
            listed with what is wrong.
    """
    questions: list[Question] = []
    problems: list[str] = []
    ids: dict[str, int] = {}
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    for number, line in lines:
        try:
            question = Question(line.strip()) if plain else _parsed(line)
        except ValueError as error:
            problems.append(f"line {number}: {error}")
            continue
        if question.id in ids and question.id:
            problems.append(f"line {number}: the id {question.id!r} is that of line {ids[question.id]}: give another")
        ids[question.id] = number
        questions.append(question if question.id else replace(question, id=str(number)))
    if problems:
        more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise BadRequest(
            f"{name}: {len(problems)} of {len(lines)} lines cannot be used, so no question was asked; mend them. "
            f"{'; '.join(problems[:_SHOWN])}{more}"
        )
    if not questions:
        raise BadRequest(f"{name} holds no question: write one on each line")
    return tuple(questions)


def write_questions(questions: Iterable[Question], path: str | Path) -> None:
    """Write a new file of questions, as JSON Lines.

    Args:
        questions: The questions.
        path: The file.

    Raises:
        BadRequest: If the file exists already, or cannot be written.
    """
    lines: list[str] = []
    for each in questions:
        known = {"id": each.id, "question": each.question, "answers": each.answers, "source": each.source}
        given = {name: value for name, value in known.items() if value not in (None, "")}
        lines.append(json.dumps(given, ensure_ascii=False) + "\n")
    file = Path(path)
    with writing_to(file):
        try:
            file.touch(mode=0o600, exist_ok=False)
        except FileExistsError as error:
            raise BadRequest(f"{path} exists already: give another name, or move it away") from error
    try:
        write_result_text(file, "".join(lines))
    except BadRequest:
        file.unlink(missing_ok=True)
        raise


def _parsed(line: str) -> Question:
    """A line of JSON. Raises ValueError, whose message says what is wrong and what is right."""
    try:
        given = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"this is not JSON ({error.msg}, column {error.colno})") from error
    except RecursionError as error:
        raise ValueError("this is nested too deeply") from error
    if not isinstance(given, dict):
        raise ValueError('this is no object: write {"question": "…"} on one line')
    for name in given.keys() - set(_FIELDS):
        if near := difflib.get_close_matches(name, _FIELDS, n=1, cutoff=0.8):
            raise ValueError(f"there is no field {name!r}: did you mean {near[0]!r}?")
    label = given.get("id")
    if label is not None and (isinstance(label, bool) or not isinstance(label, str | int) or not str(label).strip()):
        raise ValueError(f"id is {_shown(label)}: give a text or a whole number")
    return Question(
        _text(given, "question") or _missing(),
        _answers(given),
        _text(given, "source"),
        "" if label is None else str(label),
    )


def _missing() -> str:
    raise ValueError("question is missing")


def _text(given: Mapping[str, Any], name: str) -> str | None:
    return None if given.get(name) is None else _checked(given[name], name)


def _answers(given: Mapping[str, Any]) -> tuple[str, ...] | None:
    answers = given.get("answers")
    if answers is None:
        return None
    return tuple(_checked(each, "answers") for each in (answers if isinstance(answers, list) else [answers]))


def _checked(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value.strip():
        remedy = "give texts, or [] if the documents hold none" if name == "answers" else "give a text"
        raise ValueError(f"{name} is {_shown(value)}: {remedy}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{name} holds half a surrogate pair, which is no character") from error
    return value


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= 40 else f"{text[:40]}…"
