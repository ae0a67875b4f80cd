"""The layers of BERT and similar encoders on a CPU with products of few bits, fused operators and no padding.

The tokens of all texts of a batch are concatenated, so that every product is one of large matrices; only attention goes
text by text. Queries, keys and values are one product, and in bf16 bias, GELU and residual are fused into the product
before them. Sums and LayerNorm are in fp32; activations between operators have the dtype of the products.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.nn import functional

from indexes.encoders.cpu_products import Product

# They have the same layers: attention, then two products with GELU between, each added to its input and normalised.
_ENCODERS = frozenset({"BertEncoder", "RobertaEncoder", "XLMRobertaEncoder", "CamembertEncoder"})

_LN_2 = math.log(2)
# Of a row of powers: floats with 8 bits of exponent hold it and its products with values, up to 2^17 times as large.
_LEAST_SUM, _MOST_SUM = 2.0**-100, 2.0**110


def pack_encoders(model: torch.nn.Module, product: type[Product]) -> list[torch.nn.Module]:
    """Replace the forward of every encoder in a model that can be packed, and return these encoders.

    Args:
        model: The model.
        product: What multiplies.

    Returns:
        The encoders that were packed.
    """
    packed = [module for module in model.modules() if _can_be_packed(module)]
    for encoder in packed:
        encoder.forward = _PackedEncoder(encoder, product)
    return packed


def unpack(encoders: list[torch.nn.Module]) -> None:
    """Give packed encoders their own forward again."""
    for encoder in encoders:
        del encoder.forward


def is_packed(model: torch.nn.Module) -> bool:
    """Tell whether a model takes texts of different lengths in one batch without the cost of padding."""
    return any(isinstance(module.forward, _PackedEncoder) for module in model.modules())


def _can_be_packed(module: torch.nn.Module) -> bool:
    config: Any = getattr(module, "config", None)
    return (
        type(module).__name__ in _ENCODERS
        and config._attn_implementation == "sdpa"
        and config.hidden_act == "gelu"
        and not (config.is_decoder or config.add_cross_attention)
        and not (config.output_hidden_states or config.output_attentions)
    )


class _PackedEncoder:
    """The forward of an encoder: (texts, length, width) fp32 in, the same out, zeros where there is no text."""

    def __init__(self, encoder: Any, product: type[Product]) -> None:
        self._dtype, self._layers = product.dtype, [_PackedLayer(layer, product) for layer in encoder.layer]

    def __call__(self, hidden_states: torch.Tensor, attention_mask: torch.Tensor | None = None, **_: Any) -> Any:
        from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions

        shape = hidden_states.shape[:2]
        # A text attends to all of itself and nothing else: any row of its mask shows where it is.
        is_text = torch.ones(shape, dtype=torch.bool) if attention_mask is None else attention_mask[:, 0, 0].bool()
        lengths = is_text.sum(1).tolist()
        with torch.autocast("cpu", enabled=False):
            given = hidden_states[is_text].to(self._dtype)
            if spare := _padding(len(given)):
                lengths.append(spare)
            tokens = functional.pad(given, (0, 0, 0, spare))
            for layer in self._layers:
                tokens = layer(tokens, lengths)
            result = torch.zeros_like(hidden_states, dtype=torch.float32)
            result[is_text] = tokens[: len(given)].float()
        return BaseModelOutputWithPastAndCrossAttentions(last_hidden_state=result)


def _padding(tokens: int) -> int:
    """How many tokens of padding, as a text of their own, give a batch one of 16 sizes per octave."""
    # oneDNN compiles a kernel for each size of a product and keeps a thousand of them, of a megabyte or more: if every
    # batch had a size of its own, that would take gigabytes, and some milliseconds each time.
    return -tokens % (1 << max(0, tokens.bit_length() - 5))


class _PackedLayer:
    """A layer: (tokens, width) of texts of those lengths in, the same out."""

    def __init__(self, layer: Any, product: type[Product]) -> None:
        attention, mixed = layer.attention.self, layer.attention.output
        self._heads = attention.num_attention_heads
        # Folded into the weights, the scale of the scores and the change to base 2 cost nothing.
        scale = attention.attention_head_size**-0.5 / _LN_2
        parts = ((attention.query, scale), (attention.key, 1.0), (attention.value, 1.0))
        weight = torch.cat([part.weight * factor for part, factor in parts])
        bias = torch.cat([part.bias * factor for part, factor in parts])
        self._queries_keys_values = product(weight, bias)
        self._mixed, self._mixed_norm = product(mixed.dense.weight, mixed.dense.bias), mixed.LayerNorm
        inner, output = layer.intermediate.dense, layer.output
        self._inner = product(inner.weight, inner.bias)
        self._output, self._output_norm = product(output.dense.weight, output.dense.bias), output.LayerNorm

    def __call__(self, tokens: torch.Tensor, lengths: list[int]) -> torch.Tensor:
        attended = self._attended(self._queries_keys_values(tokens), lengths)
        tokens = _normalised(self._mixed.added_to(tokens, attended), self._mixed_norm)
        inner = self._inner(tokens, "gelu")
        return _normalised(self._output.added_to(tokens, inner), self._output_norm)

    def _attended(self, projected: torch.Tensor, lengths: list[int]) -> torch.Tensor:
        """Each text's self-attention, from separate products: torch's fused kernel takes twice as long."""
        attended = projected.new_empty(len(projected), projected.shape[1] // 3)
        texts = zip(torch.split(projected, lengths), torch.split(attended, lengths), strict=True)
        for text, target in texts:
            heads = text.view(len(text), 3, self._heads, -1).permute(1, 2, 0, 3).contiguous()
            queries, keys, values = heads.unbind(0)
            _attend(queries, keys, values, target.view(len(text), self._heads, -1).transpose(0, 1))
        return attended


def _attend(queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, target: torch.Tensor) -> None:
    """Attention of (heads, tokens, width), into `target`. The scores, queries times keys, are log2 values."""
    # 2 is raised to the scores as they are, in half the time of softmax, which subtracts each row's maximum first. That
    # matters only where a row's sum would be too small or too large for its format, which is checked.
    shares = torch.bmm(queries, keys.transpose(1, 2)).exp2_()
    sums = shares.sum(-1, keepdim=True, dtype=torch.float32)
    least, most = torch.aminmax(sums)
    if least > _LEAST_SUM and most < _MOST_SUM:
        torch.div(torch.bmm(shares, values), sums, out=target)
        return
    scores = torch.bmm(queries, keys.transpose(1, 2))
    target.copy_(torch.bmm((scores * _LN_2).softmax(-1), values))


def _normalised(tokens: torch.Tensor, norm: Any) -> torch.Tensor:
    return functional.layer_norm(tokens, norm.normalized_shape, norm.weight, norm.bias, norm.eps)
