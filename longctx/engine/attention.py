"""Attention over a long past, for one sequence on a CPU. Knows tensors and transformers' attention interface.

The query heads that share a KV head are rows of one query, so K and V are never repeated. A block of a prompt attends
to the past without a mask and to itself causally, and the two are merged by their log-sum-exp. No mask is built.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, reduce
from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface

from longctx.engine.kv_cache import QuantizedStates

NAME = "longctx"
Merged = tuple[torch.Tensor, torch.Tensor]  # output (kv_heads, groups, n, head_dim), log-sum-exp (kv_heads, groups, n)

_CHUNK = 2048  # tokens of a cache that are turned into another dtype at a time: they stay in the processor's cache
_DTYPES = frozenset({torch.float32, torch.bfloat16, torch.float16})
_LAYER_TYPES = frozenset({"full_attention", "sliding_attention"})
# What models hand over that changes nothing here. Anything else that is set may, and is refused.
_HARMLESS = frozenset(
    {"cache_position", "is_causal", "output_attentions", "output_hidden_states", "position_embeddings", "position_ids"}
    | {"return_dict", "sliding_window", "use_cache"}
)


class AttentionRefused(Exception):
    """A model asks for what this attention cannot do; the message says what. The engine then takes the stock path."""


def unsupported_reason(model: Any, tokens: int) -> str | None:
    """Why a model's own attention is to be used for a sequence of `tokens` tokens; None if ours can be."""
    config = model.config.get_text_config()
    types = getattr(config, "layer_types", None) or ["full_attention"]
    window = getattr(config, "sliding_window", None) if getattr(config, "use_sliding_window", True) else None
    sliding = "sliding_attention" in types or not getattr(config, "layer_types", None)
    reasons = {
        f"the model is on {model.device.type}, where the stock kernels are fused": model.device.type != "cpu",
        f"{model.dtype} is not for it": model.dtype not in _DTYPES,
        f"this torch has no fused attention for {model.dtype} on a CPU": not has_flash(model.dtype),
        "the model does not use transformers' attention interface": not model._supports_attention_backend,
        f"layers of type {', '.join(sorted(set(types) - _LAYER_TYPES))}": not set(types) <= _LAYER_TYPES,
        f"a sliding window of {window} tokens is in force": sliding and window is not None and window < tokens,
        "attention is not causal": not getattr(config, "is_causal", True),
    }
    return next((reason for reason, applies in reasons.items() if applies), None)


@contextmanager
def attention(model: nn.Module) -> Iterator[None]:
    """Let a model use this attention within the block; after it, its configuration says what it said before."""
    configs = {id(config): config for module in model.modules() if (config := getattr(module, "config", None))}
    before = {key: config._attn_implementation for key, config in configs.items()}
    try:
        for config in configs.values():
            config._attn_implementation = NAME
        yield
    finally:
        for key, config in configs.items():
            config._attn_implementation = before[key]


