"""Matrix products of a model on a CPU: weights in oneDNN's layout, or in 8 bits with activations quantised per token.

torch's `F.linear` takes nearly three times as long for three tokens as for one, and nine tokens cost no more than three
where the weight lies in oneDNN's own layout. `packing` puts these layers into a model.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from indexes.encoders import rotate

_LARGEST_CODE = 64  # of weights: processors without VNNI add two products in 16 bits, and 255 · 127 · 2 do not fit
_FEW = 16  # rows for which a product is faster with the matrix first
_NUMBERS = 1 << 17  # of a weight that are quantised at a time: they stay in the processor's cache
_SAMPLED = 64  # numbers of a weight that tell it from others


class PackedProduct(nn.Module):
    """A linear layer whose weight is kept in another form; `weight` makes the matrix anew each time it is asked for."""

    bias: torch.Tensor | None

    def __init__(self, linear: nn.Linear | QuantizedLinear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.bias = None if linear.bias is None else nn.Parameter(linear.bias.detach().clone(), requires_grad=False)
        self._digest = linear.digest if isinstance(linear, QuantizedLinear) else None
        self.sample = linear.digest if isinstance(linear, QuantizedLinear) else sampled(linear.weight).clone()

    @property
    def weight(self) -> torch.Tensor:
        """The matrix (out_features, in_features)."""
        raise NotImplementedError

    @property
    def identity(self) -> torch.Tensor:
        """What tells the weight from all others: a SHA-256 of it in 8 bits, or the weight itself."""
        return self.weight if self._digest is None else self._digest

    @property
    def nbytes(self) -> int:
        """Bytes of the packed weight."""
        raise NotImplementedError


class PackedLinear(PackedProduct):
    """A linear layer with its weight in oneDNN's layout."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__(linear)
        self._packed = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), None)
        self._itemsize = linear.weight.itemsize

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """The product of inputs (…, in_features) with the weight, and the bias."""
        result: torch.Tensor = torch.ops.mkldnn._linear_pointwise(inputs, self._packed, self.bias, "none", [], "")
        return result

    @property
    def weight(self) -> torch.Tensor:
        """The matrix (out_features, in_features)."""
        matrix: torch.Tensor = self._packed.to_dense()
        return matrix

    @property
    def nbytes(self) -> int:
        """Bytes of the packed weight."""
        return self.in_features * self.out_features * self._itemsize


class QuantizedLinear(nn.Module):
    """A linear layer with a weight in int8, one scale for each row, as it is kept in a file.

    Where the inputs have a few large columns, one scale for a token rounds all others away. Blocks of 64 columns of
    both factors are therefore rotated by a Hadamard matrix, which leaves the product as it is and spreads the large
    ones (QuaRot, arXiv 2404.00456).

    Args:
        linear: The layer. One on the meta device makes a place for numbers that are kept.
    """

    codes: torch.Tensor
    scales: torch.Tensor
    digest: torch.Tensor

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features, self.bias = linear.in_features, linear.out_features, linear.bias
        codes, scales = _quantized(linear.weight, _LARGEST_CODE, rotate)
        self.register_buffer("codes", codes)
        self.register_buffer("scales", scales.squeeze(1))
        self.register_buffer("digest", _digest(codes, scales))


