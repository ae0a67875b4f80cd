"""RoPE frequencies: one pure function per method, and the registry that names them.

Knows numbers only: no model, no configuration file, no transformers. A new method is one function and one
entry of `METHODS`. The notation is that of `formulas.py`.
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
    HIGH_FREQ_FACTOR,
    LOW_FREQ_FACTOR,
    Rotary,
    ScalingParameters,
    blended,
    dynamic_alpha,
    dynamic_scale,
    longrope_factors,
    magnitude,
    original,
    raise_theta,
)


class RopeFrequencies(NamedTuple):
    """What a rotary embedding needs.

    `inv_freq` (rotary_dim / 2,) float32, in radians per token, and the number that multiplies cos and sin.
    """

    inv_freq: torch.Tensor
    attention_factor: float


def rope_frequencies(scaling: ScalingParameters, rotary_dim: int, rope_theta: float) -> RopeFrequencies:
    """Compute the frequencies of a fixed scaling, in float64, and round them once.

    `rotary_dim` counts the dimensions that are rotated, which is less than the head's where the rotation is
    partial. Raises InvalidScaling for a dimension or base that makes no embedding, and LengthNeeded for a
    method that depends on length: fix it with `scaling.at_length(n)`.
    """
    if rotary_dim < 2 or rotary_dim % 2:
        raise InvalidScaling(f"rotary_dim is {rotary_dim}: RoPE turns pairs of dimensions; give an even number")
    if not (math.isfinite(rope_theta) and rope_theta > 1):
        raise InvalidScaling(f"rope_theta is {rope_theta}: give a finite number above 1, such as 10000.0")
    if not scaling.is_fixed:
        raise LengthNeeded(
            f"{scaling.method}: the frequencies depend on the sequence's length: fix it with at_length(n)"
        )
    inv_freq, attention_factor = METHODS[scaling.method].frequencies(scaling, Rotary(rotary_dim, float(rope_theta)))
    return RopeFrequencies(inv_freq.to(torch.float32), float(attention_factor))


def default(scaling: ScalingParameters, rotary: Rotary) -> RopeFrequencies:
    """No scaling."""
    return RopeFrequencies(rotary.inv_freq(), 1.0)


def linear(scaling: ScalingParameters, rotary: Rotary) -> RopeFrequencies:
    """Position interpolation: every frequency divided by s. Chen et al., arXiv 2306.15595, section 2.3."""
    return RopeFrequencies(rotary.inv_freq() / scaling.factor, 1.0)


def ntk(scaling: ScalingParameters, rotary: Rotary) -> RopeFrequencies:
    """NTK-aware: a larger base; the lowest frequency divided by s, the highest kept. YaRN, section 3.1."""
    return RopeFrequencies(raise_theta(rotary, scaling.factor).inv_freq(), 1.0)


def dynamic_ntk(scaling: ScalingParameters, rotary: Rotary) -> RopeFrequencies:
    """NTK-aware with α = s·n/L - (s - 1) past L. `_compute_dynamic_ntk_parameters` in transformers."""
    return RopeFrequencies(raise_theta(rotary, dynamic_alpha(scaling)).inv_freq(), 1.0)


def ntk_by_parts(scaling: ScalingParameters, rotary: Rotary) -> RopeFrequencies:
    """YaRN's frequencies without its magnitude. YaRN paper (arXiv 2309.00071), section 3.2."""
    return RopeFrequencies(blended(scaling, rotary, scaling.factor), 1.0)


def yarn(scaling: ScalingParameters, rotary: Rotary) -> RopeFrequencies:
    """NTK-by-parts, and cos and sin times 0.1·ln(s) + 1. YaRN paper (arXiv 2309.00071), section 3.4."""
    return RopeFrequencies(blended(scaling, rotary, scaling.factor), magnitude(scaling, scaling.factor))


def dynamic_yarn(scaling: ScalingParameters, rotary: Rotary) -> RopeFrequencies:
    """YaRN with s = n/L past L. YaRN paper (arXiv 2309.00071), section 3.3."""
    scale = dynamic_scale(scaling)
    return RopeFrequencies(blended(scaling, rotary, scale), magnitude(scaling, scale))


