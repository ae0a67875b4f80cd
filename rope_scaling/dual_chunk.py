"""Dual chunk attention (DCA): every distance that attention sees stays within the native window. arXiv 2402.17463.

A sequence is divided into chunks of s tokens. Keys carry their position within their chunk, k mod s, and a query has
three positions: its own within its chunk (keys of the same chunk), min(i mod s + s, c) for the chunk before, and c for
all earlier ones. c is the chunk size, 3/4 of the native window, of which w, 1/16 of the window, are local: s = c - w.
Names and defaults are those of the authors' code (github.com/HKUNLP/ChunkLlama) and of Qwen2.5-1M.

RoPE rotates queries and keys alike, by the position within the chunk. What the other two positions are ahead of it is
added by another rotation here, which is exact.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask

from rope_scaling.errors import UnsupportedModel
from rope_scaling.scaling import RopeScaling

NAME = "rope_scaling_dual_chunk"  # in transformers' registry of attention functions
_SCORES = 1 << 25  # numbers that are in memory at a time
_FEWEST_ROWS = 16


@dataclass(frozen=True, slots=True)
class Chunks:
    """The positions of dual chunk attention.

    Attributes:
        step: s, the tokens of a chunk.
        size: c, the largest distance.
        inv_freq: RoPE's frequencies, (rotary_dim / 2,).
    """

    step: int
    size: int
    inv_freq: torch.Tensor

    @classmethod
    def of(cls, scaling: RopeScaling, inv_freq: torch.Tensor) -> Chunks:
        """The chunks of a scaling of method `dca`, which has a native window."""
        step, size = chunk_sizes(scaling)
        return cls(step, size, inv_freq)

    def ahead(self, positions: torch.Tensor, chunks_back: int) -> torch.Tensor:
        """How far a query's position for keys of an earlier chunk is ahead of its own: 1 chunk back, or 2 and more."""
        within = positions % self.step
        start = within if chunks_back == 1 else torch.full_like(within, self.step - 1)
        return (start + self.step).clamp(max=self.size) - within

    def spans(self, start: int, end: int) -> list[tuple[int, int, int]]:
        """Divide the keys that a query sees.

        Args:
            start: The query's position.
            end: The position behind the last key.

        Returns:
            First key, the one behind the last, and how many chunks back: 2 for all earlier ones.
        """
        own = start - start % self.step
        before = max(own - self.step, 0)
        return [span for span in ((0, before, 2), (before, own, 1), (own, end, 0)) if span[0] < span[1]]

    def turned(self, query: torch.Tensor, start: int, chunks_back: int) -> torch.Tensor:
        """Rotate queries of one chunk to their positions for the keys of another.

        Args:
            query: (batch, heads, n, d), rotated by the positions within the chunk.
            start: The position of the first.
            chunks_back: How far back the keys' chunk is, as `spans` gives it.

        Returns:
            The queries for these keys.
        """
        if not chunks_back:
            return query
        positions = torch.arange(start, start + query.shape[2], device=query.device)
        return rotate(query, (self.ahead(positions, chunks_back)[:, None] * self.inv_freq.to(query.device))[None])


def chunk_sizes(scaling: RopeScaling) -> tuple[int, int]:
    """S and c of a scaling, in tokens."""
    window = scaling.original_max_position_embeddings
    assert window is not None
    size = scaling.chunk_size or window * 3 // 4
    return size - (scaling.local_size or window // 16), size


def check_dual_chunk(model: nn.Module) -> None:
    """Raise UnsupportedModel for a model that rotates queries otherwise than by halves, or calls its own attention."""
    if not getattr(model, "_supports_attention_backend", False):
        raise UnsupportedModel(f"{type(model).__name__} does not use transformers' attention interface: dca needs it")
    config: Any = model.config
    text = config.get_text_config()
    types = getattr(text, "layer_types", None) or ["full_attention"]
    window = getattr(text, "sliding_window", None) if getattr(text, "use_sliding_window", True) else None
    if set(types) != {"full_attention"} or window:
        raise UnsupportedModel(f"{type(model).__name__} has sliding windows: use another method than dca")
    apply_rope = getattr(sys.modules[type(model).__module__], "apply_rotary_pos_emb", None)
    if apply_rope is None or hasattr(text, "kv_lora_rank") or not _rotates_halves(apply_rope):
        raise UnsupportedModel(f"{type(model).__name__} does not rotate a head's halves as Llama does: dca needs it")


def _rotates_halves(apply_rope: Any) -> bool:
    states = torch.arange(8.0).reshape(1, 1, 2, 4)
    angles = torch.tensor([[[0.3, 0.7, 0.3, 0.7], [0.6, 1.4, 0.6, 1.4]]])
    try:
        query, key = apply_rope(states, states, angles.cos(), angles.sin())
    except (TypeError, ValueError, RuntimeError, IndexError):
        return False
    wanted = rotate(states, angles[..., :2])
    return torch.allclose(query, wanted, atol=1e-5) and torch.allclose(key, wanted, atol=1e-5)


def rotate(states: torch.Tensor, angles: torch.Tensor) -> torch.Tensor:
    """Rotate the first dimensions of each head by angles, halves of them being pairs, as Llama does.

    Args:
        states: (batch, heads, tokens, head_dim).
        angles: (batch or 1, tokens, rotary_dim / 2), in radians.

    Returns:
        The rotated states, in their dtype.
    """
    half = angles.shape[-1]
    cos, sin = angles.cos().unsqueeze(1), angles.sin().unsqueeze(1)
    first, second = states[..., :half].float(), states[..., half : 2 * half].float()
    turned = torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1).to(states.dtype)
    return torch.cat((turned, states[..., 2 * half :]), dim=-1)


