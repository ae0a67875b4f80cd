from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from longctx.engine.kv_cache import KVCache, quantize


def tokens(count: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(1, 2, count, 8, generator=random).to(dtype) for _ in range(2))  # type: ignore[return-value]


@settings(max_examples=settings.default.max_examples // 2)
@given(st.lists(st.tuples(st.integers(1, 400), st.integers(0, 400)), min_size=1, max_size=6))
def test_it_holds_what_was_written_and_not_cropped(steps: list[tuple[int, int]]) -> None:
    cache, expected = KVCache(), torch.empty(1, 2, 0, 8)
    for number, (count, removed) in enumerate(steps):
        keys, values = tokens(count, number)
        held, held_values = cache.update(keys, values, 0)
        expected = torch.cat([expected, keys], 2)
        assert torch.equal(held, expected)
        assert held_values.shape == expected.shape
        assert torch.equal(held_values[:, :, -count:], values)
        length = max(0, expected.shape[2] - removed)
        cache.crop(length)
        expected = expected[:, :, :length]
        assert cache.length == cache.get_seq_length() == length


def test_a_token_is_written_in_place_and_buffers_grow_geometrically() -> None:
    cache, places, capacity = KVCache(), set(), 0
    cache.update(*tokens(1000), 0)
    for number in range(3000):
        keys, _ = cache.update(*tokens(1, number), 0)
        places.add(keys.data_ptr())
        capacity = cache.growing[0].parts[0].shape[2]
    assert len(places) <= 8
    assert capacity < 4000 * 1.5


def test_reserved_room_is_made_at_once() -> None:
    cache = KVCache()
    cache.reserve(5000)
    first, _ = cache.update(*tokens(10), 0)
    last, _ = cache.update(*tokens(4990), 0)
    assert first.data_ptr() == last.data_ptr()
    assert cache.nbytes == 2 * 2 * 5120 * 8 * 4


def test_int8_is_near_and_half_of_bfloat16() -> None:
    keys, values = tokens(512, dtype=torch.bfloat16)
    plain, packed = KVCache(), KVCache("int8")
    plain.update(keys, values, 0)
    near, _ = packed.update(keys, values, 0)
    assert near.dtype == torch.bfloat16
    # of 8 numbers in a head the scale is a large part; of 128 it is 4 bytes beside 128
    assert packed.nbytes / plain.nbytes == (8 + 4) / 16
    worst = (near.float() - keys.float()).abs().amax() / keys.float().abs().amax()
    assert worst < 0.01


@given(st.floats(-1e30, 1e30, allow_subnormal=False))
def test_int8_takes_any_number(number: float) -> None:
    codes, scales = quantize(torch.tensor([[[[number, 0.0]]]]))
    assert torch.isfinite(scales).all()
    assert (codes.float() * scales)[0, 0, 0, 0].item() == pytest.approx(number, rel=1e-5, abs=1e-36)


@pytest.mark.parametrize("dtype", ["model", "int8"])
def test_a_head_is_a_copy_that_shares_nothing(dtype) -> None:
    cache = KVCache(dtype)
    for layer in range(2):
        cache.update(*tokens(20, layer), layer)
    head = cache.head(12)
    before = [part.clone() for layer in cache.growing for part in layer.held()]
    held, _ = head.update(*tokens(3, 9), 1)
    assert held.shape[2] == 15
    assert head.growing[0].length == 12
    assert all(
        torch.equal(a, b) for a, b in zip(before, (p for layer in cache.growing for p in layer.held()), strict=True)
    )