def llama3(scaling: ScalingParameters, rotary: Rotary) -> RopeFrequencies:
    """Long waves divided by s, short ones kept, a line between. `apply_scaling` in Meta's llama-models."""
    low = LOW_FREQ_FACTOR if scaling.low_freq_factor is None else scaling.low_freq_factor
    high = HIGH_FREQ_FACTOR if scaling.high_freq_factor is None else scaling.high_freq_factor
    inv_freq = rotary.inv_freq()
    turns = original(scaling) * inv_freq / (2 * math.pi)  # rotations of each pair within the original window
    kept = ((turns - low) / (high - low)).clamp(0, 1)
    return RopeFrequencies(inv_freq * (kept + (1 - kept) / scaling.factor), 1.0)


def longrope(scaling: ScalingParameters, rotary: Rotary) -> RopeFrequencies:
    """Each frequency divided by a factor of its own. LongRoPE, arXiv 2402.13753; the magnitude is Phi-3's."""
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


def _as_it_is(scaling: ScalingParameters, rotary: Rotary) -> dict[str, Any]:
    return {}


def _hf_raised(scaling: ScalingParameters, rotary: Rotary, alpha: float) -> dict[str, Any]:
    if not rotary.dim:
        raise InvalidScaling(
            f"{scaling.method} raises rope_theta by the rotary dimension: give rotary_dim, such as 128"
        )
    return {
        "rope_theta": raise_theta(rotary, alpha).theta,
        "factor": None,
        "original_max_position_embeddings": None,
    }


def _hf_ntk(scaling: ScalingParameters, rotary: Rotary) -> dict[str, Any]:
    return _hf_raised(scaling, rotary, scaling.factor)


def _hf_dynamic_ntk(scaling: ScalingParameters, rotary: Rotary) -> dict[str, Any]:
    if scaling.length is None:  # transformers' own 'dynamic', which takes L from max_position_embeddings
        return {"rope_type": "dynamic", "original_max_position_embeddings": None}
    return _hf_raised(scaling, rotary, dynamic_alpha(scaling))


def _hf_ntk_by_parts(scaling: ScalingParameters, rotary: Rotary) -> dict[str, Any]:
    return {"attention_factor": 1.0}


def _hf_dynamic_yarn(scaling: ScalingParameters, rotary: Rotary) -> dict[str, Any]:
    if scaling.length is None:
        raise LengthNeeded("dynamic_yarn: transformers has no such rope_type; fix the length first with at_length(n)")
    return {"factor": dynamic_scale(scaling)}


def _hf_llama3(scaling: ScalingParameters, rotary: Rotary) -> dict[str, Any]:
    given = scaling.low_freq_factor, scaling.high_freq_factor
    low, high = (value or default for value, default in zip(given, (LOW_FREQ_FACTOR, HIGH_FREQ_FACTOR), strict=True))
    return {"low_freq_factor": low, "high_freq_factor": high}


def _hf_longrope(scaling: ScalingParameters, rotary: Rotary) -> dict[str, Any]:
    if scaling.length is None:
        return {}
    chosen = list(longrope_factors(scaling))  # the same for both, so that transformers cannot choose again
    return {"short_factor": chosen, "long_factor": chosen}


@dataclass(frozen=True, slots=True)
class Method:
    """A method: its function, the parameters it takes, and its name in transformers.

    Every method takes `original_max_position_embeddings` beside its `parameters`. `hf_changes` gives what
    `rope_parameters` must say otherwise than the fields of the scaling do (None: leave it out); `hf_reads`
    are the names that a configuration gives this method.
    """

    frequencies: Callable[[ScalingParameters, Rotary], RopeFrequencies]
    hf_type: str
    parameters: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()
    depends_on_length: bool = False
    hf_changes: Callable[[ScalingParameters, Rotary], dict[str, Any]] = _as_it_is
    hf_reads: tuple[str, ...] = ()


_WINDOW = frozenset({"original_max_position_embeddings"})
_FACTOR = frozenset({"factor"})
_RAMP = frozenset({"factor", "beta_fast", "beta_slow", "truncate"})
_MAGNITUDE = frozenset({"attention_factor", "mscale", "mscale_all_dim"})

METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "default": Method(default, "default", hf_reads=("default",)),
        "linear": Method(linear, "linear", _FACTOR, _FACTOR, hf_reads=("linear",)),
        "ntk": Method(ntk, "default", _FACTOR, _FACTOR, hf_changes=_hf_ntk),
        "dynamic_ntk": Method(
            dynamic_ntk, "default", _FACTOR, _WINDOW, True, hf_changes=_hf_dynamic_ntk, hf_reads=("dynamic",)
        ),
        "ntk_by_parts": Method(ntk_by_parts, "yarn", _RAMP, _FACTOR | _WINDOW, hf_changes=_hf_ntk_by_parts),
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
    }
)
