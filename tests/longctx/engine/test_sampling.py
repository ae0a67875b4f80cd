from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from transformers import RepetitionPenaltyLogitsProcessor, TopKLogitsWarper, TopPLogitsWarper

from longctx import GenerationOptions
from longctx.engine.sampling import Sampler, keep_likeliest, penalize


def logits(seed: int, count: int = 40) -> torch.Tensor:
    return torch.randn(count, generator=torch.Generator().manual_seed(seed)) * 3


@given(st.integers(0, 99), st.integers(0, 50), st.floats(0.01, 1.0))
def test_the_same_tokens_are_kept_as_in_transformers(seed: int, top_k: int, top_p: float) -> None:
    scores = logits(seed)
    expected = scores[None]
    if top_k:
        expected = TopKLogitsWarper(top_k)(None, expected)
    if top_p < 1:
        expected = TopPLogitsWarper(top_p)(None, expected)
    assert torch.equal(keep_likeliest(scores, top_k, top_p), expected[0])


@given(st.integers(0, 999), st.integers(1, 5000), st.floats(0, 1, exclude_min=True) | st.floats(0.999, 1))
@example(77, 40, 0.99999)
@example(0, 1, 1e-12)
def test_the_fewest_tokens_that_have_top_p_are_kept(seed: int, count: int, top_p: float) -> None:
    """By the definition in float64, but for a token whose sum is within float32's rounding of top_p."""
    scores = logits(seed, count)
    kept = keep_likeliest(scores, 0, top_p) > -torch.inf
    likely, tokens = scores.double().softmax(-1).sort(descending=True)
    before = likely.cumsum(-1) - likely
    rounding = 1e-5 * (1 - top_p) + 1e-12
    assert kept[tokens[0]]
    assert kept[tokens[before < top_p - rounding]].all()
    assert not kept[tokens[1:][before[1:] > top_p + rounding]].any()


@given(st.integers(0, 99), st.lists(st.integers(0, 39), min_size=1), st.floats(0.5, 2.0))
def test_the_penalty_is_that_of_transformers(seed: int, seen: list[int], penalty: float) -> None:
    expected = RepetitionPenaltyLogitsProcessor(penalty)(torch.tensor([seen]), logits(seed)[None].clone())[0]
    assert torch.equal(penalize(logits(seed), seen, penalty), expected)


def test_greedy_is_the_likeliest_after_the_penalty() -> None:
    scores = torch.tensor([1.0, 3.0, 2.9])
    assert Sampler(GenerationOptions(), scores.device).choose(scores, [1]) == 1
    assert Sampler(GenerationOptions(repetition_penalty=1.5), scores.device).choose(scores, [1]) == 2


def test_tokens_come_as_often_as_they_are_likely() -> None:
    sampler = Sampler(GenerationOptions(temperature=2.0, seed=3), torch.device("cpu"))
    scores = torch.tensor([2.0, 0.0, -2.0])
    drawn = Counter(sampler.choose(scores, []) for _ in range(3000))
    for token, likely in enumerate((scores / 2).softmax(-1).tolist()):
        assert drawn[token] / 3000 == pytest.approx(likely, abs=0.03)
