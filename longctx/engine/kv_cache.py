"""The KV cache of one sequence, in buffers that grow geometrically.

transformers' own `DynamicCache` concatenates, and so copies the whole past for every token: n tokens cost O(n²) copied
bytes. Here buffers have spare capacity. A token is written in place, and is copied a constant number of times on
average, however long the sequence becomes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers.cache_utils import Cache, CacheLayerMixin, DynamicCache

from longctx.errors import ModelUnavailable
from longctx.models import CacheDtype

_ROOM = 256  # tokens: capacities are multiples of it
_GROWTH = 1.25


@dataclass(frozen=True, slots=True)
class QuantizedStates:
    """Keys or values in int8, with one scale for each head and token.

    Attributes:
        codes: int8, (1, kv_heads, tokens, head_dim).
        scales: float32, (1, kv_heads, tokens, 1); codes times scales are the numbers.
    """

    codes: torch.Tensor
    scales: torch.Tensor

    @property
    def shape(self) -> torch.Size:
        """As of the tensor that it stands for: (1, kv_heads, tokens, head_dim)."""
        return self.codes.shape

    def rows(self, start: int, end: int, dtype: torch.dtype) -> torch.Tensor:
        """Dequantize the tokens from `start` to `end`."""
        return self.codes[:, :, start:end].to(dtype) * self.scales[:, :, start:end].to(dtype)


def quantize(states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Int8 codes and float32 scales, one scale for each head and token: the largest number becomes 127."""
    numbers = states.float()
    scales = numbers.abs().amax(dim=-1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny) / 127
    return (numbers / scales).round().to(torch.int8), scales


def encode(states: torch.Tensor, dtype: CacheDtype) -> tuple[torch.Tensor, ...]:
    """What is kept of keys or values: the tensor itself, or int8 codes and scales; tokens are dimension 2 of each."""
    return quantize(states) if dtype == "int8" else (states,)


def _recoded(held: Sequence[torch.Tensor], dtype: CacheDtype, model_dtype: torch.dtype) -> list[torch.Tensor]:
    """Keys and values of a layer, from the model's dtype to int8 or back."""
    if dtype == "int8":
        return [part for states in held for part in quantize(states)]
    pairs = (QuantizedStates(*held[:2]), QuantizedStates(*held[2:]))
    return [states.rows(0, states.shape[2], model_dtype) for states in pairs]


