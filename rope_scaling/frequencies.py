"""RoPE frequencies: one function per scaling method, and the registry `METHODS`.

A new method is one function and one entry of `METHODS`. The notation is that of `formulas.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import torch

from rope_scaling.errors import InvalidScaling, LengthNeeded
from rope_scaling.formulas import (
    Rotary,
    blend,
    clip,
    dynamic_alpha,
    dynamic_scale,
    longrope_factors,
    magnitude,
    original,
    raise_theta,
)
from rope_scaling.parameters import HIGH_FREQ_FACTOR, LOW_FREQ_FACTOR, WINDOW, ScalingParameters


class RopeFrequencies(NamedTuple):
    """The frequencies of a rotary embedding, and its magnitude.

    Attributes:
        inv_freq: The frequency of each pair of dimensions, (rotary_dim / 2,) float32, in radians per token.
        attention_factor: The factor by which cos and sin are multiplied.
    """

    inv_freq: torch.Tensor
    attention_factor: float


def rope_frequencies(scaling: ScalingParameters, rotary_dim: int, rope_theta: float) -> RopeFrequencies:
    """Compute the frequencies of a scaling, in float64 and rounded once.

    Args:
        scaling: A `RopeScaling`; one whose method depends on the sequence length must be fixed by `at_length(n)`.
        rotary_dim: The number of rotated dimensions of a head, which may be fewer than it has.
        rope_theta: The base θ.

    Returns:
        The frequencies, (rotary_dim / 2,) float32, and the factor of cos and sin.

    Raises:
        InvalidScaling: For a dimension or base that makes no embedding.
        LengthNeeded: For a scaling that is not fixed.
    """
    if rotary_dim < 2 or rotary_dim % 2:
        raise InvalidScaling(f"rotary_dim is {rotary_dim}: RoPE rotates pairs of dimensions; give an even number")
    if not (math.isfinite(rope_theta) and rope_theta > 1):
        raise InvalidScaling(f"rope_theta is {rope_theta}: give a finite number above 1, such as 10000.0")
    method = METHODS[scaling.method]
    if method.depends_on_length and scaling.length is None:
        raise LengthNeeded(
            f"{scaling.method}: the frequencies depend on the sequence's length: give seq_len, the tokens of prompt "
            "and answer together, or fix the scaling with at_length(n)"
        )
    inv_freq, attention_factor = method.frequencies(scaling, Rotary(rotary_dim, float(rope_theta)))
    return RopeFrequencies(inv_freq.to(torch.float32), float(attention_factor))


def default(scaling: ScalingParameters, rotary: Rotary) -> RopeFrequencies:
    """No scaling."""
    return RopeFrequencies(rotary.inv_freq(), 1.0)


def linear(scaling: ScalingParameters, rotary: Rotary) -> RopeFrequencies:
    """Position interpolation: every frequency divided by s. Chen et al., arXiv 2306.15595, section 2.3."""
    return RopeFrequencies(rotary.inv_freq() / scaling.factor, 1.0)


def ntk(scaling: ScalingParameters, rotary: Rotary) -> RopeFrequencies:
    """NTK-aware: a larger base; the lowest frequency divided by s, the highest kept. YaRN paper, section 3.1."""
    return RopeFrequencies(raise_theta(rotary, scaling.factor).inv_freq(), 1.0)


def dynamic_ntk(scaling: ScalingParameters, rotary: Rotary) -> RopeFrequencies:
    """NTK-aware with α = s·n/L - (s - 1) past L. `_compute_dynamic_ntk_parameters` in transformers."""
    return RopeFrequencies(raise_theta(rotary, dynamic_alpha(scaling)).inv_freq(), 1.0)


def ntk_by_parts(scaling: ScalingParameters, rotary: Rotary) -> RopeFrequencies:
    """YaRN's frequencies without its magnitude. YaRN paper (arXiv 2309.00071), section 3.2."""
    return RopeFrequencies(blend(scaling, rotary, scaling.factor), 1.0)


def yarn(scaling: ScalingParameters, rotary: Rotary) -> RopeFrequencies:
    """NTK-by-parts, and cos and sin times 0.1·ln(s) + 1. YaRN paper (arXiv 2309.00071), section 3.4."""
    return RopeFrequencies(blend(scaling, rotary, scaling.factor), magnitude(scaling, scaling.factor))


def dynamic_yarn(scaling: ScalingParameters, rotary: Rotary) -> RopeFrequencies:
    """YaRN with s = n/L past L. YaRN paper (arXiv 2309.00071), section 3.3."""
    scale = dynamic_scale(scaling)
    return RopeFrequencies(blend(scaling, rotary, scale), magnitude(scaling, scale))


