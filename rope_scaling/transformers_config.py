"""Reading RoPE from transformers' configurations: objects, and the mappings that config.json files hold.

Knows the names that checkpoints use. It loads nothing and runs no code that a checkpoint brings.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rope_scaling.errors import UnsupportedConfig
from rope_scaling.frequencies import METHODS

WINDOW = "original_max_position_embeddings"
# Keys beside a method's own: spellings of the type, what belongs to the unscaled embedding, and YaRN's note
# to its trainer.
_OTHER_KEYS = frozenset({"rope_type", "type", "rope_theta", "partial_rotary_factor", "finetuned", WINDOW})
# vLLM's multipliers of the magnitude (vllm/model_executor/layers/rotary_embedding); ours is attention_factor,
# and is final.
VLLM_MAGNITUDE = {"yarn": ("attn_factor",), "longrope": ("short_mscale", "long_mscale")}


@dataclass(frozen=True, slots=True)
class RopeBase:
    """A model's rotary embedding before any scaling.

    The base θ, the number of rotated dimensions, their part of the head (None: all of it, and unstated), and
    the window that the model was trained with, in tokens.
    """

    theta: float
    rotary_dim: int
    partial_rotary_factor: float | None
    window: int


def read_scaling(config: Any) -> dict[str, Any]:
    """Read the fields of the `RopeScaling` that a configuration carries."""
    parameters = rope_parameters(config)
    rope_type = _rope_type(parameters)
    method = next((name for name, entry in METHODS.items() if rope_type in entry.hf_reads), None)
    if method is None:
        known = ", ".join(name for entry in METHODS.values() for name in entry.hf_reads)
        raise UnsupportedConfig(f"rope_type is {rope_type!r}, which is not understood: it must be one of {known}")
    entry = METHODS[method]
    fields: dict[str, Any] = {"method": method}
    fields |= {name: parameters[name] for name in entry.parameters if parameters.get(name) is not None}
    _refuse_unknown(parameters, rope_type, entry.parameters)
    if WINDOW in entry.required:
        fields |= _window_and_factor(config, parameters, rope_type)
    return fields


def read_base(config: Any) -> RopeBase:
    """Read the unscaled embedding of a configuration.

    Raises UnsupportedConfig where θ, the head's dimension or the window is not stated.
    """
    parameters, text = rope_parameters(config), text_config(config)
    theta = parameters.get("rope_theta", _get(text, "rope_theta"))
    if not isinstance(theta, int | float) or not math.isfinite(theta):
        raise UnsupportedConfig(
            f"rope_theta is {theta!r} in the configuration: state it in rope_parameters, such as 10000.0"
        )
    head_dim, part = _get(text, "head_dim"), parameters.get("partial_rotary_factor")
    if head_dim is None:
        if not _get(text, "num_attention_heads"):
            raise UnsupportedConfig(
                "the configuration states neither head_dim nor num_attention_heads: state one of them"
            )
        head_dim = _get(text, "hidden_size") // _get(text, "num_attention_heads")
    # the smallest: a scaled checkpoint has raised the one and kept the other
    stated = [_get(text, WINDOW), parameters.get(WINDOW), _get(text, "max_position_embeddings")]
    if not any(stated):
        raise UnsupportedConfig("the configuration states no max_position_embeddings: add the model's native window")
    rotary_dim = int(head_dim * (1.0 if part is None else part))
    return RopeBase(float(theta), rotary_dim, part, min(filter(None, stated)))


def rope_parameters(config: Any) -> dict[str, Any]:
    """Read a configuration's RoPE parameters, under either name; empty for none.

    Raises UnsupportedConfig for a model that has no RoPE, or a different one for each type of layer.
    """
    text = text_config(config)
    found = _get(text, "rope_scaling") or _get(text, "rope_parameters") or {}
    if any(isinstance(value, Mapping) for value in found.values()):
        kinds = ", ".join(sorted(found))
        raise UnsupportedConfig(
            f"the model has RoPE parameters for each type of layer ({kinds}): this is not supported"
        )
    if not isinstance(text, Mapping) and not found and not hasattr(text, "rope_theta"):
        raise UnsupportedConfig(f"{type(text).__name__} has no rotary embedding (RoPE): there is nothing to scale")
    return dict(found)


def raised_window(config: Any) -> bool:
    """Whether a configuration without a scaling says that its window was raised, as by a raised θ (`ntk`)."""
    original, longest = (_get(text_config(config), name) for name in (WINDOW, "max_position_embeddings"))
    return bool(original and longest and original < longest)


def text_config(config: Any) -> Any:
    """Return what describes the decoder in a configuration; of a plain language model, all of it."""
    if isinstance(config, Mapping):
        return config.get("text_config") or config
    return config.get_text_config() if hasattr(config, "get_text_config") else config


def _rope_type(parameters: Mapping[str, Any]) -> str:
    rope_type = parameters.get("rope_type") or parameters.get("type") or "default"
    # Phi-3's first checkpoints called LongRoPE by other names, and its configuration class knows them still.
    return "longrope" if rope_type == "yarn" and "short_factor" in parameters else rope_type


def _refuse_unknown(parameters: Mapping[str, Any], rope_type: str, known: frozenset[str]) -> None:
    redundant = VLLM_MAGNITUDE.get(rope_type, ()) if parameters.get("attention_factor") is not None else ()
    given = {name for name, value in parameters.items() if value is not None}
    unknown = given - known - _OTHER_KEYS - set(redundant)
    if unknown:
        name = sorted(unknown)[0]
        raise UnsupportedConfig(
            f"rope_parameters of type {rope_type!r} hold {name}={parameters[name]!r}, which is not "
            "understood: leaving it out would give other frequencies than the model's"
        )


def _window_and_factor(config: Any, parameters: Mapping[str, Any], rope_type: str) -> dict[str, Any]:
    """Find the original window and the factor where transformers does, and in its order."""
    text = text_config(config)
    longest = _get(text, "max_position_embeddings")
    if rope_type == "dynamic":  # its L is max_position_embeddings, which nothing has raised
        return {WINDOW: longest}
    original = _get(text, WINDOW) or parameters.get(WINDOW)
    if original is None:
        raise UnsupportedConfig(
            f"rope_parameters of type {rope_type!r} lack original_max_position_embeddings: add the window "
            f"that the model was trained with; max_position_embeddings, {longest}, may be the raised one "
            "and is no substitute"
        )
    if parameters.get("factor") is None and longest:
        return {WINDOW: original, "factor": longest / original}
    return {WINDOW: original}


def _get(config: Any, name: str) -> Any:
    return config.get(name) if isinstance(config, Mapping) else getattr(config, name, None)