class GrowingLayer(CacheLayerMixin):
    """Keys and values of one layer, batch 1: `length` tokens in the buffers `parts`, the keys' before the values'."""

    is_sliding = False
    is_croppable = True

    def __init__(self, cache_dtype: CacheDtype, reserved: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.cache_dtype = cache_dtype
        self.reserved = reserved
        self.length = 0
        self.parts: list[torch.Tensor] = []

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Note the model's dtype; buffers are allocated by `append`."""
        self.dtype, self.device = key_states.dtype, key_states.device
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, packed: bool = False, **kwargs: Any
    ) -> tuple[Any, Any]:
        """Append keys and values (1, kv_heads, n, head_dim).

        Args:
            key_states: The keys of the next n tokens.
            value_states: Their values.
            args: Nothing is made of it.
            packed: Whether int8 is returned as `QuantizedStates`, and not as a dequantized copy of the whole.
            kwargs: Nothing is made of it.

        Returns:
            All keys and values held, as views where nothing has to be dequantized.
        """
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        self.append([*encode(key_states, self.cache_dtype), *encode(value_states, self.cache_dtype)])
        if self.cache_dtype == "model":
            keys, values = self.held()
            return keys, values
        codes, scales, value_codes, value_scales = self.held()
        both = QuantizedStates(codes, scales), QuantizedStates(value_codes, value_scales)
        return both if packed else (both[0].rows(0, self.length, self.dtype), both[1].rows(0, self.length, self.dtype))

    def held(self, length: int | None = None) -> list[torch.Tensor]:
        """The buffers up to the last token, or the first `length` of them: views, not copies."""
        end = self.length if length is None else min(length, self.length)
        return [buffer[:, :, :end] for buffer in self.parts]

    def append(self, parts: Sequence[torch.Tensor]) -> None:
        """Write encoded keys and values, in the order of `held`, behind those of the tokens before."""
        end = self.length + parts[0].shape[2]
        self._make_room(end, parts)
        for buffer, part in zip(self.parts, parts, strict=True):
            buffer[:, :, self.length : end] = part
        self.length = end

    def crop(self, length: int) -> None:
        """Keep the first `length` tokens."""
        self.length = min(self.length, length)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Return how many tokens `query_length` new ones will see, and where those begin; transformers asks."""
        return self.length + query_length, 0

    def get_seq_length(self) -> int:
        """Tokens held."""
        return self.length

    def get_max_length(self) -> int:
        """-1: no limit."""
        return -1

    get_max_cache_shape = get_max_length  # what transformers called it before 5.20

    def _make_room(self, needed: int, like: Sequence[torch.Tensor]) -> None:
        """Grow the buffers to `needed` tokens, and to what is reserved."""
        if not self.parts:
            self.parts = [part[:, :, :0] for part in like]
        capacity = self.parts[0].shape[2]
        if needed <= capacity:
            return
        wanted = max(needed, self.reserved, int(capacity * _GROWTH))
        wanted += -wanted % _ROOM
        for index, buffer in enumerate(self.parts):
            grown = buffer.new_empty((*buffer.shape[:2], wanted, buffer.shape[3]))
            grown[:, :, : self.length] = buffer[:, :, : self.length]
            self.parts[index] = grown  # at once: of all the buffers, only one is in memory twice


class KVCache(Cache):
    """The layers of one sequence.

    `packed` is set where the attention reads int8 itself: `update` then returns `QuantizedStates`.
    """

    def __init__(self, dtype: CacheDtype = "model") -> None:
        self.growing: list[GrowingLayer] = []
        layers: list[Any] = self.growing  # the same list, which grows with the first token
        super().__init__(layers=layers)
        self.dtype: CacheDtype = dtype
        self.reserved = 0
        self.packed = False

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[Any, Any]:
        """Append the keys and values of new tokens to a layer; see `GrowingLayer.update`."""
        while len(self.growing) <= layer_idx:
            self.growing.append(GrowingLayer(self.dtype, self.reserved))
        return self.growing[layer_idx].update(key_states, value_states, packed=self.packed)

    @property
    def length(self) -> int:
        """Tokens that every layer holds."""
        return min((layer.length for layer in self.growing), default=0)

    @property
    def nbytes(self) -> int:
        """Bytes of the buffers, with their spare capacity."""
        return sum(part.nbytes for layer in self.growing for part in layer.parts)

    def reserve(self, tokens: int) -> None:
        """Give the next buffers that are allocated room for `tokens`, so that they need not grow on the way there."""
        self.reserved = tokens
        for layer in self.growing:
            layer.reserved = tokens

    def crop(self, length: int) -> None:
        """Keep the first `length` tokens, at no cost: the buffers stay, and what follows is overwritten."""
        for layer in self.growing:
            layer.crop(length)

    def head(self, length: int) -> KVCache:
        """A copy of the first `length` tokens, which shares no buffer with this one."""
        copy = KVCache(self.dtype)
        copy.load(layer.held(length) for layer in self.growing)
        return copy

    def first(self, length: int) -> KVCache:
        """The first `length` tokens as views of this cache's buffers, to be read before it changes."""
        views = KVCache(self.dtype)
        for layer in self.growing:
            view = GrowingLayer(self.dtype, 0)
            view.parts, view.length = layer.held(length), min(length, layer.length)
            views.growing.append(view)
        return views

    def converted(self, dtype: CacheDtype, model_dtype: torch.dtype) -> KVCache:
        """The same keys and values, kept otherwise: in int8, or in the model's dtype."""
        if dtype == self.dtype:
            return self
        copy = KVCache(dtype)
        copy.load(_recoded(layer.held(), dtype, model_dtype) for layer in self.growing)
        return copy

    def load(self, layers: Iterable[Sequence[torch.Tensor]]) -> None:
        """Replace all layers by copies of encoded keys and values, one list of tensors for each layer."""
        self.growing.clear()
        for parts in layers:  # one after the other, so that only one is in memory beside its copy
            layer = GrowingLayer(self.dtype, self.reserved)
            layer.append(parts)
            self.growing.append(layer)


_PLAIN_LAYERS = frozenset({"DynamicLayer", "DynamicSlidingWindowLayer", "DummyLayer"})  # the last shares another's


def check_layers(model: Any, name: str) -> None:
    """Raise ModelUnavailable for a model whose layers keep more than keys and values."""
    config = model.config.get_text_config()
    types = getattr(config, "layer_types", None) or []
    strange = {kind for kind in types if not kind.endswith("_attention") or kind == "linear_attention"}
    if not strange:
        try:  # what transformers itself would keep for this model
            kept = {type(layer).__name__ for layer in DynamicCache(config=model.config).layers}
        except (AttributeError, KeyError, TypeError, ValueError):
            kept = {f"{model.config.model_type} (no attention)"}
        strange = kept - _PLAIN_LAYERS
    if strange:
        raise ModelUnavailable(
            f"{name} has layers of type {', '.join(sorted(strange))}, which keep more than keys and values, or none: "
            "use a model with attention in every layer"
        )
