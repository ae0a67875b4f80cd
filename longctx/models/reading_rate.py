"""Reading rates that were measured on this machine, kept in the user's cache folder."""

from __future__ import annotations

import hashlib
import json
import math
import platform
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from longctx.models.device import device_named
from longctx.models.user_cache import keep_value, kept_values
from longctx.planning import ReadingSpeed

if TYPE_CHECKING:
    import torch

_FILE = "reading-rates.json"
_SHAPE = (  # of a configuration: what the work for a token depends on, which is the same for a model's fine-tunes
    *("model_type", "hidden_size", "intermediate_size", "num_hidden_layers"),
    *("num_attention_heads", "num_key_value_heads", "head_dim", "layer_types", "sliding_window"),
    *("moe_intermediate_size", "num_experts", "num_local_experts", "n_routed_experts", "num_experts_per_tok"),
)


def rate_key(config: Any, quantization: str | None, device: torch.device, dtype: torch.dtype | None) -> str:
    """The key of a model's rate on this machine.

    Args:
        config: The model's configuration.
        quantization: How its weights were quantized when they were loaded; None for as they are in the checkpoint.
        device: Where it runs.
        dtype: What it computes in; None is what a checkpoint is loaded in that states no other.

    Returns:
        The key for `kept_rate` and `keep_rate`.
    """
    text = config.get_text_config()
    shape: dict[str, Any] = {name: getattr(text, name, None) for name in _SHAPE}
    stored = getattr(config, "quantization_config", None)
    if stored is not None and quantization is None:
        stored = stored if isinstance(stored, dict) else stored.to_dict()
        shape["quantization"] = [str(stored.get(name)) for name in ("quant_method", "bits", "load_in_4bit")]
    digest = hashlib.sha256(json.dumps(shape, sort_keys=True, default=str).encode()).hexdigest()[:16]
    number = str(dtype or "torch.float32").removeprefix("torch.")
    return f"{text.model_type} {digest}, {quantization or number}, {_processor(device)}"


def config_object(config: Mapping[str, Any]) -> Any:
    """A mapping of configuration entries as an object, as `rate_key` and `attention_work` take it.

    Args:
        config: The entries, under the names of transformers' configurations.

    Returns:
        An object that has them as attributes.
    """
    found = SimpleNamespace(**config)
    found.get_text_config = lambda: found
    return found


def attention_work(config: Any) -> float:
    """Width of all attention heads by weights that a token is multiplied with: h/P of `ReadingSpeed`.

    Layers with a sliding window are left out of h, since their work for a token does not grow. Of experts those count
    that a token goes through.

    Args:
        config: A model's configuration.

    Returns:
        The share of attention in the work, per token of a prompt; 0 for a configuration that does not say.
    """
    text = config.get_text_config()
    layers, hidden, heads = text.num_hidden_layers, text.hidden_size, text.num_attention_heads
    wide = getattr(text, "moe_intermediate_size", None) or getattr(text, "intermediate_size", None) or 4 * hidden
    if not all(isinstance(number, int) for number in (layers, hidden, heads, wide)):
        return 0.0
    head = getattr(text, "head_dim", None) or hidden // heads
    keys = getattr(text, "num_key_value_heads", None) or heads
    experts = getattr(text, "num_experts_per_tok", None) or 1
    weights = layers * hidden * (2 * head * (heads + keys) + 3 * wide * experts)
    growing = sum(name != "sliding_attention" for name in getattr(text, "layer_types", None) or [""] * layers)
    return float(growing * heads * head / weights)


def kept_rate(key: str, oldest: float = math.inf) -> float | None:
    """A rate that was measured before.

    Args:
        key: What it is the rate of.
        oldest: How many seconds ago it may have been measured.

    Returns:
        Tokens per second; None if none is kept.
    """
    entry = kept_values(_FILE).get(key)
    with suppress(TypeError, KeyError, ValueError):
        rate, age = float(entry["tokens_per_second"]), time.time() - float(entry["measured_at"])  # type: ignore[index]
        if 0 < rate < math.inf and abs(age) < oldest:  # the clock may have been set back
            return rate
    return None


def kept_speed(config: Any, quantization: str | None) -> ReadingSpeed | None:
    """How fast a model reads on the device that it would be loaded onto.

    Args:
        config: The model's configuration.
        quantization: How its weights would be quantized.

    Returns:
        The speed that was measured in the checkpoint's dtype or in float32; None if none is kept.
    """
    import torch

    device, work = device_named("auto"), attention_work(config)
    keys = (rate_key(config, quantization, device, dtype) for dtype in (config.dtype, torch.float32))
    return next(filter(None, (speed_of(key, work) for key in keys)), None)


def speed_of(
    key: str, attention: float = 0.0, measure: Callable[[], float] | None = None, oldest: float = math.inf
) -> ReadingSpeed | None:
    """How fast something reads, as it was measured before or is measured now, and kept.

    Args:
        key: What the rate is kept under.
        attention: What `attention_work` says of it.
        measure: Measures tokens per second; None measures nothing.
        oldest: How many seconds ago it may have been measured.

    Returns:
        The speed; None if it is not known.
    """
    rate = kept_rate(key, oldest)
    if rate is None and measure is not None:
        rate = measure()
        keep_rate(key, rate)
    return None if rate is None else ReadingSpeed(rate, attention)


def keep_rate(key: str, rate: float) -> None:
    """Keep a rate for later runs; without a word where the cache folder cannot be written.

    Args:
        key: What it is the rate of.
        rate: Tokens per second.
    """
    keep_value(_FILE, key, {"tokens_per_second": round(rate, 3), "measured_at": round(time.time())})


def _processor(device: torch.device) -> str:
    """The processor's or GPU's name, with the number of threads of a processor."""
    import torch

    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"{device.type} {_model_name()}, {torch.get_num_threads()} threads"


@cache
def _model_name() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
