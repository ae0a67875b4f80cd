"""Layers of one input as one product: the numbers, the names, the hashes and the memory of layers that are apart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

from longctx import Engine, GenerationOptions, load_model
from longctx.models import cpu_products, hash_weights, memory, packing
from longctx.models.packing import FUSED_FAMILIES, FusedPart

SMALL = {"vocab_size": 60, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "head_dim": 16}
SMALL |= {"num_attention_heads": 4, "num_key_value_heads": 2, "pad_token_id": 0}
PROMPT = [5, 9, 7, 5, 9, 7, 11, 23, 42, 5, 9]


def made(family: str, dtype: torch.dtype = torch.float32) -> Any:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **SMALL), dtype=dtype).eval()
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter)
    return model


def in_int8(model: Any) -> None:
    packing.quantize_model(model)
    packing.pack_quantized(model)


def logits(model: Any, ids: list[int]) -> torch.Tensor:
    with torch.inference_mode():
        return model(torch.tensor([ids])).logits[0]


def fused(model: nn.Module) -> Iterator[str]:
    return (name.rsplit(".", 1)[1] for name, each in model.named_modules() if isinstance(each, FusedPart))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", ["llama", "qwen2", "mistral"])
def test_one_product_is_what_each_layer_would_give(
    family: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = made(family, dtype), made(family, dtype)
    in_int8(one)
    monkeypatch.setattr(packing, "FUSED_FAMILIES", frozenset())
    in_int8(other)
    assert sorted(fused(one)) == sorted(["q_proj", "k_proj", "v_proj", "gate_proj", "up_proj"] * 2)
    assert not list(fused(other))
    for ids in (PROMPT, PROMPT[:1]):
        assert torch.equal(logits(one, ids), logits(other, ids))
    assert {name: tensor.tolist() for name, tensor in one.state_dict().items()} == {
        name: tensor.tolist() for name, tensor in other.state_dict().items()
    }
    assert hash_weights(one) == hash_weights(other)
    assert memory.weight_bytes(one) == memory.weight_bytes(other)
    assert packing.packed_parameters(one) == packing.packed_parameters(other)


@pytest.mark.parametrize("family", sorted(FUSED_FAMILIES))
def test_a_step_multiplies_once_for_each_group(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, products = made(family), 0
    expected = logits(model, PROMPT)
    in_int8(model)
    forward = cpu_products.Int8Linear.forward

    def counted(self: Any, inputs: torch.Tensor) -> torch.Tensor:
        nonlocal products
        products += 1
        return forward(self, inputs)

    monkeypatch.setattr(cpu_products.Int8Linear, "forward", counted)
    found = logits(model, PROMPT)
    assert (found - expected).norm() < 0.1 * expected.norm()
    assert products == 2 * 4 + 1  # of a layer q with k and v, o, gate with up, and down; and the head


def test_the_result_is_freed_and_never_taken_for_another_input() -> None:
    model = made("qwen2")
    in_int8(model)
    layer = model.model.layers[0].self_attn
    one, other = torch.randn(1, 3, 64), torch.randn(1, 3, 64)
    with torch.inference_mode():
        query, key = layer.q_proj(one), layer.k_proj(other)  # the second computes anew
        assert torch.equal(layer.q_proj(other), layer.q_proj(other.clone()))
        assert torch.equal(layer.k_proj(other), key)
        assert torch.equal(layer.q_proj(one), query)
        assert not torch.equal(layer.k_proj(one), key)
        layer.v_proj(one)
    assert layer.q_proj._fused._result is None


@pytest.mark.parametrize("kind", ["bias", "type"])
def test_layers_that_differ_stay_apart(kind: str) -> None:
    model = made("llama")
    for layer in model.model.layers:
        attention = layer.self_attn
        if kind == "bias":
            attention.k_proj.bias = nn.Parameter(torch.ones(32))
        else:
            attention.k_proj = nn.Sequential(attention.k_proj)
    in_int8(model)
    assert sorted(fused(model)) == ["gate_proj", "gate_proj", "up_proj", "up_proj"]


def test_a_model_whose_other_layers_have_no_numbers() -> None:
    model = made("olmo")
    expected = logits(model, PROMPT)
    in_int8(model)
    assert model.dtype == torch.float32
    assert (logits(model, PROMPT) - expected).norm() < 0.1 * expected.norm()


def test_another_family_stays_apart() -> None:
    model = made("starcoder2")
    in_int8(model)
    assert not list(fused(model))


def test_an_engine_writes_what_it_wrote(tiny_llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Engine(load_model(tiny_llama, device="cpu", quantization="int8"))
    monkeypatch.setattr(packing, "FUSED_FAMILIES", frozenset())
    other = Engine(load_model(tiny_llama, device="cpu", quantization="int8"))
    texts = [each.stream(PROMPT, (), options=GenerationOptions(40)).rest() for each in (one, other)]
    assert texts[0] == texts[1]
    assert one.identity() == other.identity()
