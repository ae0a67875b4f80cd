"""Prompt lookup decoding: the tokens of plain decoding, in fewer passes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from longctx import Engine, GenerationOptions, LoadedModel, load_model
from longctx.engine.prompt_lookup import LONGEST_DRAFT, PromptLookup
from longctx.models import CacheDtype
from rope_scaling import RopeScaling

REPETITIVE = [7, 8, 9, 10, 11, 12] * 6
VARIED = [(37 * place + 11) % 180 for place in range(40)]
DYNAMIC = RopeScaling(method="dynamic_ntk", original_max_position_embeddings=32)


@pytest.fixture(scope="module")
def loaded(tiny_llama: Path) -> LoadedModel:
    """A model that repeats itself, as all do whose weights are random; small in float32."""
    return load_model(tiny_llama, dtype="float32", packed=True)


def answer(engine: Engine, ids: Sequence[int], scaling: RopeScaling | None = None, **options: Any) -> tuple[str, int]:
    """The answer, and how many passes of the model it took."""
    passes = 0

    def count(*_: object) -> None:
        nonlocal passes
        passes += 1

    handle = engine.loaded.model.register_forward_pre_hook(count)
    try:
        text = engine.stream(ids, (), scaling, GenerationOptions(**{"max_new_tokens": 40} | options)).rest()
    finally:
        handle.remove()
    return text, passes


@pytest.mark.parametrize(
    ("options", "scaling", "cache_dtype"),
    [
        ({}, None, "model"),
        ({}, DYNAMIC, "int8"),
        ({"temperature": 0.05, "seed": 5}, None, "int8"),
        ({"temperature": 0.9, "seed": 5, "top_k": 12}, DYNAMIC, "model"),
        ({"repetition_penalty": 1.3}, None, "model"),
        ({"stop": ("e",)}, None, "model"),
    ],
    ids=["greedy", "scaled, int8", "cold, int8", "sampled, scaled", "penalty", "stop"],
)
@pytest.mark.parametrize("ids", [REPETITIVE, VARIED], ids=["repetitive", "varied"])
def test_the_tokens_are_those_of_plain_decoding(
    loaded: LoadedModel,
    ids: list[int],
    options: dict[str, Any],
    scaling: RopeScaling | None,
    cache_dtype: CacheDtype,
) -> None:
    engine = Engine(loaded, cache_dtype=cache_dtype, prefix_bytes=0)
    plain, drafted = (answer(engine, ids, scaling, prompt_lookup=wanted, **options) for wanted in (False, True))
    assert drafted[0] == plain[0]
    assert drafted[1] <= plain[1]


def test_a_text_that_repeats_takes_fewer_passes(loaded: LoadedModel) -> None:
    engine = Engine(loaded, prefix_bytes=0)
    given = {"max_new_tokens": 100}
    plain, drafted = (answer(engine, REPETITIVE, prompt_lookup=wanted, **given) for wanted in (False, True))
    assert drafted[0] == plain[0]
    assert drafted[1] < 0.65 * plain[1]


def test_it_is_on_where_products_are_packed(tiny_llama: Path) -> None:
    plain = Engine(load_model(tiny_llama, dtype="float32"), prefix_bytes=0)
    small = Engine(load_model(tiny_llama, quantization="int8", device="cpu"), prefix_bytes=0)
    assert answer(plain, REPETITIVE) == answer(plain, REPETITIVE, prompt_lookup=False)
    assert answer(small, REPETITIVE) == answer(small, REPETITIVE, prompt_lookup=True)


def test_drafts_across_the_chunks_of_dual_chunk_attention(loaded: LoadedModel) -> None:
    scaling = RopeScaling(method="dca", original_max_position_embeddings=256, chunk_size=24, local_size=8, factor=4.0)
    engine = Engine(loaded, prefix_bytes=0)
    given = {"max_new_tokens": 100}
    plain, drafted = (answer(engine, REPETITIVE, scaling, prompt_lookup=wanted, **given) for wanted in (False, True))
    assert drafted[0] == plain[0]
    assert drafted[1] < plain[1]


def test_the_prompt_is_cached_as_without(loaded: LoadedModel) -> None:
    engine = Engine(loaded)
    first = answer(engine, REPETITIVE, prompt_lookup=True)
    again = engine.stream(REPETITIVE, (), options=GenerationOptions(40, prompt_lookup=True))
    assert again.rest() == first[0]
    assert again.reused_tokens == len(REPETITIVE) - 1


def test_three_tokens_that_stood_before_go_before_two() -> None:
    assert PromptLookup([1, 2, 3, 4, 9, 2, 3, 5, 1, 2, 3]).draft(2) == [4, 9]
    assert PromptLookup([2, 3, 5, 6, 7, 2, 3]).draft(8) == [5, 6, 7, 2]
    assert PromptLookup([1, 2, 3]).draft(8) == []
    assert PromptLookup([2, 3, 5, 2, 3], longest=0).draft(8) == []
    assert PromptLookup([2, 3, 5, 2, 3]).draft(0) == []


def test_the_length_of_drafts_follows_their_success() -> None:
    lookup = PromptLookup([1, 2, 3] * 20)
    lookup.learn(4, 4)
    assert len(lookup.draft(99)) == 3 or len(lookup.draft(99)) == LONGEST_DRAFT
    for _ in range(4):
        lookup.learn(2, 0)
    waited = [lookup.draft(99) for _ in range(200)]
    assert waited[0] == []
    assert waited[-1] != []
