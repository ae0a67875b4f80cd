"""The scores of one answer."""

from __future__ import annotations

import pytest

from longctx.evaluation import (
    AnswerRecord,
    Question,
    RecordedPassage,
    Scores,
    answer_held,
    proportion,
    score,
    token_f1,
    without_marks,
)


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("Anna Holm [1].", "Anna Holm ."),
        ("In 1874 [1, 2][3].", "In 1874 ."),
        ("一八七四年［１］【２】", "一八七四年"),
        ("It is so [?]. And so [9?]", "It is so . And so"),
        ("[2]", ""),
        ("a[3] is an item of [PYTHON]", "a is an item of [PYTHON]"),
    ],
)
def test_marks_are_removed(text: str, bare: str) -> None:
    assert without_marks(text) == bare


def test_an_answer_holds_a_gold_answer_in_any_width_and_case() -> None:
    assert answer_held("It was ANNA\nHolm [1].", ["nobody", "Anna Holm"])
    assert answer_held("１８７４年に建てられた。", ["1874年"])
    assert not answer_held("The keeper said so [1].", ["1"]), "a mark is no answer"
    assert not answer_held("It was Anna.", ["Anna Holm"])


@pytest.mark.parametrize(
    ("text", "answers", "f1"),
    [
        ("Anna Holm", ["Anna Holm"], 1.0),
        ("The Anna Holm! [1]", ["anna holm"], 1.0),
        ("It was Anna Holm.", ["Anna Holm"], 2 * 2 / (4 + 2)),
        ("It was Anna Holm.", ["Holm", "was Anna Holm"], 2 * 3 / (4 + 3)),
        ("The", ["the"], 1.0),
        ("nothing", ["Anna Holm"], 0.0),
        ("[1]", ["Anna Holm"], 0.0),
        ("小笠原諸島です。", ["小笠原諸島"], 2 * 5 / (7 + 5)),
        ("1874年に", ["1874年"], 2 * 2 / (3 + 2)),
    ],
)
def test_token_f1(text: str, answers: list[str], f1: float) -> None:
    assert token_f1(text, answers) == pytest.approx(f1)


HERE, THERE = (
    RecordedPassage(source="/a.md", text="Anna Holm built it."),
    RecordedPassage(source="/b.md", text="Somebody built it."),
)
QUESTION = Question("Who built it?", ("Anna Holm",))


def test_passages_are_judged_by_the_source_where_there_is_one() -> None:
    record = AnswerRecord(question="Who built it?", text="Anna Holm [1][2]", citations=(HERE, THERE), hits=(THERE,))
    by_source = score(QUESTION, record, {"/b.md"})
    assert by_source == Scores(True, True, 1.0, True, (False, True), False, False)
    by_answer = score(QUESTION, record, ())
    assert (by_answer.found, by_answer.marks) == (False, (True, False))


@pytest.mark.parametrize("text", ["", "[1]", "[1], [2].", "【3】。"])
def test_an_answer_without_words_is_bare(text: str) -> None:
    scores = score(QUESTION, AnswerRecord(question="", text=text), ())
    assert (scores.bare, scores.held, scores.f1, scores.marked) == (True, False, 0.0, False)


def test_a_refusal_is_neither_marked_nor_bare() -> None:
    record = AnswerRecord(question="", text="The passages do not say.", refused=True, hits=(HERE,))
    scores = score(QUESTION, record, ())
    assert (scores.refused, scores.marked, scores.marks, scores.bare) == (True, None, None, None)
    unanswerable = score(Question("What does it cost?", ()), record, {"/a.md"})
    assert unanswerable == Scores(refused=True)


def test_an_error_has_no_scores_but_that_of_the_search() -> None:
    assert score(QUESTION, AnswerRecord(question="", error="too long", hits=(HERE,)), ()) == Scores(found=True)
    assert score(QUESTION, AnswerRecord(question="", error="too long"), ()) == Scores()


def test_a_proportion_has_wilsons_interval() -> None:
    share = proportion([True] * 8 + [False] * 2)
    assert (share.value, share.n) == (0.8, 10)
    assert (share.low, share.high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))
    assert proportion([]).value is None
