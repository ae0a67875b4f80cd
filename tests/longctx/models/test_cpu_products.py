"""Packed and 8-bit products of a model on a CPU, beside those of plain torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from indexes.encoders import rotate
from longctx import BadRequest, Engine, GenerationOptions, load_model
from longctx.models import cpu_products, hash_weights, is_packed, memory, packing
from longctx.models.cpu_products import Int8Embedding, Int8Linear, PackedLinear, QuantizedLinear

PROMPT = [5, 9, 7, 5, 9, 7, 11, 23, 42, 5, 9]


def logits(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        return model(torch.tensor([PROMPT])).logits[0]


def test_packed_products_are_those_of_plain_torch(tiny_llama: Path) -> None:
    plain, packed = load_model(tiny_llama, dtype="float32"), load_model(tiny_llama, dtype="float32", packed=True)
    assert torch.allclose(logits(packed.model), logits(plain.model), atol=1e-5)
    assert is_packed(packed.model) == (cpu_products.why_not_packed(torch.float32) is None)
    assert hash_weights(packed.model) == hash_weights(plain.model)
    assert packed.parameters == plain.parameters
    assert memory.weight_bytes(packed.model) == memory.weight_bytes(plain.model)
    assert Engine(packed).identity() == Engine(plain).identity()


def test_without_the_private_operators_a_model_stays_as_it_is(
    tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu_products, "why_not_packed", lambda dtype: "there is no oneDNN")
    assert not is_packed(load_model(tiny_llama, packed=True).model)


def test_a_head_that_shares_its_weight_is_not_copied() -> None:
    model = nn.Module()
    model.embedding, model.head = nn.Embedding(50, 16), nn.Linear(16, 50, bias=False)
    model.head.weight = model.embedding.weight
    model.device, model.dtype = torch.device("cpu"), torch.float32
    model.get_input_embeddings = lambda: model.embedding  # type: ignore[assignment]
    inputs = torch.randn(1, 5, 16, generator=torch.Generator().manual_seed(0))
    expected = model.head(inputs)
    packing.pack_model(model)
    assert model.head.weight is model.embedding.weight
    assert torch.allclose(model.head(inputs), expected, atol=1e-6)
    assert torch.allclose(model.head(inputs[:, :1]), expected[:, :1], atol=1e-6)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("width", [128, 96, 7])
def test_products_in_8_bits_are_near_though_a_column_is_large(
    width: int, bias: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    linear, inputs = nn.Linear(width, 40, bias=bias), torch.randn(2, 9, width)
    inputs[..., 3] *= 30
    with torch.inference_mode():
        expected, product = linear(inputs), Int8Linear(QuantizedLinear(linear))
        found = product(inputs)
        assert (found - expected).norm() < 0.03 * expected.norm()
        alone = product(inputs[:1, :1])  # the scale of a token is its own, that of zero is not
        assert torch.allclose(alone, found[:1, :1], atol=0.03 * float(found.abs().max()))
        assert torch.equal(product(torch.zeros(1, width)), product(torch.zeros(2, width))[:1])
        assert torch.allclose(product.weight, linear.weight, atol=0.01)
        assert torch.allclose(rotate(rotate(inputs)), inputs, atol=1e-4)
        monkeypatch.setattr(cpu_products, "why_not_int8", lambda: "there is no FBGEMM")
        assert torch.allclose(Int8Linear(QuantizedLinear(linear))(inputs), found, atol=0.03 * float(found.abs().max()))


def test_the_largest_numbers_do_not_overflow() -> None:
    linear = nn.Linear(256, 4, bias=False)
    nn.init.ones_(linear.weight)
    rows = rotate(torch.ones(1, 256))
    with torch.inference_mode():
        assert torch.allclose(Int8Linear(QuantizedLinear(linear))(rows), linear(rows), rtol=0.02)
        product = Int8Linear(QuantizedLinear(linear))
        assert torch.allclose(product(torch.ones(3, 256)), torch.full((3, 4), 256.0), rtol=0.02)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_large_matrix_is_quantised_as_if_in_one_go(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    linear, embedding = nn.Linear(192, 1500, bias=False).to(dtype), nn.Embedding(1500, 192).to(dtype)
    held = linear.weight.detach().clone(), embedding.weight.detach().clone()
    rotated, table = rotate(held[0].float()), held[1].float()
    largest, largest_row = rotated.abs().amax(1, keepdim=True), table.abs().amax(1, keepdim=True)
    assert torch.equal(QuantizedLinear(linear).codes, (rotated / (largest / 64)).round().to(torch.int8))
    assert torch.equal(Int8Embedding(embedding).codes, (table / (largest_row / 127)).round().to(torch.int8))
    assert torch.equal(linear.weight, held[0])  # which the layers before may share
    assert torch.equal(embedding.weight, held[1])


def test_what_fails_in_a_layer_is_raised(tiny_llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model(tiny_llama, dtype="float32").model
    monkeypatch.setattr(cpu_products, "rotate", lambda matrix: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        packing.quantize_model(model)


def test_a_model_in_int8(tiny_llama: Path) -> None:
    plain, small = load_model(tiny_llama, dtype="float32"), load_model(tiny_llama, quantization="int8", device="cpu")
    expected, found = logits(plain.model), logits(small.model)
    assert (found - expected).norm() < 0.1 * expected.norm()
    assert small.model.dtype == torch.float32
    assert memory.weight_bytes(small.model) < 0.35 * memory.weight_bytes(plain.model)
    assert small.parameters == plain.parameters
    engine = Engine(small)
    answer = "".join(engine.stream(PROMPT, (), options=GenerationOptions(6)))
    again = engine.stream(PROMPT, (), options=GenerationOptions(6))
    assert again.rest() == answer
    assert again.reused_tokens == len(PROMPT) - 1
    assert Engine(small).identity() != Engine(plain).identity()
    assert isinstance(small.model.model.layers[0].self_attn.o_proj, Int8Linear)


def test_a_quantized_checkpoint_is_not_quantized_again(tiny_llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longctx.models.loading.is_quantized", lambda folder, quantization: True)
    with pytest.raises(BadRequest, match="quantised already: leave quantization='int8' out"):
        load_model(tiny_llama, quantization="int8", device="cpu")


def test_packed_layers_keep_their_weight() -> None:
    if cpu_products.why_not_packed(torch.float32) is None:
        linear = nn.Linear(24, 40)
        assert torch.equal(PackedLinear(linear).weight, linear.weight)


def test_a_dtype_beside_int8_is_refused(tiny_llama: Path) -> None:
    with pytest.raises(BadRequest, match="dtype is 'bfloat16', and int8 on a CPU"):
        load_model(tiny_llama, quantization="int8", dtype="bfloat16", device="cpu")
