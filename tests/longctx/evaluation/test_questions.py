"""Files of questions: what is read from them, and what is said about broken lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from limited_files import files_up_to

from longctx import BadRequest
from longctx.evaluation import Question, parse_questions, read_questions, write_questions


def lines(*values: object) -> str:
    return "".join(json.dumps(value) + "\n" for value in values)


def test_questions_are_read_with_all_that_they_have(tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_text(
        "\ufeff"
        + lines(
            {"question": "Who built it?", "answers": ["Anna Holm", "Holm"], "source": "docs/a.md", "id": 7},
            {"question": "When?", "answers": "1874", "difficulty": "easy"},
        )
        + "\n"
        + lines({"question": "What does it cost?", "answers": []}, {"question": "Where?", "source": "docs"})
        + '{"question": "二行\u2028の質問"}',
        encoding="utf-8",
    )
    first, second, third, fourth, fifth = read_questions(file)
    assert first == Question("Who built it?", ("Anna Holm", "Holm"), "docs/a.md", "7")
    assert second == Question("When?", ("1874",), None, "2")
    assert (third.answers, third.has_answer, third.id) == ((), False, "4")
    assert (fourth.answers, fourth.has_answer) == (None, True)
    assert (fifth.question, fifth.has_answer) == ("二行\u2028の質問", None)


def test_a_text_file_has_a_question_on_each_line(tmp_path: Path) -> None:
    file = tmp_path / "questions.txt"
    file.write_text('Who built it?\r\n\n{"question": 1}\n', encoding="utf-8")
    assert [each.question for each in read_questions(file)] == ["Who built it?", '{"question": 1}']


BROKEN = [
    ('{"question": "a"', "this is not JSON"),
    ('["a"]', "this is no object"),
    ("[" * 100_000, "this is nested too deeply"),
    ('{"answers": ["a"]}', "question is missing"),
    ('{"question": " "}', 'question is " ": give a text'),
    ('{"question": 5}', "question is 5: give a text"),
    ('{"question": "a", "answers": [""]}', 'answers is "": give texts, or [] if the documents hold none'),
    ('{"question": "a", "answers": 5}', "answers is 5"),
    ('{"question": "a", "answer": "b"}', "there is no field 'answer': did you mean 'answers'?"),
    ('{"question": "a", "source": ["b"]}', 'source is ["b"]: give a text'),
    ('{"question": "a", "id": true}', "id is true: give a text or a whole number"),
    ('{"question": "\\ud800"}', "question holds half a surrogate pair"),
]


@pytest.mark.parametrize(("line", "problem"), BROKEN)
def test_a_broken_line_is_named_with_its_remedy(line: str, problem: str) -> None:
    with pytest.raises(BadRequest) as raised:
        parse_questions('{"question": "good"}\n' + line, "q.jsonl")
    assert "q.jsonl: 1 of 2 lines cannot be used" in str(raised.value)
    assert f"line 2: {problem}" in str(raised.value)


def test_every_broken_line_is_counted_and_ten_are_shown() -> None:
    with pytest.raises(BadRequest) as raised:
        parse_questions("\n".join(['{"question": "good"}', *["no"] * 14]), "q.jsonl")
    message = str(raised.value)
    assert "14 of 15 lines" in message
    assert message.count("this is not JSON") == 10
    assert message.endswith("line 11: this is not JSON (Expecting value, column 1); and 4 more")


def test_two_questions_have_not_one_id() -> None:
    with pytest.raises(BadRequest, match="line 2: the id 'x' is that of line 1"):
        parse_questions(lines({"question": "a", "id": "x"}, {"question": "b", "id": "x"}), "q.jsonl")
    assert len(parse_questions(lines({"question": "a", "id": "2"}, {"question": "b"}), "q.jsonl")) == 2


@pytest.mark.parametrize(
    ("data", "problem"),
    [(b"", "holds no question"), (b"\n \n", "holds no question"), ('{"question": "é"}\n{'.encode("latin-1"), "line 1")],
)
def test_what_is_no_file_of_questions_is_said(tmp_path: Path, data: bytes, problem: str) -> None:
    (tmp_path / "q.jsonl").write_bytes(data)
    with pytest.raises(BadRequest, match=problem):
        read_questions(tmp_path / "q.jsonl")
    with pytest.raises(BadRequest, match=r"nowhere\.jsonl cannot be read: No such file"):
        read_questions(tmp_path / "nowhere.jsonl")


def test_what_is_written_is_read_again_and_nothing_is_overwritten(tmp_path: Path) -> None:
    questions = (Question("誰？", ("灯台守",), "a.md", "1"), Question("Why?", (), None, "2"), Question("When?", id="3"))
    write_questions(questions, tmp_path / "q.jsonl")
    assert read_questions(tmp_path / "q.jsonl") == questions
    assert "灯台守" in (tmp_path / "q.jsonl").read_text(encoding="utf-8")
    with pytest.raises(BadRequest, match="exists already"):
        write_questions(questions, tmp_path / "q.jsonl")


def test_questions_that_cannot_be_written_leave_nothing(tmp_path: Path) -> None:
    questions = [Question(f"How long is question {n}?", ("long",)) for n in range(99)]
    with files_up_to(1000), pytest.raises(BadRequest, match=r"q\.jsonl cannot be written to: File too large"):
        write_questions(questions, tmp_path / "q.jsonl")
    assert list(tmp_path.iterdir()) == []
    for name, reason in (("x" * 300, "File name too long"), ("no/q.jsonl", "No such file")):
        with pytest.raises(BadRequest, match=f"cannot be written to: {reason}"):
            write_questions(questions, tmp_path / name)
    assert list(tmp_path.iterdir()) == []
