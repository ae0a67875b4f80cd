"""Frequencies against the papers' formulas, written again here in float64 numpy, and facts about them."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rope_scaling import InvalidScaling, LengthNeeded, RopeScaling, ScaledRotaryEmbedding, rope_frequencies, yarn_ramp

DIMENSIONS = [4, 16, 64, 80, 128, 256]
THETAS = [10_000.0, 500_000.0, 1_000_000.0]
WINDOWS = [2048, 4096, 16_384]
FACTORS = [1.0, 1.7, 4.0, 32.0]
GRID = [(d, theta, window, s) for d in DIMENSIONS for theta in THETAS for window in WINDOWS for s in FACTORS]


def base(d: int, theta: float) -> np.ndarray:
    return np.power(np.float64(theta), -np.arange(0, d, 2, dtype=np.float64) / d)


def ntk_base(d: int, theta: float, alpha: float) -> np.ndarray:
    return base(d, theta * np.power(np.float64(alpha), d / (d - 2)))


def by_parts(d: int, theta: float, window: int, s: float, fast: float, slow: float) -> np.ndarray:
    """Section 3.2 of the YaRN paper: a ramp over pairs, between those that turn `fast` and `slow` times."""
    edges = [d * math.log(window / (turns * 2 * math.pi)) / (2 * math.log(theta)) for turns in (fast, slow)]
    low, high = max(math.floor(edges[0]), 0), min(math.ceil(edges[1]), d - 1)
    gamma = 1 - np.clip((np.arange(d // 2) - low) / ((high - low) or 0.001), 0, 1)
    frequency = base(d, theta)
    return (1 - gamma) * frequency / s + gamma * frequency


def llama3(d: int, theta: float, window: int, s: float, low: float, high: float) -> np.ndarray:
    frequency = base(d, theta)
    wavelength = 2 * np.pi / frequency
    smooth = (window / wavelength - low) / (high - low)
    mixed = (1 - smooth) * frequency / s + smooth * frequency
    kept = np.where(wavelength < window / high, frequency, mixed)
    return np.where(wavelength > window / low, frequency / s, kept)


def close(got: torch.Tensor, want: np.ndarray) -> None:
    assert got.dtype == torch.float32
    np.testing.assert_allclose(got.double().numpy(), want, rtol=1e-6)


@pytest.mark.parametrize(("d", "theta", "window", "s"), GRID)
def test_static_methods_equal_their_formulas(d: int, theta: float, window: int, s: float) -> None:
    def frequencies(method: str, **parameters: Any) -> Any:
        scaling = RopeScaling(method=method, original_max_position_embeddings=window, **parameters)
        return rope_frequencies(scaling, d, theta)

    close(frequencies("default").inv_freq, base(d, theta))
    close(frequencies("linear", factor=s).inv_freq, base(d, theta) / s)
    close(frequencies("ntk", factor=s).inv_freq, ntk_base(d, theta, s))
    close(frequencies("ntk_by_parts", factor=s).inv_freq, by_parts(d, theta, window, s, 32, 1))
    close(
        frequencies("yarn", factor=s, beta_fast=16, beta_slow=2).inv_freq,
        by_parts(d, theta, window, s, 16, 2),
    )
    wide = frequencies("llama3", factor=s, low_freq_factor=1.0, high_freq_factor=4.0)
    close(wide.inv_freq, llama3(d, theta, window, s, 1, 4))
    magnitude = 0.1 * math.log(s) + 1
    assert frequencies("yarn", factor=s).attention_factor == pytest.approx(magnitude, rel=1e-12)
    for method in ("linear", "ntk", "ntk_by_parts", "llama3"):
        assert frequencies(method, factor=s).attention_factor == 1.0


@pytest.mark.parametrize(("d", "theta", "window", "s"), GRID)
def test_methods_that_depend_on_length_equal_their_formulas(d: int, theta: float, window: int, s: float) -> None:
    for n in (1, window, window + 1, 50_000, 131_072):
        ntk = RopeScaling(method="dynamic_ntk", factor=s, original_max_position_embeddings=window).at_length(n)
        alpha = s * n / window - (s - 1) if n > window else 1.0
        close(rope_frequencies(ntk, d, theta).inv_freq, ntk_base(d, theta, alpha))

        yarn = RopeScaling(method="dynamic_yarn", original_max_position_embeddings=window).at_length(n)
        scale = max(1.0, n / window)
        got = rope_frequencies(yarn, d, theta)
        close(got.inv_freq, by_parts(d, theta, window, scale, 32, 1))
        assert got.attention_factor == pytest.approx(0.1 * math.log(scale) + 1, rel=1e-12)

        short, long = np.linspace(1, 2, d // 2), np.linspace(1, 40, d // 2)
        longrope = RopeScaling(
            method="longrope",
            factor=s,
            original_max_position_embeddings=window,
            short_factor=tuple(short),
            long_factor=tuple(long),
        ).at_length(n)
        got = rope_frequencies(longrope, d, theta)
        close(got.inv_freq, base(d, theta) / (long if n > window else short))
        assert got.attention_factor == pytest.approx(math.sqrt(1 + math.log(s) / math.log(window)), rel=1e-12)


def test_where_yarns_ramp_runs() -> None:
    llama2 = RopeScaling(method="yarn", factor=32.0, original_max_position_embeddings=4096)
    code_llama = RopeScaling(method="yarn", factor=8.0, original_max_position_embeddings=16_384)
    assert yarn_ramp(llama2, 128, 10_000.0) == (20, 46)
    assert yarn_ramp(code_llama, 128, 1_000_000.0) == (20, 37)
    for scaling, theta, low, high in ((llama2, 1e4, 20, 46), (code_llama, 1e6, 20, 37)):
        ratio = rope_frequencies(scaling, 128, theta).inv_freq.double().numpy() / base(128, theta)
        np.testing.assert_allclose(ratio[: low + 1], 1.0, rtol=1e-6)
        np.testing.assert_allclose(ratio[high:], 1 / scaling.factor, rtol=1e-6)
        assert np.all(np.diff(ratio[low : high + 1]) < 0)


def test_yarns_magnitude_at_32() -> None:
    scaling = RopeScaling(method="yarn", factor=32.0, original_max_position_embeddings=4096)
    assert rope_frequencies(scaling, 128, 10_000.0).attention_factor == pytest.approx(1.3466, abs=5e-5)


def test_an_attention_factor_is_final() -> None:
    scaling = RopeScaling(
        method="yarn", factor=32.0, original_max_position_embeddings=4096, attention_factor=0.5, mscale=2.0
    )
    assert rope_frequencies(scaling, 128, 10_000.0).attention_factor == 0.5


@pytest.mark.parametrize("alpha", [1.0, 2.0, 8.0, 32.0])
@pytest.mark.parametrize("d", DIMENSIONS)
def test_ntk_keeps_the_highest_and_divides_the_lowest_by_alpha(d: int, alpha: float) -> None:
    ntk = rope_frequencies(RopeScaling(method="ntk", factor=alpha), d, 10_000.0).inv_freq.double()
    unscaled = rope_frequencies(RopeScaling(method="default"), d, 10_000.0).inv_freq.double()
    assert ntk[0] == unscaled[0] == 1.0
    assert float(unscaled[-1] / ntk[-1]) == pytest.approx(alpha, rel=2e-7)


def test_ntk_of_a_single_pair_leaves_it() -> None:
    frequencies = rope_frequencies(RopeScaling(method="ntk", factor=8.0), 2, 10_000.0)
    assert frequencies.inv_freq.tolist() == [1.0]


def test_the_error_of_angles_at_the_last_position() -> None:
    """A float32 frequency times a float32 position: two roundings of half a unit in the last place."""
    scaling = RopeScaling(method="yarn", factor=32.0, original_max_position_embeddings=4096)
    frequencies = rope_frequencies(scaling, 128, 10_000.0)
    exact = 131_071 * by_parts(128, 10_000.0, 4096, 32.0, 32, 1)
    angles = (131_071 * frequencies.inv_freq).double().numpy()
    error = np.abs(angles - exact)
    assert np.all(error <= exact * 2.0**-23)
    assert error.max() < 0.0157  # radians; pairs that are interpolated are off by less than 1e-5
    assert error[46:].max() < 1e-5

    module = ScaledRotaryEmbedding(frequencies, scaling)
    cos, sin = module(torch.zeros(1), torch.tensor([[131_071]]))
    magnitude = 0.1 * math.log(32) + 1
    np.testing.assert_allclose(cos[0, 0, :64].numpy(), magnitude * np.cos(exact), atol=0.0157 * magnitude)
    np.testing.assert_allclose(sin[0, 0, 64:].numpy(), magnitude * np.sin(exact), atol=0.0157 * magnitude)


@pytest.mark.parametrize(("rotary_dim", "theta"), [(127, 1e4), (0, 1e4), (128, 1.0), (128, math.nan), (128, math.inf)])
def test_what_makes_no_embedding_is_refused(rotary_dim: int, theta: float) -> None:
    with pytest.raises(InvalidScaling, match="give"):
        rope_frequencies(RopeScaling(method="default"), rotary_dim, theta)


def test_longrope_needs_one_factor_for_each_pair() -> None:
    scaling = RopeScaling(
        method="longrope",
        factor=2.0,
        original_max_position_embeddings=64,
        short_factor=[1.0] * 8,
        long_factor=[2.0] * 8,
    )
    with pytest.raises(InvalidScaling, match="8 factors for 32 rotated dimensions; give 16"):
        rope_frequencies(scaling.at_length(10), 32, 1e4)


@pytest.mark.parametrize("method", ["dynamic_ntk", "dynamic_yarn"])
def test_a_length_is_asked_for_where_it_matters(method: str) -> None:
    with pytest.raises(LengthNeeded, match=r"at_length\(n\)"):
        rope_frequencies(RopeScaling(method=method, original_max_position_embeddings=64), 32, 1e4)


dims = st.integers(2, 128).map(lambda pairs: 2 * pairs)
thetas = st.floats(100.0, 1e7)
windows = st.integers(256, 65_536)
factors = st.floats(1.0, 64.0)


def frequencies_of(method: str, d: int, theta: float, window: int, s: float) -> np.ndarray:
    fields: dict[str, Any] = {"original_max_position_embeddings": window}
    if method != "default":
        fields["factor"] = s
    scaling = RopeScaling(method=method, **fields).at_length(max(1, round(window * s)))
    return rope_frequencies(scaling, d, theta).inv_freq.double().numpy()


@settings(max_examples=settings.default.max_examples // 2)
@given(
    st.sampled_from(["linear", "ntk", "ntk_by_parts", "yarn", "dynamic_yarn", "llama3"]),
    dims,
    thetas,
    windows,
    factors,
)
def test_scaled_frequencies_fall_and_lie_between_linear_and_unscaled(
    method: str, d: int, theta: float, window: int, s: float
) -> None:
    got = frequencies_of(method, d, theta, window, s)
    unscaled = frequencies_of("default", d, theta, window, 1.0)
    scale = max(1.0, round(window * s) / window) if method == "dynamic_yarn" else s
    assert np.all(got <= unscaled * (1 + 1e-6))
    assert np.all(got >= unscaled / scale * (1 - 1e-6))
    assert np.all(np.diff(got) <= 0)


@settings(max_examples=settings.default.max_examples // 2)
@given(st.sampled_from(["dynamic_ntk", "dynamic_yarn"]), dims, thetas, windows, st.data())
def test_dynamic_methods_are_the_identity_up_to_the_original_length(
    method: str, d: int, theta: float, window: int, data: st.DataObject
) -> None:
    n = data.draw(st.integers(1, window))
    scaling = RopeScaling(method=method, factor=4.0, original_max_position_embeddings=window)
    got = rope_frequencies(scaling.at_length(n), d, theta)
    unscaled = rope_frequencies(RopeScaling(method="default"), d, theta)
    assert torch.equal(got.inv_freq, unscaled.inv_freq)
    assert got.attention_factor == 1.0


@settings(max_examples=settings.default.max_examples // 2)
@given(st.sampled_from(["dynamic_ntk", "dynamic_yarn"]), dims, thetas, windows, st.data())
def test_longer_sequences_never_turn_faster(
    method: str, d: int, theta: float, window: int, data: st.DataObject
) -> None:
    shorter = data.draw(st.integers(1, 64 * window))
    longer = data.draw(st.integers(shorter, 64 * window))
    scaling = RopeScaling(method=method, original_max_position_embeddings=window)
    slow = rope_frequencies(scaling.at_length(longer), d, theta).inv_freq.double()
    fast = rope_frequencies(scaling.at_length(shorter), d, theta).inv_freq.double()
    assert bool((slow <= fast * (1 + 1e-6)).all())