def attend(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Dual chunk attention, called by transformers' models.

    Args:
        module: The attention layer, which `scaled_rope` gave its `dual_chunks`.
        query: (batch, heads, n, d), rotated by the positions within the chunks; of the last n of `total` tokens.
        key: (batch, kv_heads, total, d), rotated likewise.
        value: As `key`.
        attention_mask: None, or one that hides nothing but what comes later.
        scaling: Factor on the scores; None is d ** -0.5.
        dropout: 0; anything else is refused.
        others: What else the model passes; a score cap and sinks are refused.

    Returns:
        The output (batch, n, heads, d), and None in place of attention weights.

    Raises:
        UnsupportedModel: For what this attention cannot do.
    """
    n, total = query.shape[2], key.shape[2]
    _refuse_others(attention_mask, n, total, dropout, others)
    chunks: Any = module.dual_chunks
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    most = max(_FEWEST_ROWS, _SCORES // (query.shape[0] * query.shape[1] * total))
    parts: list[torch.Tensor] = []
    while (done := sum(part.shape[2] for part in parts)) < n:
        start = total - n + done  # the position of the next query; a part ends with its chunk
        rows = min(most, n - done, chunks.step - start % chunks.step)
        parts.append(_attend_rows(query[:, :, done : done + rows], key, value, start, chunks, scale))
    return torch.cat(parts, dim=2).transpose(1, 2).contiguous(), None


def _refuse_others(mask: torch.Tensor | None, n: int, total: int, dropout: float, others: dict[str, Any]) -> None:
    names = ("softcap", "s_aux", "position_bias", "sliding_window")
    surplus = [name for name in names if others.get(name) is not None]
    if mask is not None:
        seen = mask if mask.dtype == torch.bool else mask == 0
        causal = torch.ones(n, total, dtype=torch.bool, device=mask.device).tril(total - n)
        surplus += [] if bool((seen == causal).all()) else ["padding or another mask"]
    surplus += ["dropout"] if dropout else []
    if surplus:
        raise UnsupportedModel(f"dca does not have {' and '.join(surplus)}: give one sequence without padding")


def _attend_rows(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, start: int, chunks: Chunks, scale: float
) -> torch.Tensor:
    """Attention of queries of one chunk, the first of which is at `start`."""
    batch, heads, n, size = query.shape
    kv_heads = key.shape[1]
    positions = torch.arange(start, start + n, device=query.device)
    scores = []
    for first, end, back in chunks.spans(start, start + n):
        grouped = chunks.turned(query, start, back).reshape(batch, kv_heads, heads // kv_heads * n, size)
        scores.append(grouped @ key[:, :, first:end].transpose(2, 3))  # (batch, kv_heads, groups * n, end - first)
    joined = torch.cat(scores, dim=-1).reshape(batch, heads, n, start + n) * scale
    later = torch.arange(start + n, device=query.device) > positions[:, None]
    weights = joined.masked_fill(later, float("-inf")).softmax(-1, dtype=torch.float32).to(query.dtype)
    summed = weights.reshape(batch, kv_heads, heads // kv_heads * n, start + n) @ value[:, :, : start + n]
    return summed.reshape(batch, heads, n, value.shape[-1])


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, sdpa_mask)
