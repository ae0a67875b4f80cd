"""Replacing the linear layers of a model on a CPU by those of `cpu_products`.

Only models that were loaded for this may be given: a weight is freed as its packed form is made. In int8, layers of one
input become one product, whose input is rotated and quantised once. A packed product in float32 or bfloat16 does
nothing but read its weight, and gains nothing by that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from typing import Any

import torch
from torch import nn

from longctx.models import cpu_products
from longctx.models.cpu_products import (
    Int8Embedding,
    Int8Linear,
    PackedLinear,
    PackedProduct,
    QuantizedLinear,
    TallLinear,
)

# Families whose layers of these names are called one after the other with the same tensor
FUSED_FAMILIES = frozenset(
    {"gemma", "gemma2", "gemma3_text", "granite", "llama", "mistral", "qwen2", "qwen3", "smollm3"}
)
_TOGETHER = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))


class FusedProduct:
    """One product for several layers of the same input, whose weights are the rows of one matrix.

    The layer that is called first computes for all. The others take what is theirs if they are given the same tensor,
    which nothing may change in between, and once each: the result is freed with the last.

    Args:
        product: The product of all.
        parts: How many layers.
    """

    def __init__(self, product: Int8Linear, parts: int) -> None:
        self.product = product
        self._all = frozenset(range(parts))
        self._waiting: set[int] = set()
        self._inputs: torch.Tensor | None = None  # held, so that no other tensor can be taken for it
        self._result: torch.Tensor | None = None

    def take(self, part: int, inputs: torch.Tensor) -> torch.Tensor:
        """The product of all for the layer number `part`."""
        result = self._result
        if result is None or inputs is not self._inputs or part not in self._waiting:
            result = self._result = self.product(inputs)
            self._inputs, self._waiting = inputs, set(self._all)
        self._waiting.discard(part)
        if not self._waiting:
            self._inputs = self._result = None
        return result


class FusedPart(PackedProduct):
    """A linear layer that is some of the rows of a `FusedProduct`."""

    def __init__(self, linear: QuantizedLinear, fused: FusedProduct, number: int, start: int) -> None:
        super().__init__(linear)
        self._fused, self._number, self._start = fused, number, start
        if fused.product.bias is not None:  # a view
            rows = fused.product.bias.detach()[start : start + self.out_features]
            self.bias = nn.Parameter(rows, requires_grad=False)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """The product of inputs (…, in_features) with the weight, and the bias."""
        return self._fused.take(self._number, inputs).narrow(-1, self._start, self.out_features)

    @property
    def weight(self) -> torch.Tensor:
        """The matrix (out_features, in_features) that the codes stand for."""
        return self._fused.product.rows(self._start, self._start + self.out_features)

    @property
    def nbytes(self) -> int:
        """Bytes of its part of the packed weight."""
        return self.in_features * self.out_features


def pack_model(model: Any) -> None:
    """Replace the linear layers of a model on a CPU by packed ones, where oneDNN has them for its dtype.

    Args:
        model: The transformers model, which nothing else may use.
    """
    if model.device.type != "cpu" or cpu_products.why_not_packed(model.dtype) is not None:
        return
    tied = model.get_input_embeddings().weight
    for parent, name in _linears(model):
        linear = getattr(parent, name)
        setattr(parent, name, (TallLinear(linear) if linear.weight is tied else PackedLinear(linear)).eval())


def quantize_model(model: Any) -> None:
    """Replace the linear layers and the embedding of a model on a CPU by int8, which `pack_quantized` makes ready.

    Args:
        model: The transformers model, which nothing else may use. One on the meta device gets places for numbers that
            are kept.
    """

    def replace(place: tuple[nn.Module, str]) -> None:
        setattr(*place, QuantizedLinear(getattr(*place)).eval())

    embedding = model.get_input_embeddings()
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        table = pool.submit(Int8Embedding, embedding) if type(embedding) is nn.Embedding else None
        list(pool.map(replace, _linears(model)))  # which raises what a thread has raised
    if table is not None:
        model.set_input_embeddings(table.result())


def pack_quantized(model: Any) -> None:
    """Pack the int8 layers of a model for the products of this processor; what is not in int8 becomes float32.

    Args:
        model: The model as `quantize_model` leaves it, which nothing else may use.
    """
    cpu_products.why_not_int8()  # in this thread, for its warning
    together = _TOGETHER if model.config.model_type in FUSED_FAMILIES else ()
    places = [(parent, names) for parent in model.modules() for names in _groups(parent, together)]
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:  # FBGEMM packs a weight on one processor
        list(pool.map(_pack_group, places))
    model.float()
    model.config.dtype = torch.float32


def _pack_group(place: tuple[nn.Module, tuple[str, ...]]) -> None:
    parent, names = place
    linears: list[QuantizedLinear] = [getattr(parent, name) for name in names]
    made = _fused(linears) if len(names) > 1 else [Int8Linear(linears[0])]
    for name, module in zip(names, made, strict=True):
        setattr(parent, name, module.eval())


def _linears(model: nn.Module) -> list[tuple[nn.Module, str]]:
    """The parents of linear layers and their names in these; the layers themselves would be held by the list."""
    children = ((parent, *child) for parent in model.modules() for child in parent.named_children())
    return [(parent, name) for parent, name, child in children if type(child) is nn.Linear]


def _groups(parent: nn.Module, together: Iterable[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    """The names of the int8 layers of a module; in one group, those that can have one product."""
    linears = {name: child for name, child in parent.named_children() if isinstance(child, QuantizedLinear)}
    for names in together:
        if _fits([linears.get(name) for name in names]):
            yield names
            for name in names:
                del linears[name]
    yield from ((name,) for name in linears)


def _fits(linears: list[QuantizedLinear | None]) -> bool:
    """Whether int8 layers are there, and alike but for their number of rows."""
    there = [linear for linear in linears if linear is not None]
    return len(there) == len(linears) and len({(each.in_features, each.bias is None) for each in there}) == 1


def _fused(linears: list[QuantizedLinear]) -> list[FusedPart]:
    """One product in 8 bits in place of several."""
    fused = FusedProduct(Int8Linear(*linears).eval(), len(linears))
    starts = accumulate((linear.out_features for linear in linears), initial=0)
    return [FusedPart(linear, fused, *place) for linear, place in zip(linears, enumerate(starts), strict=False)]


def is_packed(model: nn.Module) -> bool:
    """Tell whether several tokens in one call of a model cost little more than one.

    Args:
        model: The transformers model.

    Returns:
        Whether it has packed layers.
    """
    return any(isinstance(module, PackedProduct) for module in model.modules())


def packed_products(model: nn.Module) -> Iterator[tuple[str, PackedProduct]]:
    """The packed layers of a model with their names."""
    return ((name, module) for name, module in model.named_modules() if isinstance(module, PackedProduct))


def packed_parameters(model: nn.Module) -> int:
    """How many parameters of a model are in another form, and so not among its own."""
    return sum(each.in_features * each.out_features for _, each in packed_products(model)) + sum(
        each.codes.numel() - each.scales.numel() for each in model.modules() if isinstance(each, Int8Embedding)
    )