def llama3(scaling: ScalingParameters, rotary: Rotary) -> RopeFrequencies:
    """Low frequencies divided by s, high ones kept, a ramp between. `apply_scaling` in Meta's llama-models."""
    low, high = scaling.low_freq_factor or LOW_FREQ_FACTOR, scaling.high_freq_factor or HIGH_FREQ_FACTOR
    inv_freq = rotary.inv_freq()
    rotations = original(scaling) * inv_freq / (2 * math.pi)  # of each pair within the original window
    kept = ((rotations - low) / (high - low)).clamp(0, 1)
    return RopeFrequencies(inv_freq * (kept + (1 - kept) / scaling.factor), 1.0)


def longrope(scaling: ScalingParameters, rotary: Rotary) -> RopeFrequencies:
    """Each frequency divided by its own factor. LongRoPE, arXiv 2402.13753; the magnitude is Phi-3's."""
    factors = longrope_factors(scaling)
    if len(factors) != rotary.dim // 2:
        raise InvalidScaling(
            f"longrope: {len(factors)} factors for {rotary.dim} rotated dimensions; "
            f"give {rotary.dim // 2}, one for each pair"
        )
    factor = scaling.attention_factor
    if factor is None:
        factor = math.sqrt(1 + math.log(scaling.factor) / math.log(original(scaling)))
    return RopeFrequencies(rotary.inv_freq() / torch.tensor(factors, dtype=torch.float64), factor)


def cope(scaling: ScalingParameters, rotary: Rotary) -> RopeFrequencies:
    """The lowest frequencies softly clipped, the others as they are. CoPE (arXiv 2602.05258)."""
    return RopeFrequencies(clip(scaling, rotary.inv_freq()), 1.0)


def cope_ntk(scaling: ScalingParameters, rotary: Rotary) -> RopeFrequencies:
    """CoPE after a raised base θ: `ntk`, then clipped."""
    return RopeFrequencies(clip(scaling, ntk(scaling, rotary).inv_freq), 1.0)


def cope_yarn(scaling: ScalingParameters, rotary: Rotary) -> RopeFrequencies:
    """CoPE after YaRN: `yarn`, then clipped, as in the authors' code."""
    inv_freq, factor = yarn(scaling, rotary)
    return RopeFrequencies(clip(scaling, inv_freq), factor)


def dca(scaling: ScalingParameters, rotary: Rotary) -> RopeFrequencies:
    """Unscaled frequencies: `scaled_rope` puts dual chunk attention in, whose positions stay within L."""
    return RopeFrequencies(rotary.inv_freq(), 1.0)


def _hf_dca(scaling: ScalingParameters, rotary: Rotary) -> dict[str, Any]:
    return {"factor": None, WINDOW: None, "chunk_size": None, "local_size": None}


def _hf_clipped(scaling: ScalingParameters, rotary: Rotary) -> dict[str, Any]:
    # transformers has no such type; LongRoPE, which divides each frequency by a number of its own, can state it
    if not rotary.dim:
        raise InvalidScaling(f"{scaling.method} clips pairs of dimensions: give rotary_dim, such as 128")
    inv_freq, factor = METHODS[scaling.method].frequencies(scaling, rotary)
    divisors = (rotary.inv_freq() / inv_freq).tolist()
    return {
        "short_factor": divisors,
        "long_factor": divisors,
        "attention_factor": factor,
        **dict.fromkeys(("clipped_pairs", "beta_fast", "beta_slow", "truncate", "mscale", "mscale_all_dim")),
    }


def _hf_raised_theta(scaling: ScalingParameters, rotary: Rotary, alpha: float) -> dict[str, Any]:
    if not rotary.dim:
        raise InvalidScaling(
            f"{scaling.method} raises rope_theta by the rotary dimension: give rotary_dim, such as 128"
        )
    return {"rope_theta": raise_theta(rotary, alpha).theta, "factor": None, WINDOW: None}


def _hf_dynamic_ntk(scaling: ScalingParameters, rotary: Rotary) -> dict[str, Any]:
    if scaling.length is None:  # transformers' own 'dynamic', which takes L from max_position_embeddings
        return {"rope_type": "dynamic", WINDOW: None}
    return _hf_raised_theta(scaling, rotary, dynamic_alpha(scaling))


