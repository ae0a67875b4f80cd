"""The layers of BERT and similar encoders in bf16 on a CPU, with fused operators and without padding.

The tokens of all texts of a batch are concatenated, so that every product is one of large matrices; only attention goes
text by text. Queries, keys and values are one product, and bias, GELU and residual are fused into the product before
them. Sums and LayerNorm are in fp32; activations between operators are bf16.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any, NamedTuple

import torch
from torch.nn import functional

# They have the same layers: attention, then two products with GELU between, each added to its input and normalised.
_ENCODERS = frozenset({"BertEncoder", "RobertaEncoder", "XLMRobertaEncoder", "CamembertEncoder"})

_LN_2 = math.log(2)
# Of a row of powers: floats with 8 bits of exponent hold it and its products with values, up to 2^17 times as large.
_LEAST_SUM, _MOST_SUM = 2.0**-100, 2.0**110


@cache
def why_not_bf16() -> str | None:
    """Say why oneDNN cannot multiply bf16 matrices here; None if it can."""
    # One product is tried, as the processor's features are not enough: torch may have been built without oneDNN (as on
    # macOS), and oneDNN may be limited to an older instruction set (`ONEDNN_MAX_CPU_ISA`).
    ones = torch.ones(2, 16, dtype=torch.bfloat16)
    try:
        product = Product.of(torch.ones(16, 16), torch.ones(16))
        product.added_to(ones, product(ones, "gelu"))
    except (AttributeError, RuntimeError) as error:
        return f"oneDNN has no bf16 products here: {str(error).splitlines()[0]}"
    return None


def pack_encoders(model: torch.nn.Module) -> list[torch.nn.Module]:
    """Replace the forward of every encoder in a model that can be packed, and return these encoders.

    Args:
        model: The model; unchanged where oneDNN cannot multiply bf16 matrices.

    Returns:
        The encoders that were packed.
    """
    if why_not_bf16() is not None:
        return []
    packed = [module for module in model.modules() if _can_be_packed(module)]
    for encoder in packed:
        encoder.forward = _PackedEncoder(encoder)
    return packed


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

    def __init__(self, encoder: Any) -> None:
        self._layers = [_PackedLayer(layer) for layer in encoder.layer]

    def __call__(self, hidden_states: torch.Tensor, attention_mask: torch.Tensor | None = None, **_: Any) -> Any:
        from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions

        shape = hidden_states.shape[:2]
        # A text attends to all of itself and nothing else: any row of its mask shows where it is.
        is_text = torch.ones(shape, dtype=torch.bool) if attention_mask is None else attention_mask[:, 0, 0].bool()
        lengths = is_text.sum(1).tolist()
        with torch.autocast("cpu", enabled=False):
            given = hidden_states[is_text].bfloat16()
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


class Product(NamedTuple):
    """A Linear in bf16, with its weight in oneDNN's layout.

    Its operators are those that torch's compiler emits for a Linear on a CPU: unlike `torch.nn.functional.linear`, they
    neither reorder the weight nor copy the bias at each call.
    """

    weight: torch.Tensor
    bias: torch.Tensor | None

    @classmethod
    def of(cls, weight: torch.Tensor, bias: torch.Tensor | None) -> Product:
        """Lay out a weight (out_features, in_features)."""
        laid_out = torch.ops.mkldnn._reorder_linear_weight(weight.detach().bfloat16(), None)
        return cls(laid_out, None if bias is None else bias.detach().bfloat16())

    def __call__(self, inputs: torch.Tensor, activation: str = "none") -> torch.Tensor:
        """The product of inputs (…, in_features) with the weight, and the bias, under an activation."""
        given = inputs.bfloat16()
        result: torch.Tensor = torch.ops.mkldnn._linear_pointwise(given, *self, activation, [], "none")
        return result

    def added_to(self, residual: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        """The product of bf16 inputs, added to something else."""
        result: torch.Tensor = torch.ops.mkldnn._linear_pointwise.binary(inputs, residual, *self, "add")
        return result


class _PackedLayer:
    """A layer: (tokens, width) bf16 of texts of those lengths in, the same out."""

    def __init__(self, layer: Any) -> None:
        attention, mixed = layer.attention.self, layer.attention.output
        self._heads = attention.num_attention_heads
        # Folded into the weights, the scale of the scores and the change to base 2 cost nothing.
        scale = attention.attention_head_size**-0.5 / _LN_2
        parts = ((attention.query, scale), (attention.key, 1.0), (attention.value, 1.0))
        weight = torch.cat([part.weight * factor for part, factor in parts])
        bias = torch.cat([part.bias * factor for part, factor in parts])
        self._queries_keys_values = Product.of(weight, bias)
        self._mixed, self._mixed_norm = Product.of(mixed.dense.weight, mixed.dense.bias), mixed.LayerNorm
        inner, output = layer.intermediate.dense, layer.output
        self._inner = Product.of(inner.weight, inner.bias)
        self._output, self._output_norm = Product.of(output.dense.weight, output.dense.bias), output.LayerNorm

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
    """Attention of (heads, tokens, width) bf16, into `target`. The scores, queries times keys, are log2 values."""
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
