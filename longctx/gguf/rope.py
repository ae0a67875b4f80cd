"""RoPE scaling in llama.cpp's parameters."""

from __future__ import annotations

import math
from pathlib import Path

from longctx.errors import BadRequest
from rope_scaling import METHODS, Checkpoint, RopeScaling, rope_frequencies
from rope_scaling.scaling import method_named

_NONE, _LINEAR, _YARN = 0, 1, 2  # llama_rope_scaling_type
_LACKING = "llama.cpp, which runs {}, has no RoPE scaling {}: use linear, ntk or yarn"
_METHODS = ("default", "linear", "ntk", "yarn")

RopeParameters = dict[str, int | float]


def rope_parameters(scaling: RopeScaling | None, own: Checkpoint, path: Path) -> RopeParameters:
    """The parameters with which llama.cpp computes the frequencies of a scaling.

    Args:
        scaling: A fixed scaling; None is what the file carries.
        own: The file's rotary embedding, and the scaling that it carries.
        path: The file, for messages.

    Returns:
        Fields of xllamacpp's `CommonParams`; empty where llama.cpp takes what the file says. Those of LongRoPE tell
        its long factors from the short ones, between which llama.cpp chooses by the length of the context.

    Raises:
        BadRequest: For a scaling that llama.cpp does not have.
    """
    if scaling is None or scaling.method == own.scaling.method:
        original = short_factors(own)
        takes_long = scaling is not None and original is not None and (scaling.length or 0) > original
        return {"yarn_orig_ctx": original} if original is not None and takes_long else {}
    if scaling.method == "default":
        return {"rope_scaling_type": _NONE, "rope_freq_scale": 1.0}
    if scaling.method == "ntk":
        raised = scaling.to_rope_parameters(own.base.theta, own.base.rotary_dim)["rope_theta"]
        return {"rope_scaling_type": _NONE, "rope_freq_scale": 1.0, "rope_freq_base": float(raised)}
    if scaling.method == "linear":
        return {"rope_scaling_type": _LINEAR, "rope_freq_scale": 1 / scaling.factor}
    if scaling.method != "yarn":
        raise BadRequest(_LACKING.format(path, scaling.method))
    if scaling.truncate is False:
        raise BadRequest(f"llama.cpp, which runs {path}, has no yarn with truncate=False: leave it out")
    attention_factor = rope_frequencies(scaling, own.base.rotary_dim, own.base.theta).attention_factor
    if not math.isclose(attention_factor, 0.1 * math.log(scaling.factor) + 1, rel_tol=1e-4):
        raise BadRequest(
            f"llama.cpp, which runs {path}, has no yarn with an attention factor of {attention_factor:g}: leave it out"
        )
    assert scaling.original_max_position_embeddings is not None
    return {
        "rope_scaling_type": _YARN,
        "rope_freq_scale": 1 / scaling.factor,
        "yarn_orig_ctx": scaling.original_max_position_embeddings,
        "yarn_ext_factor": 1.0,
        "yarn_attn_factor": 1.0,  # llama.cpp multiplies by the paper's own
        "yarn_beta_fast": scaling.beta_fast or 32.0,
        "yarn_beta_slow": scaling.beta_slow or 1.0,
    }


def check_method(scaling: str | RopeScaling, own: Checkpoint, path: Path) -> None:
    """Check that llama.cpp has a method, before its parameters are looked at.

    Args:
        scaling: The name of a method; one that does not exist is left to `RopeScaling`.
        own: The scaling that the file carries.
        path: The file, for messages.

    Raises:
        BadRequest: For a method that llama.cpp does not have.
    """
    method = method_named(scaling) if isinstance(scaling, str) else scaling.method
    if method in _METHODS or method not in METHODS:
        return
    if method != own.scaling.method:
        raise BadRequest(_LACKING.format(path, method))
    if isinstance(scaling, str):
        raise BadRequest(f"{path} carries {method} already: leave the scaling out")


def short_factors(own: Checkpoint) -> int | None:
    """Up to which length of a context llama.cpp takes LongRoPE's short factors.

    Args:
        own: The file's rotary embedding, and the scaling that it carries.

    Returns:
        The length in tokens; None for a file without LongRoPE.
    """
    return own.scaling.original_max_position_embeddings if own.scaling.method == "longrope" else None
