"""Keys and values of the tokens that a model has read. Knows tensors; knows no model, no tokens and no attention.

Buffers have room to spare and grow geometrically, so that a token is written in place and nothing is copied for it,
where transformers' `DynamicCache` copies all of it for each token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers.cache_utils import Cache, CacheLayerMixin

from longctx.models import CacheDtype

Parts = tuple[torch.Tensor, ...]

_ROOM = 256  # tokens: what a new buffer has at least, and what its capacity is a multiple of
_GROWTH = 1.25


@dataclass(frozen=True, slots=True)
class QuantizedStates:
    """Keys or values as int8 `codes` (1, kv_heads, tokens, head_dim) times `scales` (1, kv_heads, tokens, 1)."""

    codes: torch.Tensor
    scales: torch.Tensor

    @property
    def shape(self) -> torch.Size:
        """As the tensor that it stands for: (1, kv_heads, tokens, head_dim)."""
        return self.codes.shape

    def rows(self, start: int, end: int, dtype: torch.dtype) -> torch.Tensor:
        """The tokens from `start` to `end`, as numbers of `dtype`."""
        return self.codes[:, :, start:end].to(dtype) * self.scales[:, :, start:end].to(dtype)


@dataclass(frozen=True, slots=True)
class _Codec:
    """How keys or values are kept: `encode` gives tensors (1, kv_heads, tokens, ·); `view` is what attention reads."""

    encode: Callable[[torch.Tensor], Parts]
    view: Callable[[Parts], Any]
    dense: Callable[[Parts, torch.dtype], torch.Tensor]


def quantize(states: torch.Tensor) -> Parts:
    """Int8 codes and float32 scales, one scale for each head and token: the largest number becomes 127."""
    numbers = states.float()
    scales = numbers.abs().amax(dim=-1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny) / 127
    return (numbers / scales).round().to(torch.int8), scales


CODECS: dict[str, _Codec] = {
    "model": _Codec(lambda x: (x,), lambda parts: parts[0], lambda parts, _: parts[0]),
    "int8": _Codec(
        quantize, lambda p: QuantizedStates(*p), lambda p, dtype: QuantizedStates(*p).rows(0, p[0].shape[2], dtype)
    ),
}


class GrowingLayer(CacheLayerMixin):
    """Keys and values of one layer, batch 1: `length` tokens in the buffers `parts`, the keys' before the values'."""

    is_sliding = False
    is_croppable = True

    def __init__(self, codec: _Codec, reserved: int = 0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.codec = codec
        self.reserved = reserved
        self.length = 0
        self.parts: list[torch.Tensor] = []

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Remember the dtype; buffers are made when tokens come."""
        self.dtype, self.device = key_states.dtype, key_states.device
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, dense: bool = True, **kwargs: Any
    ) -> tuple[Any, Any]:
        """Write keys and values (1, kv_heads, n, head_dim) after those held; returns all of them."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        new = [*self.codec.encode(key_states), *self.codec.encode(value_states)]
        end = self.length + key_states.shape[2]
        self._make_room(end, new)
        for buffer, part in zip(self.parts, new, strict=True):
            buffer[:, :, self.length : end] = part
        self.length = end
        held = self.held()
        keys, values = tuple(held[: len(held) // 2]), tuple(held[len(held) // 2 :])
        if dense:
            return self.codec.dense(keys, self.dtype), self.codec.dense(values, self.dtype)
        return self.codec.view(keys), self.codec.view(values)

    def held(self) -> list[torch.Tensor]:
        """The buffers up to the last token: views, not copies."""
        return [buffer[:, :, : self.length] for buffer in self.parts]

    def hold(self, parts: Sequence[torch.Tensor], dtype: torch.dtype) -> None:
        """Hold copies of encoded keys and values, as `held` gives them, and nothing else."""
        self.parts, self.length = [], 0
        self.dtype, self.device, self.is_initialized = dtype, parts[0].device, True
        self._make_room(parts[0].shape[2], parts)
        for buffer, part in zip(self.parts, parts, strict=True):
            buffer[:, :, : part.shape[2]] = part
        self.length = parts[0].shape[2]

    def crop(self, length: int) -> None:
        """Keep the first `length` tokens."""
        self.length = min(self.length, length)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Tokens that a query of `query_length` tokens will see, and where they begin: for transformers."""
        return self.length + query_length, 0

    def get_seq_length(self) -> int:
        """Tokens held."""
        return self.length

    def get_max_length(self) -> int:
        """-1: no limit."""
        return -1

    def get_max_cache_shape(self) -> int:
        """-1: no limit, under the name that transformers had for it before 5.20."""
        return -1

    def _make_room(self, needed: int, like: Sequence[torch.Tensor]) -> None:
        capacity = self.parts[0].shape[2] if self.parts else 0
        if needed <= capacity:
            return
        wanted = max(needed, self.reserved, int(capacity * _GROWTH))
        wanted += -wanted % _ROOM
        old = self.held()
        for index, part in enumerate(like):
            grown = part.new_empty((*part.shape[:2], wanted, part.shape[3]))
            if old:
                grown[:, :, : self.length] = old[index]
                self.parts[index] = grown  # at once, so that only one buffer is ever there twice
                old[index] = grown
            else:
                self.parts.append(grown)


class KVCache(Cache):
    """The layers of one sequence. `packed` lets `update` hand out int8 as `QuantizedStates`, which ours reads."""

    def __init__(self, dtype: CacheDtype = "model", reserved: int = 0) -> None:
        self.growing: list[GrowingLayer] = []
        layers: list[Any] = self.growing  # the same list, which grows with the first token
        super().__init__(layers=layers)
        self.dtype = dtype
        self.reserved = reserved
        self.packed = False

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[Any, Any]:
        """Write the keys and values of new tokens into a layer; returns all that it holds."""
        while len(self.growing) <= layer_idx:
            self.growing.append(self._layer())
        return self.growing[layer_idx].update(key_states, value_states, dense=not self.packed)

    @property
    def length(self) -> int:
        """Tokens that every layer holds."""
        return min((layer.length for layer in self.growing), default=0)

    @property
    def nbytes(self) -> int:
        """Bytes of the buffers, with their room to spare."""
        return sum(part.nbytes for layer in self.growing for part in layer.parts)

    def reserve(self, tokens: int) -> None:
        """Let the next buffers that are made have room for `tokens`, so that they need not grow on the way there."""
        self.reserved = tokens
        for layer in self.growing:
            layer.reserved = tokens

    def crop(self, length: int) -> None:
        """Keep the first `length` tokens, at no cost; the room stays."""
        for layer in self.growing:
            layer.crop(length)

    def head(self, length: int) -> KVCache:
        """A copy of the first `length` tokens, which shares nothing with this one."""
        copy = KVCache(self.dtype)
        copy.load([[part[:, :, :length] for part in layer.held()] for layer in self.growing], self.states_dtype)
        return copy

    def load(self, layers: Sequence[Sequence[torch.Tensor]], dtype: torch.dtype) -> None:
        """Hold copies of encoded keys and values, a list of tensors for each layer; `dtype` is the model's."""
        self.growing[:] = [self._layer() for _ in layers]
        for layer, parts in zip(self.growing, layers, strict=True):
            layer.hold(parts, dtype)

    @property
    def states_dtype(self) -> torch.dtype:
        """The dtype of the keys and values that the model gave."""
        dtype = self.growing[0].dtype
        assert dtype is not None
        return dtype

    def _layer(self) -> GrowingLayer:
        return GrowingLayer(CODECS[self.dtype], self.reserved)
