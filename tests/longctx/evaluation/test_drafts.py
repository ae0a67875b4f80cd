"""Questions that are drafted from an index."""

from __future__ import annotations

from pathlib import Path

import pytest

from indexes import CorpusIndex
from longctx.evaluation import draft_questions

DOCUMENTS = {
    "bridge.md": (
        "# The bridge\n\nThe bridge was opened in 1932 by the mayor of the town.\n\n"
        "Every evening the ferryman Halvorsen counts the boats that lie in the harbour.\n\n"
        "- a list without a sentence\n\n| a | table |\n\nToo short.\n"
    ),
    "mill.txt": "The mill grinds rye from October until the river freezes over.\nIt was sold twice.\n",
    "toudai.txt": "灯台は岬に立ち、レンズは四十秒で一回転します。\n霧の日には、灯台守が霧笛を鳴らして船に知らせます。\n",
}


@pytest.fixture(scope="module")
def index(make_index, encoder):
    with CorpusIndex.open(make_index(DOCUMENTS), encoder) as opened:
        yield opened


def test_each_question_is_a_sentence_with_its_answer_left_out(index: CorpusIndex) -> None:
    questions = draft_questions(index, 50)
    by_answer = {each.answers[0]: each for each in questions}
    assert len(questions) == 5, "and none from headings, lists, tables and scraps"
    assert by_answer["1932"].question == (
        'Which word is missing: "The bridge was opened in ____ by the mayor of the town."?'
    )
    assert "Halvorsen" in by_answer, "a name rather than another word"
    assert by_answer["四十"].question == ("「灯台は岬に立ち、レンズは＿＿秒で一回転します。」の＿＿は何ですか。")
    for each in questions:
        quoted = each.question.split('"')[1] if '"' in each.question else each.question.split("「")[1].split("」")[0]
        whole = quoted.replace("____", each.answers[0]).replace("＿＿", each.answers[0])
        assert whole in index.text(each.source)


def test_they_are_the_same_for_a_seed_and_spread_over_documents(index: CorpusIndex) -> None:
    first = draft_questions(index, 3, seed=1)
    assert first == draft_questions(index, 3, seed=1)
    assert {Path(each.source).name for each in first} == set(DOCUMENTS)
    assert len({draft_questions(index, 3, seed=seed) for seed in range(6)}) > 1
