"""The arithmetic that scaling methods share. Pure functions of numbers.

Notation: d = rotary dimension, θ = base, s = factor, L = original window, n = sequence length; the unscaled
frequency of pair i is θ^(-2i/d), for i in 0 … d/2 - 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch

# The YaRN paper's (section 3.2, its α and β for the Llama family), and those of Llama 3.1's checkpoints.
BETA_FAST, BETA_SLOW = 32.0, 1.0
LOW_FREQ_FACTOR, HIGH_FREQ_FACTOR = 1.0, 4.0


class ScalingParameters(Protocol):
    """What the formulas read of a scaling; `RopeScaling` is one, and documents its parameters."""

    method: str
    factor: float
    original_max_position_embeddings: int | None
    beta_fast: float | None
    beta_slow: float | None
    truncate: bool | None
    attention_factor: float | None
    mscale: float | None
    mscale_all_dim: float | None
    short_factor: tuple[float, ...] | None
    long_factor: tuple[float, ...] | None
    low_freq_factor: float | None
    high_freq_factor: float | None
    length: int | None

    @property
    def is_fixed(self) -> bool:
        """Whether the frequencies are settled."""


@dataclass(frozen=True, slots=True)
class Rotary:
    """The unscaled embedding: `dim`, the even number of rotated dimensions, and the base `theta`."""

    dim: int
    theta: float

    def inv_freq(self) -> torch.Tensor:
        """Unscaled frequencies, (dim / 2,) float64: RoFormer (arXiv 2104.09864), section 3.2.2."""
        return self.theta ** -(torch.arange(0, self.dim, 2, dtype=torch.float64) / self.dim)


def raise_theta(rotary: Rotary, alpha: float) -> Rotary:
    """Raise the base to θ·α^(d/(d-2)), at which the lowest frequency is 1/α of what it was."""
    if rotary.dim == 2:  # the one frequency there is, θ^0, has no base to raise
        return rotary
    return Rotary(rotary.dim, rotary.theta * alpha ** (rotary.dim / (rotary.dim - 2)))


def dynamic_scale(scaling: ScalingParameters) -> float:
    """Return the scale n/L that a sequence of `scaling.length` tokens needs; 1 within the original window."""
    assert scaling.length is not None
    return max(1.0, scaling.length / original(scaling))


def dynamic_alpha(scaling: ScalingParameters) -> float:
    """Return the α of dynamic NTK at `scaling.length`; 1 within the original window."""
    return scaling.factor * dynamic_scale(scaling) - (scaling.factor - 1)


def longrope_factors(scaling: ScalingParameters) -> tuple[float, ...]:
    """Return the long factors past the original window, the short ones within it."""
    assert scaling.short_factor is not None
    assert scaling.long_factor is not None
    assert scaling.length is not None
    return scaling.long_factor if scaling.length > original(scaling) else scaling.short_factor


def yarn_ramp(scaling: ScalingParameters, rotary_dim: int, rope_theta: float) -> tuple[float, float]:
    """Return the pairs (low, high) between which YaRN goes from keeping a frequency to dividing it by s.

    Pairs up to `low` turn at least `beta_fast` times within the original window and are kept; pairs from
    `high` on turn at most `beta_slow` times and are interpolated. Whole numbers unless `truncate` is False.
    YaRN paper, section 3.2.
    """
    window = original(scaling)
    fast = BETA_FAST if scaling.beta_fast is None else scaling.beta_fast
    slow = BETA_SLOW if scaling.beta_slow is None else scaling.beta_slow

    def pair_turning(turns: float) -> float:
        return rotary_dim * math.log(window / (2 * math.pi * turns)) / (2 * math.log(rope_theta))

    low, high = pair_turning(fast), pair_turning(slow)
    if scaling.truncate is not False:
        low, high = float(math.floor(low)), float(math.ceil(high))
    low = max(low, 0.0)
    return low, max(min(high, rotary_dim - 1.0), low)


def blended(scaling: ScalingParameters, rotary: Rotary, scale: float) -> torch.Tensor:
    """Keep the fast pairs, divide the slow ones by `scale`, and blend between. YaRN paper, section 3.2."""
    low, high = yarn_ramp(scaling, rotary.dim, rotary.theta)
    width = high - low or 0.001  # the published code's guard; a step where both ends fall on one pair
    pairs = torch.arange(rotary.dim // 2, dtype=torch.float64)
    interpolated = ((pairs - low) / width).clamp(0, 1)
    return rotary.inv_freq() * (1 - interpolated * (1 - 1 / scale))


def magnitude(scaling: ScalingParameters, scale: float) -> float:
    """Return `attention_factor` where one is given, else 0.1·ln(s) + 1. YaRN paper, section 3.4.

    With both mscales, the ratio that DeepSeek's checkpoints use; one alone counts for nothing, as in
    transformers.
    """
    if scaling.attention_factor is not None:
        return scaling.attention_factor
    grown = 0.1 * math.log(scale)
    if scaling.mscale and scaling.mscale_all_dim:
        return (scaling.mscale * grown + 1) / (scaling.mscale_all_dim * grown + 1)
    return grown + 1


def original(scaling: ScalingParameters) -> int:
    """Return L, which RopeScaling has checked for every method that asks for it."""
    assert scaling.original_max_position_embeddings is not None
    return scaling.original_max_position_embeddings
