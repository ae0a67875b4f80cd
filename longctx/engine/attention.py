"""Grouped-query attention over a long past, for one sequence on a CPU.

transformers' stock path repeats K and V for each query head, and builds a mask of block · past numbers. Neither is
needed:

- The query heads that share a KV head become further rows of one query, so K and V are read as they are.
- Every token of a block sees the whole past, which takes no mask, and the block itself causally, which the fused kernel
  does without one. The two partial results are merged by their log-sum-exp, which is exact (see `_merge`).

Under dual chunk attention a query has another position for the keys of each earlier chunk (`rope_scaling.dual_chunk`):
the past is read in spans, each with the query that is turned for it, and merged likewise.

A model in int8 or bfloat16 has its matrix products rounded anyway. Where the processor multiplies bfloat16 numbers
faster, so are those of its attention in blocks of a prompt, with sums in float32.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache, partial, reduce
from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface

from indexes.encoders import has_bf16
from longctx.engine.kv_cache import QuantizedStates

NAME, ROUNDED = "longctx", "longctx-bf16"  # in transformers' registry of attention functions
# Attention over some of the keys: output (kv_heads, groups, n, head_dim), log-sum-exp (kv_heads, groups, n)
Partial = tuple[torch.Tensor, torch.Tensor]

_CHUNK = 2048  # tokens of a KV cache that are converted to another dtype at a time: they stay in the processor's cache
_DTYPES = frozenset({torch.float32, torch.bfloat16, torch.float16})
_ROUNDED_ROWS = 128  # tokens: in shorter blocks rounding does not pay
_LAYER_TYPES = frozenset({"full_attention", "sliding_attention"})
# Arguments of models that change nothing here. Anything else may change the result, and is refused where it is set.
_HARMLESS = frozenset(
    {"cache_position", "is_causal", "output_attentions", "output_hidden_states", "position_embeddings", "position_ids"}
    | {"return_dict", "sliding_window", "use_cache"}
)


class AttentionRefused(Exception):
    """A model needs what this attention cannot do; the message says what. The engine then takes the stock path."""


def unsupported_reason(model: Any, tokens: int) -> str | None:
    """Why a sequence of `tokens` tokens needs the model's own attention; None if this one can read it."""
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
def attention(model: nn.Module, *, rounded: bool = False) -> Iterator[None]:
    """Switch a model to this attention, and back when the block is left.

    Args:
        model: The transformers model.
        rounded: Whether its products may be of bfloat16 numbers, where these are faster.
    """
    name = ROUNDED if rounded and has_bf16() else NAME
    configs = {id(config): config for module in model.modules() if (config := getattr(module, "config", None))}
    before = [(config, config._attn_implementation) for config in configs.values()]
    try:
        for config, _ in before:
            config._attn_implementation = name
        yield
    finally:
        for config, implementation in before:
            config._attn_implementation = implementation


