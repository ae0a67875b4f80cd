from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from longctx import Engine, load_model
from longctx.engine import attention
from longctx.engine.attention import AttentionRefused, attend, has_flash
from longctx.engine.kv_cache import QuantizedStates, quantize

needs_flash = pytest.mark.skipif(not has_flash(torch.float32), reason="this torch has no fused attention for CPUs")


def reference(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float) -> torch.Tensor:
    """Softmax attention with a causal mask, in float64, K and V repeated for each query head."""
    groups = query.shape[1] // key.shape[1]
    q, k, v = query.double(), key.double().repeat_interleave(groups, 1), value.double().repeat_interleave(groups, 1)
    n, total = q.shape[2], k.shape[2]
    hidden = torch.ones(n, total, dtype=torch.bool).triu(total - n + 1)
    return ((q @ k.transpose(2, 3) * scale).masked_fill(hidden, -torch.inf).softmax(-1) @ v).transpose(1, 2)


def states(kv_heads: int, groups: int, n: int, total: int, size: int, dtype: torch.dtype = torch.float32):
    random = torch.Generator().manual_seed(n * 1000 + total)
    make = lambda *shape: torch.randn(*shape, generator=random).to(dtype)  # noqa: E731
    # as models and caches hand them over: heads and tokens exchanged, and views of a longer buffer
    query = make(1, n, kv_heads * groups, size).transpose(1, 2)
    return query, make(1, kv_heads, total + 7, size)[:, :, :total], make(1, kv_heads, total + 7, size)[:, :, :total]


@needs_flash
@given(
    st.integers(1, 4), st.sampled_from([1, 2, 3, 8]), st.integers(1, 70), st.integers(0, 150), st.sampled_from([8, 24])
)
def test_it_is_causal_attention(kv_heads: int, groups: int, n: int, past: int, size: int) -> None:
    query, key, value = states(kv_heads, groups, n, past + n, size)
    output, weights = attend(torch.nn.Module(), query, key, value, None, scaling=0.3)
    assert weights is None
    assert output.shape == (1, n, kv_heads * groups, size)
    torch.testing.assert_close(output.double(), reference(query, key, value, 0.3), atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("kv_heads", [1, 3])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-6), (torch.bfloat16, 2e-3), (torch.float16, 2e-3)])
def test_one_query_sees_a_long_past(kv_heads: int, dtype: torch.dtype, tolerance: float) -> None:
    query, key, value = states(kv_heads, 2, 1, 4099, 16, dtype)
    output, _ = attend(torch.nn.Module(), query, key, value, None)
    assert output.dtype == dtype
    torch.testing.assert_close(output.double(), reference(query, key, value, 0.25), atol=tolerance, rtol=1e-2)


@needs_flash
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("groups", "n"), [(1, 1), (4, 1), (1, 50), (2, 50)])
def test_half_precision(dtype: torch.dtype, groups: int, n: int) -> None:
    query, key, value = states(2, groups, n, 300, 16, dtype)
    output, _ = attend(torch.nn.Module(), query, key, value, None)
    assert output.dtype == dtype
    torch.testing.assert_close(output.double(), reference(query, key, value, 0.25), atol=0.02, rtol=0.02)


@needs_flash
@pytest.mark.parametrize("n", [1, 40])
def test_an_int8_cache_is_read_in_chunks(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "_CHUNK", 32)
    query, key, value = states(2, 3, n, 150, 16)
    packed = [QuantizedStates(*quantize(x)) for x in (key, value)]
    output, _ = attend(torch.nn.Module(), query, *packed, None)
    expected = reference(query, *(x.rows(0, 150, torch.float32) for x in packed), 0.25)
    torch.testing.assert_close(output.double(), expected, atol=2e-6, rtol=1e-5)


