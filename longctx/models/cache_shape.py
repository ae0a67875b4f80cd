"""The shape of a model's KV cache, measured: what its layers hand to a cache for one token.

Configurations do not say it: multi-query models state more heads than they keep, MLA models keep a latent, and layers
may share their keys and values or differ in their heads.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from longctx.errors import ModelUnavailable
from longctx.models.memory import CacheDtype

if TYPE_CHECKING:
    import torch

HeadShape = tuple[int, int]  # heads and dimensions of a head


@dataclass(frozen=True, slots=True)
class CacheShape:
    """The shape of a model's KV cache.

    Attributes:
        layers: For each layer that keeps keys and values, the heads and dimensions of either.
        itemsize: Bytes of a number in the model's dtype.
    """

    layers: tuple[tuple[HeadShape, HeadShape], ...]
    itemsize: int

    @classmethod
    def of(cls, model: Any) -> CacheShape:
        """Read the shape from a copy of the model without weights; from its configuration where that cannot run.

        Args:
            model: The transformers model.

        Returns:
            The shape.

        Raises:
            ModelUnavailable: For a model without attention.
        """
        layers = _measured(_Configuration(type(model), model.config))
        if not layers and model.device.type != "meta":  # some experts cannot be chosen without weights
            layers = _one_token(model)
        layers = layers or _stated(model)
        if not layers:
            raise ModelUnavailable(f"{type(model).__name__} has no layers: give a configuration that states some")
        return cls(layers, model.dtype.itemsize)

    def token_bytes(self, dtype: CacheDtype) -> int:
        """Bytes of one token's keys and values.

        Args:
            dtype: How they are stored: in the model's dtype, or in int8 with a float32 scale per head.

        Returns:
            Bytes, over all layers.
        """
        return sum(
            heads * (size + 4 if dtype == "int8" else size * self.itemsize)
            for layer in self.layers
            for heads, size in layer
        )


def reads_without_weights(model: Any) -> bool:
    """Whether a copy of a model without weights can read a token.

    Args:
        model: The transformers model.

    Returns:
        False where it cannot, which some families cannot though the model itself can.
    """
    return bool(_measured(_Configuration(type(model), model.config)))


class _Configuration:
    """A model's class and configuration, equal to others of the same content, so that a shape is measured once."""

    def __init__(self, kind: Any, config: Any) -> None:
        self.kind = kind
        self.config = config
        self.text = f"{kind.__qualname__} {config.to_json_string(use_diff=False)}"

    def __hash__(self) -> int:
        return hash(self.text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Configuration) and self.text == other.text


@lru_cache(maxsize=64)
def _measured(configuration: _Configuration) -> tuple[tuple[HeadShape, HeadShape], ...]:
    """What the layers of a model without weights keep of one token; empty where it cannot run so."""
    import copy

    import torch

    kind, config = configuration.kind, copy.deepcopy(configuration.config)
    config._attn_implementation = "sdpa" if kind._supports_sdpa else "eager"
    try:
        with torch.device("meta"):
            twin = kind._from_config(config, dtype=torch.bfloat16).eval()  # a dtype that experts ask for
            return _one_token(twin)
    except Exception:  # every family raises its own errors
        return ()


def cache_argument(model: Any) -> str:
    """Return what a model's `forward` calls its KV cache.

    Args:
        model: The model.

    Returns:
        `past_key_values`, or `cache`, as it is from transformers 5.24 on.
    """
    taken = inspect.signature(model.forward).parameters
    is_renamed = "past_key_values" not in taken and {"cache", "use_cache"} <= taken.keys()  # XLM's `cache` is another
    return "cache" if is_renamed else "past_key_values"


def _one_token(model: Any) -> tuple[tuple[HeadShape, HeadShape], ...]:
    import torch
    from transformers import DynamicCache

    cache = DynamicCache()
    try:
        with torch.no_grad():
            ids = torch.zeros((1, 1), dtype=torch.long, device=model.device)
            model(input_ids=ids, use_cache=True, **{cache_argument(model): cache})
        layers: Any = cache.layers
        return tuple((_rows(layer.keys), _rows(layer.values)) for layer in layers)
    except Exception:  # what keeps something else, or cannot run without weights: every family raises its own errors
        return ()


def _rows(states: torch.Tensor) -> HeadShape:
    _, heads, _, size = states.shape
    return heads, size


def _stated(model: Any) -> tuple[tuple[HeadShape, HeadShape], ...]:
    config = model.config.get_text_config()
    queries = getattr(config, "num_attention_heads", None)
    if not isinstance(queries, int):
        raise ModelUnavailable(
            f"{type(model).__name__} has no attention heads, and so keeps no keys and values: use a model with "
            "attention in every layer"
        )
    heads = getattr(config, "num_key_value_heads", None) or queries
    rows = heads, getattr(config, "head_dim", None) or config.hidden_size // queries
    return ((rows, rows),) * int(config.num_hidden_layers)