def attend(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor | QuantizedStates,
    value: torch.Tensor | QuantizedStates,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    *,
    rounded: bool = False,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention, called by transformers' models.

    Args:
        module: The attention layer that calls.
        query: (1, heads, n, d), of the last n of `total` tokens.
        key: (1, kv_heads, total, d), from the KV cache.
        value: As `key`.
        attention_mask: None; anything else is refused.
        scaling: Factor on the scores; None is d ** -0.5.
        dropout: 0; anything else is refused.
        rounded: Whether a block's products are to be of bfloat16 numbers, where torch can.
        kwargs: What else the model passes, refused if it may change the result.

    Returns:
        The output (1, n, heads, d), and None in place of attention weights. Raises AttentionRefused.
    """
    _refuse_unknown(query, key, value, attention_mask, dropout, kwargs)
    heads, n, size = query.shape[1:]
    kv_heads = key.shape[1]
    grouped = query.reshape(kv_heads, heads // kv_heads, n, size)
    read = _decode if n == 1 else _attend_block
    rounds = rounded and n >= _ROUNDED_ROWS
    with _BF16_PRODUCTS if rounds else nullcontext():
        grouped = grouped.float() if rounds else grouped
        output = read(grouped, key, value, scaling, getattr(module, "dual_chunks", None))
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
        ", ".join(surplus): bool(surplus),
    }
    for reason, applies in reasons.items():
        if applies:
            raise AttentionRefused(f"the model's attention has {reason}")


def _attend_block(query: torch.Tensor, key: Any, value: Any, scale: float | None, chunks: Any) -> torch.Tensor:
    """Attention of a block of a prompt, (kv_heads, groups, n, d), to the past and to itself."""
    past = key.shape[2] - query.shape[2]
    outputs: list[torch.Tensor] = []
    while (done := sum(output.shape[2] for output in outputs)) < query.shape[2]:
        start = past + done
        left = query.shape[2] - done  # the queries of a part are in one chunk
        n = left if chunks is None else min(left, chunks.step - start % chunks.step)
        outputs.append(_attend_part(query[:, :, done : done + n], key, value, start, scale, chunks))
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=2)


def _attend_part(
    query: torch.Tensor, key: Any, value: Any, start: int, scale: float | None, chunks: Any
) -> torch.Tensor:
    """Attention of queries, the first of which is at `start`, to what is before it and to themselves."""
    groups, n, dtype = query.shape[1], query.shape[2], query.dtype

    def partials() -> Iterator[Partial]:
        # Every query sees the whole past: those of a group are the rows of one, (kv_heads, 1, groups·n, d)
        for first, last, turned in _views(query, start, start, chunks):
            rows = turned.flatten(1, 2).unsqueeze(1)
            for begin, end in _steps(key, first, last, dtype):
                output, lse = _flash(rows, _rows(key, begin, end, dtype), _rows(value, begin, end, dtype), scale)
                yield output.reshape(query.shape), lse.reshape(query.shape[:3])
        # Query i of the part sees its keys 0 to i: each head of a group is a query of its own, on views of K and V
        own_key, own_value = (_rows(each, start, start + n, dtype).expand(-1, groups, -1, -1) for each in (key, value))
        yield _flash(query, own_key, own_value, scale, causal=True)

    return reduce(_merge, partials())[0]


def _decode(query: torch.Tensor, key: Any, value: Any, scale: float | None, chunks: Any) -> torch.Tensor:
    """Attention of one new token, (kv_heads, groups, 1, d), which sees everything, by plain matrix products."""
    # For a few rows they are faster than the fused kernel. In bfloat16 the scores are rounded to it once, as in
    # transformers' own 'eager' attention; int8 and float16, whose products are slow on a CPU, are computed in float32.
    exact = isinstance(key, QuantizedStates) or query.dtype == torch.float16
    dtype, total = torch.float32 if exact else query.dtype, key.shape[2]
    factor = query.shape[3] ** -0.5 if scale is None else scale
    scores, spans = [], []
    for first, last, turned in _views(query, total - 1, total, chunks):
        rows = turned.squeeze(2).to(dtype) * factor
        for span in _steps(key, first, last, dtype):
            scores.append(_scores(rows, _rows(key, *span, dtype).squeeze(1)))
            spans.append(span)
    weights = torch.cat(scores, dim=-1).softmax(-1, dtype=torch.float32).to(dtype)
    sums = (_weighted(weights[:, :, start:end], _rows(value, start, end, dtype).squeeze(1)) for start, end in spans)
    return reduce(torch.add, sums).unsqueeze(2)


def _views(query: torch.Tensor, start: int, end: int, chunks: Any) -> Iterator[tuple[int, int, torch.Tensor]]:
    """The keys before `end` in spans, and the query for each, the first of which is at `start`."""
    if chunks is None:
        yield 0, end, query
        return
    for first, last, back in chunks.spans(start, end):
        yield first, last, chunks.turned(query, start, back)


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
    """Whether one batched product over all heads is faster than one for each head."""
    # In bfloat16 torch first copies an operand that is not contiguous, such as the used part of a KV cache's buffer.
    # A product for each head needs no copy.
    return states.dtype == torch.float32 or states.is_contiguous()


def _steps(key: Any, first: int, last: int, dtype: torch.dtype) -> Iterator[tuple[int, int]]:
    """Start and end of the steps in which keys are read: one, unless they have to be converted to `dtype`."""
    step = _CHUNK if isinstance(key, QuantizedStates) or key.dtype != dtype else max(last - first, 1)
    return ((start, min(start + step, last)) for start in range(first, last, step))


def _rows(states: Any, start: int, end: int, dtype: torch.dtype) -> torch.Tensor:
    """Tokens `start` to `end` of keys or values, as (kv_heads, 1, tokens, d): the KV heads are the batch."""
    given = states.rows(start, end, dtype) if isinstance(states, QuantizedStates) else states[:, :, start:end].to(dtype)
    return given.transpose(0, 1)


@cache
def has_flash(dtype: torch.dtype) -> bool:
    """Whether torch has the operator of `_flash`, found by calling it: it is internal to torch and may go."""
    states = torch.zeros(1, 1, 2, 8, dtype=dtype, device="cpu")
    try:
        _flash(states, states, states, None, causal=True)
    except (AttributeError, RuntimeError, TypeError):  # NotImplementedError, for a missing kernel, is a RuntimeError
        return False
    return True


class _Bf16Products:
    """Multiplies float32 matrices by way of bfloat16, with sums in float32, while anybody is inside; threads may be.

    The setting is the whole process's: what other threads multiply in float32 meanwhile is rounded, too.
    """

    def __init__(self) -> None:
        self._lock, self._users, self._before = threading.Lock(), 0, "none"
        self._products: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]

    def __enter__(self) -> None:
        with self._lock:
            if not self._users:
                self._before, self._products.fp32_precision = self._products.fp32_precision, "bf16"
            self._users += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                self._products.fp32_precision = self._before


_BF16_PRODUCTS = _Bf16Products()


def _flash(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float | None, *, causal: bool = False
) -> Partial:
    """FlashAttention (arXiv 2205.14135) of torch for CPUs; its public function does not return the log-sum-exp."""
    output, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        query, key, value, 0.0, causal, scale=scale
    )
    return output, lse


def _merge(one: Partial, other: Partial) -> Partial:
    """Attention over two sets of keys, from attention over each."""
    # A softmax over both has the denominator exp(lse_1) + exp(lse_2) = exp(total). Each output has been divided by its
    # own denominator, and so counts by that one's share, exp(lse_i - total): at most 1, so that nothing overflows. The
    # log-sum-exp is float32, and so is the merged output.
    (output, lse), (other_output, other_lse) = one, other
    total = torch.logaddexp(lse, other_lse)
    merged = output * (lse - total).exp().unsqueeze(-1) + other_output * (other_lse - total).exp().unsqueeze(-1)
    return merged, total


AttentionInterface.register(NAME, attend)
AttentionInterface.register(ROUNDED, partial(attend, rounded=True))
