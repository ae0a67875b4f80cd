"""Formulas that the scaling methods share.

Notation: d = rotary dimension, θ = base, s = factor, L = original window, n = sequence length; the unscaled
frequency of pair i is θ^(-2i/d), for i in 0 … d/2 - 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from rope_scaling.parameters import BETA_FAST, BETA_SLOW, CLIPPED_SHARE, ScalingParameters

ALMOST_ZERO = 1e-30  # radians per token, of a pair that does not rotate: a divisor of its frequency can be written


@dataclass(frozen=True, slots=True)
class Rotary:
    """A rotary embedding without scaling.

    Attributes:
        dim: The number of rotated dimensions, which is even.
        theta: The base θ.
    """

    dim: int
    theta: float

    def inv_freq(self) -> torch.Tensor:
        """Unscaled frequencies, (dim / 2,) float64, in radians per token. RoFormer (arXiv 2104.09864), 3.2.2."""
        return self.theta ** -(torch.arange(0, self.dim, 2, dtype=torch.float64) / self.dim)


def raise_theta(rotary: Rotary, alpha: float) -> Rotary:
    """Raise the base to θ·α^(d/(d-2)), at which the lowest frequency is 1/α of what it was."""
    if rotary.dim == 2:  # the only frequency is θ^0, whatever the base
        return rotary
    return Rotary(rotary.dim, rotary.theta * alpha ** (rotary.dim / (rotary.dim - 2)))


def dynamic_scale(scaling: ScalingParameters) -> float:
    """The scale n/L that a sequence of `scaling.length` tokens needs; 1 within the original window."""
    assert scaling.length is not None
    return max(1.0, scaling.length / original(scaling))


def dynamic_alpha(scaling: ScalingParameters) -> float:
    """The α of dynamic NTK at `scaling.length`; 1 within the original window."""
    return scaling.factor * dynamic_scale(scaling) - (scaling.factor - 1)


def longrope_factors(scaling: ScalingParameters) -> tuple[float, ...]:
    """The long factors past the original window, the short ones within it."""
    assert scaling.short_factor is not None
    assert scaling.long_factor is not None
    assert scaling.length is not None
    return scaling.long_factor if scaling.length > original(scaling) else scaling.short_factor


def yarn_ramp(scaling: ScalingParameters, rotary_dim: int, rope_theta: float) -> tuple[float, float]:
    """The pairs between which YaRN goes from keeping a frequency to dividing it by s.

    YaRN paper (arXiv 2309.00071), section 3.2.

    Args:
        scaling: A scaling with an original window.
        rotary_dim: The number of rotated dimensions.
        rope_theta: The base θ.

    Returns:
        (low, high). Pairs up to `low` rotate at least `beta_fast` times within the original window and are kept; pairs
        from `high` on rotate at most `beta_slow` times and are interpolated. Whole numbers unless `truncate` is False.
    """
    window = original(scaling)

    def pair_rotating(times: float) -> float:
        return rotary_dim * math.log(window / (2 * math.pi * times)) / (2 * math.log(rope_theta))

    low, high = pair_rotating(scaling.beta_fast or BETA_FAST), pair_rotating(scaling.beta_slow or BETA_SLOW)
    if scaling.truncate is not False:
        low, high = float(math.floor(low)), float(math.ceil(high))
    low = max(low, 0.0)
    return low, max(min(high, rotary_dim - 1.0), low)


def blend(scaling: ScalingParameters, rotary: Rotary, scale: float) -> torch.Tensor:
    """YaRN's frequencies, (dim / 2,) float64: fast pairs kept, slow ones divided by `scale`, a ramp between."""
    low, high = yarn_ramp(scaling, rotary.dim, rotary.theta)
    width = high - low or 0.001  # as the published code does where both ends fall on one pair
    pairs = torch.arange(rotary.dim // 2, dtype=torch.float64)
    interpolated = ((pairs - low) / width).clamp(0, 1)
    return rotary.inv_freq() * (1 - interpolated * (1 - 1 / scale))


def magnitude(scaling: ScalingParameters, scale: float) -> float:
    """The factor of cos and sin: `attention_factor` if it is given, else 0.1·ln(s) + 1. YaRN paper, section 3.4.

    With both mscales it is the ratio that DeepSeek's checkpoints use; one alone is ignored, as in transformers.

    Args:
        scaling: The scaling.
        scale: s, the extended window divided by the native one.

    Returns:
        The factor.
    """
    if scaling.attention_factor is not None:
        return scaling.attention_factor
    grown = 0.1 * math.log(scale)
    if scaling.mscale and scaling.mscale_all_dim:
        return (scaling.mscale * grown + 1) / (scaling.mscale_all_dim * grown + 1)
    return grown + 1


def clip(scaling: ScalingParameters, inv_freq: torch.Tensor) -> torch.Tensor:
    """Soft clipping: the lowest frequencies fall to 0 along a raised cosine. CoPE (arXiv 2602.05258).

    The first of the n clipped pairs is kept, the last becomes 0, and pair k of them is multiplied by
    ½(1 + cos(πk/(n-1))), as in the authors' published code (github.com/hrlics/CoPE, modeling_cope.py).

    Args:
        scaling: A scaling, whose `clipped_pairs` are how many pairs are clipped.
        inv_freq: The frequencies before clipping, (dim / 2,), from the highest to the lowest.

    Returns:
        The frequencies, (dim / 2,).
    """
    pairs = len(inv_freq)
    count = min(scaling.clipped_pairs or max(1, round(CLIPPED_SHARE * pairs)), pairs)
    window = 0.5 * (1 + torch.linspace(0, math.pi, count, dtype=torch.float64).cos())
    clipped = (inv_freq[pairs - count :] * window).clamp_min(ALMOST_ZERO)
    return torch.cat((inv_freq[: pairs - count], clipped))


def original(scaling: ScalingParameters) -> int:
    """L, which RopeScaling requires for every method that reads it."""
    assert scaling.original_max_position_embeddings is not None
    return scaling.original_max_position_embeddings