def _hf_dynamic_yarn(scaling: ScalingParameters, rotary: Rotary) -> dict[str, Any]:
    if scaling.length is None:
        raise LengthNeeded("dynamic_yarn: transformers has no such rope_type; fix the length first with at_length(n)")
    return {"factor": dynamic_scale(scaling)}


def _hf_llama3(scaling: ScalingParameters, rotary: Rotary) -> dict[str, Any]:
    return {
        "low_freq_factor": scaling.low_freq_factor or LOW_FREQ_FACTOR,
        "high_freq_factor": scaling.high_freq_factor or HIGH_FREQ_FACTOR,
    }


def _hf_longrope(scaling: ScalingParameters, rotary: Rotary) -> dict[str, Any]:
    if scaling.length is None:
        return {}
    chosen = list(longrope_factors(scaling))  # the same for both, so that transformers cannot choose again
    return {"short_factor": chosen, "long_factor": chosen}


@dataclass(frozen=True, slots=True)
class Method:
    """A scaling method: its formula, the parameters that it takes, and its name in transformers.

    Attributes:
        frequencies: The formula.
        hf_type: The `rope_type` that is written for it.
        parameters: The parameters that it takes, beside `original_max_position_embeddings`, which every method takes.
        required: The parameters that must be given.
        depends_on_length: Whether the frequencies depend on the sequence length.
        hf_changes: Where `rope_parameters` differ from the scaling's own fields; None leaves a key out.
        hf_reads: The values of `rope_type` that are read as this method.
    """

    frequencies: Callable[[ScalingParameters, Rotary], RopeFrequencies]
    hf_type: str
    parameters: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()
    depends_on_length: bool = False
    hf_changes: Callable[[ScalingParameters, Rotary], dict[str, Any]] = lambda scaling, rotary: {}
    hf_reads: tuple[str, ...] = ()


_WINDOW = frozenset({WINDOW})
_FACTOR = frozenset({"factor"})
_RAMP = frozenset({"factor", "beta_fast", "beta_slow", "truncate"})
_CLIPPED = frozenset({"factor", "clipped_pairs"})
_MAGNITUDE = frozenset({"attention_factor", "mscale", "mscale_all_dim"})

METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "default": Method(default, "default", hf_reads=("default",)),
        "linear": Method(linear, "linear", _FACTOR, _FACTOR, hf_reads=("linear",)),
        "ntk": Method(
            ntk,
            "default",
            _FACTOR,
            _FACTOR,
            hf_changes=lambda scaling, rotary: _hf_raised_theta(scaling, rotary, scaling.factor),
        ),
        "dynamic_ntk": Method(
            dynamic_ntk, "default", _FACTOR, _WINDOW, True, hf_changes=_hf_dynamic_ntk, hf_reads=("dynamic",)
        ),
        "ntk_by_parts": Method(
            ntk_by_parts, "yarn", _RAMP, _FACTOR | _WINDOW, hf_changes=lambda *_: {"attention_factor": 1.0}
        ),
        "yarn": Method(yarn, "yarn", _RAMP | _MAGNITUDE, _FACTOR | _WINDOW, hf_reads=("yarn",)),
        "dynamic_yarn": Method(dynamic_yarn, "yarn", _RAMP | _MAGNITUDE, _WINDOW, True, hf_changes=_hf_dynamic_yarn),
        "llama3": Method(
            llama3,
            "llama3",
            _FACTOR | {"low_freq_factor", "high_freq_factor"},
            _FACTOR | _WINDOW,
            hf_changes=_hf_llama3,
            hf_reads=("llama3",),
        ),
        "longrope": Method(
            longrope,
            "longrope",
            _FACTOR | {"short_factor", "long_factor", "attention_factor"},
            _FACTOR | _WINDOW | {"short_factor", "long_factor"},
            True,
            hf_changes=_hf_longrope,
            hf_reads=("longrope", "su"),
        ),
        "dca": Method(
            dca, "default", frozenset({"factor", "chunk_size", "local_size"}), _FACTOR | _WINDOW, hf_changes=_hf_dca
        ),
        "cope": Method(cope, "longrope", _CLIPPED, _FACTOR | _WINDOW, hf_changes=_hf_clipped),
        "cope_ntk": Method(cope_ntk, "longrope", _CLIPPED, _FACTOR | _WINDOW, hf_changes=_hf_clipped),
        "cope_yarn": Method(
            cope_yarn, "longrope", _CLIPPED | _RAMP | _MAGNITUDE, _FACTOR | _WINDOW, hf_changes=_hf_clipped
        ),
    }
)
