"""The dtype that a model runs in, the keys and values that it keeps, and numbers that make no sense."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

from longctx import BadRequest, DocumentQA, Engine, GenerationOptions, load_model
from longctx.models import CacheShape, device
from longctx.types import AskOptions

FILE = "model.safetensors"


@pytest.mark.parametrize(
    ("has_bf16", "free", "dtype", "note"),
    [
        (False, 2**40, torch.float32, "no fast bfloat16 arithmetic: the model runs in float32"),
        (False, 0, torch.bfloat16, "are not free"),
        (True, 2**40, torch.bfloat16, None),
    ],
)
def test_auto_is_what_the_processor_computes_in_if_memory_allows(
    has_bf16: bool, free: int, dtype: torch.dtype, note: str | None, half_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexes.encoders.has_bf16", lambda: has_bf16)
    monkeypatch.setattr(device, "available_bytes", lambda _: free)
    loaded = load_model(half_llama, device="cpu")
    assert loaded.model.dtype == dtype
    assert note in loaded.note if note else loaded.note is None
    assert load_model(half_llama, device="cpu", dtype="bfloat16").model.dtype == torch.bfloat16


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_a_dtype_that_no_configuration_states_is_that_of_the_weights(
    dtype: torch.dtype, half_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "_has_arithmetic", lambda _: False)
    weights = {
        name: each.to(torch.float32 if "norm" in name else dtype) for name, each in load_file(half_llama / FILE).items()
    }
    save_file(weights, half_llama / FILE, metadata={"format": "pt"})
    config = json.loads((half_llama / "config.json").read_text())
    del config["dtype"]
    (half_llama / "config.json").write_text(json.dumps(config))
    loaded = load_model(half_llama, device="cpu")
    assert loaded.model.dtype == torch.float32
    assert (loaded.note is None) == (dtype == torch.float32)


def test_what_was_done_is_said_where_a_corpus_is_opened(
    half_llama: Path, tmp_path: Path, encoder: Any, monkeypatch
) -> None:
    monkeypatch.setattr("indexes.encoders.has_bf16", lambda: False)
    loading = {"device": "cpu", "cache_dtype": "int8"}
    with DocumentQA.open(tmp_path / "index", half_llama, encoder=encoder, loading=loading) as qa:
        assert "runs in float32" in str(qa.model_note)
        assert qa._backend.identity().endswith("int8")


@pytest.mark.parametrize(
    ("kind", "sizes", "kibibytes"),
    [
        ("falcon", {"hidden_size": 4544, "num_attention_heads": 71, "num_hidden_layers": 32, "multi_query": True}, 8),
        ("llama", {"hidden_size": 4096, "num_attention_heads": 32, "num_hidden_layers": 32}, 512),
        ("deepseek_v3", {"num_hidden_layers": 4}, 4 * (512 + 64) * 2 / 1024),
    ],
)
def test_keys_and_values_are_counted_as_the_model_keeps_them(
    kind: str, sizes: dict[str, Any], kibibytes: float
) -> None:
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **sizes), dtype=torch.bfloat16)
    assert CacheShape.of(model).token_bytes("model") == kibibytes * 1024


@pytest.mark.parametrize(
    "options",
    [
        {"max_new_tokens": 0},
        {"max_new_tokens": -1},
        {"max_new_tokens": 2.5},
        {"max_new_tokens": True},
        {"seed": 2**70},
        {"seed": 1.0},
        {"top_k": -1},
        {"top_k": 1.5},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"temperature": "hot"},
        {"repetition_penalty": 0.0},
        {"stop": "text"},
        {"stop": ("",)},
    ],
    ids=str,
)
def test_an_option_that_cannot_be_served_is_refused(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(BadRequest, match=f"^{name} is "):
        GenerationOptions(**options)
    with pytest.raises(BadRequest, match=f"^{name} is "):
        AskOptions().updated(**options)


def test_an_engine_says_what_it_takes(short_llama: Path) -> None:
    loaded = load_model(short_llama)
    for arguments in ({"cache_dtype": "fp8"}, {"block": -1}, {"block": 2.5}, {"prefix_bytes": -1}):
        (name,) = arguments
        with pytest.raises(BadRequest, match=f"^{name} is "):
            Engine(loaded, **arguments)
    with pytest.raises(BadRequest, match=r"1\.5"):
        Engine(loaded).prefix([1, 2], room=1.5)  # type: ignore[arg-type]
    with pytest.raises(BadRequest, match=r"last is 0\.5"):
        Engine(loaded).token_losses([1, 2, 3], last=0.5)  # type: ignore[arg-type]
    with pytest.raises(BadRequest, match="native_window is 0"):
        load_model(short_llama, native_window=0)
    with pytest.raises(BadRequest, match="device_map is 'gpu': use auto"):
        load_model(short_llama, device_map="gpu")
    assert load_model(short_llama, device_map="auto").model.device.type


@pytest.mark.parametrize("temperature", [1e-46, 1e-40, 1e-5])
def test_next_to_no_temperature_is_greedy(temperature: float, short_llama: Path) -> None:
    engine = Engine(load_model(short_llama))
    cold = engine.stream([5, 6, 7], [], options=GenerationOptions(6, temperature=temperature, seed=1))
    assert "".join(cold) == "".join(engine.stream([5, 6, 7], [], options=GenerationOptions(6)))
