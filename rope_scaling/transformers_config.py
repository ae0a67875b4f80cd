"""RoPE parameters in transformers configurations: configuration objects, and the mappings in config.json files.

Parameters are read under every name that published checkpoints use. Nothing is loaded, and no code of a checkpoint is
run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rope_scaling.errors import InvalidScaling, UnsupportedConfig
from rope_scaling.frequencies import METHODS
from rope_scaling.parameters import WINDOW

# Keys beside a method's own: spellings of the type, the unscaled embedding's, and YaRN's note to its trainer.
_OTHER_KEYS = frozenset({"rope_type", "type", "rope_theta", "partial_rotary_factor", "finetuned", WINDOW})
# What the factor multiplies the window by. Llama 3 and LongRoPE state the extended window themselves.
_MULTIPLIED = frozenset({"yarn", "linear", "dynamic"})
# They state the extended window, and a scaling for the layers that attend to all of it, as one or by type of layer.
_SCALED_IN_SOME_LAYERS = frozenset({"gemma3", "gemma3_text"})
# vLLM multiplies its own magnitude by these (vllm/model_executor/layers/rotary_embedding); attention_factor is final.
VLLM_MAGNITUDE = {"yarn": ("attn_factor",), "longrope": ("short_mscale", "long_mscale")}


@dataclass(frozen=True, slots=True)
class RopeBase:
    """A model's rotary embedding before any scaling.

    Attributes:
        theta: The base θ.
        rotary_dim: The number of rotated dimensions of a head.
        partial_rotary_factor: The rotated part of each head; None if it is not stated, and then all of it.
        window: The window that the model was trained with, in tokens.
    """

    theta: float
    rotary_dim: int
    partial_rotary_factor: float | None
    window: int


def read_scaling(config: Any) -> dict[str, Any]:
    """Read the fields of the `RopeScaling` that a configuration carries. Raises UnsupportedConfig."""
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
    """Read a configuration's rotary embedding as it is without scaling.

    Args:
        config: A transformers configuration, or the mapping that its config.json holds.

    Returns:
        The rotary embedding.

    Raises:
        UnsupportedConfig: If θ, the head's dimension or the window is not stated.
        InvalidScaling: If θ is no base of a rotation.
    """
    parameters, text = rope_parameters(config), text_config(config)
    theta = parameters.get("rope_theta", _get(text, "rope_theta"))
    if isinstance(theta, int | float) and not theta > 1:
        raise InvalidScaling(f"rope_theta is {theta} in the configuration: state the model's own, such as 10000.0")
    if not isinstance(theta, int | float) or not math.isfinite(theta):
        raise UnsupportedConfig(
            f"rope_theta is {theta!r} in the configuration: state it in rope_parameters, such as 10000.0"
        )
    head_dim, heads = _get(text, "head_dim"), _get(text, "num_attention_heads")
    if head_dim is None and not heads:
        raise UnsupportedConfig("the configuration states neither head_dim nor num_attention_heads: state one of them")
    if head_dim is None:
        head_dim = _get(text, "hidden_size") // heads
    if not isinstance(head_dim, int) or head_dim < 1:
        raise UnsupportedConfig(f"head_dim is {head_dim!r} in the configuration: state a whole number above 0")
    windows = [_tokens(text, WINDOW), _tokens(parameters, WINDOW), _tokens(text, "max_position_embeddings")]
    if not any(windows):
        raise UnsupportedConfig("the configuration states no max_position_embeddings: add the model's native window")
    part = parameters.get("partial_rotary_factor")
    if not isinstance(part, int | float | None):
        raise UnsupportedConfig(f"partial_rotary_factor is {part!r} in the configuration: state a number such as 0.5")
    rotary_dim = int(head_dim * (1.0 if part is None else part))
    # the smallest window: a scaled checkpoint states the extended one too
    return RopeBase(float(theta), rotary_dim, part, min(filter(None, windows)))


def rope_parameters(config: Any) -> dict[str, Any]:
    """Read a configuration's RoPE parameters under either name, `rope_parameters` or `rope_scaling`.

    Args:
        config: The configuration, of transformers or as a mapping.

    Returns:
        The parameters; empty if there are none.

    Raises:
        UnsupportedConfig: For a model without RoPE, or with different parameters for each type of layer.
    """
    text = text_config(config)
    found = _given(text)
    if _by_layer(found):
        kinds = ", ".join(sorted(found))
        raise UnsupportedConfig(
            f"the model has RoPE parameters for each type of layer ({kinds}): this is not supported"
        )
    if not isinstance(text, Mapping) and not found and not hasattr(text, "rope_theta"):
        raise UnsupportedConfig(f"{type(text).__name__} has no rotary embedding (RoPE): there is nothing to scale")
    return dict(found)


def stated_window(config: Any) -> int | None:
    """Read the context length that a checkpoint reaches with the scaling that it carries.

    `max_position_embeddings` may be the native window or the extended one, so the scaling decides, as in vLLM. YaRN:
    the original window times the factor. Linear and dynamic scaling without an original window:
    `max_position_embeddings` is the native one, and is multiplied. For every other type it is the window itself, and
    so it is where each type of layer has RoPE parameters of its own (Gemma 3), but for YaRN.

    Args:
        config: A transformers configuration, or the mapping that its config.json holds.

    Returns:
        The window in tokens; None if the configuration states none.
    """
    text = text_config(config)
    longest: int | None = _get(text, "max_position_embeddings")
    parameters, by_layer = _longest_reaching(config)
    rope_type, factor = _rope_type(parameters), parameters.get("factor")
    original = _get(text, WINDOW) or parameters.get(WINDOW)
    multiplied = {"yarn"} if by_layer else _MULTIPLIED
    if rope_type not in multiplied or not (isinstance(factor, int | float) and math.isfinite(factor)):
        return longest
    native: int | None = original or (None if rope_type == "yarn" else longest)
    return longest if native is None else round(native * factor)


def _given(text: Any) -> Mapping[str, Any]:
    """The RoPE parameters of a text model's configuration, under either name."""
    given: Mapping[str, Any] = _get(text, "rope_scaling") or _get(text, "rope_parameters") or {}
    return given


