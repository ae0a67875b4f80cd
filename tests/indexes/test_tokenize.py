from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexes.tokenize import terms


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("scaling", "Scaled"),
        ("ＹａＲＮ", "yarn"),
        ("ｻｰﾊﾞｰ", "サーバー"),
        ("附属", "付属"),
    ],
)
def test_spellings_of_one_word_share_a_term(one: str, other: str) -> None:
    assert set(terms(one)) & set(terms(other))


def test_japanese_gives_morphemes_and_bigrams() -> None:
    found = terms("東京都に住む")
    assert {"東京", "都", "京都"} <= set(found)
    assert found.count("東京") == 2, "a morpheme of two characters is a bigram as well"


def test_chinese_and_korean_are_found_by_bigrams() -> None:
    assert "机器" in terms("机器学习")
    assert terms("한국어") == ["한국", "국어"]


def test_a_run_longer_than_sudachi_accepts_is_no_error() -> None:
    assert len(terms("東京都" * 20_000)) > 90_000


def test_what_is_no_word_gives_no_term() -> None:
    assert terms("… 。、 --- \n") == []
    assert terms("x" * 1000) == []


@given(st.text(max_size=100))
def test_terms_never_hold_white_space(text: str) -> None:
    assert all(term and len(term.split()) == 1 for term in terms(text))
