"""Products of activations with the weight of a Linear on a CPU: in bf16, or in int8, which oneDNN computes.

Their operators are those that torch's compiler emits for a Linear on a CPU: unlike `torch.nn.functional.linear`, they
neither reorder the weight nor copy the bias at each call.
"""

from __future__ import annotations

import warnings
from functools import cache
from typing import Protocol

import torch
from torch.nn import functional

from indexes.encoders.rotation import rotate

_ROTATED = 32  # numbers of an input; 64 would take 7 % longer for a tenth of the error
_LEAST = 1e-30  # of the numbers that a scale is made of: a row may be zero
_LARGEST_CODE, _ZERO_POINT = 127, 128  # oneDNN is fast for unsigned activations and signed weights only


class Product(Protocol):
    """A Linear whose product is computed in few bits."""

    dtype: torch.dtype  # of activations between products

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        """Lay out a weight (out_features, in_features)."""

    def __call__(self, inputs: torch.Tensor, activation: str = "none") -> torch.Tensor:
        """The product of inputs (tokens, in_features) with the weight, and the bias; `activation` may be "gelu"."""

    def added_to(self, residual: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        """The product of inputs, added to something else."""


class Bf16Product:
    """A Linear in bf16, with its weight in oneDNN's layout."""

    dtype = torch.bfloat16

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach().bfloat16(), None)
        self._bias = None if bias is None else bias.detach().bfloat16()

    def __call__(self, inputs: torch.Tensor, activation: str = "none") -> torch.Tensor:
        """The product of inputs (…, in_features) with the weight, and the bias, under an activation."""
        given, fused = inputs.bfloat16(), torch.ops.mkldnn._linear_pointwise
        result: torch.Tensor = fused(given, self._weight, self._bias, activation, [], "none")
        return result

    def added_to(self, residual: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        """The product of bf16 inputs, added to something else."""
        fused = torch.ops.mkldnn._linear_pointwise.binary
        result: torch.Tensor = fused(inputs, residual, self._weight, self._bias, "add")
        return result


class Int8Product:
    """A Linear with a weight in int8, a scale for each row, and activations quantised as they come, per token.

    Both are rotated first, as in QuaRot (arXiv 2404.00456): encoders have a few channels with numbers so large that one
    scale for a token would round the others away.
    """

    dtype = torch.float32

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        rows = rotate(weight.detach().float(), _ROTATED)
        scales = _largest(rows) / _LARGEST_CODE
        codes = rows.div_(scales).round_().to(torch.int8)
        self._weight, self._scales = torch.ops.onednn.qlinear_prepack(codes, None), scales.squeeze(1)
        self._bias = torch.zeros_like(self._scales) if bias is None else bias.detach().float()
        self._zero_points, self._no_bias = torch.zeros(len(rows), dtype=torch.int32), torch.zeros_like(self._scales)

    def __call__(self, inputs: torch.Tensor, activation: str = "none") -> torch.Tensor:
        """The product of inputs (tokens, in_features) with the weight, and the bias, under an activation."""
        rows = rotate(inputs, _ROTATED)
        largest = _largest(rows)
        step = 1 / _LARGEST_CODE
        codes = _codes(rows.div_(largest), step)
        quantized = (codes, step, _ZERO_POINT, self._weight, self._scales, self._zero_points, self._no_bias)
        result: torch.Tensor = torch.ops.onednn.qlinear_pointwise(*quantized, 1.0, 0, torch.float32, "none", [], "")
        torch.addcmul(self._bias, result, largest, out=result)
        if activation == "gelu":
            torch.ops.aten.gelu_(result)
        return result

    def added_to(self, residual: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        """The product of inputs, added to something else."""
        return self(inputs).add_(residual)


def _largest(rows: torch.Tensor) -> torch.Tensor:
    """The largest absolute number of each row (rows, 1), without the copy that `abs` makes."""
    largest = torch.maximum(rows.amax(1, keepdim=True), rows.amin(1, keepdim=True).neg_())
    return largest.clamp_min_(_LEAST)


def _codes(rows: torch.Tensor, step: float) -> torch.Tensor:
    """Unsigned codes of numbers from -1 to 1, as a plain tensor, without the copy that `int_repr` makes."""
    quantized = torch.quantize_per_tensor(rows, step, _ZERO_POINT, torch.quint8)
    return torch.empty(0, dtype=torch.uint8).set_(quantized.untyped_storage(), 0, rows.shape, rows.stride())


@cache
def why_not_bf16() -> str | None:
    """Say why oneDNN cannot multiply bf16 matrices here; None if it can."""
    # One product is tried, as the processor's features are not enough: torch may have been built without oneDNN (as on
    # macOS), and oneDNN may be limited to an older instruction set (`ONEDNN_MAX_CPU_ISA`).
    ones = torch.ones(2, 16, dtype=torch.bfloat16)
    try:
        product = Bf16Product(torch.ones(16, 16), torch.ones(16))
        product.added_to(ones, product(ones, "gelu"))
    except (AttributeError, RuntimeError) as error:
        return f"oneDNN has no bf16 products here: {str(error).splitlines()[0]}"
    return None


@cache
def why_not_int8() -> str | None:
    """Say why oneDNN cannot multiply int8 matrices exactly here; None if it can."""
    # Without VNNI two products are added in 16 bits, which the largest codes exceed. A block that holds one number is,
    # once rotated, of equal numbers, and so has the largest codes throughout.
    inputs = torch.zeros(2, 4 * _ROTATED)
    inputs[:, ::_ROTATED] = 1
    weight = inputs.repeat(8, 1)
    try:
        with warnings.catch_warnings():  # torch 2.13 announces once that tensors of this type will go
            warnings.filterwarnings("ignore", ".*quantized tensor creation functions", UserWarning)
            found = Int8Product(weight, None)(inputs)
    except (AttributeError, RuntimeError) as error:
        return f"oneDNN has no int8 products here: {str(error).splitlines()[0]}"
    expected = functional.linear(inputs, weight)
    return None if torch.allclose(found, expected, 1e-3) else "oneDNN's int8 products are not exact here"