def _by_layer(given: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Those of each type of layer, where the types have their own."""
    return [each for each in given.values() if isinstance(each, Mapping)]


def _longest_reaching(config: Any) -> tuple[Mapping[str, Any], bool]:
    """The RoPE parameters that decide the window, and whether they are those of some layers only."""
    text = text_config(config)
    given = _given(text)
    if layers := _by_layer(given):  # sliding layers see no further than they slide, whatever their rotation
        return max(layers, key=lambda each: _rope_type(each) == "yarn"), True
    kinds = {_get(each, "model_type") for each in (config, text)}
    return given, bool(kinds & _SCALED_IN_SOME_LAYERS)


def steady_window(config: Any) -> int | None:
    """Read up to which length a model's own RoPE is the same for every sequence.

    Args:
        config: A transformers configuration, or the mapping that its config.json holds.

    Returns:
        The length in tokens; None if no frequency or magnitude depends on the length.
    """
    text = text_config(config)
    given = _given(text)
    changing = METHODS["dynamic_ntk"].hf_reads + METHODS["longrope"].hf_reads
    ends: list[int | None] = []
    for each in _by_layer(given) or [given]:
        if (rope_type := _rope_type(each)) in changing:
            longest = _get(text, "max_position_embeddings")
            original = _get(text, WINDOW) or each.get(WINDOW)
            ends.append(longest if rope_type == "dynamic" else original or longest)
    return min(filter(None, ends), default=None)


def raised_window(config: Any) -> bool:
    """Whether a configuration without a scaling states that its window was extended, as by a raised θ (`ntk`)."""
    original, longest = (_tokens(text_config(config), name) for name in (WINDOW, "max_position_embeddings"))
    return bool(original and longest and original < longest)


def text_config(config: Any) -> Any:
    """The decoder's part of a configuration; all of it for a plain language model."""
    if isinstance(config, Mapping):
        return config.get("text_config") or config
    return config.get_text_config() if hasattr(config, "get_text_config") else config


def _rope_type(parameters: Mapping[str, Any]) -> str:
    rope_type = parameters.get("rope_type") or parameters.get("type") or "default"
    # Phi-3's first checkpoints call LongRoPE "yarn"
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
    """The original window and the factor, looked up where transformers does and in its order."""
    text = text_config(config)
    longest = _get(text, "max_position_embeddings")
    if rope_type == "dynamic":  # L is max_position_embeddings, which is then not raised
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


def _tokens(config: Any, name: str) -> int | None:
    value = _get(config, name)
    if value is not None and not isinstance(value, int):
        raise UnsupportedConfig(f"{name} is {value!r} in the configuration: state a whole number of tokens")
    return value


def _get(config: Any, name: str) -> Any:
    return config.get(name) if isinstance(config, Mapping) else getattr(config, name, None)