def attend(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor | QuantizedStates,
    value: torch.Tensor | QuantizedStates,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention as transformers calls it: query (1, heads, n, d), key and value (1, kv_heads, total, d).

    The queries are those of the last n of `total` tokens. Returns the output (1, n, heads, d), and None for the
    weights. Raises AttentionRefused for what it does not know.
    """
    _refuse_unknown(query, key, value, attention_mask, dropout, kwargs)
    _, heads, n, _ = query.shape
    kv_heads, total = key.shape[1], key.shape[2]
    grouped = query.reshape(kv_heads, heads // kv_heads, n, query.shape[3])
    output = _attend_grouped(grouped, key, value, total, scaling)
    return output.reshape(1, heads, n, -1).transpose(1, 2).to(query.dtype), None


def _refuse_unknown(
    query: torch.Tensor, key: Any, value: Any, mask: Any, dropout: float, others: dict[str, Any]
) -> None:
    window = others.get("sliding_window")
    surplus = sorted(name for name, given in others.items() if given is not None and name not in _HARMLESS)
    reasons = {
        "a mask": mask is not None,
        "a batch": query.shape[0] != 1,
        "dropout": bool(dropout),
        "keys and values of different sizes": key.shape != value.shape,
        "attention that is not causal": others.get("is_causal") is False and query.shape[2] > 1,
        f"a sliding window of {window} tokens": window is not None and window < key.shape[2],
        f"{', '.join(surplus)}": bool(surplus),
    }
    for reason, applies in reasons.items():
        if applies:
            raise AttentionRefused(f"the model's attention has {reason}")


def _attend_grouped(query: torch.Tensor, key: Any, value: Any, total: int, scale: float | None) -> torch.Tensor:
    """Attention of (kv_heads, groups, n, d) queries; the last n tokens are theirs."""
    n, dtype = query.shape[2], query.dtype
    if n == 1:
        return _decode(query, key, value, scale)
    past = total - n

    def parts() -> Iterator[Merged]:
        for start, end in _chunks(key, past, dtype):
            yield _whole(query, _rows(key, start, end, dtype), _rows(value, start, end, dtype), scale)
        yield _causal(query, _rows(key, past, total, dtype), _rows(value, past, total, dtype), scale)

    return reduce(_merge, parts())[0]


def _decode(query: torch.Tensor, key: Any, value: Any, scale: float | None) -> torch.Tensor:
    """One query of each head (kv_heads, groups, 1, d), which sees everything, by plain matrix products.

    They are faster than torch's fused kernel for a few rows. In bfloat16 the scores are rounded to it once, as in
    transformers' own 'eager' attention; int8 and float16, whose products are slow on a CPU, are computed in float32.
    """
    exact = isinstance(key, QuantizedStates) or query.dtype == torch.float16
    dtype = torch.float32 if exact else query.dtype
    rows = query.squeeze(2).to(dtype) * (query.shape[3] ** -0.5 if scale is None else scale)
    spans = list(_chunks(key, key.shape[2], dtype))
    scores = torch.cat([_scores(rows, _rows(key, *span, dtype).squeeze(1)) for span in spans], dim=-1)
    weights = scores.softmax(-1, dtype=torch.float32).to(dtype)
    found = (_weighted(weights[:, :, start:end], _rows(value, start, end, dtype).squeeze(1)) for start, end in spans)
    return reduce(torch.add, found).unsqueeze(2)


def _scores(rows: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    """Inner products of rows (kv_heads, groups, d) and keys (kv_heads, tokens, d): (kv_heads, groups, tokens)."""
    if _batches(key):
        return (key @ rows.transpose(1, 2)).transpose(1, 2).contiguous()  # the long side first is faster
    scores = rows.new_empty(*rows.shape[:2], key.shape[1])
    for head in range(len(rows)):
        torch.mm(rows[head], key[head].T, out=scores[head])
    return scores


def _weighted(weights: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Sums of values (kv_heads, tokens, d) by weights (kv_heads, groups, tokens): (kv_heads, groups, d)."""
    if _batches(value):
        return weights @ value
    return torch.stack([own @ head for own, head in zip(weights, value, strict=True)])


def _batches(states: torch.Tensor) -> bool:
    """Whether one product over all heads is best: in bfloat16 it copies what is part of a longer buffer first."""
    return states.dtype == torch.float32 or states.is_contiguous()


def _chunks(key: Any, past: int, dtype: torch.dtype) -> Iterator[tuple[int, int]]:
    step = _CHUNK if isinstance(key, QuantizedStates) or key.dtype != dtype else max(past, 1)
    return ((start, min(start + step, past)) for start in range(0, past, step))


def _rows(states: Any, start: int, end: int, dtype: torch.dtype) -> torch.Tensor:
    """Tokens `start` to `end` of keys or values, (kv_heads, 1, tokens, d)."""
    given = states.rows(start, end, dtype) if isinstance(states, QuantizedStates) else states[:, :, start:end].to(dtype)
    return given.transpose(0, 1)


def _whole(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float | None) -> Merged:
    """Every query sees every key: the queries of a group are rows of one query (kv_heads, 1, groups·n, d)."""
    output, weight = _flash(query.flatten(1, 2).unsqueeze(1), key, value, scale)
    return output.reshape(query.shape), weight.reshape(query.shape[:3])


def _causal(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float | None) -> Merged:
    """Query i sees keys 0 to i. K and V are seen by each query head of their group without being copied."""
    groups = query.shape[1]
    return _flash(query, key.expand(-1, groups, -1, -1), value.expand(-1, groups, -1, -1), scale, causal=True)


@cache
def has_flash(dtype: torch.dtype) -> bool:
    """Tell whether torch has the operator that `_flash` needs, by using it: it is internal to torch and may go."""
    tried = torch.zeros(1, 1, 2, 8, dtype=dtype, device="cpu")
    try:
        _flash(tried, tried, tried, None, causal=True)
    except (AttributeError, RuntimeError, TypeError):  # NotImplementedError, for a missing kernel, is a RuntimeError
        return False
    return True


def _flash(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float | None, *, causal: bool = False
) -> Merged:
    output, weight = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        query, key, value, 0.0, causal, scale=scale
    )
    return output, weight


def _merge(one: Merged, other: Merged) -> Merged:
    """Attention over two sets of keys, from attention over each; in float32."""
    whole = torch.logaddexp(one[1], other[1])
    output = one[0] * (one[1] - whole).exp().unsqueeze(-1) + other[0] * (other[1] - whole).exp().unsqueeze(-1)
    return output, whole


AttentionInterface.register(NAME, attend)