class Int8Linear(PackedProduct):
    """A `QuantizedLinear` that is ready to multiply; inputs are quantised as they come, per token."""

    scales: torch.Tensor

    def __init__(self, linear: QuantizedLinear, *others: QuantizedLinear) -> None:  # of one input: their rows follow
        super().__init__(linear)
        linears = (linear, *others)
        codes = torch.cat([each.codes for each in linears])
        self.register_buffer("scales", torch.cat([each.scales for each in linears]), persistent=False)
        self._packed: Any = codes if why_not_int8() is not None else _packed_codes(codes, self.scales)
        self.out_features = len(codes)
        if self.bias is not None:
            self.bias.data = torch.cat([each.bias.detach() for each in linears]).float()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """The product of inputs (…, in_features) with the weight, and the bias."""
        rows = rotate(inputs.float())
        if rows.numel() == self.in_features:  # the scale of the only token is that of the whole
            result = _int8_product(rows, self._packed, self.scales)
        else:
            largest = rows.abs().amax(dim=-1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
            result = _int8_product(rows.div_(largest), self._packed, self.scales).mul_(largest)
        result = result if self.bias is None else result.add_(self.bias)
        return result.to(inputs.dtype)

    @property
    def codes(self) -> torch.Tensor:
        """The int8 codes (out_features, in_features) of the rotated matrix."""
        if isinstance(self._packed, torch.Tensor):
            return self._packed
        codes: torch.Tensor = torch.ops.quantized.linear_unpack(self._packed)[0].int_repr()
        return codes

    @property
    def weight(self) -> torch.Tensor:
        """The matrix (out_features, in_features) that the codes stand for."""
        return self.rows(0, self.out_features)

    def rows(self, start: int, end: int) -> torch.Tensor:
        """Some rows of that matrix."""
        return rotate(self.codes[start:end] * self.scales[start:end].unsqueeze(1))  # the rotation is its own inverse

    @property
    def nbytes(self) -> int:
        """Bytes of the packed weight."""
        return self.in_features * self.out_features


class Int8Embedding(nn.Module):
    """An embedding in int8, with one scale for each token.

    Args:
        embedding: The embedding. One on the meta device makes a place for numbers that are kept.
    """

    codes: torch.Tensor

    def __init__(self, embedding: nn.Embedding) -> None:
        super().__init__()
        self.num_embeddings, self.embedding_dim = embedding.num_embeddings, embedding.embedding_dim
        codes, scales = _quantized(embedding.weight, 127)
        self.scales = nn.Parameter(scales, requires_grad=False)  # some models have no other parameter left
        self.register_buffer("codes", codes)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Embeddings (…, embedding_dim) of token ids (…)."""
        return self.codes[ids] * self.scales[ids]

    @property
    def weight(self) -> torch.Tensor:
        """The matrix (num_embeddings, embedding_dim) that the codes stand for, made anew each time."""
        return self.codes * self.scales


class TallLinear(nn.Module):
    """A linear layer that shares its weight with the embedding, which a packed copy would double."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.weight, self.bias = linear.weight, linear.bias

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """The product of inputs (…, in_features) with the weight, and the bias."""
        rows = inputs.reshape(-1, self.in_features)
        if not 1 < len(rows) <= _FEW:
            return functional.linear(inputs, self.weight, self.bias)
        result = (self.weight @ rows.T).T.reshape(*inputs.shape[:-1], self.out_features)
        return result if self.bias is None else result + self.bias


def sampled(tensor: torch.Tensor) -> torch.Tensor:
    """About 64 numbers of a tensor, evenly spaced."""
    flat = tensor.detach().reshape(-1)
    return flat[:: max(1, flat.numel() // _SAMPLED)]


@cache
def why_not_packed(dtype: torch.dtype) -> str | None:
    """Why oneDNN has no packed products of a dtype here, found by trying one; None if it has."""
    linear = nn.Linear(16, 16).to(dtype)
    try:
        with torch.inference_mode():
            product = PackedLinear(linear)
            inputs = torch.ones(2, 16, dtype=dtype)
            same = torch.allclose(product(inputs), linear(inputs), 1e-2) and torch.equal(product.weight, linear.weight)
    except (AttributeError, RuntimeError, TypeError) as error:
        return str(error).splitlines()[0]
    return None if same else "its packed product is another"


@cache
def why_not_int8() -> str | None:
    """Why FBGEMM has no products in 8 bits here, found by trying one; None if it has."""
    codes = torch.arange(256, dtype=torch.int32).reshape(2, 128).sub(128).div(2).to(torch.int8)
    rows, scales = torch.linspace(-1, 1, 128).reshape(1, 128), torch.tensor([1.0, 0.5])
    try:
        with warnings.catch_warnings():  # torch 2.13 announces once that tensors of this type will go
            warnings.filterwarnings("ignore", ".*quantized tensor creation functions", UserWarning)
            packed = _packed_codes(codes, scales)
        same = torch.allclose(_int8_product(rows, packed, scales), _int8_product(rows, codes, scales), 1e-2, 1)
    except (AttributeError, RuntimeError, TypeError) as error:
        return str(error).splitlines()[0]
    return None if same else "its product is another"


def _quantized(
    matrix: torch.Tensor, largest: int, change: Callable[[torch.Tensor], torch.Tensor] = torch.clone
) -> tuple[torch.Tensor, torch.Tensor]:
    """Int8 codes of a matrix whose rows are changed first, and scales (rows, 1): the largest code is `largest`."""
    matrix = matrix.detach()
    codes = torch.empty(matrix.shape, dtype=torch.int8, device=matrix.device)
    scales = torch.empty(len(matrix), 1, device=matrix.device)
    if matrix.is_meta:
        return codes, scales
    step = max(1, _NUMBERS // matrix.shape[1])
    for start in range(0, len(matrix), step):
        rows = change(matrix[start : start + step].float())
        scale = scales[start : start + step]
        scale[:] = rows.abs().amax(dim=1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny) / largest
        codes[start : start + step] = rows.div_(scale).round_()
    return codes, scales


def _digest(*tensors: torch.Tensor) -> torch.Tensor:
    """The SHA-256 of tensors (32 bytes); a place for it, of tensors on the meta device."""
    if tensors[0].is_meta:
        return torch.empty(32, dtype=torch.uint8, device="meta")
    digest = sha256()
    for tensor in tensors:
        digest.update(tensor.numpy().data)
    return torch.tensor(list(digest.digest()), dtype=torch.uint8)


def _packed_codes(codes: torch.Tensor, scales: torch.Tensor) -> Any:
    """A weight in int8 as FBGEMM keeps it, with a scale for each row."""
    zeros = torch.zeros(len(scales), dtype=torch.long)
    weight = torch._make_per_channel_quantized_tensor(codes, scales.double(), zeros, 0)
    return torch.ops.quantized.linear_prepack(weight, None)


def _int8_product(rows: torch.Tensor, packed: Any, scales: torch.Tensor) -> torch.Tensor:
    """Products of a weight in int8 with rows, which are quantised to 8 bits; the rows' largest numbers are alike."""
    if not isinstance(packed, torch.Tensor):
        result: torch.Tensor = torch.ops.quantized.linear_dynamic(rows, packed)
        return result
    step = rows.abs().amax().clamp_min(torch.finfo(torch.float32).tiny) / 127
    return functional.linear((rows / step).round() * step, packed.to(torch.float32)).mul_(scales)
