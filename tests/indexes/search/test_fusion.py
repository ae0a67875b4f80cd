from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexes.search.fusion import score_fusion


def test_scores_say_by_how_much_one_is_better() -> None:
    lexical = [(1, 30.0), (2, 10.0), (3, 9.0)]
    dense = [(2, 0.5), (3, 0.49), (1, 0.48)]
    assert list(score_fusion([lexical, dense], depth=50)) == [1, 2, 3]


def test_what_is_cut_off_counts_as_the_last_that_was_not() -> None:
    assert score_fusion([[(1, 9.0), (2, 8.0), (3, 7.0)]], depth=3) == {1: 1.0, 2: 0.5, 3: 0.0}
    assert score_fusion([[(1, 8.0), (2, 4.0)]], depth=3) == {1: 1.0, 2: 0.5}


def test_one_ranking_may_be_empty_or_all_alike() -> None:
    assert score_fusion([[], [(5, 0.2)]], depth=10) == {5: 0.5}
    assert score_fusion([[(1, 2.0), (2, 2.0)], []], depth=2) == {1: 0.5, 2: 0.5}


ranking = st.dictionaries(st.integers(0, 30), st.floats(-1, 40), max_size=20).map(
    lambda scores: sorted(scores.items(), key=lambda pair: -pair[1])
)


@given(st.lists(ranking, min_size=1, max_size=3), st.integers(1, 25))
def test_fused_scores_fall_and_stay_between_0_and_1(rankings: list[list[tuple[int, float]]], depth: int) -> None:
    cut = [ranking[:depth] for ranking in rankings]
    fused = score_fusion(cut, depth)
    assert set(fused) == {item for ranking in cut for item, _ in ranking}
    assert list(fused.values()) == sorted(fused.values(), reverse=True)
    assert all(-1e-9 <= score <= 1 + 1e-9 for score in fused.values())
    if len(cut) == 1 and cut[0] and cut[0][0][1] > 0:
        assert fused[cut[0][0][0]] == pytest.approx(1.0)