class Settings(TorchDispatchMode):
    """Notes how matrices are multiplied whenever the fused operator is called."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if "flash_attention" in str(func):
            self.seen.add(torch.backends.mkldnn.matmul.fp32_precision)
        return func(*args, **(kwargs or {}))


@needs_flash
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("packed", [False, True])
def test_products_of_a_block_can_be_rounded(dtype: torch.dtype, packed: bool) -> None:
    query, key, value = states(2, 3, 200, 900, 64, dtype)
    expected = reference(query, key, value, 0.125)
    if packed:
        key, value = (QuantizedStates(*quantize(each)) for each in (key, value))
    before = torch.backends.mkldnn.matmul.fp32_precision
    with Settings() as settings:
        output, _ = attend(torch.nn.Module(), query, key, value, None, rounded=True)
    assert output.dtype == dtype
    torch.testing.assert_close(output.double(), expected, atol=0.02, rtol=0.02)
    assert settings.seen == {"bf16"}
    assert torch.backends.mkldnn.matmul.fp32_precision == before


@needs_flash
@pytest.mark.parametrize(("is_faster", "quantization"), [(True, "int8"), (True, None), (False, "int8")])
def test_products_are_rounded_where_that_is_faster_and_the_model_is_rounded_anyway(
    tiny_llama: Path, monkeypatch: pytest.MonkeyPatch, is_faster: bool, quantization: Any
) -> None:
    monkeypatch.setattr(attention, "has_bf16", lambda: is_faster)
    engine = Engine(load_model(tiny_llama, quantization=quantization, dtype="auto" if quantization else "float32"))
    with Settings() as settings:
        engine.token_losses([3 + place % 200 for place in range(300)], 8)
    assert settings.seen
    assert ("bf16" in settings.seen) == (is_faster and quantization == "int8")


@needs_flash
def test_another_thread_ends_no_rounding_but_its_own() -> None:
    given, before = states(2, 3, 200, 900, 64), torch.backends.mkldnn.matmul.fp32_precision
    inside, other_has_left, seen = threading.Event(), threading.Event(), set[str]()

    class Waiting(Settings):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if "flash_attention" in str(func):
                inside.set()
                other_has_left.wait(60)
            return super().__torch_dispatch__(func, types, args, kwargs)

    def run() -> None:
        with Waiting() as settings:
            attend(torch.nn.Module(), *given, None, rounded=True)
        seen.update(settings.seen)

    thread = threading.Thread(target=run)
    thread.start()
    assert inside.wait(60)
    attend(torch.nn.Module(), *given, None, rounded=True)
    other_has_left.set()
    thread.join()
    assert seen == {"bf16"}
    assert torch.backends.mkldnn.matmul.fp32_precision == before


@pytest.mark.parametrize(
    ("given_to_it", "named"),
    [
        ({"softcap": 50.0}, "softcap"),
        ({"s_aux": torch.zeros(2)}, "s_aux"),
        ({"position_bias": torch.zeros(1)}, "position_bias"),
        ({"sliding_window": 9}, "sliding window of 9"),
        ({"dropout": 0.1}, "dropout"),
        ({"is_causal": False}, "not causal"),
        ({"attention_mask": torch.zeros(1, 1, 5, 10)}, "a mask"),
    ],
)
def test_what_it_does_not_know_it_refuses(given_to_it: dict, named: str) -> None:
    query, key, value = states(2, 1, 5, 10, 8)
    mask = given_to_it.pop("attention_mask", None)
    with pytest.raises(AttentionRefused, match=named):
        attend(torch.nn.Module(), query, key, value, mask, **given_to_it)


@pytest.mark.parametrize("error", [AttributeError, NotImplementedError, TypeError])
def test_a_missing_operator_is_noticed(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise error("no such operator")

    monkeypatch.setattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu", missing)
    has_flash.cache_clear()
    try:
        assert not has_flash(torch.float32)
    finally:
        has_flash.cache_clear()


@needs_flash
def test_what_changes_nothing_is_taken() -> None:
    query, key, value = states(2, 1, 5, 10, 8)
    plain, _ = attend(torch.nn.Module(), query, key, value, None)
    same, _ = attend(
        torch.nn.Module(), query, key, value, None, sliding_window=10, softcap=None, position_ids=torch.arange(5)
    )
    assert torch.equal(plain, same)
